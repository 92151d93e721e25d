package announce

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

const (
	first  = "{gray: v1, default: v1}"
	second = "{gray: v1, default: v2}"
)

func TestWhatIsAppliedIsAnnounced(t *testing.T) {
	self := Process{Service: "web", Version: "v3", Host: "web-1", Boot: "ABCDEFGH", PID: 42}
	inProcess(t, Options{Process: self, Features: []string{"mirror"}}, func(p *process) {
		id := config.ServiceDocID("order")
		md5 := p.docs.publish(id, first, all)
		p.consume("order", "http", true)
		assert.Equal(t, Announcement{
			Rules: Applied{MD5: Short(md5)}, Language: "v1", Features: []string{"mirror"}, Process: self,
		}, p.book.last(t, "order"))
		entry := p.book.open("order")[0]
		assert.Equal(t, registry.Service{Namespace: "public", Group: Group, Name: "order"}, entry.service)
		in := entry.told[0]
		assert.Zero(t, in.Weight, "nobody sends it requests")
		assert.True(t, in.Healthy && in.Enabled)
		assert.Equal(t, discard, in.Addr)

		p.passes(time.Minute)
		md5 = p.docs.publish(id, second, all)
		p.passes(0)
		assert.Equal(t, Short(md5), p.book.last(t, "order").Rules.MD5, "at once, after a time of silence")

		p.passes(time.Minute)
		refused := p.docs.publish(id, "{gray: v1, default: v1, needs: [teleport]}", all)
		global := p.docs.publish(config.GlobalDocID, "gray: v1\n", all)
		p.passes(time.Second)
		now := p.book.last(t, "order")
		assert.Equal(t, Applied{MD5: Short(md5), Refused: Short(refused), Code: "unsupported-need"}, now.Rules)
		assert.Equal(t, Applied{MD5: Short(global)}, now.Global)
	})
}

func TestOfQuickChangesTheLatestIsAnnounced(t *testing.T) {
	inProcess(t, Options{}, func(p *process) {
		id := config.ServiceDocID("order")
		p.consume("order", "http", true)
		var md5 string
		for i := range 100 {
			md5 = p.docs.publish(id, fmt.Sprintf("{gray: v1, default: v%d}", i), all)
			p.passes(50 * time.Millisecond)
		}
		p.passes(time.Second)
		assert.Equal(t, Short(md5), p.book.last(t, "order").Rules.MD5)
		e := p.book.open("order")[0]
		assert.Len(t, e.told, 6, "one at the start, and one a second")
		for i := 1; i < len(e.at); i++ {
			assert.GreaterOrEqual(t, e.at[i].Sub(e.at[i-1]), time.Second)
		}
		p.passes(time.Hour)
		p.list.Set(p.resolver.Service("order"), registry.NewInstance("10.0.0.2:80"))
		p.passes(time.Hour)
		assert.Len(t, e.told, 6, "nothing new, nothing said")
	})
}

func TestViewsOfOneServiceAreOneConsumer(t *testing.T) {
	inProcess(t, Options{}, func(p *process) {
		id := config.ServiceDocID("order")
		before := p.docs.publish(id, first, all)
		views := []interface{ Close() }{p.consume("order", "http", true), p.consume("order", "grpc", true)}
		for i := range 10 {
			p.passes(time.Minute)
			content := fmt.Sprintf("{gray: v1, default: v%d}", i)
			after := p.docs.publish(id, content, 1)
			p.passes(time.Minute)
			assert.Equal(t, Short(before), p.book.last(t, "order").Rules.MD5, "one of the views lacks it")
			p.docs.publish(id, content, all)
			p.passes(time.Second)
			assert.Equal(t, Short(after), p.book.last(t, "order").Rules.MD5)
			before = after
		}

		views[0].Close()
		p.passes(time.Minute)
		assert.Len(t, p.book.open("order"), 1)
		views[1].Close()
		p.passes(time.Minute)
		assert.Empty(t, p.book.open("order"), "it is no consumer any more")
		p.consume("order", "http", true)
		assert.Len(t, p.book.open("order"), 1)
	})
}

func TestNamesThatCallersMadeUpAreNotAnnounced(t *testing.T) {
	inProcess(t, Options{}, func(p *process) {
		p.consume("ghost", "http", false)
		p.passes(time.Minute)
		assert.Empty(t, p.book.entries)
		p.list.Set(p.resolver.Service("ghost"), registry.NewInstance("10.0.0.1:80"))
		p.passes(0)
		assert.Len(t, p.book.open("ghost"), 1)

		p.docs.publish(config.ServiceDocID("planned"), first, all)
		p.consume("planned", "http", false)
		assert.Len(t, p.book.open("planned"), 1, "there is a document")
	})
}

func TestNumberOfServicesIsBounded(t *testing.T) {
	var said []error
	o := Options{OnError: func(_ registry.Service, err error) { said = append(said, err) }}
	inProcess(t, o, func(p *process) {
		first := p.consume("s0", "", true)
		for i := range MaxServices - 1 {
			p.consume(fmt.Sprint("s", i+1), "", true)
		}
		assert.Equal(t, mostAtOnce, p.book.len(), "no more at once")
		p.passes(20 * time.Second)
		assert.Equal(t, MaxServices, p.book.len())
		assert.Empty(t, said)
		one := p.consume("one-above", "", true)
		p.consume("two-above", "", true)
		p.passes(time.Second)
		assert.Equal(t, MaxServices, p.book.len())
		assert.Len(t, said, 1)
		require.ErrorContains(t, said[0], "above may lack this process: more than 100 services")
		one.Close()
		first.Close()
		p.passes(time.Minute)
		assert.Len(t, p.book.open("two-above"), 1, "it has the place of one that left")
	})
}

func TestFailuresAreToldOnceForEachReason(t *testing.T) {
	var said []string
	o := Options{OnError: func(_ registry.Service, err error) { said = append(said, err.Error()) }}
	inProcess(t, o, func(p *process) {
		for i := range 50 {
			s := registry.Service{Group: Group, Name: fmt.Sprint("s", i)}
			p.announcer.Failed(s, fmt.Errorf("nacos: %v: no permission", s))
		}
		assert.Equal(t, []string{"announce: the status of s0 may lack this process: nacos: /GRAYLANE_CONSUMERS/s0: no permission"}, said)
		for i := range 2 * maxReasons {
			p.announcer.Failed(registry.Service{Name: "a"}, fmt.Errorf("reason %d", i))
		}
		assert.Len(t, said, maxReasons)

		p.book.refuse = errors.New("never")
		p.consume("order", "", true)
		p.passes(time.Minute)
		p.book.refuse = nil
		p.docs.publish(config.ServiceDocID("order"), first, all)
		p.passes(0)
		assert.Len(t, p.book.open("order"), 1, "the next change tries again")
	})
}

func TestClientsAtOneAddressHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	a := New(Options{Process: Process{Boot: "7Q2SWUXYOXT2ABCD"}})
	b := New(Options{Process: Process{Boot: "8Q2SWUXYOXT2ABCD"}})
	assert.Equal(t, "7Q2SWUXY", a.instance(nil).Cluster)
	assert.NotEqual(t, a.instance(nil).ID, b.instance(nil).ID)
}
