package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/lane"
)

// visit asks from outside, as anybody's client does.
func visit(ctx context.Context, gateway string, out io.Writer) error {
	for _, v := range []struct{ path, header, value, wanted string }{
		{"/user/7", "", "", "200 user v1 has /7"},
		{"/user/7", lane.HeaderVersion, "v2", "200 user v2 has /7"},
		{"/user/7", lane.HeaderLane, "canary", "200 user v1 has /7"},
		{"/order/42", "", "", "200 order v1 has /42"},
		{"/secret", "", "", "404 no route"},
	} {
		if err := kit.Until(ctx, 3, v.wanted, func(ctx context.Context) (string, error) {
			return get(ctx, gateway+v.path, v.header, v.value)
		}); err != nil {
			return err
		}
		fmt.Fprintf(out, "%-10s %-24s %s\n", v.path, strings.TrimSuffix(v.header+": "+v.value, ": "), v.wanted)
	}
	return nil
}

// get returns status and text of an answer.
func get(ctx context.Context, url, header, value string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	if header != "" {
		req.Header.Set(header, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(string(body))), err
}
