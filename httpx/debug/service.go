package debug

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/resolver"
)

// pageSize is how many instances are on a page.
const pageSize = 200

// servicePage is one service.
type servicePage struct {
	Now time.Time `json:"now"`
	service
	Rules  document `json:"rules"`
	Global document `json:"global"`
	Routes []ways   `json:"routes"`
	Policy []fact   `json:"policy"`

	Query   string     `json:"query,omitempty"`
	Matches int        `json:"matches"` // instances that the query finds
	Page    int        `json:"page"`
	Pages   int        `json:"pages"`
	Found   []instance `json:"found"` // those of the page
}

// instance is one instance.
type instance struct {
	ID       string            `json:"id"`
	Addr     string            `json:"addr"`
	Cluster  string            `json:"cluster"`
	Version  string            `json:"version"`
	Weight   float64           `json:"weight"` // in Nacos's unit
	State    string            `json:"state"`
	InFlight int64             `json:"in_flight"`
	Latency  time.Duration     `json:"latency_ns"` // 0: not known
	Picks    uint64            `json:"picks"`      // in the last minute
	Share    float64           `json:"share"`      // of the service's picks
	Labels   map[string]string `json:"labels"`

	state resolver.InstanceState
}

// matches reports whether an instance has a text, in lower case, somewhere.
func (in *instance) matches(q string) bool {
	if q == "" {
		return true
	}
	for _, s := range []string{in.ID, in.Version, in.State} {
		if strings.Contains(strings.ToLower(s), q) {
			return true
		}
	}
	for name, value := range in.Labels {
		if strings.Contains(strings.ToLower(name+"="+value), q) {
			return true
		}
	}
	return false
}

// document is what is in force of a document.
type document struct {
	DataID   string        `json:"data_id"`
	MD5      string        `json:"md5"`
	Since    time.Time     `json:"since,omitzero"`
	Took     time.Duration `json:"took_ns,omitempty"`
	Source   string        `json:"source"` // "source", "cache" or "none"
	Gone     bool          `json:"gone"`
	Refused  string        `json:"refused,omitempty"`  // the md5 of the version that is refused
	Problems []problem     `json:"problems,omitempty"` // the first of them
	More     int           `json:"more_problems,omitempty"`
}

// problem is one thing that is wrong with a refused document.
type problem struct {
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Excerpt  string `json:"excerpt,omitempty"` // the line, and a caret below the place
}

// maxProblems is how many problems of a document are shown: it may have a thousand.
const maxProblems = 20

func documentOf(d *resolver.DocStatus) document {
	out := document{DataID: d.DataID, MD5: d.MD5, Since: d.Since, Took: d.Took, Source: "source", Gone: d.Gone}
	switch {
	case d.MD5 == "":
		out.Source = "none"
	case d.Cached:
		out.Source = "cache"
	}
	if d.Refused == nil {
		return out
	}
	out.Refused = d.Refused.MD5
	for _, p := range d.Refused.Problems {
		switch {
		case p.Severity != config.Error:
		case len(out.Problems) == maxProblems:
			out.More++
		default:
			out.Problems = append(out.Problems, problem{
				p.Line, p.Col, p.Code, p.Severity.String(), p.Message, p.Excerpt(d.Refused.Content),
			})
		}
	}
	return out
}

// servicePage returns what there is to see of a service: of the instances that a query
// finds those of one page, from 1, and of all else the whole.
func (p *Page) servicePage(v *view, query string, page int) (servicePage, bool) {
	s, slot := v.State(), p.slot()
	if s == nil {
		return servicePage{}, false
	}
	now := time.Now()
	all := v.look(slot)
	out := servicePage{
		Now: now, service: v.service(s, all, now, slot), Query: query,
		Rules: documentOf(&s.RulesDoc), Global: documentOf(&s.GlobalDoc),
		Routes: v.ways(s, slot), Policy: policyOf(s.Rules),
	}
	found := make([]*instance, 0, len(all))
	lower := strings.ToLower(query)
	for i := range all {
		if all[i].matches(lower) {
			found = append(found, &all[i])
		}
	}
	slices.SortFunc(found, byInterest)
	out.Matches = len(found)
	out.Pages = max(1, (len(found)+pageSize-1)/pageSize)
	out.Page = min(max(page, 1), out.Pages)
	from := (out.Page - 1) * pageSize
	out.Found = make([]instance, 0, min(pageSize, len(found)))
	for _, in := range found[from:min(from+pageSize, len(found))] {
		if out.Picks > 0 {
			in.Share = float64(in.Picks) / float64(out.Picks)
		}
		out.Found = append(out.Found, *in)
	}
	return out, true
}

// Shown returns the labels that say more of an instance than the columns do.
func (in *instance) Shown() []fact {
	var out []fact
	for _, name := range slices.Sorted(maps.Keys(in.Labels)) {
		if name != "version" && name != "boot" {
			out = append(out, fact{name, in.Labels[name]})
		}
	}
	return out
}
