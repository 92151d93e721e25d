package nacos

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TokenTTL is how long the tokens of a node that asks for a login are valid: short, so
// that a test sees what comes after.
const TokenTTL = 10 * time.Second

// identity is the header by which the nodes of a cluster recognise each other. A request
// that carries it needs no login.
const identity = "graylane"

// userAPI is where a release makes users.
type userAPI struct {
	path       string // what the names of the resources are appended to
	plural     string // suffix of their names: Nacos 2 has users, Nacos 3 user
	everything string // in the namespace public
}

// AddUser makes a user of a node that asks for a login, who may read and write
// everything in the namespace public. The node itself looks for new users and
// permissions every 15 s.
func (n *Node) AddUser(ctx context.Context, name, password string) error {
	api, role := n.installed.users, name+"-role"
	for _, add := range []struct {
		what string
		form url.Values
	}{
		{"user", url.Values{"username": {name}, "password": {password}}},
		{"role", url.Values{"username": {name}, "role": {role}}},
		{"permission", url.Values{"role": {role}, "resource": {api.everything}, "action": {"rw"}}},
	} {
		to := "http://" + n.Addr() + api.path + add.what + api.plural
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(add.form.Encode()))
		if err != nil {
			return fmt.Errorf("nacos: %w", err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set(identity, identity)
		if _, err := ask(req); err != nil {
			return fmt.Errorf("nacos: no new %s: %w", add.what, err)
		}
	}
	return nil
}
