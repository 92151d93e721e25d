package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const howChromium = "a page needs Chromium in PATH (Debian: apt-get install chromium)"

// errMissing says that there is no browser here.
var errMissing = errors.New("browser: " + howChromium)

type settings struct {
	width, height int64
	mobile, dark  bool
}

// Option changes how a page is shown.
type Option func(*settings)

// Viewport is the page's size in CSS pixels; default 1280 x 800.
func Viewport(width, height int) Option {
	return func(s *settings) { s.width, s.height = int64(width), int64(height) }
}

// Mobile shows the page as a telephone does: touch, and the page's own viewport
// line obeyed.
func Mobile() Option { return func(s *settings) { s.mobile = true } }

// Dark is a reader who prefers dark pages; the default prefers light ones.
func Dark() Option { return func(s *settings) { s.dark = true } }

// Open starts a browser with one empty page, in English, that reaches nothing but
// this machine, until the end of the test. Where there is no Chromium the test is
// skipped, or fails if CI or REQUIRE_BROWSER is set.
func Open(tb testing.TB, opts ...Option) context.Context {
	tb.Helper()
	program, err := find()
	switch {
	case err == nil:
	case os.Getenv("CI") != "" || os.Getenv("REQUIRE_BROWSER") != "":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
	s := settings{width: 1280, height: 800}
	for _, o := range opts {
		o(&s)
	}
	ctx, err := s.open(tb, program)
	if err != nil {
		tb.Fatalf("browser: start %s: %v", program, err)
	}
	return ctx
}

// find returns the path of the browser.
func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errMissing
}

func (s settings) open(tb testing.TB, program string) (context.Context, error) {
	tb.Helper()
	alloc, end := chromedp.NewExecAllocator(context.Background(), //nolint:usetesting // the browser leaves in the cleanup, when the test's context has ended
		append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
			chromedp.ExecPath(program),
			chromedp.NoSandbox, // Chromium refuses to run as root with it; it loads our own pages only
			chromedp.WindowSize(int(s.width), int(s.height)),
			chromedp.Flag("lang", "en-US"),
			chromedp.Flag("no-proxy-server", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"),
		)...)
	ctx, _ := chromedp.NewContext(alloc)
	tb.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // a browser that will not leave is killed
		end()
	})
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	var view []chromedp.EmulateViewportOption
	if s.mobile {
		view = append(view, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(s.width, s.height, view...)); err != nil {
		return nil, err
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	return ctx, err
}

// Shot writes what the page shows now into file, as PNG.
func Shot(ctx context.Context, file string) error {
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("browser: screenshot: %w", err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil { //nolint:gosec // a picture is for everybody
		return fmt.Errorf("browser: %w", err)
	}
	return nil
}
