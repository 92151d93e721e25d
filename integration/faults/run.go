package faults

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/internal/judge"
)

// Size says how long and how often. See Full and Short.
type Size struct {
	Control time.Duration // without a fault, at the start of each run
	Watch   time.Duration // how long a fault that just lasts is watched
	Rate    int           // requests a second of each client
	// Restarts of providers; those of nodes are a twentieth of it, and one each at
	// least.
	Restarts int
	Flips    int // of a rule
}

// Full is the size whose tables are published.
func Full() Size {
	return Size{Control: 20 * time.Second, Watch: 30 * time.Second, Rate: 400, Restarts: 100, Flips: 600}
}

// Short is for CI.
func Short() Size {
	return Size{Control: 3 * time.Second, Watch: 8 * time.Second, Rate: 200, Restarts: 3, Flips: 20}
}

// Suite runs faults around one Nacos, one at a time.
type Suite struct {
	Size
	// Nacos is what providers and consumers register with and ask.
	Nacos *nacos.Cluster
	// Clients are those that run, of Ours and Rivals.
	Clients []string
	// Seed of the requests. A run has its own, made of this one.
	Seed uint64
	// Dir is a folder for the files of processes.
	Dir string
	// Logf is told what goes on.
	Logf func(format string, args ...any)

	runs uint64
}

const (
	// maxVoid is how many void runs of one fault are repeated.
	maxVoid = 10
	// voidPause is how long whatever made it void is given to end.
	voidPause = 3 * time.Second
)

// errVoid says that the control phase failed.
var errVoid = errors.New("faults: the control phase failed")

// Run runs a fault until there is a run whose control phase is without failure.
func (s *Suite) Run(ctx context.Context, f Fault) (*Result, error) {
	for void := 0; ; void++ {
		result, err := s.once(ctx, f)
		if err == nil {
			result.Void = void
			return result, nil
		}
		if !errors.Is(err, errVoid) || void == maxVoid {
			return nil, fmt.Errorf("%s: %w", f.ID, err)
		}
		s.Logf("%s: void run: %v", f.ID, err)
		if err := pause(ctx, voidPause); err != nil {
			return nil, err
		}
	}
}

// once makes one run.
func (s *Suite) once(ctx context.Context, f Fault) (_ *Result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.runs++
	r := &run{
		Suite: s, Fault: f, seed: s.Seed + s.runs, service: f.ID + "-" + strconv.FormatUint(s.runs, 10) + "-" + strconv.Itoa(os.Getpid()),
		began: time.Now(), measures: map[string]float64{},
	}
	r.dir = filepath.Join(s.Dir, r.service)
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	defer r.end()
	if err := r.set(ctx); err != nil {
		return nil, err
	}
	s.Logf("%s: %s; seed %d", f.ID, f.Title, r.seed)
	if err := r.control(ctx); err != nil {
		return nil, err
	}
	r.injected = r.now()
	if err := f.inject(ctx, r); err != nil {
		return nil, err
	}
	if err := r.stop(ctx); err != nil {
		return nil, err
	}
	return r.verdict()
}

// run is one run of one fault.
type run struct {
	*Suite
	Fault

	seed      uint64
	service   string // see httpService
	dir       string
	began     time.Time
	injected  int64 // when the fault began
	healed    int64 // when it ended, where that is asked for
	providers []*providerProcess
	consumers []*consumerProcess
	lines     []*Line

	stalled   time.Duration // the longest that the load of a consumer stood still
	publisher *confignacos.Client
	facts     judge.Facts
	logs      map[string][]judge.Attempt // by client, when all is over
	measures  map[string]float64         // what the fault measures itself, by name and unit
	notes     []string
}

// now returns Unix nanoseconds, of a clock that does not jump.
func (r *run) now() int64 { return r.began.UnixNano() + int64(time.Since(r.began)) }

// sinceInjected returns the time since the fault began.
func (r *run) sinceInjected() time.Duration { return time.Duration(r.now() - r.injected) }

// set starts all that the fault needs, and returns when every client has answers.
func (r *run) set(ctx context.Context) error {
	r.facts = judge.Facts{RulesWithin: time.Second, ListWithin: 5 * time.Second}
	for i, version := range r.Versions {
		if err := r.provide(ctx, i, version, nil); err != nil {
			return err
		}
	}
	if err := r.publish(ctx, r.Rules, false); err != nil {
		return err
	}
	if err := r.listed(ctx, r.Nacos.Nodes, len(r.Versions)); err != nil {
		return err
	}
	servers := r.Nacos.Addrs()
	if r.ConsumerLine {
		line, err := NewLine(ctx, servers)
		if err != nil {
			return err
		}
		r.lines = append(r.lines, line)
		servers = line.Addrs
	}
	for _, client := range r.Clients {
		if r.OursOnly && !isOurs(client) {
			continue
		}
		if err := r.consume(ctx, client, servers); err != nil {
			return fmt.Errorf("%s: %w", client, err)
		}
	}
	for _, c := range r.consumers { // they start side by side
		if err := c.hear(ctx, &c.addr); err != nil {
			return fmt.Errorf("%s: %w", c.Client, err)
		}
	}
	return r.await(ctx, "all clients to know all instances and the rules", func() error {
		return r.follow(ctx, len(r.Versions))
	})
}

