// Picture plays the quickstart, and draws what it has counted: the picture of the README,
// whose bars move from step to step.
//
//	go run ./cmd/picture ../docs/img/split.svg
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal("picture: ", err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: picture FILE.svg")
	}
	cmd := exec.CommandContext(ctx, "go", "run", "./examples/quickstart")
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("quickstart: %w", err)
	}
	text, err := draw(string(out))
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], text, 0o600) //nolint:gosec // the operator names the file
}

// step is one table of the quickstart.
type step struct {
	Title string
	Rows  []row
}

// row is who was asked, and the percents of v1, v2, v3.
type row struct {
	Label  string
	Shares [3]float64
}

var (
	title = regexp.MustCompile(`^[1-9] {2}(.*)$`)
	line  = regexp.MustCompile(`^ {3}(.*?) +[█▒░]+ {3}(.*)$`)
	share = regexp.MustCompile(`v([123]) +\d+ +([\d.]+) %`)
)

// steps reads the tables.
func steps(text string) []step {
	var all []step
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		if m := title.FindStringSubmatch(l); m != nil {
			name, _, _ := strings.Cut(m[1], ": {")
			all = append(all, step{Title: name})
		} else if m := line.FindStringSubmatch(l); m != nil && len(all) > 0 {
			r := row{Label: m[1]}
			for _, s := range share.FindAllStringSubmatch(m[2], -1) {
				r.Shares[s[1][0]-'1'], _ = strconv.ParseFloat(s[2], 64) // the pattern lets numbers pass
			}
			last := &all[len(all)-1]
			last.Rows = append(last.Rows, r)
		}
	}
	return all
}

// Measures of the picture, in pixels; and how long a step is shown, in seconds.
const (
	barX, barWidth = 200, 420
	rowY, rowHigh  = 64, 30
	seconds        = 3
)

func draw(text string) ([]byte, error) {
	all := steps(text)
	if len(all) == 0 || len(all[0].Rows) == 0 {
		return nil, errors.New("the quickstart has printed no table")
	}
	for i := range all {
		if len(all[i].Rows) != len(all[0].Rows) {
			return nil, fmt.Errorf("step %q has other rows than the first", all[i].Title)
		}
	}
	var out bytes.Buffer
	err := page().Execute(&out, map[string]any{
		"Steps": all, "Rows": all[0].Rows, "Seconds": seconds * len(all),
		"High": rowY + rowHigh*len(all[0].Rows) + 36,
	})
	return out.Bytes(), err
}

// from returns when, in percent of the round, step i of n begins.
func from(i, n int) float64 { return 100 * float64(i) / float64(n) }

// shift is where the bar of version v begins, and how wide it is, as CSS.
func shift(r row, v int) string {
	at := 0.0
	for _, s := range r.Shares[:v] {
		at += s
	}
	return fmt.Sprintf("transform:translateX(%.1fpx) scaleX(%.4f)", at/100*barWidth, max(r.Shares[v], 0.01)/100)
}

func shares(r row) string {
	var parts []string
	for v, s := range r.Shares {
		if s > 0 {
			parts = append(parts, fmt.Sprintf("v%d %.0f %%", v+1, s))
		}
	}
	return strings.Join(parts, "  ")
}

func page() *template.Template {
	return template.Must(template.New("svg").Funcs(template.FuncMap{
		"from": from, "shift": shift, "shares": shares,
		"add": func(a, b int) int { return a + b }, "y": func(i int) int { return rowY + rowHigh*i },
		"hold": func(i, n int) float64 { return from(i+1, n) - 3 }, "seq": func(n int) []int { return []int{0, 1, 2}[:n] },
	}).Parse(svg))
}

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {{.High}}" font-family="ui-sans-serif,system-ui,sans-serif" font-size="14" role="img" aria-label="The share of each version moves as the operator edits the rules">
<style>
.c{fill:#fff;stroke:#d0d7de}.t{fill:#1f2328}.m{fill:#59636e}.v0{fill:#57606a}.v1{fill:#2da44e}.v2{fill:#bf8700}
@media(prefers-color-scheme:dark){.c{fill:#0d1117;stroke:#3d444d}.t{fill:#f0f6fc}.m{fill:#9198a1}.v0{fill:#8b949e}.v1{fill:#3fb950}.v2{fill:#d29922}}
{{- $n := len .Steps}}{{$steps := .Steps}}
.s{opacity:0}
{{- range $i, $s := $steps}}
.s{{$i}}{animation:s{{$i}} {{$.Seconds}}s step-end infinite}
@keyframes s{{$i}}{0%{opacity:{{if eq $i 0}}1{{else}}0{{end}}}{{printf "%.2f" (from $i $n)}}%{opacity:1}{{if lt (add $i 1) $n}}{{printf "%.2f" (from (add $i 1) $n)}}%{opacity:0}{{end}}}
{{- end}}
{{- range $r, $row := .Rows}}{{range $v := seq 3}}
.b{{$r}}{{$v}}{transform-box:fill-box;transform-origin:left;animation:b{{$r}}{{$v}} {{$.Seconds}}s ease-in-out infinite}
@keyframes b{{$r}}{{$v}}{ {{- range $i, $s := $steps}}{{printf "%.2f" (from $i $n)}}%,{{printf "%.2f" (hold $i $n)}}%{ {{- shift (index $s.Rows $r) $v -}} }{{end}}100%{ {{- shift (index (index $steps 0).Rows $r) $v -}} }}
{{- end}}{{end}}
</style>
<rect class="c" x=".5" y=".5" width="779" height="{{add .High -1}}" rx="8"/>
{{- range $i, $s := .Steps}}
<text class="t s s{{$i}}" x="20" y="34" font-size="17" font-weight="600">{{html $s.Title}}</text>
{{- end}}
{{- range $r, $row := .Rows}}
<text class="m" x="20" y="{{add (y $r) 15}}">{{html $row.Label}}</text>
{{- range $v := seq 3}}
<rect class="v{{$v}} b{{$r}}{{$v}}" x="200" y="{{y $r}}" width="420" height="20" rx="2"/>
{{- end}}
{{- range $i, $s := $steps}}
<text class="t s s{{$i}}" x="632" y="{{add (y $r) 15}}">{{shares (index $s.Rows $r)}}</text>
{{- end}}
{{- end}}
<text class="m" x="20" y="{{add .High -14}}" font-size="12">What a running consumer counted while an operator edited one document: go run ./examples/quickstart</text>
</svg>
`
