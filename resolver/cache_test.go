package resolver

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// box is a Cache in memory.
type box struct {
	mu    sync.Mutex
	data  map[string]string
	at    map[string]time.Time // when it was saved
	saves int
	err   error // of every Save
}

func newBox() *box { return &box{data: map[string]string{}, at: map[string]time.Time{}} }

func (b *box) Load(key string) ([]byte, time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.data[key]
	return []byte(data), b.at[key], ok
}

func (b *box) Save(key string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saves++
	if b.err == nil {
		b.data[key], b.at[key] = string(data), time.Now()
	}
	return b.err
}

// content returns what is saved, and when it was.
func (b *box) content() (data map[string]string, at map[string]time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.data), maps.Clone(b.at)
}

// off is a registry and a source of documents that are away: not connected if it has
// a reason, else silent.
type off struct {
	reason error
	trying bool // it may be connected at any moment
}

func (o off) Reason() error { return o.reason }
func (o off) Trying() bool  { return o.trying }

func (off) Watch(ctx context.Context, _ registry.Service, _ func(registry.Update)) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

type offSource struct{ off }

func (offSource) Watch(ctx context.Context, _ string, _ func(config.Doc)) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

var errAway = errors.New("connection refused")

// filled is a cache after a process that had list and document.
func filled(t *testing.T, doc string) *box {
	t.Helper()
	b, reg, src := newBox(), memory.New(), newSource()
	reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
	src.say(doc)
	r, v := open(t, reg, src, WithCache(b))
	require.NoError(t, v.Ready(t.Context()))
	synctest.Wait()
	require.NoError(t, r.Close(), "it saves what it has not saved yet")
	return b
}

func TestAColdStartServesFromTheCache(t *testing.T) {
	for name, c := range map[string]struct {
		off    off
		within time.Duration
	}{
		"refused":         {off{reason: errAway}, 100 * time.Millisecond},
		"silent":          {off{}, 1100 * time.Millisecond},
		"slow to connect": {off{errAway, true}, 1100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := filled(t, toV2)
				var events []Event
				start := time.Now()
				r, v := open(t, c.off, offSource{c.off}, WithCache(b),
					WithHooks(Hooks{OnEvent: func(e Event) { events = append(events, e) }}))
				assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
				took := time.Since(start)
				assert.LessOrEqual(t, took, c.within)
				assert.GreaterOrEqual(t, took, c.within-200*time.Millisecond)
				assert.True(t, v.State().Cached)
				assert.Equal(t, []Event{{Kind: FromCache, Service: v.Service(), Instances: 2}}, events)
				require.NoError(t, r.Close())
				t.Logf("FIGURE cold start without Nacos (%s): first request after %s", name, took)
			})
		})
	}
}

func TestTheCacheKnowsThatThereWasNoDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(t, "")
		start := time.Now()
		r, v := open(t, off{reason: errAway}, offSource{off{reason: errAway}}, WithCache(b))
		assert.NotEmpty(t, pick(t, v, request{}))
		assert.LessOrEqual(t, time.Since(start), 100*time.Millisecond)
		require.NoError(t, r.Close())
	})
}

func TestTheFirstAnswerReplacesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, reg, src := filled(t, toV2), memory.New(), newSource()
		reg.Set(order, instance("10.0.0.3:1", "v1"), instance("10.0.0.4:1", "v2"))
		src.say(toV1)
		r, v := open(t, reg, src, WithCache(b))
		assert.Equal(t, "10.0.0.3:1", pick(t, v, request{}), "who is there is asked first")
		assert.False(t, v.State().Cached)
		time.Sleep(2 * saveAfter) //nolint:forbidigo // fake time
		before, _ := b.content()
		require.NoError(t, r.Close())
		assert.Equal(t, before, b.data, "all was saved")
	})
}

func TestARefusedOrMissingDocumentLeavesThatOfAnEarlierProcess(t *testing.T) {
	for name, now := range map[string]string{"refused": "gray: v7\n", "gone": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, reg, src, log := filled(t, toV2), memory.New(), newSource(), &errorLog{}
				reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
				src.say(now)
				if now == "" {
					src.now[config.ServiceDocID(order.Name)] = config.Doc{}
				}
				r, v := open(t, reg, src, WithCache(b), WithHooks(log.hooks()))
				assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
				require.Len(t, log.all(), 1)
				require.ErrorContains(t, log.all()[0], "last good one stays in force")
				src.say(toV1)
				synctest.Wait()
				assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
				require.NoError(t, r.Close())
			})
		})
	}
}

func TestAnAbsentDocumentReplacesOneThatCannotBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, src, key := newBox(), newSource(), docKey(config.ServiceDocID(order.Name))
		b.data[key] = "md5\ngray: v7\n"
		src.say("")
		r, _ := open(t, memory.New(), src, WithCache(b))
		synctest.Wait()
		require.NoError(t, r.Close())
		assert.Equal(t, "\n", b.data[key], "though nobody knows the service")
	})
}

func TestWithoutACacheARefusalSaysThatNothingIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		src.say("gray: v7\n")
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		assert.NotEmpty(t, pick(t, v, request{}))
		require.ErrorContains(t, log.all()[0], "no last good one")
		require.NoError(t, r.Close())
	})
}

func TestACacheThatDoesNotWorkIsReportedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, reg, log := newBox(), memory.New(), &errorLog{}
		b.err = errors.New("disk full")
		r, v := open(t, reg, nil, WithCache(b), WithHooks(log.hooks()))
		for i := range 100 {
			reg.Set(order, fleet(1+i%7)...)
			synctest.Wait()
			assert.NotEmpty(t, pick(t, v, request{}))
			time.Sleep(1100 * time.Millisecond) //nolint:forbidigo // fake time
		}
		require.NoError(t, r.Close())
		assert.Len(t, log.all(), 2, "in 110 s")
		require.ErrorIs(t, log.all()[0], ErrCache)
		assert.Greater(t, b.saves, 50)
	})
}

func TestAPoisonedCacheIsIgnored(t *testing.T) {
	for name, list := range map[string]string{
		"no list":    `{}`,
		"a bad port": `[{"ID":"10.0.0.1:0#DEFAULT","Addr":"10.0.0.1:0","Weight":1000,"Healthy":true,"Enabled":true}]`,
		"a name":     `[{"ID":"evil","Addr":"evil.example:80","Weight":1000,"Healthy":true,"Enabled":true}]`,
		"nothing":    ``,
		"empty":      `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox()
				b.data[listKey(viewKey{order.WithDefaults(), ""})] = list
				r, v := open(t, off{reason: errAway}, nil, WithCache(b))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				require.ErrorIs(t, v.Ready(ctx), ErrNotReady)
				require.NoError(t, r.Close())
			})
		})
	}
}
