package demo

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The files that the compose file mounts.
const (
	dashboardFile  = "examples/demo/grafana/dashboards/graylane.json"
	datasourceFile = "examples/demo/grafana/datasources/prometheus.yml"
	prometheusFile = "examples/demo/prometheus/prometheus.yml"
	alertsFile     = "examples/demo/prometheus/alerts.yml"
)

// dashboard is what we rely on in Grafana's schema.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
			Datasource source
		}
	}
	Annotations struct {
		List []struct{ Expr string }
	}
	Panels []panel
}

type source struct{ Type, UID string }

type panel struct {
	ID              int
	Type, Title     string
	Datasource      source
	Repeat          string
	GridPos         struct{ X, Y, W, H int }
	Targets         []target
	FieldConfig     *struct{ Defaults, Overrides any }
	Options         map[string]any
	Description     string
	RepeatDirection string
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                source
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal([]byte(read(root(t), dashboardFile)), &d))
	return d
}

func TestDashboardIsSound(t *testing.T) {
	d := readDashboard(t)
	assert.Equal(t, "graylane", d.UID)
	assert.NotEmpty(t, d.Title)
	assert.Equal(t, 41, d.SchemaVersion)

	variables := []string{"__rate_interval", "__interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	taken := map[[2]int]string{} // cell of the grid → who has it
	ids := map[int]bool{}
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "%s: the id is another's", p.Title)
		ids[p.ID] = true
		assert.Contains(t, []string{"stat", "table", "timeseries"}, p.Type, p.Title)
		assert.NotEmpty(t, p.Title)
		assert.NotNil(t, p.FieldConfig, p.Title)
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				assert.Empty(t, taken[cell], "%s lies on it", p.Title)
				taken[cell] = p.Title
			}
		}
		refs := map[string]bool{}
		require.NotEmpty(t, p.Targets, p.Title)
		for _, q := range p.Targets {
			assert.False(t, refs[q.RefID], "%s: two queries %s", p.Title, q.RefID)
			refs[q.RefID] = true
			assert.Equal(t, source{"prometheus", "${datasource}"}, q.Datasource, p.Title)
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr+p.Title, -1) {
				assert.Contains(t, variables, m[1], p.Title)
			}
		}
	}
}

// TestMountedFilesFitTogether: each names the others as they are.
func TestMountedFilesFitTogether(t *testing.T) {
	p := load(t, File)
	home := *p.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	assert.Equal(t, filepath.Base(dashboardFile), filepath.Base(home))

	var s struct {
		Datasources []struct{ UID, URL string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(root(t), datasourceFile)), &s))
	assert.Equal(t, "http://prometheus:9090", s.Datasources[0].URL)

	// Every process that has an admin port is scraped, under its own name.
	var config struct {
		Scrape []struct {
			Static []struct {
				Targets []string
				Labels  map[string]string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(root(t), prometheusFile)), &config))
	scraped := map[string]string{}
	for _, group := range config.Scrape[0].Static {
		scraped[group.Targets[0]] = group.Labels["instance"]
	}
	admins := map[string]string{}
	for name, s := range p.Services {
		if port := s.Environment["ADMIN_ADDR"]; port != nil {
			admins[name+*port] = name
		}
	}
	assert.Equal(t, admins, scraped)
}

// TestAlertsSayWhatToDo: who is woken reads what it is, and what comes next.
func TestAlertsSayWhatToDo(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(root(t), alertsFile)), &file))
	require.NotEmpty(t, file.Groups)
	for _, r := range file.Groups[0].Rules {
		assert.Regexp(t, `^Graylane[A-Z]`, r.Alert)
		assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		assert.Contains(t, r.Annotations["summary"], "{{ $labels.service }}", r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		assert.Contains(t, read("testdata", "alerts.yml"), r.Alert, "promtool tests it")
	}
}

// TestPromtool checks the configuration and the rules, and runs the rules' own tests.
func TestPromtool(t *testing.T) {
	needs(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", filepath.Join(root(t), prometheusFile)},
		{"check", "rules", filepath.Join(root(t), alertsFile)},
		{"test", "rules", filepath.Join("testdata", "alerts.yml")},
	} {
		out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
		assert.NoError(t, err, "promtool %v: %s", args, out)
	}
}

var (
	metricName  = regexp.MustCompile(`\bgraylane_[a-z_]+`)
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// checkMetrics looks whether Prometheus has every metric that a file names.
func (e *eyes) checkMetrics() {
	e.t.Helper()
	var known []string
	e.get("label/__name__/values", nil, &known)
	named := map[string]bool{}
	for _, file := range []string{dashboardFile, alertsFile} {
		for _, name := range metricName.FindAllString(read(root(e.t), file), -1) {
			assert.Contains(e.t, known, name, file)
			named[name] = true
		}
	}
	ours := slices.DeleteFunc(known, func(name string) bool {
		return !strings.HasPrefix(name, "graylane_") || named[name] || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count")
	})
	e.t.Logf("FIGURE metrics that dashboard and alerts name: %d, all in a scrape; others: %v", len(named), ours)
}

// checkDashboard asks every query of the dashboard: each has an answer, with the labels
// that it is drawn by.
func (e *eyes) checkDashboard() {
	e.t.Helper()
	fill := strings.NewReplacer(`="$service"`, `="stock"`, `=~"$service"`, `=~".+"`, "$__rate_interval", "1m", "$__interval", "1m")
	for _, p := range readDashboard(e.t).Panels {
		for _, q := range p.Targets {
			result := e.query(fill.Replace(q.Expr))
			assert.NotEmpty(e.t, result, "%s: nothing to see by %s", p.Title, q.Expr)
			labels := map[string]string{}
			for _, s := range result {
				maps.Copy(labels, s.Metric)
			}
			for _, m := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
				assert.Contains(e.t, labels, m[1], "%s: %s", p.Title, q.Expr)
			}
		}
	}
}
