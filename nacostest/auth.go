package nacostest

import (
	"crypto/rand"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// headerToken carries a token over HTTP and gRPC.
	headerToken = "accessToken"

	noUser   = "Code: 401, Message: User not found! Please check user exist or password is right!."
	notValid = "Code: 401, Message: token invalid!."
	expired  = "Code: 401, Message: token expired!."

	codeForbidden = 403
)

// auth knows the one user. A nil auth lets everybody in.
type auth struct {
	user, password string
	ttl            time.Duration

	mu     sync.Mutex           // guards tokens
	tokens map[string]time.Time // until when each is valid
}

// RevokeTokens makes every token that was given out invalid: clients have to log
// in anew.
func (s *Server) RevokeTokens() {
	if s.auth == nil {
		return
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	clear(s.auth.tokens)
}

// refusal is why a token does not open, empty if it does.
func (a *auth) refusal(token string) string {
	if a == nil {
		return ""
	}
	if token == "" {
		return noUser
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch until, ok := a.tokens[token]; {
	case !ok:
		return notValid
	case !time.Now().Before(until):
		return expired
	}
	return ""
}

// guarded lets only those in who have a token.
func (a *auth) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		for _, token := range []string{r.Header.Get(headerToken), bearer, r.FormValue(headerToken)} {
			if a.refusal(token) == "" {
				next(w, r)
				return
			}
		}
		writeStatus(w, r, http.StatusForbidden)
	}
}

type login struct {
	AccessToken string `json:"accessToken"`
	TTL         int    `json:"tokenTtl"` // seconds
	GlobalAdmin bool   `json:"globalAdmin"`
	Username    string `json:"username"`
}

// login serves the endpoint of one generation, which has its own status for an
// unknown user. Where there are no users, every user is unknown.
func (a *auth) login(unknownUser int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password := r.FormValue("username"), r.FormValue("password") // the Java client sends the name in the query
		switch {
		case user == "" || a != nil && user == a.user && password != a.password:
			writeStatus(w, r, http.StatusInternalServerError) // as Nacos does
		case a == nil || user != a.user:
			writeStatus(w, r, unknownUser)
		default:
			token := rand.Text()
			a.mu.Lock()
			a.tokens[token] = time.Now().Add(a.ttl)
			a.mu.Unlock()
			w.Header().Set("Authorization", "Bearer "+token)
			writeJSON(w, http.StatusOK, login{token, int(math.Ceil(a.ttl.Seconds())), true, user})
		}
	}
}
