package foreign

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/nacostest"
)

// TestClientsObserveTheSameOnBothServers plays the script of each client on the
// embedded Nacos and on a real one. A restart of the first is a cut of the
// connections to the second, whose data would not survive.
func TestClientsObserveTheSameOnBothServers(t *testing.T) {
	node := nacos.Run(t)
	jars := javaJars(t)
	ctx, cancel := context.WithTimeout(t.Context(), processTimeout)
	defer cancel()

	var running sync.WaitGroup
	play := func(cmd *exec.Cmd, cut func() error) *run {
		r := &run{}
		running.Go(func() {
			started := time.Now()
			r.seen, r.err = watch(ctx, cmd, cut)
			r.took = time.Since(started)
		})
		return r
	}
	type pair struct{ embedded, real *run }
	pairs := map[string]pair{}
	for name, process := range map[string]func(task) *exec.Cmd{
		"nacos-sdk-go": func(of task) *exec.Cmd { return sdkProcess(ctx, t, of) },
		"java":         func(of task) *exec.Cmd { return javaProcess(ctx, jars, of) },
	} {
		embedded := nacostest.Run(t)
		front := newProxy(t, node.Addr())
		pairs[name] = pair{
			play(process(task{Script: "all", Addr: embedded.Addr(), Group: name, Dir: t.TempDir()}),
				func() error { return embedded.Restart(nacostest.KeepData) }),
			play(process(task{Script: "all", Addr: front.addr, Group: name, Dir: t.TempDir()}),
				func() error { front.cut(); return nil }),
		}
	}
	running.Wait()

	for name, p := range pairs {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, errors.Join(p.real.err, p.embedded.err), "after %d steps on the real Nacos, %d on nacostest",
				len(p.real.seen), len(p.embedded.seen))
			require.Len(t, p.embedded.seen, len(p.real.seen))
			for i, want := range p.real.seen {
				assert.Equal(t, want, p.embedded.seen[i], want.Step)
			}
			if t.Failed() {
				return
			}
			t.Logf("FIGURE %s: %d observations, the same on both servers; real %.1fs, nacostest %.1fs",
				name, len(p.real.seen), p.real.took.Seconds(), p.embedded.took.Seconds())
		})
	}
}

// run is what came of a client's process.
type run struct {
	seen []observation
	took time.Duration
	err  error
}