// follow fails unless each of our clients has a list of that many instances, and
// the last document.
func (r *run) follow(ctx context.Context, instances int) error {
	return r.ours(ctx, func(s *state) error { return s.follows(instances, r.revision()) })
}

// follows fails unless each copy of our client has that list and document.
func (s *state) follows(instances int, rules string) error {
	for _, v := range s.Views {
		if v.Instances != instances || v.Rules != rules {
			return fmt.Errorf("a client has %d instances and document %q", v.Instances, v.Rules)
		}
	}
	return nil
}

// control lets the load run, and fails if a request does.
func (r *run) control(ctx context.Context) error {
	for _, c := range r.consumers {
		if err := c.tell("go"); err != nil {
			return err
		}
	}
	if err := pause(ctx, r.Control); err != nil {
		return err
	}
	for _, c := range r.consumers {
		s, err := c.state(ctx)
		if err != nil {
			return err
		}
		if s.Stalled > r.Control/10 {
			return fmt.Errorf("%w: %s: this machine is too busy: the load stood still for %s", errVoid, c.Client, s.Stalled)
		}
		if s.Failed > 0 {
			return fmt.Errorf("%w: %s: %d of %d requests: %s", errVoid, c.Client, s.Failed, s.Requests, s.LastError)
		}
	}
	return nil
}

// stop ends the load, and waits until the logs are written.
func (r *run) stop(ctx context.Context) error {
	for _, c := range r.consumers {
		if err := c.tell("stop"); err != nil {
			return err
		}
	}
	for _, c := range r.consumers {
		var stalled time.Duration
		if err := c.hear(ctx, &stalled); err != nil {
			return fmt.Errorf("%s: %w", c.Client, err)
		}
		r.stalled = max(r.stalled, stalled)
	}
	return nil
}

// end ends all that the run has started.
func (r *run) end() {
	for _, c := range r.consumers {
		c.kill()
	}
	for _, p := range r.providers {
		p.kill()
	}
	for _, l := range r.lines {
		l.Close()
	}
	if r.publisher != nil {
		_ = r.publisher.Close() // nothing is lost
	}
}

// ours asks our consumers for their state.
func (r *run) ours(ctx context.Context, check func(*state) error) error {
	for _, c := range r.consumers {
		if !isOurs(c.Client) {
			continue
		}
		s, err := c.state(ctx)
		if err != nil {
			return err
		}
		if err := check(s); err != nil {
			return fmt.Errorf("%s: %w", c.Client, err)
		}
	}
	return nil
}

// await asks check until it does not fail any more.
func (r *run) await(ctx context.Context, what string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("%w: waiting for %s: %w", errOverdue, what, err)
		}
	}
}

// takes measures in seconds how long it takes from at on until check does not fail
// any more, the longest if it is measured several times. What never comes true is
// +Inf: a figure, no error.
func (r *run) takes(ctx context.Context, what string, at int64, check func() error) error {
	err := r.await(ctx, what, check)
	r.measures[what] = max(r.measures[what], time.Duration(r.now()-at).Seconds())
	if err != nil && ctx.Err() == nil && errors.Is(err, errOverdue) {
		r.measures[what] = math.Inf(1)
		r.notes = append(r.notes, err.Error())
		return nil
	}
	return err
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// consumerProcess is a consumer that runs.
type consumerProcess struct {
	*process
	consumerRole

	addr string
}

// consume starts a consumer.
func (r *run) consume(ctx context.Context, client string, servers []string) error {
	role := consumerRole{
		Client: client, Servers: servers, Service: r.service, Rate: cmp.Or(r.Requests, r.Rate), Seed: r.seed, Deadline: r.Deadline,
		V2: r.V2, Post: r.Post, Copies: r.Copies, Dir: filepath.Join(r.dir, strings.ReplaceAll(client, " ", "")),
	}
	if err := os.MkdirAll(role.Dir, 0o700); err != nil {
		return err
	}
	p, err := spawn(ctx, role.role())
	if err != nil {
		return err
	}
	r.consumers = append(r.consumers, &consumerProcess{process: p, consumerRole: role})
	return nil
}

func (r *consumerRole) role() role { return role{Consumer: r} }

func (c *consumerProcess) state(ctx context.Context) (*state, error) {
	s := &state{}
	return s, get(ctx, "http://"+c.addr, s)
}

// log reads what the consumer has written.
func (c *consumerProcess) log() ([]judge.Attempt, error) {
	f, err := os.Open(filepath.Join(c.Dir, logFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return judge.ReadLog(f)
}

// get reads JSON.
func get(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// revision returns the md5 of the document in force.
func (r *run) revision() string {
	good := slices.DeleteFunc(slices.Clone(r.facts.Publications), func(p judge.Publication) bool { return p.Refused })
	return good[len(good)-1].Revision()
}
