package httpx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestUnknownServicesAreNotKept(t *testing.T) {
	reg := memory.New()
	r, err := resolver.New(reg, nil)
	require.NoError(t, err)
	defer r.Close()
	tr := httpx.NewTransport(r, httpx.WithTransport(nil))
	defer tr.Close()
	get := func(service string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+service+"/", http.NoBody)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		if err == nil {
			assert.NoError(t, resp.Body.Close())
		}
		return err
	}
	for i := range resolver.MaxServices + 100 {
		require.ErrorIs(t, get(fmt.Sprint("unknown-", i)), resolver.ErrUnknownService)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	reg.Set(registry.Service{Name: "user"}, registry.NewInstance(s.Listener.Addr().String()))
	require.NoError(t, get("user"))
	for i := range 300 {
		require.ErrorIs(t, get(fmt.Sprint("other-", i)), resolver.ErrUnknownService)
	}
	require.NoError(t, get("user"), "a known one stays")
}

func TestAViewThatEndedIsOpenedAgain(t *testing.T) {
	reg := memory.New()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	reg.Set(registry.Service{Name: "user"}, registry.NewInstance(s.Listener.Addr().String()))
	broken := &brokenOnce{Registry: reg}
	r, err := resolver.New(broken, nil)
	require.NoError(t, err)
	defer r.Close()
	tr := httpx.NewTransport(r)
	defer tr.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/", http.NoBody)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err, "the second view works")
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 2, broken.watches.Load())
}

// brokenOnce is a registry whose first watch cannot work.
type brokenOnce struct {
	*memory.Registry
	watches atomic.Int64
}

func (b *brokenOnce) Watch(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
	if b.watches.Add(1) == 1 {
		return errors.New("not now")
	}
	return b.Registry.Watch(ctx, s, fn)
}
