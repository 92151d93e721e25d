package nacostest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc"
)

// TB is the part of testing.TB that Run needs.
type TB interface {
	Helper()
	Cleanup(f func())
	Fatalf(format string, args ...any)
}

// Data says what a restarted server still knows.
type Data bool

// What Restart may do with the data.
const (
	// KeepData keeps configurations, console edits, and the instances that no
	// connection holds, as a real server has them on disk.
	KeepData Data = true
	// WipeData forgets everything.
	WipeData Data = false
)

// Server is an embedded Nacos. Its methods may be called concurrently.
type Server struct {
	addr, grpcAddr string
	naming         *naming
	configs        *configs
	conns          *conns
	auth           *auth // nil: open to everybody
	intercept      atomic.Pointer[func(Request) Action]
	silence        silence

	mu      sync.Mutex // guards running
	running *run       // nil while stopped
}

// Run starts a server and closes it at the end of the test.
func Run(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server. It accepts connections when Start returns.
func Start(opts ...Option) (*Server, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	var httpL, grpcL net.Listener
	if o.addr == "" {
		httpL, grpcL, err = listenFree()
	} else {
		httpL, grpcL, err = listenPair(o.addr)
	}
	if err != nil {
		return nil, fmt.Errorf("nacostest: %w", err)
	}
	s := &Server{
		addr: httpL.Addr().String(), grpcAddr: grpcL.Addr().String(),
		naming: newNaming(o.pushDelay), configs: newConfigs(),
		auth: o.auth,
	}
	s.conns = newConns(s.leave)
	s.running = s.serve(httpL, grpcL)
	return s, nil
}

// Addr returns the "ip:port" of the HTTP server: what a client is configured
// with. It stays the same after Restart.
func (s *Server) Addr() string { return s.addr }

// GRPCAddr returns the "ip:port" of the gRPC server, 1000 ports above Addr.
func (s *Server) GRPCAddr() string { return s.grpcAddr }

// Close stops the server. It is idempotent.
func (s *Server) Close() { s.Stop() }

// Stop ends the server as a kill does: connections break, requests in flight
// fail, and the instances of the connections are gone. It returns when nothing
// runs any more. Restart brings the server back.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.stop()
		s.running = nil
	}
}

// Restart stops the server if it runs, and starts it on the same ports.
func (s *Server) Restart(data Data) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.stop()
		s.running = nil
	}
	httpL, grpcL, err := listenPair(s.addr)
	if err != nil {
		return fmt.Errorf("nacostest: restart: %w", err)
	}
	if data == WipeData {
		s.naming.wipe()
		s.configs.wipe()
	}
	s.running = s.serve(httpL, grpcL)
	return nil
}

// run is what runs between a start and a stop.
type run struct {
	grpc   *grpc.Server
	http   *http.Server
	ticker *time.Ticker
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (s *Server) serve(httpL, grpcL net.Listener) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{
		grpc: grpc.NewServer(grpc.StatsHandler(s.conns), grpc.WaitForHandlers(true),
			grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage)),
		ticker: time.NewTicker(time.Second),
		cancel: cancel,
	}
	service := &grpcService{server: s, handlers: newHandlers()}
	auto.RegisterRequestServer(r.grpc, service)
	auto.RegisterBiRequestStreamServer(r.grpc, service)
	r.http = &http.Server{
		Handler: r.counted(s.httpHandler()), ReadHeaderTimeout: 10 * time.Second,
		// Closing a connection does not end a request whose body nobody reads.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}

	// Serve returns when stop closes the servers, and never for another reason
	// that somebody could act on.
	r.wg.Go(func() { _ = r.grpc.Serve(newListener(grpcL, &s.silence)) })
	r.wg.Go(func() { _ = r.http.Serve(newListener(httpL, &s.silence)) })
	r.wg.Go(func() {
		for {
			select {
			case now := <-r.ticker.C:
				s.tick(now)
			case <-ctx.Done():
				return
			}
		}
	})
	return r
}

// tick does what is done once a second.
func (s *Server) tick(now time.Time) {
	if s.silence.on() {
		return
	}
	s.conns.tick(now)
	s.naming.sweep(now)
}

// counted makes stop wait for the handler, which http.Server.Close does not.
func (r *run) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.wg.Add(1)
		defer r.wg.Done()
		h.ServeHTTP(w, req)
	})
}

func (r *run) stop() {
	r.ticker.Stop()
	_ = r.http.Close()
	r.cancel() // now, or requests that wait could still be answered
	r.grpc.Stop()
	r.wg.Wait()
}

// Free ports are looked for below the range from which systems take the ports
// of outgoing connections: while the server is stopped, a client that dials a
// port of that range could otherwise be connected with itself.
const (
	firstFreePort = 15000
	lastFreePort  = 30000
	freePortTries = 100
)

func listenFree() (httpL, grpcL net.Listener, err error) {
	for range freePortTries {
		port := firstFreePort + rand.IntN(lastFreePort-firstFreePort)
		httpL, grpcL, err = listenPair(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return httpL, grpcL, nil
		}
	}
	return nil, nil, fmt.Errorf("no free pair of ports: %w", err)
}

func listenPair(addr string) (httpL, grpcL net.Listener, err error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	httpL, err = net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, nil, err
	}
	tcp.Port += grpcPortOffset
	grpcL, err = net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, nil, errors.Join(err, httpL.Close())
	}
	return httpL, grpcL, nil
}
