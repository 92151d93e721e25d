package promx

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// MaxServices is how many services are told apart. Further ones are Other, and so are
// those that have had neither an instance nor a document since the process began: a
// request may have made their name up.
const MaxServices = 500

// Other is the label value of what is not told apart.
const Other = "other"

// maxBuckets is how many buckets a histogram has at most, see WithBuckets.
const maxBuckets = 40

// Option configures Metrics.
type Option func(*options)

type options struct{ buckets []float64 }

// WithBuckets sets the upper bounds of the buckets of graylane_attempt_duration_seconds,
// in seconds; the default is 13 from 1 ms to 10 s. They are sorted; what is not above 0,
// and more than 40, is left out. Each bucket is one series for each version and rule.
func WithBuckets(seconds ...float64) Option {
	return func(o *options) { o.buckets = seconds }
}

// Metrics is a prometheus.Collector. Register it once, and give its Hooks to the
// resolvers; there may be several, as long as each of their services is of one namespace.
// Its methods may be called concurrently.
type Metrics struct {
	picks, refusals, attempts, retries, keyless *prometheus.CounterVec
	ejections, returns, trips, held, documents  *prometheus.CounterVec
	durations                                   *prometheus.HistogramVec
	errors                                      prometheus.Counter
	gauges                                      *gauges

	// All are replaced, under mu, and never changed. The second, by the snapshot that a
	// view has now, saves most requests to look up four strings.
	meters  atomic.Pointer[map[meterKey]*meter]
	current atomic.Pointer[map[*registry.Snapshot]*meter]
	names   atomic.Pointer[map[registry.Service]*service]
	rest    atomic.Pointer[service] // all that have no label of their own; nil while there are none
	full    atomic.Bool             // there is no room for another label

	// mu guards what follows, and every change of label values. It is taken for a request,
	// and for an event that the end of one has raised, only if they have a value that was
	// not seen before. Only client_golang, and State and Err of a view, are called under it.
	mu       sync.Mutex
	services map[string]*service // by label
	files    map[string]struct{} // label values of documents
}

// New returns metrics that have counted nothing yet.
func New(opts ...Option) *Metrics {
	o := options{buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}}
	for _, opt := range opts {
		opt(&o)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "graylane_" + name, Help: help}, labels)
	}
	m := &Metrics{
		picks: counter("picks_total", "Requests that found an instance, by what decided about them.",
			"service", "protocol", "rule", "via", "target", "fallback"),
		refusals: counter("refusals_total", "Picks that found no instance.", "service", "protocol", "reason"),
		attempts: counter("attempts_total", "Attempts that have ended, by what their end says about the instance.",
			"service", "protocol", "version", "rule", "result"),
		retries: counter("retries_total", "Attempts after the first one of a request.", "service", "protocol"),
		keyless: counter("keyless_total", "Requests without the field that the rule's split goes by; they went to the default.",
			"service", "rule"),
		ejections: counter("ejections_total", "Instances that picks passed over from then on, as they had failed.", "service"),
		returns:   counter("returns_total", "Ejected instances that have answered again.", "service"),
		trips:     counter("guard_trips_total", "Targets that the guard has withdrawn.", "service", "target"),
		held:      counter("lists_held_total", "Lists that were not believed at once, as they had lost many.", "service"),
		documents: counter("documents_refused_total", "Versions of a document that were refused.", "document"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "graylane_attempt_duration_seconds", Help: "How long attempts took that their caller waited for.",
			Buckets: buckets(o.buckets),
		}, []string{"service", "protocol", "version", "rule"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "graylane_errors_total", Help: "What went wrong behind the requests' back, refused documents apart; the log says it.",
		}),
		gauges:   newGauges(),
		services: map[string]*service{},
		files:    map[string]struct{}{},
	}
	m.meters.Store(&map[meterKey]*meter{})
	m.current.Store(&map[*registry.Snapshot]*meter{})
	m.names.Store(&map[registry.Service]*service{})
	return m
}

// buckets returns bounds that a histogram can have.
func buckets(seconds []float64) []float64 {
	seconds = slices.DeleteFunc(slices.Clone(seconds), func(s float64) bool { return !(s > 0) || math.IsInf(s, 0) })
	slices.Sort(seconds)
	seconds = slices.Compact(seconds)
	return seconds[:min(len(seconds), maxBuckets)]
}

// Hooks returns the hooks that count. Once the values of a request's labels were seen,
// OnPick and OnDone neither lock nor allocate. Nor does OnEvent,
// save that client_golang looks up the series of a withdrawn target under a lock of its
// own.
func (m *Metrics) Hooks() resolver.Hooks {
	return resolver.Hooks{
		OnUpdate: m.update,
		OnPick: func(_ context.Context, c resolver.Call, err error) {
			t := m.meter(&c)
			switch {
			case err != nil:
				t.refusals[words.ReasonOf(err)].Inc()
			case c.Attempt > 1:
				t.retries.Inc()
			default:
				t.picked(&c)
			}
		},
		OnDone: func(_ context.Context, c resolver.Call, o resolver.Outcome, took time.Duration) {
			m.meter(&c).done(&c, c.Verdict(o), took)
		},
		OnEvent: m.event,
		OnError: func(_ registry.Service, err error) {
			if refused, ok := errors.AsType[*resolver.RefusedError](err); ok {
				m.refused(refused.DataID)
			} else {
				m.errors.Inc()
			}
		},
	}
}

func (m *Metrics) event(e resolver.Event) {
	s := m.of(e.Service)
	switch e.Kind {
	case resolver.InstanceEjected:
		s.ejections.Inc()
	case resolver.InstanceReturned:
		s.returns.Inc()
	case resolver.TargetWithdrawn:
		m.trips.WithLabelValues(s.label, s.known.Load().label(targets, e.Target)).Inc()
	case resolver.ListHeld:
		s.held.Inc()
	default: // a gauge tells it
	}
}

// refused counts a refused document.
func (m *Metrics) refused(dataID string) {
	m.mu.Lock()
	if _, known := m.files[dataID]; !known {
		if len(m.files) < MaxServices {
			m.files[dataID] = struct{}{}
		} else {
			dataID = Other
		}
	}
	m.mu.Unlock()
	m.documents.WithLabelValues(dataID).Inc()
}

// vector is a CounterVec or a HistogramVec.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(labels prometheus.Labels) int
}

// vectors are all that have the label service.
func (m *Metrics) vectors() []vector {
	return []vector{
		m.picks, m.refusals, m.attempts, m.retries, m.keyless, m.ejections, m.returns, m.trips, m.held, m.durations,
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(ch)
	}
	m.documents.Describe(ch)
	m.errors.Describe(ch)
	m.gauges.describe(ch)
}

// Collect implements prometheus.Collector. The gauges are as of now, of the views that
// are open.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(ch)
	}
	m.documents.Collect(ch)
	m.errors.Collect(ch)
	for _, s := range m.open() {
		m.gauges.collect(ch, s)
	}
}
