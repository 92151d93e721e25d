package suite

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long anything may take on a real server: it merges changes for
// 500 ms before it pushes them.
const patience = 10 * time.Second

// unique returns a name that no other run uses.
func unique(name string) string { return "suite-" + name + "-" + rand.Text()[:10] }

// within returns a context that ends when something takes too long.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// log collects what a watch reports.
type log[T any] struct{ reports chan T }

// watch runs a Watch until the test ends and checks that it ends in time and with
// the context's cause.
func watch[T any](t *testing.T, run func(context.Context, func(T)) error) *log[T] {
	t.Helper()
	l := &log[T]{make(chan T, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, func(v T) { l.reports <- v }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			assert.ErrorIs(t, err, context.Canceled)
		case <-time.After(patience):
			assert.Fail(t, "Watch does not end with its context")
		}
	})
	return l
}

// await returns the first report, from now on, that is as wanted.
func (l *log[T]) await(t *testing.T, what string, wanted func(T) bool) T {
	t.Helper()
	late := time.After(patience)
	var last T
	for {
		select {
		case last = <-l.reports:
			if wanted(last) {
				return last
			}
		case <-late:
			require.FailNow(t, "never reported: "+what, "last: %+v", last)
		}
	}
}

// figures logs the middle and the high end of what was measured.
func figures(t *testing.T, what string, d []time.Duration) {
	t.Helper()
	slices.Sort(d)
	at := func(p int) time.Duration { return d[(len(d)-1)*p/100].Round(10 * time.Microsecond) }
	t.Logf("%-28s n=%d p50=%v p99=%v max=%v", what, len(d), at(50), at(99), at(100))
}

// admin sends one request of the admin API.
func admin(t *testing.T, method, addr, path string, form url.Values) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, "http://"+addr+path+"?"+form.Encode(), http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
