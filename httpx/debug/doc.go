// Package debug is a page for people that shows what a process knows: its
// services and their instances, the rules in force or why new ones were refused,
// the configured split beside the actual one, and who would get a given request.
// It reads only, and answers this machine only: peers that are 127.0.0.1 or ::1, whose
// request has no header of a proxy. A bare reverse proxy on the same machine, which adds
// none, cannot be told apart from a person on it: let it not lead here.
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
//	decisions    the last 100 attempts; of their requests they have the slot alone,
//	             which is computed from the key of a split
//	settings     the configuration and who gave it
package debug
