package debug

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/resolver"
)

// staleAfter is the age of what Nacos confirmed last that is too old: it is asked
// every 10 s.
const staleAfter = 15 * time.Second

// overview is the first page.
type overview struct {
	Now      time.Time `json:"now"`
	Services []service `json:"services"`
	Said     []message `json:"said"`
}

// service is what is said of a service in a line or two.
type service struct {
	View         string            `json:"view"` // names it in the paths of the page
	Service      string            `json:"service"`
	Name         string            `json:"name"`
	Protocol     string            `json:"protocol"`
	Instances    int               `json:"instances"`
	States       map[string]int    `json:"states"` // how many instances are usable, ejected, …
	Versions     []version         `json:"versions"`
	Picks        uint64            `json:"picks"`    // in the last minute
	Refusals     map[string]uint64 `json:"refusals"` // in the last minute, by reason
	RulesMD5     string            `json:"rules_md5"`
	ListRevision uint64            `json:"list_revision"`
	ListSynced   time.Time         `json:"list_synced,omitzero"`
	RulesSynced  time.Time         `json:"rules_synced,omitzero"`
	Warnings     []string          `json:"warnings"`
}

// version is how many instances are of a version.
type version struct {
	Version   string         `json:"version"`
	Instances int            `json:"instances"`
	States    map[string]int `json:"states"`
	Picks     uint64         `json:"picks"`
}

func (p *Page) overview() overview {
	o := overview{Now: time.Now(), Services: []service{}, Said: p.said.latest()}
	for _, v := range p.views.sorted() {
		if s := v.State(); s != nil {
			o.Services = append(o.Services, v.service(s, v.look(p.slot()), o.Now, p.slot()))
		}
	}
	return o
}

// look returns all instances of a view.
func (v *view) look(slot uint32) []instance {
	t := v.table.Load()
	all := v.Instances()
	out := make([]instance, len(all))
	for i, in := range all {
		out[i] = instance{
			ID: in.ID, Addr: in.Addr, Cluster: in.Cluster, Version: in.Version(), Weight: float64(in.Weight) / 1000,
			State: in.State.String(), InFlight: in.InFlight, Latency: in.Latency, Labels: in.Metadata, state: in.State,
		}
		if t != nil {
			if n := t.instances[in.ID]; n != nil {
				out[i].Picks = n.sum(slot)
			}
		}
	}
	return out
}

func (v *view) service(s *resolver.State, all []instance, now time.Time, slot uint32) service {
	out := service{
		View: v.String(), Service: v.Service().String(), Name: v.Service().Name, Protocol: v.Protocol(),
		Instances: len(all), States: map[string]int{}, Refusals: map[string]uint64{},
		RulesMD5: s.Revision(), ListRevision: s.Snapshot.Revision(),
	}
	versions := map[string]*version{}
	for i := range all {
		in := &all[i]
		ver := versions[in.Version]
		if ver == nil {
			ver = &version{Version: in.Version, States: map[string]int{}}
			versions[in.Version] = ver
		}
		ver.Instances++
		ver.States[in.State]++
		ver.Picks += in.Picks
		out.States[in.State]++
		out.Picks += in.Picks
	}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		out.Versions = append(out.Versions, *versions[name])
	}
	for r := range words.Reasons {
		if n := v.refusals[r].sum(slot); n > 0 {
			out.Refusals[r.String()] = n
		}
	}
	out.ListSynced, out.RulesSynced = v.Synced()
	out.Warnings = append([]string{}, v.warnings(s, &out, now)...)
	return out
}

// warnings are what a person should know of a service before all else.
func (v *view) warnings(s *resolver.State, seen *service, now time.Time) (out []string) {
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !s.Director.Serves() {
		warn("the default has no usable instance: requests that no rule sends elsewhere fail, or go to unhealthy instances")
	}
	for _, doc := range []*resolver.DocStatus{&s.RulesDoc, &s.GlobalDoc} {
		if text := docWarning(doc); text != "" {
			out = append(out, text)
		}
	}
	if s.SeveralVersions {
		warn("several versions serve, since no document names a default: publish %s, or set a default version", s.RulesDoc.DataID)
	}
	for _, name := range v.Withdrawn() {
		warn("the guard keeps requests from %s: they go to the default", name)
	}
	if s.Held > 0 {
		warn("%s in use that the registry does not list any more: it is not believed yet", count(s.Held, "instance"))
	}
	if n := seen.States[resolver.Ejected.String()]; n > 0 {
		warn("%s ejected, after failures or without answer", count(n, "instance"))
	}
	if s.Cached {
		warn("the list is from the disk cache: the registry has not answered yet")
	}
	if age := now.Sub(seen.ListSynced); !seen.ListSynced.IsZero() && age > staleAfter {
		warn("the list may be old: it was confirmed last %s ago", span(age))
	}
	if age := now.Sub(seen.RulesSynced); !seen.RulesSynced.IsZero() && age > staleAfter {
		warn("the rules may be old: they were confirmed last %s ago", span(age))
	}
	if len(seen.Refusals) > 0 {
		var reasons []string
		for _, name := range slices.Sorted(maps.Keys(seen.Refusals)) {
			reasons = append(reasons, fmt.Sprintf("%d %s", seen.Refusals[name], name))
		}
		warn("requests without an instance in the last minute: %s", strings.Join(reasons, ", "))
	}
	return out
}

// docWarning says what is wrong with a document, "" if nothing is.
func docWarning(d *resolver.DocStatus) string {
	stays := "the last good one stays in force"
	if d.MD5 == "" {
		stays = "there is no last good one, and requests are served as if there were no document"
	}
	switch {
	case d.Refused != nil:
		return fmt.Sprintf("document %s is refused: %s", d.DataID, stays)
	case d.Gone && d.MD5 != "":
		return fmt.Sprintf("document %s is gone: %s", d.DataID, stays)
	case d.Cached:
		return fmt.Sprintf("document %s is from the disk cache: Nacos has not answered yet, or has refused or lost it", d.DataID)
	}
	return ""
}

// count returns "1 thing" or "2 things".
func count[N int | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// span returns a time in one unit that a person can compare.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d.Microseconds())/1000)
	case d < 10*time.Second:
		return fmt.Sprintf("%.2g s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

// ago says how long something is past.
func ago(now, then time.Time) string {
	if age := now.Sub(then); age >= time.Second {
		return span(age) + " ago"
	}
	return "just now"
}

// byInterest orders instances: who gets nothing and should first, then who gets most.
func byInterest(a, b *instance) int {
	return cmp.Or(cmp.Compare(interest(a.state), interest(b.state)), cmp.Compare(b.Picks, a.Picks), cmp.Compare(a.Addr, b.Addr))
}

// interest is what is looked at first.
func interest(s resolver.InstanceState) int {
	switch s {
	case resolver.Ejected:
		return 0
	case resolver.Unhealthy:
		return 1
	case resolver.Held:
		return 2
	case resolver.Isolated, resolver.Disabled, resolver.Weightless:
		return 3
	case resolver.Usable:
	}
	return 4
}
