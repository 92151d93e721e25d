package nacos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Random ports lie below the range from which systems take the ports of
// outgoing connections, all five of a node.
const (
	minPort   = 12_000
	maxPort   = 31_000
	portTries = 100
)

// choosePorts returns the fixed ports, or, for 0, random ones. All are free now;
// nothing keeps them free until the node listens.
func choosePorts(ctx context.Context, http, console int) (ports, error) {
	fixed := http != 0
	for range portTries {
		p := ports{http: http, console: console}
		if !fixed {
			p.http = minPort + rand.N(maxPort-minPort)
		}
		if console == 0 {
			p.console = p.http + 1
		}
		err := allFree(ctx, p)
		if err == nil {
			return p, nil
		}
		if fixed {
			return ports{}, fmt.Errorf("nacos: port in use: %w", err)
		}
	}
	return ports{}, fmt.Errorf("nacos: no free set of ports in %d tries", portTries)
}

func allFree(ctx context.Context, p ports) error {
	var lc net.ListenConfig
	for _, port := range p.all() {
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
