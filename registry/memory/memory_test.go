package memory_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var order = registry.Service{Name: "order"}

func TestWatchersSeeEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		ctx, cancel := context.WithCancel(t.Context())
		var seen []int
		ended := make(chan error)
		go func() {
			ended <- reg.Watch(ctx, order, func(u registry.Update) { seen = append(seen, len(u.Instances)) })
		}()
		synctest.Wait()
		reg.Set(order, registry.NewInstance("10.0.0.1:1"))
		synctest.Wait()
		reg.Set(registry.Service{Name: "user"}, registry.NewInstance("10.0.0.9:1"))
		synctest.Wait()
		reg.Set(order)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		assert.Equal(t, []int{0, 1, 0}, seen)
	})
}

func TestRegistrationLives(t *testing.T) {
	reg := memory.New()
	in := registry.NewInstance("10.0.0.1:1")
	in.Metadata = map[string]string{"version": "v1"}
	g, err := reg.Register(t.Context(), order, in)
	require.NoError(t, err)
	require.NoError(t, g.Ready(t.Context()))
	in.Metadata["version"] = "changed by the caller"
	assert.Equal(t, "v1", reg.Instances(order)[0].Version())
	assert.Equal(t, registry.Registered, g.State())

	in.Weight = 5
	require.NoError(t, g.Update(t.Context(), in))
	assert.EqualValues(t, 5, reg.Instances(order)[0].Weight)
	assert.EqualValues(t, 5, g.Instance().Weight)

	require.NoError(t, g.Close(t.Context()))
	require.NoError(t, g.Close(t.Context()))
	assert.Empty(t, reg.Instances(order))
	assert.Equal(t, registry.Closed, g.State())
	require.ErrorIs(t, g.Update(t.Context(), in), registry.ErrClosed)
	require.ErrorIs(t, g.Ready(t.Context()), registry.ErrClosed)
}

func TestInvalidIsRefused(t *testing.T) {
	reg := memory.New()
	_, err := reg.Register(t.Context(), registry.Service{}, registry.NewInstance("10.0.0.1:1"))
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = reg.Register(t.Context(), order, registry.NewInstance("nowhere"))
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.ErrorIs(t, reg.Watch(t.Context(), registry.Service{}, nil), registry.ErrInvalid)
}

func ExampleNew() {
	reg := memory.New()
	reg.Set(registry.Service{Name: "order"}, registry.NewInstance("10.0.0.1:8080"))
	fmt.Println(reg.Instances(registry.Service{Name: "order"})[0].ID)
	// Output: 10.0.0.1:8080#DEFAULT
}

func TestMemoryIsAlwaysInSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, ok := memory.New().Synced(order)
		assert.True(t, ok)
		assert.Equal(t, time.Now(), at)
	})
}
