package nacostest

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
)

// pusher sends the pushes of one stream.
type pusher struct {
	server *Server
	conn   *conn
	stream auto.BiRequestStream_RequestBiStreamServer
	number int         // of pushes so far
	held   []*outgoing // those to be overtaken, oldest first
}

// outgoing is a push ready to be sent.
type outgoing struct {
	payload *auto.Payload
	times   int
	number  int // younger ones have higher numbers
	after   int // how many younger ones have to be sent before
}

// run sends what is queued until the stream ends.
func (p *pusher) run(ctx context.Context) error {
	for {
		select {
		case <-p.conn.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		// After a silence the newest state is sent, not its history.
		for p.server.silence.wait(ctx.Done()) {
			next, id, ok := p.conn.next(time.Now())
			if !ok {
				break
			}
			if err := p.push(ctx, next, id); err != nil {
				return err
			}
		}
	}
}

// push does with one push what the interceptor wants.
func (p *pusher) push(ctx context.Context, next push, id string) error {
	c := p.conn
	body, err := p.server.pushBody(c, next, id)
	if err != nil {
		return err
	}
	if body == nil {
		c.forget(next)
		return nil
	}
	a, err := p.server.decide(ctx, Request{Type: next.typ, ConnectionID: c.id, Module: c.module(), Body: body, Push: true})
	if err != nil {
		return err
	}
	switch a.kind {
	case pass:
	case lose:
		c.acknowledged(id)
		return nil
	default:
		return nil
	}
	p.number++
	out := &outgoing{payload: payload(next.typ, a.rewritten(body)), times: max(1, a.times), number: p.number, after: a.overtaken}
	if out.after > 0 {
		p.held = append(p.held, out)
		return nil
	}
	return p.send(out)
}

// send sends a push, and those that it was the last to overtake.
func (p *pusher) send(out *outgoing) error {
	for range out.times {
		if err := p.stream.Send(out.payload); err != nil {
			return err
		}
	}
	for _, h := range p.held {
		if h.number < out.number {
			h.after--
		}
	}
	i := slices.IndexFunc(p.held, func(h *outgoing) bool { return h.after <= 0 })
	if i < 0 {
		return nil
	}
	out = p.held[i]
	p.held = slices.Delete(p.held, i, i+1)
	return p.send(out)
}

// pushBody returns the JSON of a push as things stand now, nil if the client no
// longer wants it.
func (s *Server) pushBody(c *conn, p push, id string) ([]byte, error) {
	switch p.typ {
	case typeSetupAck:
		// What Nacos 3.1 says of itself, as far as it is here.
		abilities := map[string]bool{
			"supportPersistentInstanceByGrpc": true, "agent": false, "fuzzyWatch": false, "lock": false, "mcp": false,
		}
		return json.Marshal(map[string]any{"headers": struct{}{}, "abilityTable": abilities, "module": "internal"})
	case typeDetection:
		return json.Marshal(map[string]any{"requestId": id, "module": "internal"})
	case typeReset:
		body := map[string]any{"requestId": id, "module": "internal", "connectionId": c.id}
		if host, port, err := net.SplitHostPort(p.subject.Name); err == nil {
			body["serverIp"], body["serverPort"] = host, port
		}
		return json.Marshal(body)
	case typeConfigChange:
		return s.configs.pushBody(c, p.subject, id)
	default:
		return s.naming.pushBody(c, p.subject, id)
	}
}
