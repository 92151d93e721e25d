package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// traffic is some of a day: 1,000 requests that are drawn, 10 that ask for a
// version, and two of which one is refused.
func traffic() string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `{"id":"d%d","path":"/drawn"}`+"\n", i)
	}
	for i := range 10 {
		fmt.Fprintf(&b, `{"id":"a%d","headers":{"x-gray-version":["v2"]},"slot":1}`+"\n", i)
	}
	b.WriteString(`{"id":"gone","headers":{"x-gray-version":["v9"]}}` + "\n")
	b.WriteString(`{"id":"odd","headers":{"x-gray-version":["no name"]}}` + "\n")
	return b.String()
}

func TestAgainstCountsWhoMoves(t *testing.T) {
	args := append(scene(t), "--against", "new.yaml")
	after := strings.Replace(explainRules, "v2: 25%, v3: 25%", "v2: 35%, v3: 25%", 1)
	after = strings.Replace(after, "missing: fail", "missing: default", 1)
	after = strings.Replace(after, "10.0.0.6:80", "10.0.0.3:80", 1)
	require.NoError(t, os.WriteFile("new.yaml", []byte(after), 0o600))

	r := graylane(t, traffic(), append(args, "--json")...)
	assert.Empty(t, r.err)
	assert.Equal(t, exitOK, r.code)
	ids := func(from, to int) string { // whose slot is in [from, to)
		var out []string
		for i := range 1000 {
			if slot := i * 4143 % 10_000; slot >= from && slot < to && len(out) < 10 {
				out = append(out, fmt.Sprintf(`"d%d"`, i))
			}
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	// v2 grows from 2,500 slots to 3,500 and pushes v3, which has nobody.
	assert.Equal(t, `{"from":"v1","to":"v3 (fell back to default v1)","count":99,"requests":`+ids(5000, 6000)+`}
{"from":"v3 (fell back to default v1)","to":"v2","count":99,"requests":`+ids(2500, 3500)+`}
{"from":"refused: no_instance","to":"v9 (fell back to default v1)","count":1,"requests":["gone"]}
{"from":"refused: unknown_target","to":"v1","count":1,"requests":["odd"]}
{"from":"v1","to":"v1","count":400,"requests":`+ids(6000, 10_000)+`}
{"from":"v2","to":"v2","count":261,"requests":`+ids(0, 2500)+`}
{"from":"v3 (fell back to default v1)","to":"v3 (fell back to default v1)","count":151,"requests":`+ids(3500, 5000)+`}
`, r.out)

	r = graylane(t, traffic(), args...)
	assert.Equal(t, exitOK, r.code)
	assert.Empty(t, r.err)
	assert.Equal(t, `service  order, 6 instances of instances.jsonl
rules    rules.yaml
global   none
against  new.yaml

Of 1012 requests, 200 move and 812 stay.

    count   share  from → to
       99   9.78%  v1 → v3 (fell back to default v1)
                   d11 d23 d35 d40 d52 d64 d69 d81 d93 d105 ...
       99   9.78%  v3 (fell back to default v1) → v2
                   d8 d20 d32 d37 d49 d61 d66 d78 d90 d102 ...
        1   0.10%  refused: no_instance → v9 (fell back to default v1)
                   gone
        1   0.10%  refused: unknown_target → v1
                   odd
      400  39.53%  stay v1
      261  25.79%  stay v2
      151  14.92%  stay v3 (fell back to default v1)

Of those that stay, 261 have other candidates than before.
1000 requests were decided by a slot that was drawn here, the same for both
documents, since the request has none: 4143 times its index, modulo 10000, so
that shares come out right.
`, r.out)
}

func TestAgainstTheSameNobodyMoves(t *testing.T) {
	args := append(scene(t), "--against", "rules.yaml")
	r := graylane(t, `{"id":"a","user":"u1"}`+"\n"+`{"id":"b"}`, args...)
	assert.Equal(t, result{exitOK, `service  order, 6 instances of instances.jsonl
rules    rules.yaml
global   none
against  rules.yaml

Of 2 requests, 0 move and 2 stay.

    count   share  from → to
        1  50.00%  stay v1
        1  50.00%  stay v2
`, ""}, r)
	r = graylane(t, "", args...)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "Of 0 requests, 0 move and 0 stay.\n")
}
