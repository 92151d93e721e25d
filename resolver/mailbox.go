package resolver

import "sync/atomic"

// mailbox hands the latest value to one reader: a put replaces what was not yet
// taken, and never blocks.
type mailbox[T any] struct {
	slot atomic.Pointer[T]
	full chan struct{} // of capacity 1: "look into the slot"
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{full: make(chan struct{}, 1)}
}

func (m *mailbox[T]) put(v T) {
	m.slot.Store(&v)
	select {
	case m.full <- struct{}{}:
	default: // the reader was told already, and has yet to look
	}
}

// take returns the value, nil if a former take got it: a put may come between
// the reader's wake-up and its look, and wakes it once more for nothing.
func (m *mailbox[T]) take() *T { return m.slot.Swap(nil) }
