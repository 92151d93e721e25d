package resolver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// slow is a box whose methods wait for a channel; a nil channel is none to wait for.
type slow struct {
	*box
	save, load chan struct{}
	inside     chan struct{} // nil, or one for each load that waits
}

func (s slow) Save(key string, data []byte) error {
	if s.save != nil {
		<-s.save
	}
	return s.box.Save(key, data)
}

func (s slow) Load(key string) ([]byte, time.Time, bool) {
	if s.load != nil {
		if s.inside != nil {
			s.inside <- struct{}{}
		}
		<-s.load
	}
	return s.box.Load(key)
}

// pass lets fake time pass, and all be done that is to be done in it.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time
	synctest.Wait()
}

// within fails unless f takes at most d.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	assert.LessOrEqual(t, time.Since(start), d)
}

func TestASaveThatHangsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		c := slow{box: newBox(), save: make(chan struct{})}
		c.err = errors.New("disk full")
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say(toV1)
		r, v := open(t, reg, src, WithCache(c), WithHooks(log.hooks()))
		within(t, 0, func() { assert.Equal(t, "10.0.0.1:1", pick(t, v, request{})) })
		for range 5 {
			pass(2 * saveAfter)
			src.say(toV2)
			synctest.Wait()
			assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
			src.say(toV1)
			synctest.Wait()
			assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
		}
		reg.Set(order, instance("10.0.0.3:1", "v1"))
		synctest.Wait()
		assert.Equal(t, "10.0.0.3:1", pick(t, v, request{}))
		within(t, saveEnd, func() { require.NoError(t, r.Close()) })
		within(t, saveEnd, func() { require.NoError(t, r.Close()) })
		close(c.save)
		synctest.Wait()
		assert.Equal(t, 1, c.saves, "after the end only what hung is saved")
		assert.Empty(t, log.all(), "and nothing is said")
	})
}

func TestALoadThatHangsIsNoCache(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		wait time.Duration
		want string
	}{
		"good":    {toV2, 0, "10.0.0.2:1"},
		"refused": {"gray: v7\n", recallWait, ""},
		"absent":  {"", recallWait, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg, src := memory.New(), newSource()
				src.sayOf(config.GlobalDocID, enterBlue)
				hung := slow{box: newBox(), load: make(chan struct{})}
				reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
				src.say(c.doc)
				r, v := open(t, reg, src, WithCache(hung))
				within(t, c.wait, func() { require.NoError(t, v.Ready(t.Context())) })
				if c.want != "" {
					assert.Equal(t, c.want, pick(t, v, request{}))
				}
				src.say(toV1)
				synctest.Wait()
				assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
				within(t, 0, func() { require.NoError(t, r.Close()) })
				close(hung.load)
			})
		})
	}
}

func TestASlowLoadIsTakenWhenItComes(t *testing.T) {
	for name, now := range map[string]string{"refused": "gray: v7\n", "absent": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg, src := memory.New(), newSource()
				c := slow{box: filled(t, toV2), load: make(chan struct{})}
				before, _ := c.content()
				reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
				src.say(now)
				r, v := open(t, reg, src, WithCache(c))
				pass(3 * time.Second)
				require.Empty(t, v.State().Revision())
				saved, _ := c.content()
				assert.Equal(t, before, saved, "nothing is saved over what is not known yet")
				close(c.load)
				synctest.Wait()
				assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
				require.NoError(t, r.Close())
				assert.Equal(t, before, c.data)
			})
		})
	}
}

func TestLoadsThatHangAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow{box: newBox(), load: make(chan struct{}), inside: make(chan struct{}, 1000)}
		r, err := New(memory.New(), newSource(), WithCache(c))
		require.NoError(t, err)
		for i := range 50 {
			_, err := r.View(registry.Service{Name: fmt.Sprintf("service-%d", i)}, "")
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Len(t, c.inside, maxLoads)
		require.NoError(t, r.Close())
		close(c.load)
		synctest.Wait()
		assert.Len(t, c.inside, maxLoads, "the others have left")
	})
}

func TestNamesOfCallersAreNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, reg, src := newBox(), memory.New(), newSource()
		keys := func() []string {
			data, _ := b.content()
			return slices.Collect(maps.Keys(data))
		}
		src.say("")
		r, v := open(t, reg, src, WithCache(b))
		for i := range 50 {
			s := registry.Service{Name: fmt.Sprintf("service-%d", i)}
			src.sayOf(config.ServiceDocID(s.Name), "")
			_, err := r.View(s, "http")
			require.NoError(t, err)
		}
		require.NoError(t, v.Ready(t.Context()))
		pass(time.Minute)
		assert.Equal(t, []string{docKey(config.GlobalDocID)}, keys())

		reg.Set(order, instance("10.0.0.1:1", "v1"))
		pass(time.Minute)
		assert.ElementsMatch(t, []string{
			docKey(config.GlobalDocID), listKey(v.key), docKey(config.ServiceDocID(order.Name)),
		}, keys(), "now it is known")
		require.NoError(t, r.Close())
	})
}

func TestAnEmptyListReplacesThatOfTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(t, "")
		r, v := open(t, memory.New(), nil, WithCache(b))
		require.NoError(t, v.Ready(t.Context()))
		require.False(t, v.State().Known())
		synctest.Wait()
		require.NoError(t, r.Close())
		assert.Contains(t, []string{"[]", "null"}, b.data[listKey(v.key)])
	})
}

func TestWhatStaysInForceIsSavedEveryDay(t *testing.T) {
	for name, now := range map[string]string{"accepted": toV1, "of an earlier process": "gray: v7\n", "absent": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, reg, src := newBox(), memory.New(), newSource()
				if now == "gray: v7\n" {
					b = filled(t, toV2)
				}
				reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
				src.say(now)
				r, v := open(t, reg, src, WithCache(b))
				for range 40 {
					pass(saveEvery)
					_, saved := b.content()
					require.Len(t, saved, 3)
					for key, at := range saved {
						require.LessOrEqual(t, time.Since(at), saveEvery, key)
					}
				}
				v.Close()
				pass(2 * saveAfter)
				assert.Len(t, r.cached.kept, 1, "the global document; what has ended is forgotten")
				require.NoError(t, r.Close())
			})
		})
	}
}

func TestTheLastPutIsSavedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox()
		s := newSaver(b, nil)
		text := func(v string) kept {
			return kept{key: "key", data: func() ([]byte, error) { return []byte(v), nil }}
		}
		for i := range 20 {
			s.put(i, text(strconv.Itoa(i)))
			s.forget(i)
		}
		s.put(3, text("last"))
		s.close()
		s.put(4, text("too late"))
		assert.Equal(t, "last", b.data["key"])
		assert.Equal(t, 20, b.saves)
	})
}

func TestWhatWaitsForAHungCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow{box: newBox(), save: make(chan struct{})}
		s := newSaver(c, nil)
		s.put(-1, kept{key: "first", data: func() ([]byte, error) { return nil, nil }})
		pass(2 * saveAfter)
		for i := range maxEnded + 10 {
			s.put(i, kept{key: "key", data: func() ([]byte, error) { return nil, nil }})
			s.forget(i)
		}
		assert.Len(t, s.kept, maxEnded+1, "what lives, and the first that have ended")
		s.close()
		close(c.save)
	})
}
