package nacosconn

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Endpoint is the HTTP side of the server that a session is connected to.
type Endpoint struct {
	Addr string      // host:port
	TLS  *tls.Config // nil: plain text
}

// Credentials prove to Nacos who we are. Implementations are safe for concurrent
// use; one value may serve several sessions.
type Credentials interface {
	// Headers returns what to send with every request. It is called for each one
	// and may ask the server e, within ctx, when it has no valid proof.
	Headers(ctx context.Context, e Endpoint) (map[string]string, error)
	// Refresh replaces a proof that the server has refused.
	Refresh(ctx context.Context, e Endpoint) error
}

// UserPassword returns credentials that log in with a user's name and password
// and renew the token in time.
func UserPassword(user, password string) Credentials {
	return &userPassword{user: user, password: password, turn: make(chan struct{}, 1)}
}

const (
	loginPath   = "/nacos/v1/auth/users/login" // Nacos 2
	loginPathV3 = "/nacos/v3/auth/user/login"  // Nacos 3

	maxLoginAnswer = 64 << 10 // bytes
)

type userPassword struct {
	user, password string

	turn chan struct{} // holds one element while somebody logs in

	mu      sync.Mutex // guards the rest; not held while logging in
	headers map[string]string
	renew   time.Time // when the token is to be replaced
}

func (u *userPassword) valid() map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.headers == nil || !time.Now().Before(u.renew) {
		return nil
	}
	return u.headers
}

// Headers implements [Credentials].
func (u *userPassword) Headers(ctx context.Context, e Endpoint) (map[string]string, error) {
	if h := u.valid(); h != nil {
		return h, nil
	}
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if h := u.valid(); h != nil { // somebody else has just logged in
		return h, nil
	}
	return u.login(ctx, e)
}

// Refresh implements [Credentials].
func (u *userPassword) Refresh(ctx context.Context, e Endpoint) error {
	u.mu.Lock()
	u.headers = nil
	u.mu.Unlock()
	_, err := u.Headers(ctx, e)
	return err
}

func (u *userPassword) login(ctx context.Context, e Endpoint) (map[string]string, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: e.TLS, DisableKeepAlives: true}}
	base := "http://" + e.Addr
	if e.TLS != nil {
		base = "https://" + e.Addr
	}
	form := url.Values{"username": {u.user}, "password": {u.password}}.Encode()
	status, body, err := post(ctx, client, base+loginPath, form)
	if err == nil && (status == http.StatusNotFound || status == http.StatusGone) {
		status, body, err = post(ctx, client, base+loginPathV3, form)
	}
	if err != nil {
		return nil, fmt.Errorf("login of user %q: %w", u.user, err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("login of user %q refused: status %d: %.200s", u.user, status, body)
	}
	var token struct {
		AccessToken string `json:"accessToken"`
		TTL         int64  `json:"tokenTtl"` // seconds
	}
	if err := json.Unmarshal(body, &token); err != nil || token.AccessToken == "" {
		return nil, fmt.Errorf("login of user %q: the answer holds no token", u.user)
	}
	headers := map[string]string{"accessToken": token.AccessToken}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.headers = headers
	u.renew = time.Now().Add(time.Duration(token.TTL) * time.Second * 4 / 5)
	return headers, nil
}

func post(ctx context.Context, client *http.Client, to, form string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxLoginAnswer))
	return resp.StatusCode, body, err
}
