package balancer

// Skip says which endpoints a pick passes over: those already tried, or not
// ready on this connection.
type Skip interface {
	Skip(e *Endpoint) bool
}

// Pick is the question put to a Picker.
type Pick struct {
	// Hash is the hash of the request's key; only a consistent-hash picker reads it.
	Hash uint64
	// Skip is nil if every endpoint will do.
	Skip Skip
}

// Picker picks one of its endpoints. It may be called concurrently, never
// blocks, never allocates, and always ends.
type Picker interface {
	// Pick returns the index of an endpoint, -1 if all are skipped.
	Pick(p Pick) int
}

// subset is the candidates of a decision: instances of one snapshot, never none.
type subset struct {
	members   []int32     // indices in the snapshot
	skipped   []string    // the labels of `prefer` that were skipped
	endpoints []*Endpoint // of the members
	cursor    *cursor     // the rotation; the next director's subset of this key goes on with it
	picker    Picker
	ring      *ring // nil unless the balance is hash
}
