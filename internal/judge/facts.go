package judge

import (
	"crypto/md5" //nolint:gosec // Nacos names documents by it
	"encoding/hex"
	"fmt"
	"time"
)

// Facts are what the test knows by itself. All times are Recorder.Now's.
type Facts struct {
	// Publications of each service are in the order of time.
	Publications []Publication
	// Instances are the truth about servers: one entry for each span of time in
	// which an address had the same labels.
	Instances []Instance
	// DefaultVersion is what the consumer was started with, "" for nothing. It
	// counts only while a service has no document.
	DefaultVersion string
	// RulesWithin is how long after a publish's answer a request may still be under
	// the rules before.
	RulesWithin time.Duration
	// ListWithin is how long a list may lag behind the truth.
	ListWithin time.Duration
}

// Publication is a document that somebody published.
type Publication struct {
	Service, Text string
	// Sent and Answered are when the publish was sent and when it was answered.
	Sent, Answered int64
	// Refused: no consumer may apply it.
	Refused bool
}

// Revision returns the md5 by which a log names the document.
func (p *Publication) Revision() string {
	sum := md5.Sum([]byte(p.Text)) //nolint:gosec // Nacos names documents by it
	return hex.EncodeToString(sum[:])
}

// Followed returns the time from the publish's answer to the first attempt under
// it; negative if the first was quicker than the answer. False: there was none.
func (p *Publication) Followed(log []Attempt) (time.Duration, bool) {
	first, rev := int64(0), p.Revision()
	for i := range log {
		a := &log[i]
		if a.Service == p.Service && a.Rules == rev && a.Start >= p.Sent && (first == 0 || a.Start < first) {
			first = a.Start
		}
	}
	return time.Duration(first - p.Answered), first != 0
}

// Instance is one server during one span of time.
type Instance struct {
	Service, Addr string
	// Version is what the server says of itself.
	Version string
	// Labels are what the registry says of it. Nil: its version alone.
	Labels map[string]string
	// From and Until bound the time in which it may be picked: registered,
	// enabled, of some weight. Until 0: for ever.
	From, Until int64
}

func (in *Instance) labels() map[string]string {
	if in.Labels == nil {
		return map[string]string{"version": in.Version}
	}
	return in.Labels
}

// mayBeKnown reports whether a list that lags by at most lag can hold the
// instance between begin and end.
func (in *Instance) mayBeKnown(begin, end int64, lag time.Duration) bool {
	return in.From <= end && (in.Until == 0 || begin <= in.Until+int64(lag))
}

// mustBeKnown reports whether every such list holds it.
func (in *Instance) mustBeKnown(begin, end int64, lag time.Duration) bool {
	return in.From+int64(lag) <= begin && (in.Until == 0 || end <= in.Until)
}

// revision is one document as the judge reads it.
type revision struct {
	md5     string
	doc     *document
	periods []period
}

// period is a span in which a revision may be in force: not before from, and
// rightly only for requests that began by until.
type period struct{ from, until int64 }

const forever = int64(1<<63 - 1)

// revisions returns what was in force for a service: first the state without a
// document, then each document once, however often it was published.
func (f *Facts) revisions(service string) ([]*revision, error) {
	current := &revision{doc: noDocument(f.DefaultVersion), periods: []period{{from: 0, until: forever}}}
	all := []*revision{current}
	byMD5 := map[string]*revision{"": current}
	for i := range f.Publications {
		p := &f.Publications[i]
		if p.Service != service || p.Refused {
			continue
		}
		next := byMD5[p.Revision()]
		if next == nil {
			doc, err := read(service, p.Text)
			if err != nil {
				return nil, fmt.Errorf("publication %d: %w", i+1, err)
			}
			next = &revision{md5: p.Revision(), doc: doc}
			byMD5[next.md5] = next
			all = append(all, next)
		}
		current.periods[len(current.periods)-1].until = p.Answered + int64(f.RulesWithin)
		next.periods = append(next.periods, period{from: p.Sent, until: forever})
		current = next
	}
	return all, nil
}
