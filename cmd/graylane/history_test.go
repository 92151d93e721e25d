package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/nacostest"
)

// recorded is a console that knows these changes, the last one first, as a real one
// answers.
func recorded(t *testing.T, changes []change) string {
	t.Helper()
	answer := func(w http.ResponseWriter, data any) {
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"code": 0, "message": "success", "data": data}))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/auth/user/login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("password") != "secret" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"accessToken":"token","tokenTtl":18000}`)
	})
	authorized := func(w http.ResponseWriter, r *http.Request) bool {
		assert.Equal(t, "gray.order.yaml", r.FormValue("dataId"))
		assert.Equal(t, "GRAY", r.FormValue("groupName"))
		assert.Equal(t, "public", r.FormValue("namespaceId"))
		if r.Header.Get("accessToken") != "token" {
			http.Error(w, "who are you?", http.StatusForbidden)
			return false
		}
		return true
	}
	mux.HandleFunc("GET /v3/console/cs/history/list", func(w http.ResponseWriter, r *http.Request) {
		if !authorized(w, r) {
			return
		}
		list := append([]change{}, changes...)
		for i := range list {
			list[i].Content, list[i].MD5 = "", ""
		}
		answer(w, map[string]any{"totalCount": len(list), "pageItems": list})
	})
	mux.HandleFunc("GET /v3/console/cs/history", func(w http.ResponseWriter, r *http.Request) {
		if !authorized(w, r) {
			return
		}
		for _, ch := range changes {
			if ch.ID == r.FormValue("nid") {
				answer(w, ch)
				return
			}
		}
		fmt.Fprint(w, `{"code":20002,"message":"parameter validate error","data":"Source must not be null"}`)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// ofNacos are the changes that Nacos 3.1.0 has recorded of: created as "one", changed
// to "two", to "three", deleted, created as "four", changed to "five", on trial.
func ofNacos() []change {
	c := func(id, op, content string) change {
		return change{ID: id, OpType: op + "         ", Content: content, PublishType: "formal", SrcIP: "10.0.0.1", ModifyTime: 1795641557612}
	}
	trial := c("7", "I", "beta")
	trial.PublishType = "gray"
	return []change{
		trial, c("6", "U", "four"), c("5", "I", "four"), c("4", "D", "three"), c("3", "U", "two"), c("2", "U", "one"), c("1", "I", "one"),
	}
}

func TestVersionsOfChanges(t *testing.T) {
	formal := ofNacos()[1:]
	var got []string
	for _, v := range versions(formal, config.NewDoc([]byte("five"))) {
		got = append(got, v.ID+" "+string(v.content)+map[bool]string{true: "deleted"}[v.deleted])
	}
	assert.Equal(t, []string{"6 five", "5 four", "4 deleted", "3 three", "2 two", "1 one"}, got)

	for _, c := range []struct {
		changes []change
		id      string
		want    string // or a part of the error
	}{
		{formal, "", "four"},
		{formal, "3", "three"},
		{formal, "6", "five"},
		{formal, "4", "not in Nacos's history"},
		{formal, "9", "there is no change 9"},
		{formal[1:], "", "change 4 had deleted it"},
		{formal[2:], "", "three"},
		{formal[5:], "", "nothing was there before"},
		{nil, "", "nothing was there before"},
		{[]change{formal[1], formal[3]}, "3", "not in Nacos's history"}, // that it was deleted is missing
	} {
		var got string
		if v, err := before(versions(c.changes, config.NewDoc([]byte("five"))), c.id); err != nil {
			got = err.Error()
		} else {
			got = string(v.content)
		}
		assert.Contains(t, got, c.want)
	}
}

func TestHistoryAndRollback(t *testing.T) {
	srv := live(t, nacostest.WithAuth("ops", "secret"))
	live, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")
	changes := ofNacos()
	changes[1].Content = good
	changes[1].SrcUser = "eve\x1b[2J"
	addr := recorded(t, changes)
	args := func(words ...string) []string {
		return append(words, "order", "--timeout", "30s", "--nacos", srv.Addr(), "--console", addr)
	}

	r := graylane(t, "", args("history")...)
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(t, "graylane history: "+addr+": 403 Forbidden: set NACOS_USERNAME and NACOS_PASSWORD of somebody who may\n", r.err)
	t.Setenv("NACOS_USERNAME", "ops")
	t.Setenv("NACOS_PASSWORD", "wrong")
	r = graylane(t, "", args("history")...)
	assert.Contains(t, r.err, `login of user "ops": `)
	assert.NotContains(t, r.err, "wrong")
	t.Setenv("NACOS_PASSWORD", "secret")

	r = graylane(t, "", args("history", "--last", "3")...)
	assert.Equal(t, exitOK, r.code, r.err)
	assert.Equal(t, 4, strings.Count(r.out, "\n"))
	assert.Regexp(t, `(?m)^6 .* changed  `+announce.Short(config.NewDoc([]byte(live)).MD5)+` .*"eve\\x1b`, r.out)
	assert.Regexp(t, `(?m)^5 .* created  [0-9a-f]{12}`, r.out)
	assert.Regexp(t, `(?m)^4 .* deleted  deleted`, r.out)
	r = graylane(t, "", args("history", "--json")...)
	assert.Equal(t, 6, strings.Count(r.out, "\n"))
	assert.Contains(t, r.out, `{"id":"2","at":"2026-11-25T`)

	// What the last change took away was "good", says the row of that change; but the
	// version before it is what the row before made.
	r = graylane(t, "", args("rollback", "--dry-run", "--to", "2")...)
	assert.Contains(t, r.out, "gray.order.yaml: back to revision "+announce.Short(config.NewDoc([]byte("two")).MD5))
	assert.Equal(t, exitFailed, r.code, "two is no document")
	changes[2].Content = good
	r = graylane(t, "", args("rollback", "--yes", "--wait", "1s")...)
	assert.Equal(t, exitOK, r.code, r.err)
	now, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")
	assert.Equal(t, good, now)
	assert.Contains(t, r.out, "(change 5)\n")
	assert.Contains(t, r.out, "-  gone: {version: v3}\n")
}

func TestHistoryOfWhatIsNoNacos(t *testing.T) {
	srv := nacostest.Run(t)
	r := graylane(t, "", "history", "order", "--timeout", "30s", "--nacos", srv.Addr())
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "history needs Nacos 3")
	for body, want := range map[string]string{
		"<html>":                                "the answer is not that of Nacos 3's console",
		`{"code":20004,"message":"no\nand no"}`: "no; and no (code 20004)",
		`{"code":0,"data":{}}`:                  "Nacos knows no change of it",
	} {
		odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		r = graylane(t, "", "history", "order", "--timeout", "30s", "--nacos", srv.Addr(), "--console", odd.URL)
		odd.Close()
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, want)
	}
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer elsewhere.Close()
	r = graylane(t, "", "history", "order", "--timeout", "30s", "--nacos", srv.Addr(), "--console", elsewhere.URL)
	assert.Contains(t, r.err, "302 Found")
	require.Equal(t, 1, strings.Count(r.err, "\n"))
}
