package resolver

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// noticed is a source that knows since when a document has changed.
func (s *source) noticed(text string, ago time.Duration) string {
	doc := config.NewDoc([]byte(text))
	doc.At = time.Now().Add(-ago)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fns[config.ServiceDocID(order.Name)](doc)
	return doc.MD5
}

func TestAStateSaysWhereItsRulesComeFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		updates := 0
		r, v := open(t, reg, src, WithHooks(Hooks{OnUpdate: func(*View, *State) { updates++ }}))
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say("")
		require.NoError(t, v.Ready(t.Context()))
		assert.Equal(t, DocStatus{DataID: "gray.order.yaml", Gone: true}, v.State().RulesDoc)
		assert.Equal(t, DocStatus{DataID: "gray._global.yaml", Gone: true}, v.State().GlobalDoc)
		assert.True(t, v.State().SeveralVersions)

		time.Sleep(time.Minute) //nolint:forbidigo // fake time
		first := src.noticed(toV2, 40*time.Millisecond)
		synctest.Wait()
		doc := v.State().RulesDoc
		assert.Equal(t, first, doc.MD5)
		assert.Equal(t, time.Now(), doc.Since)
		assert.Equal(t, 40*time.Millisecond, doc.Took)
		assert.False(t, doc.Gone)
		assert.False(t, v.State().SeveralVersions)

		// What is refused is told of, and does not change what is in force.
		time.Sleep(time.Minute) //nolint:forbidigo // fake time
		before := updates
		bad := src.noticed("gray: v1\ndefalt: v1\n", time.Second)
		synctest.Wait()
		now := v.State().RulesDoc
		require.NotNil(t, now.Refused)
		assert.Equal(t, bad, now.Refused.MD5)
		assert.Equal(t, first, now.Refused.LastGood)
		assert.Equal(t, doc.MD5, now.MD5)
		assert.Equal(t, doc.Since, now.Since)
		assert.Equal(t, doc.Took, now.Took)
		assert.Equal(t, before+1, updates)
		assert.EqualValues(t, updates, v.State().Sequence)

		// A change of the list says nothing of the rules.
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		synctest.Wait()
		assert.Equal(t, now, v.State().RulesDoc)

		src.noticed(toV2, time.Second)
		synctest.Wait()
		assert.Nil(t, v.State().RulesDoc.Refused, "the version in force is the source's again")
		assert.Equal(t, doc.Since, v.State().RulesDoc.Since)
		src.say("")
		synctest.Wait()
		assert.True(t, v.State().RulesDoc.Gone)
		assert.Equal(t, first, v.State().RulesDoc.MD5)
	})
}

// silent is a network that answers nothing.
func silent(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestTheStatesOfInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		list := fleet(7)
		list[1].Enabled = false
		list[2].Weight = 0
		list[3].Healthy = false
		reg.Set(order, list...)
		src.say("gray: v1\ndefault: v1\nisolate: [\"10.0.0.5:1\"]\n")
		r, v := open(t, reg, src, WithHold(time.Minute), func(o *options) { o.dial = silent })
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		states := func() map[string]string {
			out := map[string]string{}
			for _, in := range v.Instances() {
				out[in.Addr] = in.State.String()
			}
			return out
		}
		want := map[string]string{
			"10.0.0.1:1": "usable", "10.0.0.2:1": "disabled", "10.0.0.3:1": "weightless", "10.0.0.4:1": "unhealthy",
			"10.0.0.5:1": "isolated", "10.0.0.6:1": "usable", "10.0.0.7:1": "usable",
		}
		assert.Equal(t, want, states())

		c, err := v.Pick(t.Context(), request{}, nil)
		require.NoError(t, err)
		flying := int64(0)
		for _, in := range v.Instances() {
			flying += in.InFlight
		}
		assert.EqualValues(t, 1, flying)
		c.Done(t.Context(), refused())
		want[c.Addr()] = "ejected"
		assert.Equal(t, want, states())

		reg.Set(order)
		synctest.Wait()
		for addr, state := range want {
			if state == "usable" {
				want[addr] = "held"
			}
		}
		assert.Equal(t, want, states())
	})
}

func TestViewsAreSorted(t *testing.T) {
	t.Parallel()
	r, err := New(memory.New(), nil)
	require.NoError(t, err)
	defer r.Close()
	for _, k := range []viewKey{{registry.Service{Name: "b"}, "http"}, {registry.Service{Name: "b"}, "grpc"}, {registry.Service{Name: "a"}, ""}} {
		_, err := r.View(k.service, k.protocol)
		require.NoError(t, err)
	}
	var names []string
	for _, v := range r.Views() {
		names = append(names, v.String())
	}
	assert.Equal(t, []string{"public/DEFAULT_GROUP/a", "public/DEFAULT_GROUP/b over grpc", "public/DEFAULT_GROUP/b over http"}, names)
}
