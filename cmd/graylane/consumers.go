package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// consumer is a process that says what it has applied of a service's documents.
type consumer struct {
	id string // which tells it from all others
	ip string
	announce.Announcement
}

// consumersOf is whom a service's consumers announce themselves as.
func consumersOf(service string) registry.Service {
	return registry.Service{Group: announce.Group, Name: service}
}

// consumers returns who is listed, in the order of their names.
func consumers(u registry.Update) []consumer {
	all := make([]consumer, 0, len(u.Instances))
	for i := range u.Instances {
		in := &u.Instances[i]
		ip, _, _ := net.SplitHostPort(in.Addr) // its port says nothing
		all = append(all, consumer{in.ID, ip, announce.Read(in.Metadata)})
	}
	slices.SortFunc(all, func(a, b consumer) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), cmp.Compare(a.id, b.id))
	})
	return all
}

// self names the service and version that a consumer is.
func (c *consumer) self() string {
	var words []string
	for _, w := range []string{c.Service, c.Version} {
		if w != "" {
			words = append(words, explain.Plain(w))
		}
	}
	return cmp.Or(strings.Join(words, " "), "-")
}

func (c *consumer) host() string {
	if c.Host == "" {
		return "-"
	}
	return explain.Plain(c.Host)
}

// boot is what tells processes of one host and PID apart, as containers are, and one
// from that before its restart.
func (c *consumer) boot() string {
	if c.Boot == "" {
		return "-"
	}
	return explain.Plain(c.Boot)
}

// name names a consumer in a sentence.
func (c *consumer) name() string {
	name := c.ip
	if c.Host != "" {
		name = fmt.Sprintf("%s pid %d, %s", c.host(), c.PID, name)
	}
	if c.Boot != "" {
		name += ", boot " + c.boot()
	}
	if self := c.self(); self != "-" {
		name = self + " on " + name
	}
	return name
}

// standing is how a consumer stands to a version of a document.
type standing string

const (
	applied standing = "applied"
	refused standing = "refused"
	behind  standing = "behind"
	kept    standing = "kept" // there is no document any more, and the last good one stays in force
)

// stands compares what a consumer says with the digest of what is live, "" for no
// document.
func stands(a announce.Applied, md5 string) standing {
	md5 = announce.Short(md5)
	switch {
	case a.MD5 == md5:
		return applied
	case md5 == "":
		return kept
	case a.Refused == md5:
		return refused
	}
	return behind
}

// why says why a consumer does not follow.
func why(document string, a announce.Applied, md5 string) string {
	has := "has " + revision(a.MD5)
	switch stands(a, md5) {
	case refused:
		return fmt.Sprintf("refuses %s: %s; %s", document, cmp.Or(explain.Plain(a.Code), "nobody knows why"), has)
	case kept:
		return fmt.Sprintf("keeps %s, of which there is none any more, as it was; %s", document, has)
	case behind:
		return fmt.Sprintf("%s of %s", has, document)
	case applied:
	}
	return ""
}

// revision is a digest as people see it.
func revision(md5 string) string {
	if md5 == "" {
		return "none"
	}
	return explain.Plain(announce.Short(md5))
}

// latency is a time as people see it; "-" for none.
func latency(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// following is a watch whose latest value can be waited for.
type following[T any] struct {
	values chan T // of capacity 1
	ended  chan struct{}
	err    error // why it ended; written before ended is closed
}

// follow follows a watch until ctx ends, and has the connection's Close wait for
// that.
func follow[T any](ctx context.Context, n *nacos, watch func(ctx context.Context, fn func(T)) error) *following[T] {
	f := &following[T]{values: make(chan T, 1), ended: make(chan struct{})}
	n.watches.Go(func() {
		defer close(f.ended)
		f.err = watch(ctx, func(v T) {
			select { // this is the only sender
			case <-f.values:
			default:
			}
			f.values <- v
		})
	})
	return f
}

// first waits for the first value.
func (f *following[T]) first(ctx context.Context) (value T, err error) {
	select {
	case value = <-f.values:
	case <-f.ended:
		err = f.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return value, err
}
