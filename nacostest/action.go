package nacostest

import (
	"encoding/json"
	"time"
)

// Action is what happens to a message. Its zero value lets it pass. Actions that
// let it pass may be combined with And.
type Action struct {
	kind      actionKind
	delay     time.Duration
	code      int
	message   string
	rewrite   func(json.RawMessage) json.RawMessage // nil: sent as it is
	times     int                                   // 0 is 1
	overtaken int
}

type actionKind uint8

const (
	pass actionKind = iota
	drop
	fail
	refuse
	lose
)

// Pass lets the message through.
func Pass() Action { return Action{} }

// Delay lets the message through after d: a slow server. A delayed push holds
// back the later ones of its connection.
func Delay(d time.Duration) Action { return Action{delay: d} }

// Drop does not process the request and never answers it: the client waits until
// its own deadline, or until the server stops. A dropped push counts as sent, so
// that it is repeated like any that the client does not acknowledge.
func Drop() Action { return Action{kind: drop} }

// Lose processes the request, but never answers it: the client cannot know that
// it took effect. A lost push counts as acknowledged and is never repeated, as if
// the server had not noticed the change: only asking again brings it to light.
func Lose() Action { return Action{kind: lose} }

// Fail answers with an error instead of processing the request: with an
// ErrorResponse of that error code, or over HTTP with that code in the body, and
// as the status if it is one of an error, else 500. A failed setup breaks the
// connection; a failed push is dropped.
func Fail(code int, message string) Action {
	return Action{kind: fail, code: code, message: message}
}

// Refuse is Fail with the answer that belongs to the request's type, such as an
// InstanceResponse that says success=false.
func Refuse(code int, message string) Action {
	return Action{kind: refuse, code: code, message: message}
}

// Rewrite replaces the body of what the server sends: of a push, or of the answer
// to a request, over gRPC and HTTP. What f returns is sent as it is, JSON or not:
// a server that is mistaken, of another version, or hostile. f is called
// concurrently and must not change the body in place. A client's reply to a push
// stays as it is.
func Rewrite(f func(body json.RawMessage) json.RawMessage) Action { return Action{rewrite: f} }

// KeepHosts shortens the list of a service in a push or in the answer to a
// subscription or query over gRPC to its first n instances: a server that has
// just started, before all providers have come back to it, or one that is cut
// off from the rest of its cluster. With 0 the list is empty.
func KeepHosts(n int) Action {
	return Rewrite(func(body json.RawMessage) json.RawMessage {
		return change(body, "serviceInfo", func(info json.RawMessage) json.RawMessage {
			return change(info, "hosts", func(list json.RawMessage) json.RawMessage {
				var hosts []json.RawMessage
				if json.Unmarshal(list, &hosts) != nil {
					return list
				}
				return encoded(hosts[:min(max(0, n), len(hosts))])
			})
		})
	})
}

// Clock lets the server's clock stand at t in what it sends over gRPC: in the
// lastRefTime of a service's list, and the lastModified of a configuration. The
// node to which a client changes may be seconds behind the one before, and two
// changes within a millisecond have the same time.
func Clock(t time.Time) Action {
	at := func(json.RawMessage) json.RawMessage { return encoded(t.UnixMilli()) }
	return Rewrite(func(body json.RawMessage) json.RawMessage {
		body = change(body, "lastModified", at)
		return change(body, "serviceInfo", func(info json.RawMessage) json.RawMessage {
			return change(info, "lastRefTime", at)
		})
	})
}

// Times sends a push n times in a row, with the same request ID: as when the
// client's acknowledgement came too late to stop the repetition. It changes
// nothing else.
func Times(n int) Action { return Action{times: n} }

// Overtaken holds a push back until n later ones of its connection have been
// sent: two threads of the server that do not wait for each other, so that the
// client gets an old state after the new one. What it says is what was true when
// it was held back. It changes nothing else.
func Overtaken(n int) Action { return Action{overtaken: n} }

// And does what both actions say: delays add up, and a's rewriting is done before
// b's. In all else b wins unless it says nothing.
func (a Action) And(b Action) Action {
	a.delay += b.delay
	if b.kind != pass {
		a.kind, a.code, a.message = b.kind, b.code, b.message
	}
	if first, then := a.rewrite, b.rewrite; first == nil {
		a.rewrite = then
	} else if then != nil {
		a.rewrite = func(body json.RawMessage) json.RawMessage { return then(first(body)) }
	}
	if b.times != 0 {
		a.times = b.times
	}
	if b.overtaken != 0 {
		a.overtaken = b.overtaken
	}
	return a
}

// rewritten is what is sent in place of body.
func (a Action) rewritten(body []byte) []byte {
	if a.rewrite == nil {
		return body
	}
	return a.rewrite(body)
}

// change changes one member of an object; anything else stays as it is.
func change(object json.RawMessage, name string, f func(json.RawMessage) json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil || members[name] == nil {
		return object
	}
	members[name] = f(members[name])
	return encoded(members)
}

// encoded returns v, which is made of JSON already, as JSON.
func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}
