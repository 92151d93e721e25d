package resolver

import (
	"context"
	"sync"
	"sync/atomic"
)

// live is a value that one goroutine replaces, and any number of others read and
// follow.
type live[T any] struct {
	value atomic.Pointer[T] // nil before the first
	known chan struct{}     // closed with the first

	// mu guards watchers. Nothing is called under it.
	mu       sync.Mutex
	watchers map[*mailbox[*T]]struct{}
}

func newLive[T any]() *live[T] {
	return &live[T]{known: make(chan struct{}), watchers: map[*mailbox[*T]]struct{}{}}
}

// publish puts v in force.
func (l *live[T]) publish(v *T) {
	if first := l.value.Swap(v) == nil; first {
		close(l.known)
	}
	l.mu.Lock()
	for box := range l.watchers {
		box.put(v)
	}
	l.mu.Unlock()
}

// subscribe returns a mailbox that gets the value in force, and each one after it.
func (l *live[T]) subscribe() (box *mailbox[*T], cancel func()) {
	box = newMailbox[*T]()
	l.mu.Lock()
	l.watchers[box] = struct{}{}
	// Under the lock, or this value could replace one that publish has put after
	// it. Publish swaps before it locks: a value that is not found here is put
	// after this one.
	if v := l.value.Load(); v != nil {
		box.put(v)
	}
	l.mu.Unlock()
	return box, func() {
		l.mu.Lock()
		delete(l.watchers, box)
		l.mu.Unlock()
	}
}

// watch calls fn with the value in force and after each change, until ctx or life
// ends, and returns the cause.
func (l *live[T]) watch(ctx, life context.Context, fn func(*T)) error {
	box, cancel := l.subscribe()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-life.Done():
			return context.Cause(life)
		case <-box.full:
			if v := box.take(); v != nil {
				fn(*v)
			}
		}
	}
}
