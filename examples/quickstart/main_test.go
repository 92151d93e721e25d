package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheStoryPlays plays it all, only quicker. Run ends with an error if the judge
// finds one wrong request.
func TestTheStoryPlays(t *testing.T) {
	require.NoError(t, run(t.Context(), "", 300*time.Millisecond, false))
}
