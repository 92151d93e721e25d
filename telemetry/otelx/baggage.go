package otelx

import (
	"context"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/graylane/graylane/lane"
)

// Baggage is propagation.Baggage beside which the lane travels too: both are members of
// the header "baggage", and otelgrpc writes it when grpcx has. Use it in place of that
// one. It leaves the lane to package lane: what it extracts has no member gray-lane, so
// that a lane that an edge has refused does not go on as baggage, and what it injects
// names the lane that the message is in.
type Baggage struct{}

var _ propagation.TextMapPropagator = Baggage{}

// Inject implements propagation.TextMapPropagator.
func (Baggage) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if baggage.FromContext(ctx).Len() == 0 {
		return // what is there is the lane's, and others'
	}
	propagation.Baggage{}.Inject(ctx, carrier)
	name := carrier.Get(lane.HeaderLane)
	if name == "" {
		name = lane.From(ctx)
	}
	if !lane.Valid(name) {
		name = ""
	}
	if line, changed := lane.WithBaggageLane([]string{carrier.Get(lane.HeaderBaggage)}, name); changed {
		carrier.Set(lane.HeaderBaggage, line)
	}
}

// Extract implements propagation.TextMapPropagator.
func (Baggage) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = propagation.Baggage{}.Extract(ctx, carrier)
	if b := baggage.FromContext(ctx); b.Member(lane.BaggageMember).Key() != "" {
		return baggage.ContextWithBaggage(ctx, b.DeleteMember(lane.BaggageMember))
	}
	return ctx
}

// Fields implements propagation.TextMapPropagator.
func (Baggage) Fields() []string { return propagation.Baggage{}.Fields() }
