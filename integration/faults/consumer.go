package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/internal/judge"
)

// Names of the clients.
const (
	OursHTTP    = "graylane-http"
	OursGRPC    = "graylane-grpc"
	GRPCRetry   = "grpc-go + retryPolicy"
	GRPCOutlier = "grpc-go + xds outlier detection"
	HTTPLB      = "httplb"
	Naive       = "naive"
)

// Ours returns the names of our clients.
func Ours() []string { return []string{OursHTTP, OursGRPC} }

// Rivals returns the names of those beside which ours run.
func Rivals() []string { return []string{GRPCRetry, GRPCOutlier, HTTPLB, Naive} }

// consumerRole says what a consumer's process is: one client, or several copies
// of it, under load.
type consumerRole struct {
	Client   string
	Servers  []string // of Nacos
	Service  string   // see httpService
	Rate     int      // requests a second, all copies together
	Seed     uint64
	Deadline time.Duration // of each request
	V2       float64       // share of requests that ask for v2
	Post     float64       // share of HTTP requests that must not be sent twice
	Copies   int           // of the client; 0: one
	Cold     bool          // it is under load without having had an answer
	Dir      string        // for its files; the log is logFile in it
}

const logFile = "requests.jsonl"

// state is what a consumer says of itself while it runs, at the address that it
// prints.
type state struct {
	Requests, Failed int64
	LastError        string
	First            time.Duration // from opening the client to the first answer
	Stalled          time.Duration // how long the load stood still, for want of CPU
	Views            []view        // of each copy of our client
	Events           []event
}

// view is what one of our clients follows.
type view struct {
	Instances int
	Rules     string // md5 of the document
	// Boots are the marks of the processes at the instances' addresses.
	Boots map[string]string
}

// event is something that one of our clients has reported.
type event struct {
	At   int64 // Unix nanoseconds
	Text string
}

// client is what is under load.
type client interface {
	// call makes one request, whose context begin has made, and returns the version
	// that answered.
	call(ctx context.Context, r *judge.Request) (version string, err error)
	close()
}

// book is where a consumer's requests are written down: a judge.Recorder for ours,
// a notebook for others.
type book interface {
	Begin(ctx context.Context, r judge.Request) (context.Context, func(version string, err error))
	Forget()
	Log() ([]judge.Attempt, error)
}

// consumer is a consumerRole at work.
type consumer struct {
	consumerRole
	clients []client
	books   []book
	watch   *watcher // of ours
	opened  time.Time

	first            atomic.Int64 // nanoseconds from opening to the first answer
	requests, failed atomic.Int64
	stalled          atomic.Int64 // nanoseconds in which the load stood still
	lastError        atomic.Pointer[string]
}

// play connects, says where its state is, and waits for lines on stdin: "go" starts
// the load, "stop" ends it, writes the log, says how long the load stood still, and
// ends the process.
func (r *consumerRole) play() error {
	ctx := context.Background()
	c := &consumer{consumerRole: *r, watch: newWatcher(max(1, r.Copies)), opened: time.Now()}
	for i := range max(1, r.Copies) {
		cl, bk, err := c.connect(ctx, i)
		if err != nil {
			return err
		}
		c.clients, c.books = append(c.clients, cl), append(c.books, bk)
	}
	if !r.Cold {
		if err := c.warmUp(ctx); err != nil {
			return err
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(c.state), ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(ln) }()
	if err := say(ln.Addr().String()); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() {
		return nil
	}
	stop := c.load(ctx)
	lines.Scan()
	stop()
	if err := c.writeLog(); err != nil {
		return err
	}
	// Whoever closes his client may hang or crash in it, which is not asked here.
	if isOurs(c.Client) {
		for _, cl := range c.clients {
			cl.close()
		}
	}
	return say(time.Duration(c.stalled.Load()))
}

func isOurs(client string) bool { return client == OursHTTP || client == OursGRPC }

// connect makes the client, and its book.
func (c *consumer) connect(ctx context.Context, i int) (client, book, error) {
	switch c.Client {
	case OursHTTP, OursGRPC:
		return c.connectOurs(ctx, i)
	case GRPCRetry, GRPCOutlier:
		cl, err := c.connectGRPC()
		return cl, &notebook{}, err
	case HTTPLB:
		return c.connectHTTPLB(), &notebook{}, nil
	case Naive:
		cl, err := c.connectNaive()
		return cl, &notebook{}, err
	}
	return nil, nil, fmt.Errorf("faults: no client %q", c.Client)
}

// warmUp makes requests until each copy has had answers for a while: connections
// are open then, to most instances at least.
func (c *consumer) warmUp(ctx context.Context) error {
	const inARow = 25
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, cl := range c.clients {
		for good := 0; good < inARow; good++ {
			r := judge.Request{ID: "warm-up", Protocol: c.protocol(), Service: c.service(), Method: http.MethodGet, Path: "/hello"}
			begun, answered := c.books[i].Begin(ctx, r)
			version, err := cl.call(begun, &r)
			answered(version, err)
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return fmt.Errorf("faults: %s does not start: %w", c.Client, err)
			}
			good = 0
			<-time.After(20 * time.Millisecond)
		}
		c.books[i].Forget()
	}
	return nil
}

