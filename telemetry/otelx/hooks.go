package otelx

import (
	"context"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// The keys of the attributes, see docs/telemetry.md.
const (
	keyService  = attribute.Key("graylane.service")
	keyTarget   = attribute.Key("graylane.target")
	keyVersion  = attribute.Key("graylane.version")
	keyRule     = attribute.Key("graylane.rule")
	keyVia      = attribute.Key("graylane.via")
	keyFallback = attribute.Key("graylane.fallback")
	keySlot     = attribute.Key("graylane.slot")
	keyLane     = attribute.Key("graylane.lane")
	keyKeyless  = attribute.Key("graylane.keyless")
	keySkipped  = attribute.Key("graylane.skipped")
	keyRules    = attribute.Key("graylane.rules.md5")
	keyList     = attribute.Key("graylane.list.revision")
	keyAttempt  = attribute.Key("graylane.attempt")
	keyResult   = attribute.Key("graylane.result")
	keyReason   = attribute.Key("graylane.reason")
	keyError    = attribute.Key("graylane.error")
	keyAddress  = attribute.Key("server.address")
	keyPort     = attribute.Key("server.port")
	keyResend   = attribute.Key("http.request.resend_count")
)

// The names of the events.
const (
	eventFailed  = "graylane.failed"
	eventRetry   = "graylane.retry"
	eventRefused = "graylane.refused"
)

// Hooks returns hooks that write onto the span of a request's context, if it records.
// The attributes are those of the newest attempt. The hooks may be used by several
// resolvers; where a span does not record, they cost a look at the context.
func Hooks() resolver.Hooks {
	return resolver.Hooks{
		OnPick: func(ctx context.Context, c resolver.Call, err error) {
			if span := trace.SpanFromContext(ctx); span.IsRecording() {
				picked(ctx, span, &c, err)
			}
		},
		OnDone: func(ctx context.Context, c resolver.Call, o resolver.Outcome, _ time.Duration) {
			if span := trace.SpanFromContext(ctx); span.IsRecording() {
				done(span, &c, o)
			}
		},
	}
}

func picked(ctx context.Context, span trace.Span, c *resolver.Call, err error) {
	attrs := decision(ctx, make([]attribute.KeyValue, 0, 16), c)
	if err != nil {
		span.SetAttributes(attrs...)
		span.AddEvent(eventRefused, trace.WithAttributes(
			keyReason.String(words.ReasonOf(err).String()), keyError.String(err.Error()), keyAttempt.Int(c.Attempt)))
		return
	}
	attrs = instance(attrs, c)
	if c.Attempt > 1 {
		if c.Protocol() == "http" {
			attrs = append(attrs, keyResend.Int(c.Attempt-1))
		}
		span.AddEvent(eventRetry, trace.WithAttributes(append(instance(nil, c), keyAttempt.Int(c.Attempt))...))
	}
	span.SetAttributes(attrs...)
}

// decision appends what was decided.
func decision(ctx context.Context, attrs []attribute.KeyValue, c *resolver.Call) []attribute.KeyValue {
	d := &c.Decision
	attrs = append(attrs, keyService.String(words.Service(c.Service())))
	if c.State == nil {
		return attrs // nothing is known of the service, and nothing was decided
	}
	attrs = append(attrs, keyVia.String(d.Via.String()), keyList.Int64(int64(c.State.Snapshot.Revision()))) //nolint:gosec // it counts
	text := func(key attribute.Key, value string) {
		if value != "" {
			attrs = append(attrs, key.String(value))
		}
	}
	text(keyTarget, d.Target)
	text(keyRule, d.Rule)
	text(keyFallback, d.Fallback.String())
	text(keyRules, c.State.Revision())
	if d.Via == balancer.ViaLane {
		text(keyLane, d.Target)
	} else {
		text(keyLane, lane.From(ctx))
	}
	if d.Slot >= 0 {
		attrs = append(attrs, keySlot.Int(d.Slot))
	}
	if d.Keyless {
		attrs = append(attrs, keyKeyless.Bool(true))
	}
	if skipped := d.Skipped(); len(skipped) > 0 {
		attrs = append(attrs, keySkipped.StringSlice(skipped))
	}
	return attrs
}

// instance appends which instance was picked.
func instance(attrs []attribute.KeyValue, c *resolver.Call) []attribute.KeyValue {
	if version := c.Instance().Version(); version != "" {
		attrs = append(attrs, keyVersion.String(version))
	}
	if addr, err := netip.ParseAddrPort(c.Addr()); err == nil {
		attrs = append(attrs, keyAddress.String(addr.Addr().String()), keyPort.Int(int(addr.Port())))
	}
	return attrs
}

// done adds an event for an attempt that speaks against its instance.
func done(span trace.Span, c *resolver.Call, o resolver.Outcome) {
	v := c.Verdict(o)
	if v != balancer.Bad && v != balancer.Unreachable {
		return
	}
	attrs := append(instance(nil, c), keyAttempt.Int(c.Attempt), keyResult.String(words.Result(v)))
	if o.Err != nil {
		attrs = append(attrs, keyError.String(o.Err.Error()))
	}
	span.AddEvent(eventFailed, trace.WithAttributes(attrs...))
}
