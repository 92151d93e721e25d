package nacos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Random ports lie below the range from which systems take the ports of
// outgoing connections, all of them.
const (
	minPort   = 12_000
	maxPort   = 31_000
	portTries = 100
)

// choosePorts returns the ports of n nodes from fixed ones on, or, for 0, random
// ones. All are free now; nothing keeps them free until the nodes listen.
func choosePorts(ctx context.Context, http, console, n int) ([]ports, error) {
	fixed := http != 0
	for range portTries {
		first := http
		if !fixed {
			first = minPort + rand.N(maxPort-minPort)
		}
		all := make([]ports, n)
		for i := range all {
			all[i].http = first + i*portStep
			all[i].console = all[i].http + 1
			if console != 0 {
				all[i].console = console + i*portStep
			}
		}
		err := allFree(ctx, all)
		if err == nil {
			return all, nil
		}
		if fixed {
			return nil, fmt.Errorf("nacos: port in use: %w", err)
		}
	}
	return nil, fmt.Errorf("nacos: no free set of ports in %d tries", portTries)
}

func allFree(ctx context.Context, nodes []ports) error {
	var lc net.ListenConfig
	for _, p := range nodes {
		for _, port := range p.all() {
			l, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				return err
			}
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
