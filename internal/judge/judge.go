package judge

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Verdict is what the judge says of one attempt.
type Verdict struct {
	Attempt Attempt
	// Misrouted says what is wrong; "" for an attempt that went where it had to.
	Misrouted string
	// Late: the attempt followed rules or a list that were too old.
	Late bool
	// Revisions are the published documents, by md5, under which the picked
	// instance is right, whatever the consumer says that it followed.
	Revisions []string
}

// Arm is one target of one rule of one document.
type Arm struct {
	Service, Revision, Rule, Target string
}

// Report is the judge's sum.
type Report struct {
	// Verdicts are in the order of the log.
	Verdicts []Verdict
	// Requests counts the requests, Failed those whose caller saw an error.
	Requests, Failed int
	// Misrouted and Late count attempts.
	Misrouted, Late int
	// Versions counts the answers by what the server said of itself.
	Versions map[string]int
	// Arms counts the requests by what decided them.
	Arms map[Arm]int
}

// Share returns which part of the requests that the arm's rule decided went to
// the arm, 0 to 1.
func (r *Report) Share(a Arm) float64 {
	all := 0
	for other, n := range r.Arms {
		if other.Service == a.Service && other.Revision == a.Revision && other.Rule == a.Rule {
			all += n
		}
	}
	return float64(r.Arms[a]) / float64(max(1, all))
}

// Convictions returns at most n lines that say what was misrouted.
func (r *Report) Convictions(n int) []string {
	var out []string
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		if v.Misrouted != "" && len(out) < n {
			out = append(out, fmt.Sprintf("request %q attempt %d: %s", v.Attempt.ID, v.Attempt.Number, v.Misrouted))
		}
	}
	return out
}

// Judge holds a log against the facts. An error says that they cannot be judged,
// for instance because a document uses what the judge does not know.
func Judge(f Facts, log []Attempt) (*Report, error) {
	rep := &Report{Versions: map[string]int{}, Arms: map[Arm]int{}, Verdicts: make([]Verdict, 0, len(log))}
	courts := map[string]*court{}
	seen := map[string]bool{}        // requests
	decided := map[string]*Attempt{} // the first attempt of each that bound it
	waiting := map[string]*Attempt{} // the last attempt of each that was skipped
	for i := range log {
		a := &log[i]
		c := courts[a.Service]
		if c == nil {
			revs, err := f.revisions(a.Service)
			if err != nil {
				return nil, err
			}
			c = &court{facts: &f, revisions: revs}
			courts[a.Service] = c
		}
		v := c.try(a)
		if w := waiting[a.ID]; w != nil && a.Via != "" && v.Misrouted == "" && decided[a.ID] == nil {
			v.Misrouted = drawnAnew(w, a)
		}
		if a.Refusal == Skipped {
			waiting[a.ID] = a
		} else if a.Via != "" {
			before := decided[a.ID]
			switch {
			case before == nil:
				decided[a.ID] = a
				rep.Arms[Arm{a.Service, a.Rules, a.Rule, a.Target}]++
			case v.Misrouted != "":
			case before.Number == a.Number:
				// The attempt was picked for again: its connection was lost before it was
				// used, and nothing was decided for good.
				v.Misrouted = drawnAnew(before, a)
				decided[a.ID] = a
			default:
				v.Misrouted = decidedAnew(before, a)
			}
		}
		if !seen[a.ID] {
			seen[a.ID] = true
			rep.Requests++
		}
		rep.add(&v)
	}
	return rep, nil
}

func (r *Report) add(v *Verdict) {
	r.Verdicts = append(r.Verdicts, *v)
	if v.Attempt.Last && v.Attempt.Error != "" {
		r.Failed++
	}
	if v.Attempt.Version != "" {
		r.Versions[v.Attempt.Version]++
	}
	if v.Misrouted != "" {
		r.Misrouted++
	}
	if v.Late {
		r.Late++
	}
}

// drawnAnew says how a request that waited because all candidates were skipped was
// given another slot. It may follow new rules and lists, but the draw is done:
// drawing again until a target is ready would empty the others' shares.
func drawnAnew(a, b *Attempt) string {
	if a.Rules != b.Rules || a.Rule != b.Rule || a.Slot == b.Slot {
		return ""
	}
	return fmt.Sprintf("attempt %d was drawn anew: slot %d of rule %q, before %d", b.Number, b.Slot, b.Rule, a.Slot)
}

// decidedAnew says how a retry differs from the decision that it should keep.
func decidedAnew(a, b *Attempt) string {
	type decision struct {
		rules, via, rule, target, fallback string
		list                               uint64
		slot                               int
	}
	of := func(a *Attempt) decision {
		return decision{a.Rules, a.Via, a.Rule, a.Target, a.Fallback, a.List, a.Slot}
	}
	if of(a) == of(b) {
		return ""
	}
	return fmt.Sprintf("attempt %d was decided anew: %+v, before %+v", b.Number, of(b), of(a))
}

// court tries the attempts of one service.
type court struct {
	facts     *Facts
	revisions []*revision
}

func (c *court) try(a *Attempt) Verdict {
	v := Verdict{Attempt: *a}
	switch {
	case a.ID == "":
		v.Misrouted = "nobody announced this request"
	case a.Via == "":
		// It ended before a decision: failed, perhaps, but not misrouted.
	default:
		c.tryDecision(a, &v)
	}
	return v
}

