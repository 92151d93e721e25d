package explain

import (
	"errors"
	"slices"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
)

// Director is a director whose decisions can be explained. It is immutable.
type Director struct {
	*balancer.Director

	rules    *config.Rules
	standard string // the default's name
}

// NewDirector returns a director that was built of these rules (nil: no document).
func NewDirector(d *balancer.Director, rules *config.Rules) *Director {
	out := &Director{Director: d, rules: rules}
	if rules != nil {
		out.standard = rules.Default
	} else {
		dec, _ := d.DecideAt(&Request{}, 0, 0) // it asks for nothing, and so it gets the default
		out.standard = dec.Target
	}
	return out
}

// Default returns the name of the target of whatever no rule claims, "" if nobody
// named one.
func (d *Director) Default() string { return d.standard }

// Answer is who gets a request, for programs.
type Answer struct {
	ID         string   `json:"id"`
	Via        string   `json:"via"`
	Rule       string   `json:"rule"`
	Slot       int      `json:"slot"`
	Target     string   `json:"target"`
	Fallback   string   `json:"fallback"`
	Skipped    []string `json:"skipped"`
	Candidates []string `json:"candidates"`
	Error      string   `json:"error"`
}

// Answer says who gets a request.
func (d *Director) Answer(r *Request) Answer {
	dec, err := d.DecideAt(r, r.slot, 0)
	return Answer{
		ID: r.in.ID, Via: dec.Via.String(), Rule: dec.Rule, Slot: dec.Slot, Target: dec.Target,
		Fallback: dec.Fallback.String(), Skipped: append([]string{}, dec.Skipped()...),
		Candidates: Candidates(&dec), Error: refusal(err),
	}
}

// refusal returns the code of a refusal, "" for none.
func refusal(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, balancer.ErrUnknownTarget):
		return "unknown_target"
	}
	return "no_instance"
}

// Candidates returns the addresses of a decision's candidates, sorted.
func Candidates(dec *balancer.Decision) []string {
	out := []string{}
	for endpoint := range dec.Candidates() {
		out = append(out, endpoint.Addr())
	}
	slices.Sort(out)
	return out
}

// Rule returns a rule by its name, nil if there is none.
func (d *Director) Rule(name string) *config.Rule {
	if d.rules == nil || name == "" {
		return nil
	}
	i := slices.IndexFunc(d.rules.Rules, func(r config.Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &d.rules.Rules[i]
}
