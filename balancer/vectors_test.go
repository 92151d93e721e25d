package balancer

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
)

// vector is one case of an independent evaluator of the rule language: documents,
// instances, requests, and what is to be decided about each.
type vector struct {
	Name, Service string
	Rules, Global *string
	Instances     []vectorInstance
	Requests      []vectorRequest
	Answers       []vectorAnswer
}

type vectorInstance struct {
	Addr             string
	Weight           *float64
	Healthy, Enabled *bool
	Cluster          string
	Metadata         map[string]string
}

type vectorAnswer struct {
	Via, Rule, Target, Fallback, Error string
	Slot                               int
	Skipped, Candidates                []string
}

type vectorRequest struct {
	InMethod string              `json:"method"`
	InPath   string              `json:"path"`
	Headers  map[string][]string `json:"headers"`
	InUser   string              `json:"user"`
	InLane   string              `json:"lane"`
	Caller   map[string]string   `json:"caller"`
	Slot     *int                `json:"slot"`
	Cookies  map[string]string   `json:"cookies"`
	Queries  map[string][]string `json:"query"`
}

func (r *vectorRequest) Header(n config.HeaderName) (string, bool) {
	var all []string
	for name, vs := range r.Headers {
		if config.NewHeaderName(name) == n {
			all = append(all, vs...)
		}
	}
	if len(all) != 1 {
		return "", false
	}
	return all[0], true
}

func (r *vectorRequest) Cookie(name string) (string, bool) { v, ok := r.Cookies[name]; return v, ok }

func (r *vectorRequest) Query(name string) (string, bool) {
	if vs := r.Queries[name]; len(vs) > 0 {
		return vs[0], true
	}
	return "", false
}
func (r *vectorRequest) Path() string   { return r.InPath }
func (r *vectorRequest) Method() string { return r.InMethod }
func (r *vectorRequest) Lane() string   { return r.InLane }
func (r *vectorRequest) User() string {
	if r.InUser != "" {
		return r.InUser
	}
	v, _ := r.Header(config.NewHeaderName(lane.HeaderUser))
	return v
}

func (v *vector) snapshot() *registry.Snapshot {
	var list []registry.Instance
	for _, in := range v.Instances {
		out := registry.NewInstance(in.Addr)
		out.ID, out.Cluster, out.Metadata = "", in.Cluster, in.Metadata
		if in.Weight != nil {
			out.Weight = registry.Weight(*in.Weight)
		}
		out.Healthy = in.Healthy == nil || *in.Healthy
		out.Enabled = in.Enabled == nil || *in.Enabled
		list = append(list, out)
	}
	return registry.NewSnapshot(registry.Service{Name: v.Service}, 1, list)
}

// plain are the cases with a value that the language takes only in quotes (1e3, y).
// They are refused.
func plain(name string) bool { return slices.Contains([]string{"case-31", "case-50", "case-79"}, name) }

// TestVectors compares all decisions with those of the independent evaluator.
func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/decide.jsonl")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	judged, decisions := 0, 0
	for lines.Scan() {
		var v vector
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		var r *config.Rules
		if v.Rules != nil {
			var problems config.Problems
			r, problems = config.ParseRules("gray."+v.Service+".yaml", v.Service, []byte(*v.Rules))
			if plain(v.Name) {
				require.ErrorContains(t, problems.Err(), "needs-quotes")
				continue
			}
			require.NoError(t, problems.Err())
		}
		var g *config.Global
		if v.Global != nil {
			var problems config.Problems
			g, problems = config.ParseGlobal(config.GlobalDocID, []byte(*v.Global))
			require.NoError(t, problems.Err())
		}
		judged++
		snap := v.snapshot()
		for i := range v.Requests {
			req, want := &v.Requests[i], v.Answers[i]
			slot := 0
			if req.Slot != nil {
				slot = *req.Slot
			}
			d := Build(r, g, snap, Options{Caller: req.Caller}, nil)
			got, err := d.DecideAt(req, slot, 0)
			decisions++
			agrees(t, d.Explain(req, slot), got, err)
			if !assert.Equal(t, want, answer(got, err), "%s, request %d\n%s", v.Name, i, lines.Text()) {
				return
			}
		}
	}
	require.NoError(t, lines.Err())
	assert.Equal(t, []int{147, 1176}, []int{judged, decisions})
}

// agrees checks that an explanation tells the way to its decision.
func agrees(t *testing.T, e Explanation, d Decision, err error) {
	t.Helper()
	require.Equal(t, d, e.Decision)
	require.Equal(t, err == nil, e.Err == nil)
	if len(e.Steps) > 0 {
		want := append([]string{}, candidates(d)...)
		slices.Sort(want)
		require.Equal(t, want, e.Steps[len(e.Steps)-1].Left, "%+v", e)
	} else {
		require.ErrorIs(t, err, ErrUnknownTarget)
	}
	for i, c := range e.Rules {
		last := i == len(e.Rules)-1 && d.Via == ViaRule
		require.Equal(t, last, c.Why == "", "%+v", e)
		if last {
			require.Equal(t, d.Rule, c.Rule)
		}
	}
	require.Equal(t, d.Via == ViaRule || d.Via == ViaDefault && e.Rules != nil, len(e.Rules) > 0)
}

func answer(d Decision, err error) vectorAnswer {
	a := vectorAnswer{
		Via: d.Via.String(), Rule: d.Rule, Target: d.Target, Fallback: d.Fallback.String(),
		Slot: d.Slot, Skipped: append([]string{}, d.Skipped()...), Candidates: []string{},
	}
	if err != nil {
		a.Error = map[error]string{ErrNoInstance: "no_instance", ErrUnknownTarget: "unknown_target"}[err.(*Error).Err] //nolint:errorlint,forcetypeassert // Decide returns it bare
		return a
	}
	a.Candidates = append(a.Candidates, candidates(d)...)
	slices.Sort(a.Candidates)
	return a
}
