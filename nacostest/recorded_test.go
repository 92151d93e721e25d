package nacostest_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
)

// To record the answers of a real Nacos anew:
//
//	go test ./nacostest -run Recorded -record 127.0.0.1:8848 -console 127.0.0.1:8080
var (
	record  = flag.String("record", "", "HTTP address of a real Nacos whose answers are to be recorded")
	console = flag.String("console", "", "address of its console")
)

const recording = "testdata/nacos-3.1.0.jsonl"

// step is one thing that the script does, on a gRPC connection or over HTTP.
type step struct {
	conn string // name of the connection
	send string // type of a unary request
	body string
	// await is the type of the next push.
	await string

	http   string // method and path
	form   string
	casMD5 string
	// settled steps wait until the change before them is everywhere: answers of
	// Nacos lag.
	settled bool
}

func (s step) String() string {
	return strings.Join(strings.Fields(fmt.Sprint(s.conn, " ", s.send, " ", s.body, " ", s.await, " ", s.http, " ", s.form, " ", s.casMD5)), " ")
}

// answer is what came of a step, with what differs in each run left out.
type answer struct {
	Step   string `json:"step"`
	Type   string `json:"type,omitempty"`
	Status int    `json:"status,omitempty"`
	Body   any    `json:"body,omitempty"`
	Text   string `json:"text,omitempty"`
}

// TestAnswersAreThoseRecordedFromNacos plays a script and compares every answer
// and every push with those of the real server.
func TestAnswersAreThoseRecordedFromNacos(t *testing.T) {
	service := "sample"
	httpAddr, consoleAddr := *record, *console
	if *record == "" {
		srv := nacostest.Run(t)
		httpAddr, consoleAddr = srv.Addr(), srv.Addr()
	} else {
		// The real server remembers earlier runs.
		service = "user-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	play := &player{t: t, http: httpAddr, console: consoleAddr, service: service, conns: map[string]*client{}}
	got := []answer{}
	for _, s := range script() {
		got = append(got, play.do(s))
	}
	if *record != "" {
		writeRecording(t, got)
		return
	}
	want := readRecording(t)
	require.Len(t, want, len(got), "the script has changed: record it anew")
	for i := range got {
		require.Equal(t, want[i].Step, got[i].Step, "the script has changed: record it anew")
		assert.Equal(t, want[i], got[i], got[i].Step)
	}
}

type player struct {
	t                      *testing.T
	http, console, service string
	conns                  map[string]*client
}

func (p *player) do(s step) answer {
	p.t.Helper()
	out := answer{Step: s.String()}
	if s.settled && *record != "" {
		// Nothing tells when Nacos has settled.
		<-time.After(time.Second)
	}
	with := func(text string) string { return strings.ReplaceAll(text, "SVC", p.service) }
	if s.http != "" {
		method, path, _ := strings.Cut(s.http, " ")
		addr := p.http
		if strings.HasPrefix(path, "/v3/console") {
			addr = p.console
		}
		var text string
		out.Status, text = curl(p.t, method, addr, path, with(s.form), "casMd5", s.casMD5)
		if json.Unmarshal([]byte(text), &out.Body) != nil {
			out.Text = strings.TrimSpace(text)
		}
		out.Body = p.steady(out.Body)
		return out
	}
	c := p.conns[s.conn]
	if c == nil {
		host, port, err := net.SplitHostPort(p.http)
		require.NoError(p.t, err)
		n, err := strconv.Atoi(port)
		require.NoError(p.t, err)
		c = dial(p.t, net.JoinHostPort(host, strconv.Itoa(n+1000)))
		p.conns[s.conn] = c
	}
	var m message
	switch {
	case s.send == "ConnectionSetupRequest":
		c.setup(s.body)
		return out
	case s.send != "":
		m = c.call(s.send, with(s.body))
	default:
		m = c.await()
		require.Equal(p.t, s.await, m.Type, out.Step)
	}
	out.Type, out.Body = m.Type, p.steady(m.Body)
	return out
}

var connectionID = regexp.MustCompile(`\d{13}_[\d.]+_\d+`)

// steady replaces what is different in each run and sorts what has no order.
func (p *player) steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			switch k {
			case "lastRefTime", "lastModified", "createTime", "modifyTime", "id", "connectionId", "createIp", "timestamp":
				if x != 0.0 {
					v[k] = "*"
				}
			case "requestId":
				if x != nil {
					v[k] = "*"
				}
			case "abilityTable":
				for ability := range x.(map[string]any) {
					x.(map[string]any)[ability] = "*"
				}
			default:
				v[k] = p.steady(x)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = p.steady(v[i])
		}
		slices.SortFunc(v, func(a, b any) int {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return cmp.Compare(string(x), string(y))
		})
		return v
	case string:
		return connectionID.ReplaceAllString(strings.ReplaceAll(v, p.service, "SVC"), "CONNECTION")
	default:
		return v
	}
}

func writeRecording(t *testing.T, got []answer) {
	t.Helper()
	f, err := os.Create(recording)
	require.NoError(t, err)
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	for _, a := range got {
		require.NoError(t, enc.Encode(a))
	}
	require.NoError(t, f.Close())
}

func readRecording(t *testing.T) []answer {
	t.Helper()
	f, err := os.Open(recording)
	require.NoError(t, err)
	defer f.Close()
	var list []answer
	for dec := json.NewDecoder(f); dec.More(); {
		var a answer
		require.NoError(t, dec.Decode(&a))
		list = append(list, a)
	}
	return list
}
