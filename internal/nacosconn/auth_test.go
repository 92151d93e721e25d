package nacosconn

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loginServer takes logins of user u with password p at one path.
func loginServer(t *testing.T, path, token string) (Endpoint, *atomic.Int64) {
	t.Helper()
	logins := new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != path:
			http.NotFound(w, r)
		case r.Method != http.MethodPost || r.FormValue("username") != "u" || r.FormValue("password") != "p&ü":
			http.Error(w, "unknown user", http.StatusForbidden)
		default:
			logins.Add(1)
			_, err := w.Write([]byte(token))
			assert.NoError(t, err)
		}
	}))
	t.Cleanup(srv.Close)
	return Endpoint{Addr: strings.TrimPrefix(srv.URL, "http://")}, logins
}

const goodToken = `{"accessToken":"secret","tokenTtl":18000,"globalAdmin":false}`

func TestUserLogsInOnceAtEitherGeneration(t *testing.T) {
	for _, path := range []string{"/nacos/v1/auth/users/login", "/nacos/v3/auth/user/login"} {
		e, logins := loginServer(t, path, goodToken)
		c := UserPassword("u", "p&ü")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				h, err := c.Headers(t.Context(), e)
				assert.Equal(t, map[string]string{"accessToken": "secret"}, h)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.EqualValues(t, 1, logins.Load())
		require.NoError(t, c.Refresh(t.Context(), e))
		assert.EqualValues(t, 2, logins.Load())
	}
}

func TestTokenIsReplacedWhenItIsDue(t *testing.T) {
	e, logins := loginServer(t, "/nacos/v1/auth/users/login", `{"accessToken":"short","tokenTtl":0}`)
	c := UserPassword("u", "p&ü")
	for range 3 {
		_, err := c.Headers(t.Context(), e)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 3, logins.Load())
}

func TestRefusedLoginSaysWhy(t *testing.T) {
	e, _ := loginServer(t, "/nacos/v1/auth/users/login", goodToken)
	_, err := UserPassword("u", "wrong").Headers(t.Context(), e)
	require.EqualError(t, err, "login of user \"u\" refused: status 403: unknown user\n")

	e, _ = loginServer(t, "/nowhere", goodToken)
	_, err = UserPassword("u", "p&ü").Headers(t.Context(), e)
	require.ErrorContains(t, err, "status 404")

	e, _ = loginServer(t, "/nacos/v1/auth/users/login", `{}`)
	_, err = UserPassword("u", "p&ü").Headers(t.Context(), e)
	require.ErrorContains(t, err, "holds no token")
}
