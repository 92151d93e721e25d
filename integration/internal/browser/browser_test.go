package browser

import (
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAPageIsShownAsAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<!doctype html><meta name="viewport" content="width=device-width"><p id="p">hello</p>`))
	}))
	defer server.Close()
	ctx := Open(t, Viewport(390, 700), Mobile(), Dark())
	file := filepath.Join(t.TempDir(), "page.png")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL)))
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#p")))
	require.NoError(t, err)
	assert.Equal(t, "hello", text)
	seen, err := chromedp.Run(ctx, chromedp.Evaluate[[]any](`[innerWidth, navigator.maxTouchPoints > 0,
		matchMedia("(prefers-color-scheme: dark)").matches]`))
	require.NoError(t, err)
	assert.Equal(t, []any{390.0, true, true}, seen)

	require.NoError(t, Shot(ctx, file))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	picture, err := png.DecodeConfig(f)
	require.NoError(t, err)
	assert.Equal(t, 390, picture.Width)
	assert.Equal(t, 700, picture.Height)
}

func TestThePageReachesThisMachineOnly(t *testing.T) {
	require.ErrorContains(t, chromedp.Do(Open(t), chromedp.Navigate("http://example.com/")), "ERR_NAME_NOT_RESOLVED")
}
