package nacosconn

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loginServer takes logins of user u with password p&ü at one path. A %d in the
// token is the number of the login.
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
			n := strconv.FormatInt(logins.Add(1), 10)
			_, err := w.Write([]byte(strings.ReplaceAll(token, "%d", n)))
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
	}
}

func TestRefusedTokenIsReplacedOnceForAll(t *testing.T) {
	e, logins := loginServer(t, "/nacos/v1/auth/users/login", `{"accessToken":"token %d","tokenTtl":18000}`)
	c := UserPassword("u", "p&ü").(*userPassword)
	first, err := c.Headers(t.Context(), e)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			better, err := c.Refresh(t.Context(), e, first)
			assert.True(t, better)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.EqualValues(t, 2, logins.Load())

	second, err := c.Headers(t.Context(), e)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"accessToken": "token 2"}, second)
	better, err := c.Refresh(t.Context(), e, second)
	require.NoError(t, err)
	assert.False(t, better, "what is refused with a fresh token is forbidden")
	assert.EqualValues(t, 2, logins.Load())

	c.refreshed = c.refreshed.Add(-refreshPause)
	better, err = c.Refresh(t.Context(), e, second)
	require.NoError(t, err)
	assert.True(t, better)
	assert.EqualValues(t, 3, logins.Load())
}

func TestRefusedLoginIsNotRepeatedAtOnce(t *testing.T) {
	var tries atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer srv.Close()
	e := Endpoint{Addr: strings.TrimPrefix(srv.URL, "http://")}
	c := UserPassword("u", "wrong").(*userPassword)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := c.Headers(t.Context(), e)
			assert.ErrorContains(t, err, "status 403")
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, tries.Load())
	c.refusal.at = c.refusal.at.Add(-refusalPause)
	_, err := c.Headers(t.Context(), e)
	require.ErrorContains(t, err, "status 403")
	assert.EqualValues(t, 2, tries.Load())

	other, _ := loginServer(t, "/nacos/v1/auth/users/login", goodToken)
	_, err = c.Headers(t.Context(), other)
	require.ErrorContains(t, err, "unknown user", "another server is asked")
}

func TestPasswordDoesNotFollowARedirect(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Fail(t, "asked", "with password %q", r.FormValue("password"))
	}))
	defer thief.Close()
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		srv := httptest.NewServer(http.RedirectHandler(thief.URL+"/nacos/v1/auth/users/login", status))
		e := Endpoint{Addr: strings.TrimPrefix(srv.URL, "http://")}
		_, err := UserPassword("u", "p&ü").Headers(t.Context(), e)
		srv.Close()
		require.ErrorContains(t, err, `login of user "u" redirected: status `)
		require.ErrorContains(t, err, `a password is not sent on to "`+thief.URL)
		require.NotContains(t, err.Error(), "p&ü")
	}
}

func TestTokenIsReplacedWhenItIsDue(t *testing.T) {
	e, logins := loginServer(t, "/nacos/v1/auth/users/login", goodToken)
	c := UserPassword("u", "p&ü").(*userPassword) //nolint:forcetypeassert // it is one
	for range 3 {
		_, err := c.Headers(t.Context(), e)
		require.NoError(t, err)
		c.renew = time.Now()
	}
	assert.EqualValues(t, 3, logins.Load())
}

func TestATokenIsReplacedAfterFourFifthsOfItsLife(t *testing.T) {
	for said, want := range map[string]time.Duration{
		`,"tokenTtl":1`: 800 * time.Millisecond, `,"tokenTtl":2`: 1600 * time.Millisecond, `,"tokenTtl":18000`: 4 * time.Hour,
		"": 8 * time.Second, `,"tokenTtl":0`: 8 * time.Second, `,"tokenTtl":-1`: 8 * time.Second,
		`,"tokenTtl":9223372036854775807`: 19*time.Hour + 12*time.Minute,
	} {
		e, _ := loginServer(t, "/nacos/v1/auth/users/login", `{"accessToken":"odd"`+said+`}`)
		c := UserPassword("u", "p&ü").(*userPassword) //nolint:forcetypeassert // it is one
		before := time.Now()
		_, err := c.Headers(t.Context(), e)
		require.NoError(t, err)
		assert.WithinRange(t, c.renew, before.Add(want), time.Now().Add(want), said)
	}
}

func TestAServerCannotMakeEveryRequestLogIn(t *testing.T) {
	for _, ttl := range []string{"0", "-1", "9223372036854775807"} {
		e, logins := loginServer(t, "/nacos/v1/auth/users/login", `{"accessToken":"odd","tokenTtl":`+ttl+`}`)
		c := UserPassword("u", "p&ü")
		for range 3 {
			_, err := c.Headers(t.Context(), e)
			require.NoError(t, err)
		}
		assert.EqualValues(t, 1, logins.Load(), ttl)
	}
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
