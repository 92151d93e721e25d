package nacos_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// lists returns a body with these hosts, JSON or not.
func lists(hosts string) func(json.RawMessage) json.RawMessage {
	return func(json.RawMessage) json.RawMessage {
		return json.RawMessage(`{"resultCode":200,"success":true,"requestId":"1","serviceInfo":{"name":"user","groupName":"DEFAULT_GROUP","hosts":` + hosts + `}}`)
	}
}

// TestAServerThatSaysNonsenseIsOutlived: whatever a server sends in place of lists, nothing
// unusable is reported, and the truth is, as soon as it is said again.
func TestAServerThatSaysNonsenseIsOutlived(t *testing.T) { // F62
	t.Parallel()
	nobody := []string{"hosts null", "ports", "metadata IP"} // lists of instances that are all left out
	for name, body := range map[string]func(json.RawMessage) json.RawMessage{
		"nothing":      func(json.RawMessage) json.RawMessage { return nil },
		"null":         func(json.RawMessage) json.RawMessage { return json.RawMessage("null") },
		"no JSON":      func(json.RawMessage) json.RawMessage { return json.RawMessage("\x00\xff<html>") },
		"half of it":   func(b json.RawMessage) json.RawMessage { return b[:len(b)/2] },
		"no hosts":     lists(`null`),
		"hosts null":   lists(`[null,null]`),
		"ports":        lists(`[{"ip":"10.0.0.1","port":0},{"ip":"10.0.0.1","port":70000},{"ip":"10.0.0.1","port":-1}]`),
		"metadata IP":  lists(`[{"ip":"169.254.169.254","port":80},{"ip":"0.0.0.0","port":80},{"ip":"a\nb","port":80}]`),
		"depth":        lists(strings.Repeat("[", 100_000)),
		"a million":    lists("[" + strings.Repeat("null,", 1_100_000) + "null]"),
		"beyond bound": lists(`"` + strings.Repeat("x", 17<<20) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			srv := nacostest.Run(t)
			srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
			c, _ := newClient(t, srv.Addr())
			updates := watch(t, c, user)
			await(t, updates, "the truth", has(1))
			lied := make(chan struct{}, 1)
			srv.Intercept(func(r nacostest.Request) nacostest.Action {
				if r.Type != "NotifySubscriberRequest" || r.Reply {
					return nacostest.Pass()
				}
				return nacostest.Rewrite(func(b json.RawMessage) json.RawMessage {
					select {
					case lied <- struct{}{}:
					default:
					}
					return body(b)
				})
			})
			srv.Register(user, nacostest.NewInstance("10.0.0.2", 80, nil))
			select {
			case <-lied:
			case <-time.After(patience):
				require.FailNow(t, "the server did not lie")
			}
			srv.Intercept(nil)
			srv.Register(user, nacostest.NewInstance("10.0.0.3", 80, nil))
			late := time.After(2 * patience)
			for n := 1; n != 3; {
				select {
				case u := <-updates:
					n = len(u.Instances)
					assert.True(t, n > 0 || slices.Contains(nobody, name), "an empty list")
					for _, in := range u.Instances {
						assert.True(t, strings.HasPrefix(in.Addr, "10.0.0.") && strings.HasSuffix(in.Addr, ":80"), in.Addr)
					}
				case <-late:
					require.FailNow(t, "the truth was never reported again")
				}
			}
		})
	}
}

// TestNumbersOfAHostileServerAreClamped: over the wire, weights and copies of an instance.
func TestNumbersOfAHostileServerAreClamped(t *testing.T) { // F62
	srv := nacostest.Run(t)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		switch r.Type {
		case "SubscribeServiceRequest", "ServiceQueryRequest", "NotifySubscriberRequest":
			var hosts []string
			for i, weight := range []string{`"NaN"`, `1e999`, `-1`, `0.5`, `1e300`} {
				host := `{"ip":"10.0.0.` + string(rune('1'+i)) + `","port":80,"healthy":true,"enabled":true,"weight":` + weight +
					`,"metadata":{"k":"` + strings.Repeat("x", 64<<10) + `","version":"v1"}}`
				hosts = append(hosts, host, host)
			}
			return nacostest.Rewrite(lists("[" + strings.Join(hosts, ",") + "]"))
		}
		return nacostest.Pass()
	})
	c, f := newClient(t, srv.Addr())
	u := await(t, watch(t, c, user), "the list", func(u registry.Update) bool { return len(u.Instances) > 0 })
	weights := map[string]uint32{}
	for _, in := range u.Instances {
		weights[in.Addr] = in.Weight
		assert.Equal(t, map[string]string{"version": "v1"}, in.Metadata)
	}
	assert.Equal(t, map[string]uint32{
		"10.0.0.1:80": 0, "10.0.0.2:80": registry.MaxWeight, "10.0.0.3:80": 0, "10.0.0.4:80": 500, "10.0.0.5:80": registry.MaxWeight,
	}, weights)
	assert.Equal(t, 5, registry.NewSnapshot(user, 1, u.Instances).Len(), "one of each")
	assert.NotZero(t, f.count("cut to 64 labels"))
}
