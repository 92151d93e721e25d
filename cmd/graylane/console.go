package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer is how many bytes of an answer are read.
	maxAnswer = 16 << 20
	// historyPage is how many changes are asked for at once: the most that is used.
	historyPage = 500
)

// console speaks the HTTP API of Nacos 3 that operators use: that of the console, or
// the same of a node's admin API.
type console struct {
	bases     []string // without a slash at the end; one after the other is tried
	kind      string   // "console" or "admin"
	namespace string
	group     string
	timeout   time.Duration // of each request
	client    http.Client
	token     string
}

// console returns the API at a console's address, or without one at Nacos's.
func (f *liveFlags) console(addr string) (*console, error) {
	cfg, err := f.config()
	if err != nil {
		return nil, unusable("%w", err)
	}
	c := &console{
		kind: "console", namespace: cmp.Or(f.namespace, "public"), group: f.group, timeout: f.timeout,
		client: http.Client{
			Transport: &http.Transport{DisableKeepAlives: true},
			// The token and the password are for this address alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	switch {
	case strings.HasPrefix(addr, "https://"), strings.HasPrefix(addr, "http://"):
		c.bases = []string{strings.TrimRight(addr, "/")}
	case addr != "":
		c.bases = []string{"http://" + addr}
	default:
		c.kind = "admin"
		for _, server := range cfg.Servers {
			c.bases = append(c.bases, "http://"+strings.TrimSpace(server)+"/nacos")
		}
	}
	for _, base := range c.bases {
		if u, err := url.Parse(base); err != nil || u.Host == "" {
			return nil, unusable("--console %q: want host:port", addr)
		}
	}
	return c, nil
}

// login gets a token, if the environment has a user and a password.
func (c *console) login(ctx context.Context) error {
	user, password := os.Getenv("NACOS_USERNAME"), os.Getenv("NACOS_PASSWORD")
	if user == "" {
		return nil
	}
	form := url.Values{"username": {user}, "password": {password}}
	text, err := c.send(ctx, http.MethodPost, "/v3/auth/user/login", form)
	if err != nil {
		return fmt.Errorf("login of user %q: %w", user, err)
	}
	var answer struct{ AccessToken string }
	if err := json.Unmarshal(text, &answer); err != nil || answer.AccessToken == "" {
		return fmt.Errorf("login of user %q: the answer holds no token", user)
	}
	c.token = answer.AccessToken
	return nil
}

// change is one entry of a document's history: that somebody has changed it.
type change struct {
	ID          string
	ModifyTime  int64 // Unix ms
	SrcIP       string
	SrcUser     string
	OpType      string // I, U, D; with spaces behind it
	PublishType string // "formal", "gray"
	MD5         string
	// Content is, of an I, what was published; of U and D what was there BEFORE.
	Content string
}

// at is when the change was made.
func (c *change) at() time.Time { return time.UnixMilli(c.ModifyTime) }

func (c *change) op() string { return strings.TrimSpace(c.OpType) }

// history returns the latest changes of a document, the last one first, without
// their contents. Those of a trial, on some consumers alone, are left out.
func (c *console) history(ctx context.Context, dataID string) ([]change, error) {
	var page struct{ PageItems []change }
	query := c.query(dataID)
	query.Set("pageNo", "1")
	query.Set("pageSize", strconv.Itoa(historyPage))
	if err := c.ask(ctx, "/history/list", query, &page); err != nil {
		return nil, err
	}
	var all []change
	for _, ch := range page.PageItems {
		if ch.PublishType == "" || ch.PublishType == "formal" {
			all = append(all, ch)
		}
	}
	return all, nil
}

// detail returns a change with its content.
func (c *console) detail(ctx context.Context, dataID, id string) (change, error) {
	var ch change
	query := c.query(dataID)
	query.Set("nid", id)
	err := c.ask(ctx, "/history", query, &ch)
	return ch, err
}

func (c *console) query(dataID string) url.Values {
	return url.Values{"dataId": {dataID}, "groupName": {c.group}, "namespaceId": {c.namespace}}
}

// ask gets something of the configurations' API, and reads the answer's data.
func (c *console) ask(ctx context.Context, path string, query url.Values, data any) error {
	text, err := c.send(ctx, http.MethodGet, "/v3/"+c.kind+"/cs"+path, query)
	if err != nil {
		return err
	}
	answer := struct {
		Code    int
		Message string
		Data    any
	}{Data: data}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: the answer is not that of Nacos 3's %s: %w", c.bases[0], c.kind, err)
	}
	if answer.Code != 0 {
		return fmt.Errorf("%s: %.200s (code %d)", c.bases[0], answer.Message, answer.Code)
	}
	return nil
}

// send sends a request to the first server that can be reached, and keeps to it.
func (c *console) send(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	var errs []error
	for i, base := range c.bases {
		text, err := c.sendTo(ctx, method, base+path, form)
		var unreachable *url.Error
		if !errors.As(err, &unreachable) {
			c.bases = c.bases[i : i+1]
			return text, err
		}
		errs = append(errs, fmt.Errorf("%s: %w", base, unreachable.Err)) // without the form, which may hold a password
	}
	return nil, errors.Join(errs...)
}

func (c *console) sendTo(ctx context.Context, method, to string, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	body := form.Encode()
	if method == http.MethodGet {
		to, body = to+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.token != "" {
		req.Header.Set("accessToken", c.token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s: %s: set NACOS_USERNAME and NACOS_PASSWORD of somebody who may", req.URL.Host, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s: %s: history needs Nacos 3: its HTTP address, or --console ADDR", req.URL.Host, req.URL.Path, resp.Status)
	}
	return text, nil
}
