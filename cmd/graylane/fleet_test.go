package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	root "github.com/graylane/graylane"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/nacostest"
)

const good = `gray: v1
default: v1
targets:
  v1: {version: v1}
  v2: {version: v2}
rules:
- {name: asked-for, by: header.x-gray-version}
`

// consumes starts a consumer of order and waits until Nacos knows it.
func consumes(t *testing.T, srv *nacostest.Server, opts ...root.Option) {
	t.Helper()
	others := len(srv.Instances(consumersOf("order")))
	c, err := root.Open(t.Context(), append(opts, root.WithServers(srv.Addr()), root.WithCacheDir("off"))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	v, err := c.Resolver().View(c.Resolver().Service("order"), "http")
	require.NoError(t, err)
	require.NoError(t, v.Ready(t.Context()))
	_, err = srv.AwaitInstances(t.Context(), consumersOf("order"), others+1)
	require.NoError(t, err)
}

// says announces by hand, as an older build or a process that hangs would. All are of one
// IP address, as containers of one machine may be; by hand, a port has one instance.
func says(srv *nacostest.Server, boot string, metadata map[string]string) nacostest.Instance {
	in := nacostest.NewInstance("10.0.0.9", int(boot[0]), metadata)
	in.Cluster, in.Metadata["boot"] = boot, boot
	srv.Register(consumersOf("order"), in)
	return in
}

// until runs a command until it is as wanted: announcements take a moment.
func until(t *testing.T, want func(result) bool, args ...string) result {
	t.Helper()
	var r result
	require.Eventually(t, func() bool {
		r = graylane(t, "", args...)
		return want(r)
	}, 30*time.Second, 20*time.Millisecond, "%+v", &r)
	return r
}

func TestStatusNamesWhoDoesNotFollow(t *testing.T) {
	srv := live(t)
	args := []string{"status", "order", "--timeout", "30s", "--nacos", srv.Addr()}
	r := graylane(t, "", args...)
	assert.Equal(t, exitOK, r.code)
	assert.Regexp(t, `^gray.order.yaml  [0-9a-f]{12}\nno consumer says that it consumes this\n$`, r.out)

	consumes(t, srv, root.WithService("web"), root.WithVersion("v3"))
	md5 := srv.Publish(config.DefaultGroup, "gray.order.yaml", good)
	r = until(t, func(r result) bool { return r.code == exitOK }, args...)
	assert.Contains(t, r.out, "gray.order.yaml  "+announce.Short(md5)+"\n")
	assert.Regexp(t, `(?m)^applied  `+announce.Short(md5)+`  [0-9.]+(ms|µs)  +web v3  +\S+  +\d+  +127\.0\.0\.1  +[A-Z0-9]{8}$`, r.out)
	assert.Contains(t, r.out, "1 of 1 consumer follow")

	says(srv, "AAAA", map[string]string{"md5": "0123456789ab", "lang": "v1", "svc": "web", "host": "h", "pid": "7"})
	says(srv, "BBBB", map[string]string{"md5": "0123456789ab", "bad": announce.Short(md5) + " bad-name", "host": "a\x1b[2J\u202e b"})
	r = until(t, func(r result) bool { return strings.Contains(r.out, "of 3 consumers") }, args...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.out, "1 of 3 consumers follow\n")
	assert.Contains(t, r.out, "not: web on h pid 7, 10.0.0.9, boot AAAA: has 0123456789ab of gray.order.yaml\n")
	assert.Contains(t, r.out, ": refuses gray.order.yaml: bad-name; has 0123456789ab\n")
	assert.NotContains(t, r.out, "\x1b")
	assert.NotContains(t, r.out, "\u202e")
	assert.Empty(t, r.err)

	var wire struct {
		Revision  string
		Follow    int
		Consumers []wireConsumer
	}
	require.NoError(t, json.Unmarshal([]byte(graylane(t, "", append(args, "--json")...).out), &wire))
	assert.Equal(t, md5, wire.Revision)
	assert.Equal(t, 1, wire.Follow)
	require.Len(t, wire.Consumers, 3)
	states := map[standing]int{}
	for _, c := range wire.Consumers {
		states[c.State]++
	}
	assert.Equal(t, map[standing]int{applied: 1, refused: 1, behind: 1}, states)

	assert.True(t, strings.HasSuffix(r.out, "\n\ngray.order.yaml: this graylane finds nothing wrong with it; is that of the consumer older?\n"), r.out)

	// What is wrong with a document is said once, whoever refuses it.
	odd := srv.Publish(config.DefaultGroup, "gray.order.yaml", good+"defualt: v1\n")
	says(srv, "CCCC", map[string]string{"bad": announce.Short(odd) + " unknown-field"})
	r = until(t, func(r result) bool { return strings.Count(r.out, "refuses gray.order.yaml: unknown-field") == 2 }, args...)
	assert.Contains(t, r.out, "has "+announce.Short(md5)+"\n")
	assert.Equal(t, 1, strings.Count(r.out, "there is no field"))
	assert.Regexp(t, `\n\ngray.order.yaml:\d+:1: unknown-field: there is no field "defualt", did you mean "default"\?\n  defualt: v1\n  \^\n$`, r.out)
	bad := srv.Publish(config.DefaultGroup, config.GlobalDocID, "gray: v1\n"+strings.Repeat("odd: 1\n", mostProblems+3))
	r = until(t, func(r result) bool { return strings.Contains(r.out, "refuses gray._global.yaml") }, args...)
	assert.Contains(t, r.out, announce.Short(bad))
	assert.Equal(t, mostProblems, strings.Count(r.out, "  odd: 1\n"))
	assert.Contains(t, r.out, "gray._global.yaml: 3 more; see graylane lint --nacos\n")
	srv.Remove(config.DefaultGroup, config.GlobalDocID)
	srv.Publish(config.DefaultGroup, "gray.order.yaml", good)
	until(t, func(r result) bool { return strings.Contains(r.out, "1 of 4 consumers follow") }, args...)

	// The global document counts too, and so does a document that is gone.
	global := srv.Publish(config.DefaultGroup, config.GlobalDocID, "gray: v1\n")
	r = until(t, func(r result) bool { return strings.Contains(r.out, "1 of 4 consumers follow") }, args...)
	assert.Contains(t, r.out, "gray._global.yaml  "+announce.Short(global))
	assert.Contains(t, r.out, "; has none of gray._global.yaml")
	srv.Remove(config.DefaultGroup, "gray.order.yaml")
	r = graylane(t, "", args...)
	assert.Contains(t, r.out, "keeps gray.order.yaml, of which there is none any more, as it was; has "+announce.Short(md5))
	assert.Equal(t, exitFailed, r.code)
}

func TestPublishWaitsForTheFleet(t *testing.T) {
	srv := live(t)
	for range 3 {
		consumes(t, srv)
	}
	name := file(t, "gray.order.yaml", good)
	md5 := config.NewDoc([]byte(good)).MD5
	args := []string{"publish", "--timeout", "30s", "--nacos", srv.Addr(), name}

	r := graylane(t, "", append(args, "--dry-run")...)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "   v2: {version: v2}\n-  gone: {version: v3}\n rules:\n")
	assert.NotContains(t, r.out, "published")
	content, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")
	assert.NotEqual(t, good, content)

	r = graylane(t, "", append(args, "--yes", "-v", "--wait", "30s")...)
	assert.Equal(t, exitOK, r.code, r.err)
	assert.Contains(t, r.out, "gray.order.yaml: published revision "+announce.Short(md5)+"\n"+
		"revision "+announce.Short(md5)+" applied by 3 of 3 consumers\n  applied p50 ")
	assert.Regexp(t, `(?m)^  applied p50 \S+(ms|µs), max \S+(ms|µs) after the push, by their own clocks$`, r.out)
	assert.Regexp(t, `(?m)^  announced to this command p50 \S+, max \S+ after the publish$`, r.out)
	assert.Equal(t, 3, strings.Count(r.out, " after the push, announced "))
	content, _ = srv.Config(config.DefaultGroup, "gray.order.yaml")
	assert.Equal(t, good, content)

	r = graylane(t, "", append(args, "--yes")...)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "is live already\nrevision "+announce.Short(md5)+" applied by 3 of 3 consumers\n")

	says(srv, "AAAA", map[string]string{"md5": "0123456789ab", "lang": "v1", "host": "hung"})
	next := file(t, "gray.order.yaml", good+"# next\n")
	until(t, func(r result) bool { return r.code == exitFailed }, "status", "order", "--timeout", "30s", "--nacos", srv.Addr())
	r = graylane(t, "", "publish", "--timeout", "30s", "--nacos", srv.Addr(), next, "--yes", "--wait", "6s", "--json")
	assert.Equal(t, exitFailed, r.code)
	var wire struct {
		Applied   int
		Consumers []wireConsumer
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &wire), "%s", r.out)
	assert.Equal(t, 3, wire.Applied)
	assert.Len(t, wire.Consumers, 4)
	assert.Contains(t, r.err, "+# next\n", "what a person is told goes elsewhere")
	for _, c := range wire.Consumers {
		assert.Equal(t, c.Host == "hung", c.State == behind)
		assert.Equal(t, c.State == applied, c.SeenMS > 0 && c.TookMS > 0)
	}
}

