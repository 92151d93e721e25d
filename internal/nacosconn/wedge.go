package nacosconn

import (
	"sync"
	"time"
)

// wedgedAfter is how many requests without an answer, one after the other, make a
// connection a wedged one, even if the server answers its health checks: it takes
// at least 9 s.
const wedgedAfter = 3

// silence counts the requests in a row that got no answer. It may be used
// concurrently.
type silence struct {
	mu   sync.Mutex
	n    int
	last time.Time // when the last of them was given up
}

// answered forgets the silence.
func (s *silence) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n = 0
}

// unanswered counts a request that was sent at a time, and reports whether the
// connection is wedged. Of requests that waited side by side one counts: a pause
// of the server ends many of them at once.
func (s *silence) unanswered(sent time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n > 0 && sent.Before(s.last) {
		return false
	}
	s.n++
	s.last = time.Now()
	return s.n >= wedgedAfter
}