func (r *consumerRole) protocol() string {
	switch r.Client {
	case OursGRPC, GRPCRetry, GRPCOutlier:
		return "grpc"
	}
	return "http"
}

// service is the one that the consumer calls.
func (r *consumerRole) service() string {
	if r.protocol() == "grpc" {
		return grpcService(r.Service)
	}
	return httpService(r.Service)
}

func (c *consumer) state(w http.ResponseWriter, _ *http.Request) {
	s := state{Requests: c.requests.Load(), Failed: c.failed.Load(), Stalled: time.Duration(c.stalled.Load()), First: time.Duration(c.first.Load())}
	if last := c.lastError.Load(); last != nil {
		s.LastError = *last
	}
	s.Views, s.Events = c.watch.seen()
	_ = json.NewEncoder(w).Encode(s)
}

func (c *consumer) writeLog() error {
	var all []judge.Attempt
	for _, b := range c.books {
		log, err := b.Log()
		if err != nil {
			return err
		}
		all = append(all, log...)
	}
	f, err := os.Create(c.Dir + "/" + logFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	if err := judge.WriteLog(out, all); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// notebook is the book of clients that do not tell what they decide.
type notebook struct {
	mu  sync.Mutex // guards log; a leaf
	log []judge.Attempt
}

// note is one request that is under way.
type note struct {
	mu    sync.Mutex // guards tries; a leaf
	tries []judge.Attempt
}

type noteKey struct{}

// Begin implements book.
func (n *notebook) Begin(ctx context.Context, r judge.Request) (_ context.Context, answered func(string, error)) {
	begin, of := time.Now(), &note{}
	return context.WithValue(ctx, noteKey{}, of), func(version string, err error) {
		of.mu.Lock()
		tries := of.tries
		of.mu.Unlock()
		if len(tries) == 0 {
			tries = []judge.Attempt{{Start: begin.UnixNano()}}
		}
		for i := range tries {
			tries[i].Request, tries[i].Number, tries[i].Slot, tries[i].Begin = r, i+1, -1, begin.UnixNano()
		}
		last := &tries[len(tries)-1]
		last.Last, last.End, last.Version = true, time.Now().UnixNano(), version
		last.Error = ""
		if err != nil {
			last.Error = err.Error()
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.log = append(n.log, tries...)
	}
}

// tried notes how one of a request's tries ended.
func tried(ctx context.Context, start, end time.Time, err error) {
	of, _ := ctx.Value(noteKey{}).(*note)
	if of == nil {
		return
	}
	a := judge.Attempt{Start: start.UnixNano(), End: end.UnixNano()}
	if err != nil {
		a.Error = err.Error()
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	of.tries = append(of.tries, a)
}

// Forget implements book.
func (n *notebook) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = nil
}

// Log implements book.
func (n *notebook) Log() ([]judge.Attempt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log, nil
}
