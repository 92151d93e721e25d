package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// envRole makes a process a provider or a consumer; it holds a role as JSON.
const envRole = "FAULTS_ROLE"

// role is what a process plays.
type role struct {
	Provider *providerRole `json:",omitempty"`
	Consumer *consumerRole `json:",omitempty"`
}

// Play makes this process the provider or consumer that its environment asks for,
// and returns when that has ended. False: it was asked for nothing. It is the
// first thing that a main or TestMain calls, since Suite.Run starts the program
// that it runs in.
func Play() (bool, error) {
	text := os.Getenv(envRole)
	if text == "" {
		return false, nil
	}
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return true, fmt.Errorf("faults: %s: %w", envRole, err)
	}
	switch {
	case r.Provider != nil:
		return true, r.Provider.play()
	case r.Consumer != nil:
		return true, r.Consumer.play()
	}
	return true, fmt.Errorf("faults: %s names no role", envRole)
}

// say tells the driver something.
func say(what any) error { return json.NewEncoder(os.Stdout).Encode(what) }

// exitWithParent ends this process when the one that started it is gone.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

// Names of the two services that a provider is an instance of. They are two so
// that a client that knows no label "protocol" can be used as well.
func httpService(base string) string { return base + "-http" }
func grpcService(base string) string { return base + "-grpc" }

var errOverdue = errors.New("faults: overdue")

// patience bounds every wait for a process; the start of a node has its own bound.
const patience = 30 * time.Second

// joinPort joins IP and port.
func joinPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }
