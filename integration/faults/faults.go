package faults

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Fault is what happens, and to whom.
type Fault struct {
	// ID is short; Title says what happens.
	ID, Title string
	// Deadline of each request.
	Deadline time.Duration
	// Versions of the providers, one each.
	Versions []string
	// Rules is the document of both services.
	Rules string
	// V2 is the share of requests that ask for v2, Post that of HTTP requests that
	// must not be sent twice.
	V2, Post float64
	// Requests is how many a second each client makes; 0: Size.Rate.
	Requests int
	// Copies is how many of each client a consumer has; 0: one.
	Copies int
	// OursOnly: what happens means nothing to others.
	OursOnly bool
	// ProviderLines puts a Line between each provider and Nacos, ConsumerLine one
	// between the consumers and Nacos.
	ProviderLines, ConsumerLine bool

	inject func(ctx context.Context, r *run) error
	after  func(r *run) // measures by the logs
	// split: the rules draw; an attempt is then held against its own decision.
	split bool
}

// Deadlines of requests.
const (
	usual = 2 * time.Second
	short = 500 * time.Millisecond
)

// byHeader lets every request name its version.
const byHeader = `gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version}
`

// usualVersions: three of v1, two of v2.
func usualVersions() []string { return []string{"v1", "v1", "v1", "v2", "v2"} }

// newFault returns a fault with the usual providers and requests.
func newFault(id, title string, inject func(context.Context, *run) error) Fault {
	return Fault{
		ID: id, Title: title, Deadline: usual, Versions: usualVersions(), Rules: byHeader,
		V2: 0.4, Post: 0.1, inject: inject,
	}
}

// Faults returns all, in the order in which they run.
func Faults() []Fault {
	return append(append(providerFaults(), ruleFaults()...), nacosFaults()...)
}

// providerFaults happen to providers.
func providerFaults() []Fault {
	f4 := newFault("F4", "SIGSTOP of one instance in four for 8 s, then SIGCONT; deadline 500 ms", hang)
	f4.Versions, f4.V2, f4.Deadline = []string{"v1", "v1", "v1", "v1"}, 0, short
	f11 := newFault("F11", "the lines between all providers and Nacos break, which lists nobody any more", cutProviders(0))
	f11.ProviderLines = true
	f13 := newFault("F13", "the lines between four of five providers and Nacos break, which lists one", cutProviders(1))
	f13.ProviderLines, f13.after = true, hotSpot
	return []Fault{
		newFault("F1", "graceful rolling restart, in place", rolling),
		newFault("F2", "rolling kill -9, each back after 1 s", rollingKill),
		newFault("F3", "kill -9 of one, which stays dead", killOne),
		f4,
		newFault("F7", "one instance answers 503", answer503),
		f11,
		newFault("F12", "v2 is scaled to zero", scaleToZero),
		f13,
	}
}

