package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Free ports are taken from below the range of outgoing connections, and of the
// Nacos nodes that tests start.
const (
	minPort   = 5_000
	maxPort   = 10_900
	portTries = 100
)

// freePorts takes ports that nobody has, and holds them until release, so that
// none is taken twice. Nothing keeps them free after that.
type freePorts []net.Listener

func (f *freePorts) take(ctx context.Context) (addr string, err error) {
	for range portTries {
		addr = fmt.Sprintf("127.0.0.1:%d", minPort+rand.N(maxPort-minPort))
		ln, listenErr := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err = listenErr; err == nil {
			*f = append(*f, ln)
			return addr, nil
		}
	}
	return "", fmt.Errorf("demo: no free port: %w", err)
}

func (f *freePorts) release() {
	for _, ln := range *f {
		_ = ln.Close()
	}
}