func TestPublishRefusesWhatCannotBeFollowed(t *testing.T) {
	srv := live(t)
	name := file(t, "gray.order.yaml", good)
	publish := func(name string, more ...string) result {
		return graylane(t, "", append([]string{"publish", "--timeout", "30s", "--nacos", srv.Addr(), "--wait", "200ms", name}, more...)...)
	}
	before, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")

	r := publish(file(t, "gray.order.yaml", "{gray: v1, default: v9, defaul: a}"), "--yes")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.out, "gray.order.yaml:1:25: unknown-field: ")
	assert.Equal(t, "graylane publish: gray.order.yaml has 1 error, and is not published\n", r.err)

	r = publish(name)
	assert.Equal(t, result{exitUsage, "", "graylane publish: stdin is no terminal to ask at: add --yes, or --dry-run to see what would change\n"}, r)

	says(srv, "AAAA", map[string]string{"md5": "0123456789ab", "lang": "v0", "svc": "old"})
	r = publish(name, "--yes")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.out, "old on 10.0.0.9, boot AAAA speaks v0 of the rule language, and not v1\n")
	assert.Contains(t, r.err, "1 consumer cannot follow it; add --anyway")
	now, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")
	assert.Equal(t, before, now)
	r = publish(name, "--yes", "--anyway")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.out, "applied by 0 of 1 consumer\nnot: old on 10.0.0.9, boot AAAA: has 0123456789ab of gray.order.yaml\n")

	for _, name := range []string{"gray.order.yml", "order.yaml"} {
		r = publish(file(t, name, good), "--yes")
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.err, "not the name of a document")
	}
	assert.Equal(t, exitUsage, publish("gray.missing.yaml", "--yes").code)

	// Others announce nothing.
	r = publish(file(t, "switches.order.yaml", "gray: v1\nswitches: {}\n"), "--yes")
	assert.Equal(t, exitOK, r.code, r.out)
	assert.Regexp(t, `switches.order.yaml: published revision [0-9a-f]{12}\n.*nobody was waited for.*\n$`, r.out)
}

