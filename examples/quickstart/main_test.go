package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheStoryPlays plays it all, only quicker. Run ends with an error if the judge
// finds one wrong request.
func TestTheStoryPlays(t *testing.T) {
	require.NoError(t, run(t.Context(), io.Discard, "", 300*time.Millisecond, ""))
}

// TestWhatTheReadmeAsks asks as the README's block with curl does, and holds the answers
// against those that it shows.
func TestWhatTheReadmeAsks(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```console\n\\$ curl(.*?)```").FindString(string(readme))
	require.NotEmpty(t, block)

	ctx, stop := context.WithCancel(t.Context())
	said := make(opened, 1)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, said, "", 300*time.Millisecond, "127.0.0.1:0") }()
	defer func() { stop(); assert.ErrorIs(t, <-ended, context.Canceled) }()
	addr := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(<-said)
	require.NotEmpty(t, addr)

	asked := 0
	lines := strings.Split(block, "\n")
	for i, l := range lines {
		curl, ok := strings.CutPrefix(l, "$ ")
		if !ok {
			continue
		}
		asked++
		want := map[string]int{}
		if !strings.HasPrefix(curl, "for ") {
			want[lines[i+1]] = 1
		} else {
			for _, l := range lines[i+1 : i+3] {
				n, answer, _ := strings.Cut(strings.TrimSpace(l), " ")
				want[answer], err = strconv.Atoi(n)
				require.NoError(t, err, l)
			}
		}
		got := map[string]int{}
		for _, n := range want {
			for range n {
				got[ask(t, curl, addr)]++
			}
		}
		for answer, n := range want {
			assert.InDelta(t, n, got[answer], 60, "%s (the consumer draws of the same slots)", curl)
		}
		assert.Len(t, got, len(want), curl)
	}
	assert.Equal(t, 3, asked)
	assert.Contains(t, ask(t, "http://127.0.0.1:8000", addr+"/debug/graylane/"), userService, "the page")
}

// opened hears what is written when the door opens.
type opened chan string

func (d opened) Write(p []byte) (int, error) { d <- string(p); return len(p), nil }

// ask makes the request of a command line.
func ask(t *testing.T, curl, addr string) string {
	t.Helper()
	require.Contains(t, curl, "http://127.0.0.1:8000")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, http.NoBody)
	require.NoError(t, err)
	for _, h := range regexp.MustCompile(`-H '([^:]*): ([^']*)'`).FindAllStringSubmatch(curl, -1) {
		req.Header.Set(h[1], h[2])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(answer))
}
