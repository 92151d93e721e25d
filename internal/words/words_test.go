package words_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestEveryErrorOfAPickHasItsReason(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"no_instance":     &balancer.Error{Err: balancer.ErrNoInstance},
		"unknown_target":  &balancer.Error{Err: balancer.ErrUnknownTarget},
		"skipped":         &balancer.Error{Err: balancer.ErrSkipped},
		"unknown_service": fmt.Errorf("%w: user", resolver.ErrUnknownService),
		"not_ready":       fmt.Errorf("%w: user: %w", resolver.ErrNotReady, errors.New("connection refused")),
		"closed":          fmt.Errorf("%w: user", resolver.ErrClosed),
		"other":           errors.New("the name cannot be watched"),
	} {
		assert.Equal(t, want, words.ReasonOf(err).String())
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "user", words.Service(registry.Service{Name: "user"}.WithDefaults()))
	assert.Equal(t, "pay/user", words.Service(registry.Service{Group: "pay", Name: "user"}.WithDefaults()))
	for v, want := range map[balancer.Verdict]string{
		balancer.Nothing: "nothing", balancer.Good: "good", balancer.Bad: "bad", balancer.Unreachable: "unreachable",
	} {
		assert.Equal(t, want, words.Result(v))
	}
}
