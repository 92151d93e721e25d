package balancer

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

// asked is a config.Request over an http.Header, which is what most requests are.
type asked struct {
	http *http.Request
	user string
}

func (r *asked) Header(n config.HeaderName) (string, bool) {
	if vs := r.http.Header[n.Canonical]; len(vs) == 1 {
		return vs[0], true
	}
	return "", false
}
func (r *asked) Cookie(string) (string, bool) { return "", false }
func (r *asked) Query(string) (string, bool)  { return "", false }
func (r *asked) Path() string                 { return r.http.URL.Path }
func (r *asked) Method() string               { return r.http.Method }
func (r *asked) User() string                 { return r.user }
func (r *asked) Lane() string                 { return "" }

func document(n int, rule func(i int) string) string {
	var b strings.Builder
	b.WriteString("gray: v1\ndefault: v1\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, "- {name: r%d, %s}\n", i, rule(i))
	}
	return b.String()
}

// BenchmarkDecide is the decision alone, without the pick of an instance.
func BenchmarkDecide(b *testing.B) {
	request := func(headers int) *http.Request {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://order/orders/17", http.NoBody)
		require.NoError(b, err)
		for i := range headers {
			req.Header.Set(fmt.Sprint("X-Field-", i), fmt.Sprint("value-", i))
		}
		return req
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprint("X-Field-", i)
	}
	for _, c := range []struct {
		name, doc, target string
		headers           int // of the request
	}{
		{"no rule", "gray: v1\ndefault: v1\n", "v1", 8},
		{"ten rules on one header, the last matches", document(10, func(i int) string {
			return fmt.Sprintf("when: {header.x-field-0: value-%d}, to: v2", 9-i)
		}), "v2", 8},
		{"ten rules on ten headers, the last matches", document(10, func(i int) string {
			return fmt.Sprintf("when: {header.x-field-%d: value-9}, to: v2", i)
		}), "v2", 20},
		{"200 rules on one header, none matches", document(200, func(i int) string {
			return fmt.Sprintf("when: {header.x-field-0: other-%d}, to: v2", i)
		}), "v1", 8},
		{"200 rules on twenty headers, none matches", document(200, func(i int) string {
			return fmt.Sprintf("when: {header.x-field-%d: other-%d}, to: v2", i%20, i)
		}), "v1", 20},
		{"sticky split", "gray: v1\ndefault: v1\nrules:\n- {name: ten-percent, to: {v2: 100%}, sticky: user}\n", "v2", 8},
		{"drawn split", "gray: v1\ndefault: v1\nrules:\n- {name: ten-percent, to: {v2: 100%}}\n", "v2", 8},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := Build(rules(b, c.doc), nil, snapshot(versions("v1", "v2")...), Options{}, nil)
			var r config.Request = &asked{request(c.headers), "u1"}
			dec, err := d.Decide(r)
			require.NoError(b, err)
			require.Equal(b, c.target, dec.Target)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decide(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("for comparison: ten bare http.Header lookups", func(b *testing.B) {
		n, req := 0, request(20)
		for b.Loop() {
			for _, name := range names {
				if vs := req.Header[name]; len(vs) == 1 {
					n += len(vs[0])
				}
			}
		}
		require.Positive(b, n)
	})
}