func TestFeaturesThatConsumersLack(t *testing.T) {
	fleet := []consumer{
		{"10.0.0.1:1", "10.0.0.1:1", announce.Announcement{Language: "v1", Features: []string{"mirror", "shadow"}}},
		{"10.0.0.2:1", "10.0.0.2:1", announce.Announcement{Language: "v1", Features: []string{"mirror"}}},
		{"10.0.0.3:1", "10.0.0.3:1", announce.Announcement{}},
	}
	assert.Empty(t, lacking(fleet[:2], nil))
	assert.Empty(t, lacking(fleet[:2], []string{"mirror"}))
	assert.Equal(t, []string{
		"10.0.0.2:1 lacks shadow, which the document needs",
		"10.0.0.3:1 speaks an unknown version of the rule language, and not v1",
	}, lacking(fleet, []string{"mirror", "shadow"}))
}

func TestPublishThatSomebodyOvertook(t *testing.T) {
	const theirs = "{gray: v1, default: v2}\n"
	for name, prepare := range map[string]func(srv *nacostest.Server){
		"of a change":   func(*nacostest.Server) {},
		"of a creation": func(srv *nacostest.Server) { srv.Remove(config.DefaultGroup, "gray.order.yaml") },
	} {
		t.Run(name, func(t *testing.T) {
			srv := live(t)
			prepare(srv)
			consumes(t, srv)
			// Somebody publishes between our look and our publish; or, where Nacos
			// guards nothing, right after it.
			done := false
			srv.Intercept(func(r nacostest.Request) nacostest.Action {
				if r.Type == "ConfigPublishRequest" && !done {
					done = true
					if name == "of a change" {
						srv.Publish(config.DefaultGroup, "gray.order.yaml", theirs)
					} else {
						time.AfterFunc(50*time.Millisecond, func() { srv.Publish(config.DefaultGroup, "gray.order.yaml", theirs) })
					}
				}
				return nacostest.Pass()
			})
			says(srv, "AAAA", map[string]string{"md5": "0123456789ab", "lang": "v1", "host": "hung"}) // keeps us waiting
			r := graylane(t, "", "publish", "--timeout", "30s", "--nacos", srv.Addr(), "--yes", file(t, "gray.order.yaml", good))
			assert.Equal(t, exitFailed, r.code, r.out)
			assert.Contains(t, r.out, "\n+{gray: v1, default: v2}\n")
			assert.Equal(t, fmt.Sprintf("graylane publish: somebody else has changed gray.order.yaml meanwhile; it has revision %s now: look at that, and try again\n",
				announce.Short(config.NewDoc([]byte(theirs)).MD5)), r.err)
			now, _ := srv.Config(config.DefaultGroup, "gray.order.yaml")
			assert.Equal(t, theirs, now)
		})
	}
}

