package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

const byUser = `gray: v1
default: v1
balance: {hash: user}
`

func TestEachUserHasOneOwner(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const users = 2_000
		// An owner is an ip:port. So that it can be the same over both protocols,
		// each server speaks both on one port, and says no protocol in Nacos.
		for range 4 {
			s.provideOnOnePort("v1")
		}
		c := s.consume()
		c.sees(4)
		rules := s.publish(byUser)
		c.follows(rules)

		owners := map[string]map[string]string{} // by protocol, by user
		for _, protocol := range protocols() {
			c.send(protocol, 100, 8, anyone) // connects to all of them
			from := s.recorder.Now()
			c.send(protocol, 2*users, 8, func(i int) ask { return ask{user: user(i % users)} })
			owners[protocol] = ownersIn(t, s.attempts(protocol, from))
			require.Len(t, owners[protocol], users)
		}
		assert.Equal(t, owners["http"], owners["grpc"], "over HTTP and over gRPC")

		out, err := another(t, "owners", task{Nacos: s.nacos.addr, Service: s.service, Revision: rules.Revision(), Instances: 4, Users: users}).Output()
		require.NoError(t, err)
		var there map[string]string
		require.NoError(t, json.Unmarshal(out, &there))
		assert.Equal(t, owners["http"], there, "in another process")

		load := map[string]int{}
		for _, owner := range there {
			load[owner]++
		}
		assert.Len(t, load, 4)
		figure(t, "%d users have one owner each, the same over HTTP, over gRPC and in another process; users by owner: %v", users, load)
		s.flawless()
	})
}

// ownersIn returns who served each user, who must have one owner only.
func ownersIn(t *testing.T, log []judge.Attempt) map[string]string {
	t.Helper()
	owners := map[string]string{}
	for i := range log {
		a := &log[i]
		if before, ok := owners[a.User]; ok {
			require.Equal(t, before, a.Addr, "a second owner of %s", a.User)
		}
		owners[a.User] = a.Addr
	}
	return owners
}

// playOwners prints the owner of each user as another process finds it.
func playOwners(t task) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := graylane.Open(ctx, graylane.WithServers(t.Nacos))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	view, err := client.Resolver().View(client.Resolver().Service(t.Service), "grpc")
	if err != nil {
		return err
	}
	if err := awaitState(ctx, view, func(st *resolver.State) bool { return st.Revision() == t.Revision && st.Snapshot.Len() == t.Instances }); err != nil {
		return err
	}
	owners := map[string]string{}
	for i := range t.Users {
		call, err := view.Pick(ctx, request{user: user(i)}, nil)
		if err != nil {
			return err
		}
		owners[user(i)] = call.Addr()
		call.Done(ctx, resolver.Outcome{})
	}
	return json.NewEncoder(os.Stdout).Encode(owners)
}

// provideOnOnePort starts a server that speaks HTTP and gRPC on the same port.
func (s *stage) provideOnOnePort(version string) {
	s.t.Helper()
	p := s.newProvider(version, nil)
	ln := listen(s.t)
	calls := grpc.NewServer(grpcx.Interceptors(grpcx.WithVersion(version))...)
	hello.RegisterHelloServer(calls, &greeter{version: version, served: &ln.served})
	requests := httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }), httpx.WithVersion(version))
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			calls.ServeHTTP(w, r)
		} else {
			requests.ServeHTTP(w, r)
		}
	})}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	s.started("", judge.Instance{Service: s.service, Addr: ln.addr, Version: version, From: s.recorder.Now()})
	p.wg.Go(func() { assert.ErrorIs(s.t, srv.Serve(ln), http.ErrServerClosed) })
	_, err := p.client.Register(s.t.Context(), registry.Service{Name: s.service}, registry.NewInstance(ln.addr))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, srv.Close()) })
}
