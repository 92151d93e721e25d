package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestRuleFlipsUnderLoad(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const flips = 50
		providers := s.provideAll("v1", "v1", "v2", "v2")
		docs := [2]string{"gray: v1\ndefault: v1\n", "gray: v1\ndefault: v2\n"}
		first := s.publish(docs[0])
		seen := newSightings()
		c := s.consume(graylane.WithHooks(seen.hooks(s.recorder.Now)))
		c.sees(len(providers))
		c.follows(first)
		sdk := s.listenBySDK(first)
		stop := c.steadily(2*time.Millisecond, 2, anyone)
		defer stop()

		took := map[string][]time.Duration{}
		lost := 0 // by the SDK
		for i := range flips {
			seen.forget()
			p := s.publish(docs[(i+1)%2])
			ctx, cancel := s.within()
			for _, protocol := range protocols() {
				for _, event := range []string{known, firstRequest, settled} {
					at, err := seen.await(ctx, sightingKey{protocol, event, p.Revision()})
					require.NoError(t, err, "flip %d: %s over %s", i, event, protocol)
					took[protocol+": "+event] = append(took[protocol+": "+event], time.Duration(at-p.Answered))
				}
			}
			cancel()
			if at, ok := sdk.await(p, time.Second); ok {
				took["bare SDK listener"] = append(took["bare SDK listener"], time.Duration(at-p.Answered))
			} else {
				lost++
			}
		}
		stop()

		for _, protocol := range protocols() {
			// A machine that stands still delays some flips.
			assert.Less(t, percentile(took[protocol+": "+firstRequest], 90), time.Second)
			assert.Less(t, slices.Max(took[protocol+": "+firstRequest]), patience)
		}
		for _, what := range []string{"http: " + known, "http: " + firstRequest, "grpc: " + known, "grpc: " + firstRequest, "bare SDK listener"} {
			figure(t, "%-19s p50 %9s, p99 %9s, max %9s after the answer to the publish, %d flips", what,
				percentile(took[what], 50), percentile(took[what], 99), percentile(took[what], 100), len(took[what]))
		}
		figure(t, "the bare SDK listener had not heard of %d of %d flips after another second", lost, flips)
		report := s.flawless()
		revisions := []string{first.Revision(), s.facts.Publications[1].Revision()}
		for i := range report.Verdicts {
			v := &report.Verdicts[i]
			// With no document both versions would be right; that was before.
			right := slices.DeleteFunc(slices.Clone(v.Revisions), func(md5 string) bool { return !slices.Contains(revisions, md5) })
			require.Equal(t, []string{v.Attempt.Rules}, right, "request %s matches exactly the document it went by", v.Attempt.ID)
		}
		figure(t, "%d requests during %d flips, each matching exactly one document, %d misrouted, %d failed, %d late",
			report.Requests, flips, report.Misrouted, report.Failed, s.lateBy(time.Second))
	})
}

// percentile of durations, in thousandths of a millisecond.
func percentile(of []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[(len(sorted)-1)*p/100].Round(time.Microsecond)
}

// What happens to a document at a consumer.
const (
	known        = "known"
	firstRequest = "first request"
	settled      = "settled" // and some more requests
)

// someMore is how many requests go by a document before the next one comes.
const someMore = 25

// sightings notes what happened to documents, and when it did so first.
type sightings struct {
	mu    sync.Mutex // guards what follows
	at    map[sightingKey]int64
	picks map[sightingKey]int
	news  chan struct{} // closed and replaced when something is new
}

type sightingKey struct{ protocol, event, revision string }

func newSightings() *sightings {
	return &sightings{news: make(chan struct{}), at: map[sightingKey]int64{}, picks: map[sightingKey]int{}}
}

func (s *sightings) hooks(now func() int64) resolver.Hooks {
	return resolver.Hooks{
		OnUpdate: func(v *resolver.View, st *resolver.State) {
			s.note(sightingKey{v.Protocol(), known, st.Revision()}, now())
		},
		OnPick: func(_ context.Context, c resolver.Call, err error) {
			if err == nil {
				s.note(sightingKey{c.Instance().Metadata[registry.KeyProtocol], firstRequest, c.State.Revision()}, now())
			}
		},
	}
}

func (s *sightings) note(k sightingKey, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.event == firstRequest {
		s.picks[k]++
		if s.picks[k] == someMore {
			k.event = settled
		}
	}
	if _, ok := s.at[k]; !ok {
		s.at[k] = at
		close(s.news)
		s.news = make(chan struct{})
	}
}

// forget makes ready for the next publication.
func (s *sightings) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.at)
	clear(s.picks)
}

func (s *sightings) await(ctx context.Context, k sightingKey) (int64, error) {
	for {
		s.mu.Lock()
		at, ok := s.at[k]
		news := s.news
		s.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, fmt.Errorf("%s: %w", strings.Join([]string{k.protocol, k.event, k.revision}, " "), context.Cause(ctx))
		}
	}
}
