package nacostest

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

func (c *conn) drain(now time.Time) (types, ids []string) {
	for {
		p, id, ok := c.next(now)
		if !ok {
			return types, ids
		}
		types, ids = append(types, p.typ), append(ids, id)
	}
}

func settledConn(now time.Time) *conn {
	c := newConn("1", "127.0.0.1:1", now)
	c.setUp(&Connection{ID: "1", Module: "naming"})
	return c
}

func TestUnacknowledgedPushesAreRepeated(t *testing.T) {
	now := time.Now()
	c := settledConn(now)
	list, doc := push{typ: typeNotifySubscriber, subject: registry.Service{Name: "s"}}, push{typ: typeConfigChange, subject: configKey{Name: "d"}}
	c.enqueue(list)
	c.enqueue(list) // still queued: once
	c.enqueue(doc)
	types, ids := c.drain(now)
	require.Equal(t, []string{typeNotifySubscriber, typeConfigChange}, types)
	require.NotEqual(t, ids[0], ids[1])

	// At which second after the start what is repeated, if nothing is
	// acknowledged.
	var lists, docs []int
	for s := 1; s <= 34; s++ {
		at := now.Add(time.Duration(s) * time.Second)
		c.alive(at)
		require.True(t, c.tick(at))
		types, _ = c.drain(at)
		for _, typ := range types {
			if typ == typeNotifySubscriber {
				lists = append(lists, s)
			} else {
				docs = append(docs, s)
			}
		}
		if s == 20 {
			c.acknowledged("1") // an old sending of the list
		}
	}
	assert.Equal(t, []int{6, 12, 18, 24, 30}, lists)
	assert.Equal(t, []int{5, 12, 21, 32}, docs, "after 5, 7, 9 and 11 s")

	end := now.Add(time.Hour)
	c.alive(end)
	c.tick(end)
	_, ids = c.drain(end)
	require.Len(t, ids, 2)
	for _, id := range ids {
		c.acknowledged(id)
	}
	c.tick(end.Add(10 * time.Second))
	types, _ = c.drain(end)
	assert.Empty(t, types, "acknowledged ones are not repeated")
	assert.Empty(t, c.sent)
	assert.Empty(t, c.ids)
}

func TestASlowClientDoesNotChangeWhenPushesAreRepeated(t *testing.T) {
	now := time.Now()
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	c := settledConn(now)
	c.enqueue(push{typ: typeConfigChange, subject: configKey{Name: "d"}})
	c.drain(now)
	for s := range 10 { // the repetition of second 5 cannot be sent
		c.tick(at(s))
	}
	types, _ := c.drain(at(10))
	require.Len(t, types, 1)
	c.tick(at(17))
	types, _ = c.drain(at(17))
	assert.Len(t, types, 1, "7 s after the second sending")
}

func TestASilentClientIsDetectedAndDropped(t *testing.T) {
	now := time.Now()
	c := settledConn(now)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	require.True(t, c.tick(at(19)))
	types, _ := c.drain(at(19))
	require.Empty(t, types)

	require.True(t, c.tick(at(20)))
	types, ids := c.drain(at(20))
	require.Equal(t, []string{typeDetection}, types)
	c.alive(at(21))
	c.acknowledged(ids[0])
	require.True(t, c.tick(at(26)), "it answered")

	require.True(t, c.tick(at(41)))
	types, _ = c.drain(at(41))
	require.Equal(t, []string{typeDetection}, types)
	require.True(t, c.tick(at(45)))
	require.False(t, c.tick(at(46)), "it did not")
}

func TestAnEndedConnectionCannotBeSetUp(t *testing.T) {
	c := newConn("1", "127.0.0.1:1", time.Now())
	c.end()
	assert.False(t, c.setUp(&Connection{}))
	_, ok := c.connection()
	assert.False(t, ok)
	assert.True(t, c.tick(time.Now().Add(time.Hour)), "nothing to detect")
}

func TestAManyServicesQueueKeepsItsOrder(t *testing.T) {
	now := time.Now()
	c := settledConn(now)
	for i := range 1000 {
		c.enqueue(push{typ: typeNotifySubscriber, subject: registry.Service{Name: strconv.Itoa(i)}})
	}
	for i := range 1000 {
		p, _, ok := c.next(now)
		require.True(t, ok)
		require.Equal(t, strconv.Itoa(i), p.subject.Name)
	}
}

func TestClocksStandStillInASilence(t *testing.T) {
	s := &Server{naming: newNaming(time.Hour), configs: newConfigs()}
	s.conns = newConns(s.leave)
	now := time.Now()
	c := settledConn(now)
	s.conns.open[c] = struct{}{}
	s.naming.join(c)
	beating := NewInstance("10.0.0.1", 80, nil)
	s.naming.publish(httpPublisher(beating), registry.Service{Name: "s"}, publication{instances: []Instance{beating}, beat: now})
	c.enqueue(push{typ: typeNotifySubscriber, subject: registry.Service{Name: "s"}})
	c.enqueue(push{typ: typeDetection})
	c.drain(now)

	s.Silence()
	s.tick(now.Add(time.Hour))
	types, _ := c.drain(now)
	require.Empty(t, types, "nothing is repeated")
	require.Len(t, s.naming.instances(registry.Service{Name: "s"}), 1, "no heartbeat is missed")

	// However long it was: the waiting begins anew.
	for p, sent := range c.sent {
		sent.at = now.Add(-time.Hour)
		c.sent[p] = sent
	}
	s.Resume()
	assert.True(t, c.tick(now.Add(time.Second)), "the detection of before may still be answered")
	types, _ = c.drain(now)
	assert.Empty(t, types)
	assert.False(t, c.tick(now.Add(time.Minute)))
	s.tick(now.Add(time.Hour))
	assert.Empty(t, s.naming.instances(registry.Service{Name: "s"}))
}
