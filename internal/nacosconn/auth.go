package nacosconn

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	// and may ask the server e, within ctx, when it has no valid proof. What it
	// returns is read-only.
	Headers(ctx context.Context, e Endpoint) (map[string]string, error)
	// Refresh replaces the headers that the server has refused, if they are still
	// those of the moment. False without an error: there are no better ones for
	// now, and the refusal stands.
	Refresh(ctx context.Context, e Endpoint, refused map[string]string) (bool, error)
}

// UserPassword returns credentials that log in with a user's name and password
// and renew the token in time.
func UserPassword(user, password string) Credentials {
	return &userPassword{user: user, password: hide(password), turn: make(chan struct{}, 1)}
}

const (
	loginPath   = "/nacos/v1/auth/users/login" // Nacos 2
	loginPathV3 = "/nacos/v3/auth/user/login"  // Nacos 3

	maxLoginAnswer = 64 << 10 // bytes

	// refreshPause is how long the token that replaced a refused one is not
	// replaced in turn. A user who may not do something is refused with every
	// token, and everybody who asks for him would log in again and again.
	refreshPause = 10 * time.Second
	// refusalPause is how long a failed login is the answer to everybody who would
	// try the same.
	refusalPause = time.Second
)

// hidden is a secret: whoever prints what holds it, however deep, gets an address.
// A method for printing would not do: fmt calls none for what is in unexported
// fields.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }

type userPassword struct {
	user     string
	password hidden[string]

	turn chan struct{} // holds one element while somebody logs in

	mu        sync.Mutex                // guards the rest; not held while logging in
	headers   hidden[map[string]string] // nil: none
	renew     time.Time                 // when the token is to be replaced
	refreshed time.Time                 // when a refused token was replaced last
	refusal   refusal                   // of the last login
}

// refusal is a login that failed.
type refusal struct {
	addr string
	err  error // nil: there was none
	at   time.Time
}

func (u *userPassword) valid() map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.headers == nil || !time.Now().Before(u.renew) {
		return nil
	}
	return u.headers()
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
	if err := u.justRefused(e); err != nil {
		return nil, err
	}
	return u.login(ctx, e)
}

func (u *userPassword) justRefused(e Endpoint) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refusal.addr != e.Addr || time.Since(u.refusal.at) >= refusalPause {
		return nil
	}
	return u.refusal.err
}

// Refresh implements [Credentials].
func (u *userPassword) Refresh(ctx context.Context, e Endpoint, refused map[string]string) (bool, error) {
	u.mu.Lock()
	current := u.headers != nil && maps.Equal(u.headers(), refused) // else somebody was faster
	if current && time.Since(u.refreshed) < refreshPause {
		u.mu.Unlock()
		return false, nil
	}
	if current {
		u.headers, u.refreshed = nil, time.Now()
	}
	u.mu.Unlock()
	_, err := u.Headers(ctx, e)
	return err == nil, err
}

func (u *userPassword) login(ctx context.Context, e Endpoint) (map[string]string, error) {
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: e.TLS, DisableKeepAlives: true},
		// The password is for the configured servers, not for whom they name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	base := "http://" + e.Addr
	if e.TLS != nil {
		base = "https://" + e.Addr
	}
	form := url.Values{"username": {u.user}, "password": {u.password()}}.Encode()
	a, err := post(ctx, client, base+loginPath, form)
	if err == nil && (a.status == http.StatusNotFound || a.status == http.StatusGone) {
		a, err = post(ctx, client, base+loginPathV3, form)
	}
	if err != nil {
		err = fmt.Errorf("login of user %q: %w", u.user, err)
		if ctx.Err() == nil { // else nobody knows what the server thinks
			u.failed(e, err)
		}
		return nil, err
	}
	headers, ttl, err := a.token()
	if err != nil {
		// The server's words may quote what it was sent.
		said := without(without(err.Error(), u.password()), url.QueryEscape(u.password()))
		err = fmt.Errorf("login of user %q %s", u.user, said)
		u.failed(e, err)
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.headers, u.refusal = hide(headers), refusal{}
	u.renew = time.Now().Add(ttl * 4 / 5)
	return headers, nil
}

func (u *userPassword) failed(e Endpoint, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refusal = refusal{e.Addr, err, time.Now()}
}

// How long a token is valid, in seconds, where a server does not say it, and the most
// that is believed.
const (
	unknownTokenTTL = 10 // not 0: every request would bring a login
	maxTokenTTL     = 24 * 60 * 60
)

// loginAnswer is what a server says to a login.
type loginAnswer struct {
	status   int
	location string // of a redirect
	body     []byte
}

// token returns the token as headers, and how long it is valid.
func (a *loginAnswer) token() (headers map[string]string, ttl time.Duration, err error) {
	switch {
	case a.status >= 300 && a.status < 400:
		return nil, 0, fmt.Errorf("redirected: status %d: a password is not sent on to %.200q", a.status, a.location)
	case a.status != http.StatusOK:
		return nil, 0, fmt.Errorf("refused: status %d: %.200s", a.status, a.body)
	}
	var token struct {
		AccessToken string `json:"accessToken"`
		TTL         int64  `json:"tokenTtl"` // seconds
	}
	if err := json.Unmarshal(a.body, &token); err != nil || token.AccessToken == "" {
		return nil, 0, errors.New("failed: the answer holds no token")
	}
	seconds := min(token.TTL, maxTokenTTL)
	if seconds <= 0 {
		seconds = unknownTokenTTL
	}
	return map[string]string{"accessToken": token.AccessToken}, time.Duration(seconds) * time.Second, nil
}

func post(ctx context.Context, client *http.Client, to, form string) (loginAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		return loginAnswer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return loginAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLoginAnswer))
	return loginAnswer{resp.StatusCode, resp.Header.Get("Location"), body}, err
}
