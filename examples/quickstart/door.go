package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

// door is a gateway to the user service for people with curl. Whoever comes may ask for
// a version or a lane.
type door struct {
	addr   string
	server *http.Server
	ended  chan struct{}
}

// openDoor opens it at addr, or if that is taken at any free port.
func openDoor(ctx context.Context, addr string, c *consumer) (*door, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	transport := httpx.NewTransport(c.client.Resolver())
	route := httpx.ByPath(map[string]string{"/": userService})
	mux := http.NewServeMux()
	mux.Handle("/", httpx.NewGateway(transport, route, httpx.Edge(lane.HeaderLane, lane.HeaderVersion)))
	mux.Handle("/debug/graylane/", c.page)
	d := &door{addr: ln.Addr().String(), ended: make(chan struct{}), server: &http.Server{Handler: mux}} //nolint:gosec // on loopback, for one person
	go func() {
		if err := d.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("quickstart:", err)
		}
		transport.Close()
		close(d.ended)
	}()
	return d, nil
}

// close ends it, and waits.
func (d *door) close() {
	_ = d.server.Close()
	<-d.ended
}

// help says what to type.
func (d *door) help(w io.Writer, o *operator) {
	fmt.Fprintf(w, `
Going on until Ctrl-C. Ask the service yourself:

  curl -s -H 'x-gray-version: v2' http://%[1]s
  for i in $(seq 1000); do curl -s http://%[1]s; done | sort | uniq -c

Look at what the consumer knows, and why it decides as it does:

  http://%[1]s/debug/graylane/

Edit the rules yourself, for instance:

%[2]s

See who follows them:

  go run ./cmd/graylane status --nacos %[3]s %[4]s
`, d.addr, o.curl(fiftyPercent), o.nacos, userService)
}
