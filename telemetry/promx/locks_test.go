package promx

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// TestEventsDoNotWait: the end of an attempt raises them, while a scrape may hold the lock.
func TestEventsDoNotWait(t *testing.T) {
	t.Parallel()
	m := New()
	hooks := m.Hooks()
	told := func(s registry.Service) {
		for _, kind := range []resolver.Kind{resolver.InstanceEjected, resolver.InstanceReturned, resolver.TargetWithdrawn} {
			hooks.OnEvent(resolver.Event{Kind: kind, Service: s, Target: "v2"})
		}
	}
	user := registry.Service{Name: "user"}.WithDefaults()
	told(user) // now it is known
	done := make(chan struct{})
	m.mu.Lock()
	go func() {
		defer close(done)
		told(user)
	}()
	waited := !assert.Eventually(t, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}, 5*time.Second, time.Millisecond)
	m.mu.Unlock()
	<-done
	require.False(t, waited)
	assert.InDelta(t, 2, testutil.ToFloat64(m.ejections.WithLabelValues("user")), 0)
}
