package debugpage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
)

// Five viewers of a service of 2,000 instances, who load its page again every second,
// are hardly felt by the requests beside them.
func TestViewersCostRequestsLittle(t *testing.T) {
	const viewers, rounds, each = 5, 6, 2 * time.Second
	s := newScene(t)
	var fleet []registry.Instance
	for i := range 3 {
		provider := httptest.NewServer(httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		})))
		t.Cleanup(provider.Close)
		fleet = append(fleet, at(provider.Listener.Addr().String(), fmt.Sprint("v", 1+i%2)))
	}
	s.serve("hello", "gray: v1\ndefault: v1\nrules: [{name: canary, to: {v2: 20%}}]\n", fleet...)
	var big []registry.Instance
	for i := range 2000 {
		big = append(big, at(fmt.Sprintf("10.1.%d.%d:80", i>>8, i&255), "v1", "zone=a"))
	}
	s.serve("big", "gray: v1\ndefault: v1\n", big...)
	client := httpx.NewClient(s.resolver)
	defer client.CloseIdleConnections()

	var alone, watched []time.Duration
	loads := 0
	for round := range rounds {
		if round%2 == 0 {
			alone = append(alone, s.requests(client, each)...)
			continue
		}
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		counts := make([]int, viewers)
		for i := range viewers {
			wg.Go(func() { counts[i] = s.view(ctx) })
		}
		watched = append(watched, s.requests(client, each)...)
		leave()
		wg.Wait()
		for _, n := range counts {
			loads += n
		}
	}
	for name, took := range map[string][]time.Duration{"without viewers": alone, "with 5 viewers": watched} {
		slices.Sort(took)
		t.Logf("FIGURE debug page, %d requests %s: p50 %v, p99 %v, worst %v", len(took), name,
			percentile(took, 50).Round(time.Microsecond), percentile(took, 99).Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
	}
	t.Logf("FIGURE debug page, pages loaded meanwhile: %d", loads)
	assert.Positive(t, loads)
	// Generous: a machine that is busy with something else delays both alike.
	assert.Less(t, percentile(watched, 99), 10*percentile(alone, 99)+200*time.Millisecond)
}

func percentile(sorted []time.Duration, p int) time.Duration { return sorted[len(sorted)*p/100] }

// requests sends requests one after the other for a while, and returns how long each
// took.
func (s *scene) requests(client *http.Client, d time.Duration) (took []time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		began := time.Now()
		s.load(s.t.Context(), client, "http://hello/")
		took = append(took, time.Since(began))
	}
	return took
}

// view looks at pages, once a second, until ctx ends, and returns how often.
func (s *scene) view(ctx context.Context) (loads int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		for _, page := range []string{s.of("big"), s.at("style.css")} {
			s.load(ctx, client, page)
		}
		loads++
		select {
		case <-again.C:
		case <-ctx.Done():
			return loads
		}
	}
}

func (s *scene) load(ctx context.Context, client *http.Client, address string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		assert.Fail(s.t, "no request", "%s: %v", address, err)
		return
	}
	resp, err := client.Do(req)
	if ctx.Err() != nil {
		if err == nil {
			_ = resp.Body.Close()
		}
		return
	}
	if err != nil {
		assert.Fail(s.t, "no answer", "%s: %v", address, err) // not require: viewers are other goroutines
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if ctx.Err() == nil {
		assert.True(s.t, err == nil && resp.StatusCode == http.StatusOK, "%s: %d, %v", address, resp.StatusCode, err)
	}
}
