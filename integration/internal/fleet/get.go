package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/judge"
)

// Get sends a request, and returns which version says that it has answered.
func Get(ctx context.Context, c *http.Client, r judge.Request) (version string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Service+r.Path, http.NoBody)
	if err != nil {
		return "", err
	}
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return resp.Header.Get(httpx.VersionHeader), err
}
