// Package graylane is service discovery, client-side load balancing and gray
// release for Go, over Nacos.
//
// Providers announce themselves with labels such as their version. Operators
// write rules in Nacos: this header goes to v2, 20 % of the users go to v2.
// Consumers decide for each single request, over connections that stay open, and
// follow a changed rule within a second.
//
// A provider:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	gl, err := graylane.Open(ctx, graylane.WithVersion("v2")) // or SERVICE_VERSION=v2
//	...
//	defer gl.Close()
//	err = httpx.Serve(ctx, gl, "user", ":8081", handler)
//
// A consumer:
//
//	gl, err := graylane.Open(ctx)
//	...
//	defer gl.Close()
//	client := httpx.NewClient(gl.Resolver())
//	resp, err := client.Get("http://user/hello")
//
// This package only wires the rooms together. It imports neither face: take
// httpx, grpcx, or both. A unit test needs no Nacos: package registry/memory is a
// registry in the process, config/memory a source of rules, package nacostest a whole
// Nacos.
//
// # Environment
//
// An option beats the environment, which beats the default. A variable that is
// empty counts as not set.
//
//	NACOS_ADDR       servers of the cluster, host:port of the HTTP API, with commas
//	                 between them; default 127.0.0.1:8848 (gRPC is at port + 1000)
//	NACOS_NAMESPACE  ID of the namespace; default public
//	NACOS_GROUP      group of the services; default DEFAULT_GROUP
//	NACOS_USERNAME   with NACOS_PASSWORD; default nobody
//	GRAYLANE_CACHE_DIR
//	                 where the last good lists and rules are kept, see WithCacheDir
//	SERVICE_VERSION  label "version" of the instances registered here
//	SERVICE_ENV      label "env"
//	SERVICE_REGION   label "region"
//	SERVICE_ZONE     label "zone"
//	SERVICE_IP       IP address to announce; default that of the connection to Nacos
//	SERVICE_WEIGHT   weight in Nacos's unit; default 1
package graylane
