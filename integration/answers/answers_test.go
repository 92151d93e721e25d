package answers

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/nacostest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is one request of an operator.
type step struct {
	name    string
	request string // method and path; the console's are sent to the console
	form    string
	// sees and hides are what a read must show and what it must not. The read is
	// repeated until it is so: Nacos shows a change about a second late.
	sees, hides string
}

const (
	list      = "GET /nacos/v3/client/ns/instance/list"
	adminList = "GET /nacos/v3/admin/ns/instance/list"
	instance  = "/nacos/v3/client/ns/instance"
	edit      = "PUT /nacos/v3/admin/ns/instance"
	document  = "/nacos/v3/admin/cs/config"
	published = "GET /v3/console/cs/config"
)

// Forms of the script.
const (
	order = "serviceName=order"
	at1   = order + "&ip=10.0.0.1&port=8080"
	at2   = order + "&ip=10.0.0.2&port=8080"
	rules = "dataId=gray.order.yaml&groupName=GRAY"
)

func script() []step {
	return []step{
		{"a service that nobody registered", list, order, `"data":[]`, ""},
		{"register", "POST " + instance, at1 + `&ephemeral=true&weight=0.5&metadata={"version":"v1"}`, "", ""},
		{"register another", "POST " + instance, at2 + `&ephemeral=true&metadata={"version":"v2"}`, "", ""},
		{"both are listed", list, order, `"ip":"10.0.0.2"`, ""},
		{"the admin lists both", adminList, order, `"ip":"10.0.0.2"`, ""},
		{"register without a service", "POST " + instance, "ip=10.0.0.1&port=8080", "", ""},
		{"register without an address", "POST " + instance, order, "", ""},
		{"register at a port that is none", "POST " + instance, order + "&ip=10.0.0.1&port=x", "", ""},

		{"edit weight and version", edit, at2 + `&clusterName=DEFAULT&ephemeral=true&enabled=true&weight=3&metadata={"version":"v3"}`, "", ""},
		{"the edit is listed", list, order, `"version":"v3"`, ""},
		{"take offline", edit, at2 + `&clusterName=DEFAULT&ephemeral=true&enabled=false&weight=3&metadata={"version":"v3"}`, "", ""},
		{"offline in the list", list, order, `"ip":"10.0.0.1"`, `10.0.0.2`},
		{"offline for the admin", adminList, order, `"enabled":false`, ""},
		{"take online", edit, at2 + `&clusterName=DEFAULT&ephemeral=true&enabled=true&weight=0&metadata={"version":"v3"}`, "", ""},
		{"weight 0 is listed", list, order, `"weight":0}`, ""},
		{"deregister", "DELETE " + instance, at1 + "&ephemeral=true", "", ""},
		{"one is left", list, order, `10.0.0.2`, `10.0.0.1`},

		{"a document that is not there", "GET " + document, rules, "", ""},
		{"publish", "POST " + document, rules + "&type=yaml&content=default: v1", "", ""},
		{"the console shows it", published, rules, `"default: v1"`, ""},
		{"publish as the console does", "POST /v3/console/cs/config", rules + "&type=yaml&content=default: v2", "", ""},
		{"the admin sees it", "GET " + document, rules, `"default: v2"`, ""},
		{"publish nothing", "POST " + document, rules + "&type=yaml&content=", "", ""},
		{"publish without a name", "POST " + document, "groupName=GRAY&content=a", "", ""},
		{"remove", "DELETE " + document, rules, "", ""},
		{"it is gone", "GET " + document, rules, `not exist`, ""},
		{"remove again", "DELETE " + document, rules, "", ""},
	}
}

// TestEmbeddedAnswersAsTheRealOne plays the script on both and compares status
// and body of every answer.
func TestEmbeddedAnswersAsTheRealOne(t *testing.T) {
	embedded := nacostest.Run(t)
	node := nacos.Run(t)
	for _, s := range script() {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			want := s.play(t, node.Addr(), node.Console())
			got := s.play(t, embedded.Addr(), embedded.Addr())
			assert.Equal(t, want, got)
		})
	}
}

// answer is what came back, without what differs from run to run.
type answer struct {
	Status int
	Body   string
}

// lag bounds how long a read may wait for a change.
const lag = 10 * time.Second

func (s step) play(t *testing.T, api, console string) answer {
	t.Helper()
	a := s.send(t, api, console)
	for deadline := time.Now().Add(lag); !s.settled(a); a = s.send(t, api, console) {
		require.True(t, time.Now().Before(deadline), "%s still answers %s", s.request, a.Body)
		<-time.After(50 * time.Millisecond)
	}
	return a
}

func (s step) settled(a answer) bool {
	return strings.Contains(a.Body, s.sees) && (s.hides == "" || !strings.Contains(a.Body, s.hides))
}

func (s step) send(t *testing.T, api, console string) answer {
	t.Helper()
	method, path, _ := strings.Cut(s.request, " ")
	addr := api
	if strings.HasPrefix(path, "/v3/console") {
		addr = console
	}
	form := url.Values{}
	for pair := range strings.SplitSeq(s.form, "&") {
		k, v, _ := strings.Cut(pair, "=")
		form.Set(k, v)
	}
	target, body := "http://"+addr+path, form.Encode()
	if method == http.MethodGet || method == http.MethodDelete {
		target, body = target+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, err)
	return answer{resp.StatusCode, steady(t, text)}
}

// steady returns the JSON with sorted keys and lists, and without what no two
// servers share: times and identities. Text that is no JSON stays as it is.
func steady(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if json.Unmarshal(text, &v) != nil {
		return strings.TrimSpace(string(text))
	}
	blur(v)
	return canonical(v)
}

func blur(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			switch k {
			case "id", "createTime", "modifyTime", "timestamp", "lastBeat", "createIp":
				v[k] = "*"
			default:
				blur(v[k])
			}
		}
	case []any:
		for _, x := range v {
			blur(x)
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(canonical(a), canonical(b)) })
	}
}

// canonical returns what was read from JSON as JSON again.
func canonical(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error() // cannot be: it was JSON
	}
	return string(text)
}
