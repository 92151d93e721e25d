package httpx

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

func TestRequestSaysWhatConditionsAsk(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		"http://user/a%2Fb?x=1&x=2&empty&esc%20aped=a%2Bb+c&bad=%zz&bad=ok&;semi=1", http.NoBody)
	require.NoError(t, err)
	r.Header = http.Header{
		"X-One":       {"1"},
		"X-Empty":     {""},
		"X-Two":       {"1", "1"},
		"X-Gray-Lane": {"canary"},
		"X-User-Id":   {"u1"},
		"Cookie":      {`a=1; b="2"; a=3; bad="x; bad=ok`, "c=4;d=;=5"},
	}
	req := request{r}

	assert.Equal(t, "PUT", req.Method())
	assert.Equal(t, "/a/b", req.Path())
	assert.Equal(t, "canary", req.Lane())
	assert.Equal(t, "u1", req.User())
	assert.Equal(t, "app", request{r.WithContext(lane.WithUser(t.Context(), "app"))}.User())

	const absent = "<absent>"
	or := func(v string, ok bool) string {
		if !ok {
			return absent
		}
		return v
	}
	for name, want := range map[string]string{
		"x-one": "1", "X-ONE": "1", "x-empty": "", "x-two": absent, "x-none": absent,
	} {
		assert.Equal(t, want, or(req.Header(config.NewHeaderName(name))), "header %s", name)
	}
	for name, want := range map[string]string{
		"a": "1", "b": "2", "bad": "ok", "c": "4", "d": "", "none": absent,
	} {
		assert.Equal(t, want, or(req.Cookie(name)), "cookie %s", name)
	}
	for name, want := range map[string]string{
		"x": "1", "empty": "", "esc aped": "a+b c", "bad": "ok", "semi": absent, "none": absent,
	} {
		assert.Equal(t, want, or(req.Query(name)), "query %s", name)
	}
}

func TestRequestKnowsWhatIsSentWhereNothingIsSaid(t *testing.T) {
	req := request{&http.Request{URL: &url.URL{Scheme: "http", Host: "user"}}}
	assert.Equal(t, "GET", req.Method())
	assert.Equal(t, "/", req.Path())
	assert.Empty(t, req.Lane())
	assert.Empty(t, req.User())
	_, ok := req.Header(config.NewHeaderName("x"))
	assert.False(t, ok)
}

func TestRequestDoesNotAllocate(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/a?x=1&y=2", http.NoBody)
	require.NoError(t, err)
	r.Header = http.Header{"X-One": {"1"}, "X-Gray-Lane": {"l"}, "X-User-Id": {"u"}, "Cookie": {"a=1; b=2"}}
	name := config.NewHeaderName("x-one")
	found := 0
	ask := func(req config.Request) {
		for _, ok := range []bool{
			holds(req.Header(name)), holds(req.Cookie("b")), holds(req.Query("y")),
			req.Path() == "/a", req.Method() == "GET", req.User() == "u", req.Lane() == "l",
		} {
			if ok {
				found++
			}
		}
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { ask(request{r}) }))
	assert.Equal(t, 101*7, found)
}

func holds(_ string, ok bool) bool { return ok }

func TestCanonicalIsThatOfNetHTTP(t *testing.T) {
	often := append(lane.DefaultHeaders(), lane.HeaderBaggage, VersionHeader)
	for _, name := range append(often, "x-other", "etag") {
		assert.Equal(t, http.CanonicalHeaderKey(name), canonical(name))
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, name := range often {
			canonical(name)
		}
	}))
}

func FuzzQueryFindsWhatNetURLFinds(f *testing.F) {
	f.Add("x=1&y=2", "y")
	f.Add("a=%zz&a=1&;a=2&a", "a")
	f.Add("%61=1+2&&=3", "a")
	f.Fuzz(func(t *testing.T, raw, name string) {
		values, _ := url.ParseQuery(raw) // what it could not read, it left out
		want, ok := "", values.Has(name)
		if ok {
			want = values[name][0]
		}
		got, found := request{&http.Request{URL: &url.URL{RawQuery: raw}}}.Query(name)
		assert.Equal(t, ok, found)
		assert.Equal(t, want, got)
	})
}

func FuzzCookieFindsWhatNetHTTPFinds(f *testing.F) {
	f.Add(`a=1; b="2"`, "b=3", "b")
	f.Add(` a = x ;a="y`, "\ta=z", "a")
	f.Add("0\r", "1", "0")
	f.Fuzz(func(t *testing.T, line1, line2, name string) {
		if c, err := http.ParseSetCookie(name + "="); err != nil || c.Name != name {
			t.Skip("not a cookie's name")
		}
		r := &http.Request{Header: http.Header{"Cookie": {line1, line2}}}
		want, ok := "", false
		if c, err := r.Cookie(name); err == nil {
			want, ok = c.Value, true
		}
		got, found := request{r}.Cookie(name)
		assert.Equal(t, ok, found)
		assert.Equal(t, want, got)
	})
}
