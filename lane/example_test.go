package lane_test

import (
	"context"
	"fmt"

	"github.com/graylane/graylane/lane"
)

func ExampleWith() {
	ctx := lane.With(context.Background(), "canary-v2")
	fmt.Println(lane.From(ctx))
	// Output: canary-v2
}

// A consumer of a message queue goes on in the lane of the message's producer.
func ExampleExtract() {
	// The producer writes what its context carries onto the message.
	sent := message{}
	lane.Inject(lane.WithUser(lane.With(context.Background(), "blue"), "u1"), sent)

	// The consumer reads it back; requests made with this context stay in the lane.
	ctx := lane.Extract(context.Background(), sent, lane.DefaultHeaders())
	fmt.Println(lane.From(ctx), lane.User(ctx))
	// Output: blue u1
}
