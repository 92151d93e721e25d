package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/resolver"
)

// rate of requests over each protocol, per second: 400 in all.
const rate = 200

func TestRollingRestartsFailNoRequest(t *testing.T) {
	const rounds = 5
	c := shared.start(t)
	f := newTraffic(t, c.Addrs(), unique("rolling"))
	versions := []string{"v1", "v1", "v1", "v2", "v2"}
	fleetOf := make([]*fleet.Process, len(versions))
	for i, version := range versions {
		fleetOf[i] = f.provide(version, nil)
	}
	f.sees(len(versions))
	f.publish(admin{t, c.Nodes[0]}, byHeader)

	stop := f.flow(rate)
	f.passes(2_000)
	stop()
	f.flawless("control, nothing restarts")

	stop = f.flow(rate)
	defer stop()
	began := time.Now()
	for round := range rounds {
		if round == 1 { // the slow way, once
			f.inPlace(fleetOf, versions)
		} else {
			f.surge(fleetOf, versions)
		}
	}
	took := since(began)
	f.passes(400)
	stop()
	figure(t, "%d restarts in %s", rounds*len(versions), took)
	figure(t, "%d ends: the list showed them p50 %s, p99 %s, max %s after SIGTERM", len(f.shown),
		percentile(f.shown, 50), percentile(f.shown, 99), percentile(f.shown, 100))
	f.flawless("rolling restarts")
}

// surge restarts all as an orchestrator does that may run one more than asked
// for: each successor is in traffic before its predecessor is told to end.
func (f *traffic) surge(all []*fleet.Process, versions []string) {
	f.t.Helper()
	olds := slices.Clone(all)
	for i, old := range olds {
		all[i] = f.provide(versions[i], nil)
		f.sees(len(all) + 1)
		f.terminate(old)
		f.await("its end", func(st *resolver.State) bool { return st.Snapshot.Len() == len(all) })
	}
	for _, old := range olds {
		require.NoError(f.t, old.Wait(patience), "a clean end")
	}
}

// inPlace restarts all one by one, each at the address of its predecessor.
func (f *traffic) inPlace(all []*fleet.Process, versions []string) {
	f.t.Helper()
	for i, old := range all {
		f.terminate(old)
		require.NoError(f.t, old.Wait(patience), "a clean end")
		all[i] = f.provide(versions[i], old.Addrs)
		f.sees(len(all))
	}
}
