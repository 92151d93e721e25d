package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kinds are what the load asks for, in turn.
var kinds = []struct{ name, header, value string }{ //nolint:gochecknoglobals // a table
	{name: "anyone"},
	{name: "x-gray-version: v2", header: "X-Gray-Version", value: "v2"},
	{name: "x-gray-lane: canary", header: "X-Gray-Lane", value: "canary"},
}

// maxRate is the most requests a second; one timer starts them all.
const maxRate = 1000

// users is how many different users the requests are made for.
const users = 1000

// runLoad sends requests until ctx ends, and prints every now and then who
// answered them.
func runLoad(ctx context.Context, out io.Writer) error {
	rate, err := strconv.Atoi(os.Getenv("RATE"))
	if err != nil || rate < 1 || rate > maxRate {
		return fmt.Errorf("RATE=%q: want requests per second, 1 to %d", os.Getenv("RATE"), maxRate)
	}
	every, err := time.ParseDuration(os.Getenv("REPORT_EVERY"))
	if err != nil || every <= 0 {
		return fmt.Errorf("REPORT_EVERY=%q: want a duration such as 5s", os.Getenv("REPORT_EVERY"))
	}
	target := os.Getenv("TARGET")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxRate}, Timeout: 2 * hopTimeout}
	defer client.CloseIdleConnections()

	var wg sync.WaitGroup
	defer wg.Wait() // what was sent is answered
	var c counts
	report, tick := time.NewTicker(every), time.NewTicker(time.Second/time.Duration(rate))
	defer report.Stop()
	defer tick.Stop()
	sent := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-report.C:
			fmt.Fprint(out, c.take())
		case <-tick.C:
			i := sent
			wg.Go(func() { c.add(i%len(kinds), send(context.WithoutCancel(ctx), client, target, i)) })
			sent++
		}
	}
}

// answer is what came back: "order v1 > user v2 > stock v1", or why not.
type answer struct {
	path string
	err  error
}

// send makes request number i. A lane and a version are asked for as anybody
// outside would.
func send(ctx context.Context, client *http.Client, target string, i int) answer {
	header := http.Header{"X-User-Id": {fmt.Sprint("user-", i*7%users)}}
	if k := kinds[i%len(kinds)]; k.header != "" {
		header.Set(k.header, k.value)
	}
	path, err := get(ctx, client, target, header)
	return answer{path, err}
}

// counts are the answers since the last report.
type counts struct {
	mu     sync.Mutex // guards the rest
	byKind [3]split
}

// split is how often each "service version" answered, per hop.
type split struct {
	hops     []map[string]int
	answered int
	failed   int
}

func (c *counts) add(kind int, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.byKind[kind]
	if a.err != nil {
		s.failed++
		if s.failed == 1 {
			log.Print("demo: ", a.err) // one for each report says enough
		}
		return
	}
	s.answered++
	for i, hop := range strings.Split(a.path, " > ") {
		if i == len(s.hops) {
			s.hops = append(s.hops, map[string]int{})
		}
		s.hops[i][hop]++
	}
}

// take returns a line for each kind, and starts again.
func (c *counts) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for i := range c.byKind {
		fmt.Fprintf(&b, "%-20s %s\n", kinds[i].name, &c.byKind[i])
		c.byKind[i] = split{}
	}
	return b.String()
}

// String is such as "order v1 80% v2 20%   user v1 100%   (100 answered, 0 failed)".
func (s *split) String() string {
	var b strings.Builder
	for _, hop := range s.hops {
		last := ""
		for _, who := range slices.Sorted(maps.Keys(hop)) {
			name, version, _ := strings.Cut(who, " ")
			if name != last {
				fmt.Fprint(&b, name)
				last = name
			}
			fmt.Fprintf(&b, " %s %.0f%%", version, 100*float64(hop[who])/float64(s.answered))
		}
		b.WriteString("   ")
	}
	fmt.Fprintf(&b, "(%d answered, %d failed)", s.answered, s.failed)
	return b.String()
}
