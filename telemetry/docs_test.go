package telemetry_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/promx"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	require.NoError(t, err)
	return string(text)
}

// rows returns the rows of the tables of docs/telemetry.md whose first column has this
// title: for each name in the first column, what is in code spans in the second.
func rows(t *testing.T, title string) map[string][]string {
	t.Helper()
	out, inside := map[string][]string{}, false
	code := regexp.MustCompile("`([^`]*)`")
	for line := range strings.Lines(read(t, "../docs/telemetry.md")) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 3:
			inside = false
		case strings.TrimSpace(cells[1]) == title:
			inside = true
		case inside:
			var second []string
			for _, m := range code.FindAllStringSubmatch(cells[2], -1) {
				second = append(second, m[1])
			}
			for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
				out[m[1]] = second
			}
		}
	}
	require.NotEmpty(t, out, title)
	return out
}

// synced is a source that was told of its documents, and that they are current.
type synced struct{ *steps }

func (synced) Synced(string) (time.Time, bool) { return time.Now(), true }

// steps is a source of one document, in versions that follow one after the other.
type steps struct{ next chan config.Doc }

func (s *steps) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	if dataID != "gray.user.yaml" {
		fn(config.Doc{})
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for {
		select {
		case doc := <-s.next:
			fn(doc)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// scrape returns the metrics, with their labels, of a process in which everything has
// happened that there is a metric of.
func scrape(t *testing.T) map[string][]string {
	t.Helper()
	metrics, gatherer := promx.New(), prometheus.NewPedanticRegistry()
	gatherer.MustRegister(metrics)
	docs := synced{&steps{make(chan config.Doc)}}
	reg := memory.New()
	r, err := resolver.New(reg, docs, resolver.WithHooks(metrics.Hooks()), resolver.WithSlowStart(0))
	require.NoError(t, err)
	defer r.Close()
	list := []registry.Instance{registry.NewInstance("10.0.0.1:80"), registry.NewInstance("10.0.0.2:80")}
	list[0].Metadata, list[1].Metadata = map[string]string{"version": "v1"}, map[string]string{"version": "v2"}
	reg.Set(r.Service("user"), list...)
	v, err := r.View(r.Service("user"), "http")
	require.NoError(t, err)
	defer v.Close()

	const rules = `
gray: v1
default: v1
guard: {errors: 50%, min: 5, hold: 1m}
rules:
- {name: asked, by: header.x-gray-version}
- {name: half, sticky: user, to: {v2: 50%}}
`
	docs.next <- config.NewDoc([]byte("gray: v1\ndefault: v1\n"))
	doc := config.NewDoc([]byte(rules))
	doc.At = time.Now().Add(-time.Second)
	docs.next <- doc
	require.Eventually(t, func() bool { s := v.State(); return s != nil && s.Revision() == doc.MD5 }, 10*time.Second, time.Millisecond)
	for _, version := range []string{"v2", ""} {
		for range 5 {
			c, err := v.Pick(t.Context(), request{version}, nil)
			require.NoError(t, err)
			c.Done(t.Context(), resolver.Outcome{Status: 503})
		}
	}
	docs.next <- config.NewDoc([]byte("gray: v1\n"))
	require.Eventually(t, func() bool { return v.State().RulesDoc.Refused != nil }, 10*time.Second, time.Millisecond)

	families, err := gatherer.Gather()
	require.NoError(t, err)
	out := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		out[f.GetName()] = labels
	}
	return out
}

func TestThePageNamesAllMetrics(t *testing.T) {
	t.Parallel()
	shown := rows(t, "metric")
	for _, labels := range shown {
		slices.Sort(labels)
	}
	assert.Equal(t, scrape(t), shown)
}

// TestThePageNamesAllKeys compares what the page says of spans and log lines with the
// names in the code.
func TestThePageNamesAllKeys(t *testing.T) {
	t.Parallel()
	names := func(path, pattern string) []string {
		found := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, path), -1) {
			found[m[1]] = true
		}
		require.NotEmpty(t, found)
		return slices.Sorted(maps.Keys(found))
	}
	attributes, events := rows(t, "attribute"), rows(t, "event")
	for name := range rows(t, "event") {
		delete(events, name)
		events[name] = nil
	}
	page := read(t, "../docs/telemetry.md")
	_, page, _ = strings.Cut(page, "\n## Spans\n")
	page, lines, _ := strings.Cut(page, "\n## Log lines\n")
	for _, key := range names("otelx/hooks.go", `attribute\.Key\("([^"]+)"\)`) {
		assert.Contains(t, page, "`"+key+"`")
		delete(attributes, key)
	}
	for _, event := range names("otelx/hooks.go", `event\w+ += "([^"]+)"`) {
		delete(events, event)
	}
	assert.Empty(t, attributes, "there are none of these")
	assert.Empty(t, events, "nor of these")

	fields, messages := rows(t, "field"), rows(t, "message")
	code := names("zapx/decisions.go", `(?:zap\.\w+|text)\("(\w+)"`)
	assert.ElementsMatch(t, append(code, "service", "error"), slices.Collect(maps.Keys(fields)))
	assert.ElementsMatch(t, names("zapx/decisions.go", `"((?:request|attempt) [a-z ]+)"`), slices.Collect(maps.Keys(messages)))
	assert.Contains(t, lines, "at most 100 lines a second")
}

func TestThePagesProgramsCompile(t *testing.T) {
	t.Parallel()
	dedent := func(text string) string { return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "") }
	compiled := dedent(read(t, "example_test.go"))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/telemetry.md"), -1)
	require.Len(t, blocks, 2)
	for _, b := range blocks {
		assert.Contains(t, compiled, dedent(b[1]))
	}
	assert.LessOrEqual(t, strings.Count(blocks[0][1], "\n"), 15, "wiring is short")
}