func TestPublishThatNacosRefuses(t *testing.T) {
	srv := live(t)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigPublishRequest" {
			return nacostest.Refuse(403, "not you")
		}
		return nacostest.Pass()
	})
	args := []string{"publish", "--timeout", "30s", "--nacos", srv.Addr(), "--yes", file(t, "gray.order.yaml", good)}
	r := graylane(t, "", args...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "graylane publish: not published, or it is shown late: ")
	assert.Contains(t, r.err, "not you")

	// An answer that is lost says nothing: what is live does.
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigPublishRequest" {
			return nacostest.Lose()
		}
		return nacostest.Pass()
	})
	r = graylane(t, "", append(args, "--timeout", "2900ms")...)
	assert.Equal(t, exitOK, r.code, r.err)
	assert.Contains(t, r.out, "published revision")
	assert.Contains(t, r.out, "no consumer says that it consumes this\n")
}

func TestConsumersThatGoAreNamed(t *testing.T) {
	srv := live(t)
	consumes(t, srv)
	// One container comes in place of another: same host, PID and address.
	gone := says(srv, "AAAA", map[string]string{"md5": "0123456789ab", "lang": "v1", "host": "box", "pid": "1"})
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigPublishRequest" {
			time.AfterFunc(100*time.Millisecond, func() {
				srv.Deregister(consumersOf("order"), gone)
				says(srv, "BBBB", map[string]string{"md5": announce.Short(config.NewDoc([]byte(good)).MD5), "lang": "v1", "host": "box", "pid": "1"})
			})
		}
		return nacostest.Pass()
	})
	r := graylane(t, "", "publish", "--wait", "6s", "--timeout", "30s", "--nacos", srv.Addr(), "--yes", file(t, "gray.order.yaml", good))
	assert.Equal(t, exitFailed, r.code, "it may have died of the document")
	assert.Contains(t, r.out, "applied by 2 of 2 consumers\n")
	assert.Contains(t, r.out, "gone meanwhile: box pid 1, 10.0.0.9, boot AAAA\n")
}

func TestWhoHasGoneHasNotFollowed(t *testing.T) {
	one := consumer{"10.0.0.1:1#DEFAULT", "10.0.0.1:1", announce.Announcement{Rules: announce.Applied{MD5: "aaaaaaaaaaaa"}}}
	two := consumer{"10.0.0.2:1#DEFAULT", "10.0.0.2:1", announce.Announcement{Rules: announce.Applied{MD5: "aaaaaaaaaaaa"}}}
	o := newOutcome([]consumer{one, two}, "bbbbbbbbbbbb", "aaaaaaaaaaaa")
	one.Rules.MD5, two.Rules.MD5 = "bbbbbbbbbbbb", "bbbbbbbbbbbb"
	o.fleet = nil // a list that is empty for a moment, or a fleet that has died
	assert.False(t, o.settled("bbbbbbbbbbbb", time.Second))
	o.fleet = []consumer{one, two}
	assert.True(t, o.settled("bbbbbbbbbbbb", time.Second))
	o.fleet = []consumer{one} // it had applied it
	assert.False(t, o.settled("bbbbbbbbbbbb", 2*time.Second))
	assert.Len(t, o.left(), 1)
}

