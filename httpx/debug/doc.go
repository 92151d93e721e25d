// Package debug is a page for people that shows what a process knows: its
// services and their instances, the rules in force or why new ones were refused,
// the configured split beside the actual one, and who would get a given request.
// It reads only, and answers this machine only.
//
//	var gl *graylane.Client // the page is there first: its hooks go into the client
//	page := debug.New(debug.WithSettings(func() []debug.Setting { return gl.Settings() }))
//	gl, err := graylane.Open(ctx, graylane.WithHooks(page.Hooks()))
//	mux := http.NewServeMux()
//	mux.Handle("/debug/graylane/", page)
//	go http.ListenAndServe("127.0.0.1:6060", mux)
//
// The same paths answer in JSON if the request accepts application/json, or has
// ?format=json:
//
//	.            every service, warnings, what went wrong lately
//	service      ?view=NAME: one service; &q=TEXT and &page=N choose instances
//	explain      ?view=NAME and the fields of the form, or one request in JSON as
//	             graylane explain reads them
//	decisions    the last 100 attempts, without anything of their requests
//	settings     the configuration and who gave it
package debug