func rolling(ctx context.Context, r *run) error {
	for k := range r.Restarts {
		i := 3 * k % len(r.Versions) // v1 and v2 in turn
		if err := r.terminate(i); err != nil {
			return err
		}
		if err := r.again(ctx, i); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// again starts a provider where it was, and waits until our clients know all, the new
// process among them: their lists may still have the old one.
func (r *run) again(ctx context.Context, i int) error {
	addrs := r.providers[i].Addrs
	old := map[string]bool{"": true}
	if err := r.ours(ctx, func(s *state) error { s.boots(addrs, func(boot string) { old[boot] = true }); return nil }); err != nil {
		return err
	}
	if err := r.provide(ctx, i, r.Versions[i], addrs); err != nil {
		return err
	}
	return r.await(ctx, "the new provider", func() error {
		return errors.Join(r.follow(ctx, len(r.Versions)), r.ours(ctx, func(s *state) (err error) {
			s.boots(addrs, func(boot string) {
				if old[boot] {
					err = errors.New("a client knows the old process alone")
				}
			})
			return err
		}))
	})
}

// boots calls fn with the mark of the process at one of the addresses, as each of the
// client's copies knows it; "" for none.
func (s *state) boots(addrs map[string]string, fn func(boot string)) {
	for _, v := range s.Views {
		boot := ""
		for _, addr := range addrs {
			if known, ok := v.Boots[addr]; ok {
				boot = known
			}
		}
		fn(boot)
	}
}

// kills is how often F2 kills: each instance once at least.
func kills(s Size) int { return max(s.Restarts, len(usualVersions())) }

func rollingKill(ctx context.Context, r *run) error {
	for k := range kills(r.Size) {
		i := k % len(r.Versions) // the two of v2 right after each other
		r.killProvider(i)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		if err := r.again(ctx, i); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

func killOne(ctx context.Context, r *run) error {
	r.killProvider(0)
	return r.watch(ctx)
}

func hang(ctx context.Context, r *run) error {
	if err := r.providers[0].signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := pause(ctx, 8*time.Second); err != nil {
		return err
	}
	if err := r.providers[0].signal(syscall.SIGCONT); err != nil {
		return err
	}
	return r.settle(ctx)
}

func answer503(ctx context.Context, r *run) error {
	if err := r.providers[0].behave(ctx, behaviour{Fail: 1}); err != nil {
		return err
	}
	return r.watch(ctx)
}

// goneWithin is the measure of a real scale to zero.
const goneWithin = "seconds from the last one's end until our lists are without them"

func scaleToZero(ctx context.Context, r *run) error {
	// They serve on after they have left the registry, 10 s at most, and a client that
	// holds a list that lost so many may use them; the measure says when it must stop.
	r.facts.ListWithin = 15 * time.Second
	var both errgroup.Group
	for i, version := range r.Versions {
		if version == "v2" {
			r.ends(r.providers[i])
			both.Go(func() error { return r.leave(i) })
		}
	}
	if err := both.Wait(); err != nil {
		return err
	}
	if err := r.takes(ctx, goneWithin, r.now(), func() error { return r.follow(ctx, r.alive()) }); err != nil {
		return err
	}
	return r.settle(ctx)
}

// leave tells a provider to end and waits for that.
func (r *run) leave(i int) error {
	if err := r.providers[i].signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.providers[i].wait(patience)
}

// Measures of lists that Nacos loses.
const (
	listedAgain = "seconds from the lines' return until all are listed and known again"
	hottest     = "most requests to one instance, as a multiple of its fair share"
)

// cutProviders breaks the lines of all providers but the first few.
func cutProviders(but int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for _, p := range r.providers[but:] {
			p.line.Set(Reset, 0)
		}
		if err := r.listed(ctx, r.Nacos.Nodes, but); err != nil {
			return err
		}
		if err := pause(ctx, r.Watch/2); err != nil {
			return err
		}
		for _, p := range r.providers {
			p.line.Set(Pass, 0)
		}
		at := r.now()
		if err := r.takes(ctx, listedAgain, at, func() error {
			if err := list(ctx, r.Nacos.Nodes, r.service, r.alive()); err != nil {
				return err
			}
			return r.follow(ctx, r.alive())
		}); err != nil {
			return err
		}
		return r.settle(ctx)
	}
}

// hotSpot measures how unevenly our clients have used the instances of a version.
func hotSpot(r *run) {
	for _, client := range Ours() {
		perInstance, perVersion := map[string]int{}, map[string]int{}
		for _, a := range r.logs[client] {
			if a.Begin >= r.injected && a.Version != "" {
				perInstance[a.Addr+" "+a.Version]++
				perVersion[a.Version]++
			}
		}
		for _, version := range []string{"v1", "v2"} {
			of := 0
			for _, v := range r.Versions {
				if v == version {
					of++
				}
			}
			for _, p := range r.providers {
				for _, addr := range p.Addrs {
					most := float64(perInstance[addr+" "+version]*of) / float64(max(1, perVersion[version]))
					r.measures[hottest] = max(r.measures[hottest], most)
				}
			}
		}
	}
}
