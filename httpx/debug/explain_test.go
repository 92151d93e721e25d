package debug

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/explain"
)

// post sends a form, or JSON, to the page.
func (s *scene) post(t *testing.T, kind, body string) (status int, answer string) {
	t.Helper()
	r := ask(s, http.MethodPost, "/explain", func(r *http.Request) {
		r.Header.Set("Content-Type", kind)
		r.Body = io.NopCloser(strings.NewReader(body))
		if kind == "application/json" {
			r.Header.Set("Accept", kind)
		}
	})
	return r.Code, text(r)
}

const asForm = "application/x-www-form-urlencoded"

func TestARequestIsExplainedAsTheCommandDoes(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		const json = `{"id":"request","method":"GET","path":"/pay","headers":{"x-user-id":["u1"]},"slot":7}`
		r, err := explain.ParseRequest([]byte(json), 0)
		require.NoError(t, err)
		state := s.view.State()
		d := explain.NewDirector(state.Director, state.Rules)
		want, answer := d.Text(r), d.Answer(r)
		require.Contains(t, want, "prefer zone=a", "this process's own")

		form := url.Values{"method": {"GET"}, "path": {"/pay"}, "headers": {"X-User-Id: u1\n"}, "slot": {"7"}}
		status, page := s.post(t, asForm, form.Encode())
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, page, escaped(want))
		assert.Contains(t, page, `value="/pay"`, "the form is as it was")
		assert.Contains(t, s.get(t, "/explain?"+form.Encode()), escaped(want))

		got := read[explainPage](t, s, "/explain?"+form.Encode())
		assert.Equal(t, &answer, got.Answer)
		assert.Equal(t, want, got.Text)

		status, page = s.post(t, "application/json; charset=utf-8", json)
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, page, escaped(want))
		status, page = s.post(t, "application/json", json)
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, page, `"answer":{"id":"request","via":"rule","rule":"canary"`)
	})
}

func escaped(s string) string {
	return strings.NewReplacer(`"`, "&#34;", "'", "&#39;", "<", "&lt;", ">", "&gt;", "&", "&amp;").Replace(s)
}

func TestTheFormSaysAllThatRulesAskFor(t *testing.T) {
	const rules = `gray: v1
default: v1
rules:
- {name: everything, when: {cookie.c: x, query.q: "1 2", path: /a b, method: PUT, lane: gone, user: u, header.x-h: h, caller.zone: z, caller.service: web}, to: v2}
- {name: own, when: {caller.zone: a}, to: v3}
`
	within(t, rules, fleet(), func(s *scene) {
		t := s.t
		form := url.Values{
			"method": {"PUT"}, "path": {"/a%20b?q=1+2&q=3"}, "headers": {"X-H: h\r\ncookie: c=x; c=y\r\n"},
			"user": {"u"}, "lane": {"gone"}, "caller": {"zone=z\nservice=web"},
		}
		got := read[explainPage](t, s, "/explain?"+form.Encode())
		assert.Equal(t, "everything", got.Answer.Rule)
		form.Del("caller")
		got = read[explainPage](t, s, "/explain?"+form.Encode())
		assert.Equal(t, "own", got.Answer.Rule, "the caller is this process")
		assert.Contains(t, got.Text, `lane "gone" has no usable instance here`)
	})
}

func TestAFormThatSaysNothingUsefulIsToldSo(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		for body, want := range map[string]string{
			"path=pay":                     "path: invalid URI for request",
			"headers=X-A":                  `headers: "X-A" is no name, ":" and value, as X-User-Id: u1`,
			"headers=%3A+x":                `headers: ": x" is no name`,
			"caller=zone":                  `caller: "zone" is no name, "=" and value, as zone=a`,
			"slot=x":                       `slot: "x" is no whole number`,
			"slot=10000":                   "field slot: 10000 is not from 0 to 9999",
			"a=%zz":                        "invalid URL escape",
			strings.Repeat("x", maxBody+1): "http: request body too large",
		} {
			status, page := s.post(t, asForm, body)
			assert.Equal(t, http.StatusBadRequest, status, "%.20s", body)
			assert.Contains(t, page, `role="alert">`+escaped(want), "%.20s", body)
		}
		status, page := s.post(t, "application/json", `{"id":"a","hedaers":{}}`)
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Contains(t, page, `"error":"unknown field \"hedaers\""`)
		status, _ = s.post(t, "application/json", `"`+strings.Repeat("x", maxBody))
		assert.Equal(t, http.StatusBadRequest, status)

		status, page = s.post(t, asForm, "")
		assert.Equal(t, http.StatusOK, status, "an empty request is one")
		assert.Contains(t, page, "ten")
		assert.NotContains(t, s.get(t, "/explain"), "<pre", "nothing was asked")
	})
}

func TestAnExplanationSaysWhatKeepsRequestsAwayNow(t *testing.T) {
	within(t, "gray: v1\ndefault: v1\nrules: [{name: a, when: {header.x-a: a}, to: v2}]\nguard: {failures: 3, hold: 1m}\n", fleet(), func(s *scene) {
		t := s.t
		s.send(t, 3, http.StatusServiceUnavailable, "X-A: a")
		s.send(t, 60, http.StatusBadGateway)
		got := read[explainPage](t, s, "/explain?headers=X-A:a")
		assert.Equal(t, "v2", got.Answer.Target)
		require.Len(t, got.Notes, 2)
		assert.Contains(t, got.Notes[0], "The guard has withdrawn v2")
		assert.Regexp(t, `^Picks pass over \d`, got.Notes[1])
	})
}