func (c *court) tryDecision(a *Attempt, v *Verdict) {
	v.Revisions = c.rightUnder(a)
	i := slices.IndexFunc(c.revisions, func(r *revision) bool { return r.md5 == a.Rules })
	if i < 0 {
		v.Misrouted = fmt.Sprintf("no accepted document has the md5 %q", a.Rules)
		return
	}
	rev := c.revisions[i]
	known, inTime := rev.inForce(a)
	if !known {
		v.Misrouted = fmt.Sprintf("the document %s was not published yet", a.Rules)
		return
	}
	v.Late = !inTime
	if why := c.wrongServer(a); why != "" {
		v.Misrouted = why
		return
	}
	possible := c.possible(rev.doc, a)
	if a.Addr != "" && len(c.labelsKnown(a)) == 0 {
		v.Late = true
		possible = outcomes(rev.doc, &a.Request, a.Slot) // by an old list, any of them
	}
	if !slices.ContainsFunc(possible, func(o outcome) bool { return o.says(a) && (a.Addr == "" || c.fits(o, a)) }) {
		v.Misrouted = wrong(a, c.labels(a), possible)
	}
}

// rightUnder returns the revisions under which the picked instance is right. The
// consumer's word is taken for the drawn slot alone.
func (c *court) rightUnder(a *Attempt) []string {
	var out []string
	for _, rev := range c.revisions {
		if known, _ := rev.inForce(a); known && a.Addr != "" &&
			slices.ContainsFunc(c.possible(rev.doc, a), func(o outcome) bool { return c.fits(o, a) }) {
			out = append(out, rev.md5)
		}
	}
	return out
}

// inForce reports whether the revision may have been known when the attempt was
// picked, and whether it was not overdue when the request began.
func (r *revision) inForce(a *Attempt) (known, inTime bool) {
	for _, p := range r.periods {
		if p.from <= a.Start {
			known = true
			inTime = inTime || a.Begin <= p.until
		}
	}
	return known, inTime
}

// possible returns the outcomes that can come true, given which instances the
// consumer's list held for sure and which it may have held.
func (c *court) possible(d *document, a *Attempt) []outcome {
	var out []outcome
	for _, o := range outcomes(d, &a.Request, a.Slot) {
		may, must := o.refusal != "", o.refusal != ""
		for i := range c.facts.Instances {
			in := &c.facts.Instances[i]
			if o.refusal != "" || in.Service != a.Service || !o.holds(in.labels()) {
				continue
			}
			may = may || in.mayBeKnown(a.Begin, a.Start, c.facts.ListWithin)
			must = must || in.mustBeKnown(a.Begin, a.Start, c.facts.ListWithin)
		}
		if may {
			out = append(out, o)
		}
		if must {
			break
		}
	}
	return out
}

// says reports whether the consumer explains the attempt by this outcome.
func (o *outcome) says(a *Attempt) bool {
	if a.Via != o.via || a.Rule != o.rule || a.Target != o.target || a.Slot != o.slot {
		return false
	}
	if o.refusal != "" || a.Refusal == NoInstance || a.Refusal == UnknownTarget {
		return a.Refusal == o.refusal
	}
	return a.Fallback == o.fallback
}

// fits reports whether the picked instance belongs to the outcome.
func (c *court) fits(o outcome, a *Attempt) bool {
	return o.holds != nil && slices.ContainsFunc(c.labels(a), o.holds)
}

// labels returns what the consumer may have known of the picked instance: for
// one that has long been gone, all that it ever was.
func (c *court) labels(a *Attempt) []map[string]string {
	if known := c.labelsKnown(a); len(known) > 0 {
		return known
	}
	var all []map[string]string
	for in := range c.at(a) {
		all = append(all, in.labels())
	}
	return all
}

func (c *court) labelsKnown(a *Attempt) (known []map[string]string) {
	for in := range c.at(a) {
		if in.mayBeKnown(a.Begin, a.Start, c.facts.ListWithin) {
			known = append(known, in.labels())
		}
	}
	return known
}

// at yields what has been at the picked address until the attempt.
func (c *court) at(a *Attempt) iter.Seq[*Instance] {
	return func(yield func(*Instance) bool) {
		for i := range c.facts.Instances {
			in := &c.facts.Instances[i]
			if in.Service == a.Service && in.Addr == a.Addr && in.From <= a.Start && !yield(in) {
				return
			}
		}
	}
}

// wrongServer holds what the server said of itself against what was started.
func (c *court) wrongServer(a *Attempt) string {
	if a.Addr == "" {
		return ""
	}
	var versions []string
	for in := range c.at(a) {
		versions = append(versions, in.Version)
	}
	switch {
	case len(versions) == 0:
		return fmt.Sprintf("no instance of %s was at %s", a.Service, a.Addr)
	case a.Error == "" && a.Refusal == "" && !slices.Contains(versions, a.Version):
		return fmt.Sprintf("%s answered as version %q, but was started as %q", a.Addr, a.Version, versions)
	}
	return ""
}

func wrong(a *Attempt, labels []map[string]string, possible []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "went via %s, rule %q, target %q, fallback %q, slot %d, refusal %q to %q %v; right is",
		a.Via, a.Rule, a.Target, a.Fallback, a.Slot, a.Refusal, a.Addr, labels)
	for i, o := range possible {
		if i > 0 {
			b.WriteString(" or")
		}
		fmt.Fprintf(&b, " via %s, rule %q, target %q, fallback %q, slot %d, refusal %q", o.via, o.rule, o.target, o.fallback, o.slot, o.refusal)
	}
	return b.String()
}
