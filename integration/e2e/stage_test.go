package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/judge"
)

// patience bounds every wait for an event.
const patience = 15 * time.Second

// stage is what one script needs: a Nacos, a service name that nobody else has,
// the consumers' log, and the truth that the judge holds against it.
type stage struct {
	t        *testing.T
	nacos    server
	service  string
	recorder *judge.Recorder
	ids      atomic.Int64 // of requests

	mu        sync.Mutex // guards what follows
	facts     judge.Facts
	protocols map[string]string // of each server's address; "" for one that speaks both
}

var stages atomic.Int64 // makes names unique in the process

func newStage(t *testing.T, nacos server) *stage {
	t.Helper()
	script, _, _ := strings.Cut(strings.TrimPrefix(t.Name(), "Test"), "/")
	return &stage{
		t: t, nacos: nacos,
		service:   fmt.Sprintf("%s-%d", strings.ToLower(script), stages.Add(1)),
		recorder:  judge.NewRecorder(1_000_000),
		protocols: map[string]string{},
		// A list may lag by the push's delay and the network. Rules are there within a
		// second, see TestRuleFlipsUnderLoad, but not while the machine stands still.
		facts: judge.Facts{RulesWithin: 5 * time.Second, ListWithin: 5 * time.Second},
	}
}

// started notes a server.
func (s *stage) started(protocol string, in judge.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facts.Instances = append(s.facts.Instances, in)
	s.protocols[in.Addr] = protocol
}

// ended notes that a server's time, or the time of its labels, is over.
func (s *stage) ended(addr string, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.facts.Instances {
		if in := &s.facts.Instances[i]; in.Addr == addr && in.Until == 0 {
			in.Until = at
		}
	}
}

// settled tells the judge that every consumer knows what is there now, so that
// it need not allow for lists that lag.
func (s *stage) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.facts.Instances {
		if in := &s.facts.Instances[i]; in.Until == 0 {
			in.From = min(in.From, s.recorder.Now()-int64(s.facts.ListWithin))
		}
	}
}

// verdict lets the judge look at every request so far. None may be misrouted or
// late; whether any failed is the script's affair.
func (s *stage) verdict() *judge.Report {
	s.t.Helper()
	log, err := s.recorder.Log()
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	report, err := judge.Judge(s.facts, log)
	require.NoError(s.t, err)
	assert.Zero(s.t, report.Misrouted, "misrouted: %s", strings.Join(report.Convictions(5), "\n"))
	assert.Zero(s.t, report.Late, "attempts under rules or lists that were too old")
	for i := range log {
		if spoken := s.protocols[log[i].Addr]; spoken != "" {
			require.Equal(s.t, spoken, log[i].Protocol, "request %s went to the port of another protocol", log[i].ID)
		}
	}
	return report
}

// lateBy counts the attempts under rules that were older than that.
func (s *stage) lateBy(rulesWithin time.Duration) int {
	s.t.Helper()
	log, err := s.recorder.Log()
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	facts := s.facts
	facts.RulesWithin = rulesWithin
	report, err := judge.Judge(facts, log)
	require.NoError(s.t, err)
	return report.Late
}

// flawless is verdict where no request may fail either.
func (s *stage) flawless() *judge.Report {
	s.t.Helper()
	report := s.verdict()
	assert.Zero(s.t, report.Failed, "failed: %s", strings.Join(failures(report, 5), "\n"))
	return report
}

// failures returns the errors of at most n requests.
func failures(r *judge.Report, n int) []string {
	var out []string
	for i := range r.Verdicts {
		if a := &r.Verdicts[i].Attempt; a.Last && a.Error != "" && len(out) < n {
			out = append(out, a.ID+": "+a.Error)
		}
	}
	return out
}

// attempts returns the finished attempts of a protocol that began at from or
// later, requests under way not among them.
func (s *stage) attempts(protocol string, from int64) []judge.Attempt {
	log, _ := s.recorder.Log()
	return slices.DeleteFunc(log, func(a judge.Attempt) bool { return a.Protocol != protocol || a.Begin < from })
}

// within returns a context of the test that ends after patience.
func (s *stage) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.t.Context(), patience)
}

// protocols are the faces that every script plays over.
func protocols() []string { return []string{"http", "grpc"} }
