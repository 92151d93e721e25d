package registry

import (
	"context"
	"time"
)

// Origin tells how a list came to us.
type Origin uint8

// The ways a list reaches us.
const (
	// Pushed by the registry because something changed.
	Pushed Origin = iota
	// Reconciled: read by us, to find what a push may have missed.
	Reconciled
	// Cached: read from a local copy; what it says may be old.
	Cached
)

// String returns "pushed", "reconciled" or "cached".
func (o Origin) String() string {
	switch o {
	case Pushed:
		return "pushed"
	case Reconciled:
		return "reconciled"
	case Cached:
		return "cached"
	}
	return "unknown"
}

// Update is one full list of a service's instances, never a delta.
type Update struct {
	// Instances belongs to the receiver, maps included: the watcher keeps no
	// reference. The order means nothing.
	Instances []Instance
	Origin    Origin
	// At is when this process received the list.
	At time.Time
}

// Watcher reports what exists.
//
// A Watcher may also tell how old what it reports can be, by a method
//
//	Synced(s Service) (at time.Time, ok bool)
//
// that returns when the registry confirmed last the list that watchers of s have,
// also if it was the same again; false while there is no list. It may be called
// concurrently and does not block.
type Watcher interface {
	// Watch calls fn with the full list of s, first when it is known and then
	// after each change, and blocks until ctx ends. A service that nobody
	// registered is an empty list, not an error.
	//
	// All calls of fn come from one goroutine, one after the other; fn must not
	// block. fn is not called after Watch returned. Watch deals with lost
	// connections itself; it returns early only if watching can never work (an
	// invalid name, a closed watcher). At the end of ctx it returns the
	// context's cause.
	//
	// Watch may be called concurrently, also for the same service.
	Watch(ctx context.Context, s Service, fn func(Update)) error
}

// Registrar announces instances.
type Registrar interface {
	// Register validates the instance and makes it desired state: the registrar
	// announces it as soon as the registry can be reached, and again after every
	// loss of connection, until Close. Register does not wait for the registry,
	// Registration.Ready does; ctx bounds Register itself.
	//
	// Fields left empty may be filled in with the registrar's defaults;
	// Registration.Instance has the outcome.
	Register(ctx context.Context, s Service, in Instance) (Registration, error)
}

// Registration is one announced instance. Its methods may be called
// concurrently.
type Registration interface {
	// Instance returns what is announced, with all defaults filled in.
	Instance() Instance
	// Ready waits until the registry has accepted the instance. When ctx ends
	// first, the error holds the reason why the registry has not.
	Ready(ctx context.Context) error
	// State returns where the registration stands now.
	State() State
	// Update replaces weight, enabled, healthy and metadata of the announced
	// instance; the address and the cluster stay. It returns when the registry
	// has accepted the change or ctx ends; then the change stays desired.
	Update(ctx context.Context, in Instance) error
	// Close withdraws the instance and returns when the registry has confirmed
	// it or ctx ends. From its first call on, the instance is not announced
	// again. It is idempotent.
	Close(ctx context.Context) error
}

// State is where a registration stands.
type State uint8

// The states of a registration.
const (
	// Pending: desired, not yet (or no longer) known to the registry.
	Pending State = iota
	// Registered: the registry accepted it on the current connection.
	Registered
	// Closed: withdrawn by Close.
	Closed
)

// String returns "pending", "registered" or "closed".
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Registered:
		return "registered"
	case Closed:
		return "closed"
	}
	return "unknown"
}