// TestWhatIsAnnouncedFromBeforeDoesNotCount: back to a version that a consumer still
// announces, since it has not yet said that it had another one.
func TestWhatIsAnnouncedFromBeforeDoesNotCount(t *testing.T) {
	one := consumer{"10.0.0.1:1#DEFAULT", "10.0.0.1:1", announce.Announcement{Rules: announce.Applied{MD5: "aaaaaaaaaaaa"}}}
	o := newOutcome([]consumer{one}, "aaaaaaaaaaaa", "bbbbbbbbbbbb")
	assert.False(t, o.settled("aaaaaaaaaaaa", time.Second), "it may have bbb by now")
	assert.True(t, o.settled("aaaaaaaaaaaa", settling))

	o = newOutcome([]consumer{one}, "aaaaaaaaaaaa", "bbbbbbbbbbbb")
	one.Rules.MD5 = "bbbbbbbbbbbb"
	o.fleet = []consumer{one}
	assert.False(t, o.settled("aaaaaaaaaaaa", time.Second))
	one.Rules.MD5 = "aaaaaaaaaaaa"
	o.fleet = []consumer{one}
	assert.True(t, o.settled("aaaaaaaaaaaa", time.Second+1), "it has said both")
}

func TestGetPrintsWhatCanBePublishedAgain(t *testing.T) {
	srv := live(t)
	odd := "gray: v1\r\ndefault: v1 # \x1b[31m\n"
	srv.Publish(config.DefaultGroup, "gray.order.yaml", odd)
	assert.Equal(t, result{exitOK, odd, ""}, graylane(t, "", "get", "order", "--timeout", "30s", "--nacos", srv.Addr()))
	r := graylane(t, "", "get", "gray._global.yaml", "--timeout", "30s", "--nacos", srv.Addr())
	assert.Equal(t, result{exitFailed, "", "graylane get: gray._global.yaml: there is no such document in the group GRAY, or an empty one\n"}, r)
}

func TestOperatorsCommandsSayWhatIsMissing(t *testing.T) {
	for args, want := range map[string]string{
		"status":                      "graylane status: want one SERVICE; see graylane help status",
		"status a b":                  "graylane status: want one SERVICE; see graylane help status",
		"get":                         "graylane get: want one SERVICE or DOCUMENT; see graylane help get",
		"history":                     "graylane history: want one SERVICE or DOCUMENT; see graylane help history",
		"rollback":                    "graylane rollback: want one SERVICE or DOCUMENT; see graylane help rollback",
		"publish":                     "graylane publish: want one document to publish, as gray.SERVICE.yaml; see graylane help publish",
		"rollback a":                  "graylane rollback: stdin is no terminal to ask at: add --yes, or --dry-run to see what would change",
		"rollback --to= a":            `graylane rollback: invalid value "" for flag -to: it is empty; see graylane help rollback`,
		"history --console http:// a": `graylane history: --console "http://": want host:port`,
	} {
		assert.Equal(t, result{exitUsage, "", want + "\n"}, graylane(t, "", strings.Fields(args)...))
	}
	for _, args := range []string{"status order", "get order", "history order", "rollback order --yes"} {
		r := graylane(t, "", strings.Fields(args+" --nacos 127.0.0.1:1 --timeout 2s")...)
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, "connection refused")
		assert.Equal(t, 1, strings.Count(r.err, "\n"))
	}
	r := graylane(t, "", "status", "switches.a.yaml")
	assert.Equal(t, result{exitUsage, "", "graylane status: want one SERVICE, or gray.SERVICE.yaml: nobody says who follows switches.a.yaml\n"}, r)
	r = graylane(t, "", "status", "gray.nosuch.yaml", "--timeout", "30s", "--nacos", live(t).Addr())
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(t, "graylane status: nobody consumes nosuch, and it has no rules: is that its name?\n", r.err)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	assert.False(t, terminal(null))
	r = graylane(t, "", "status", "a/b", "--nacos", "127.0.0.1:1")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, `service "a/b" has '/'`)
}
