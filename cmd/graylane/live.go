package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

// liveFlags say which Nacos is asked for what is live. As for every program with
// graylane, the environment has the defaults.
type liveFlags struct {
	addr                           text
	live                           bool
	namespace, group, serviceGroup string
	timeout                        time.Duration
}

func (f *liveFlags) register(fs *flag.FlagSet) {
	fs.Var(&f.addr, "nacos", "")
	fs.BoolVar(&f.live, "live", false, "")
	fs.StringVar(&f.namespace, "namespace", os.Getenv("NACOS_NAMESPACE"), "")
	fs.StringVar(&f.group, "group", config.DefaultGroup, "")
	fs.StringVar(&f.serviceGroup, "service-group", os.Getenv("NACOS_GROUP"), "")
	fs.DurationVar(&f.timeout, "timeout", 5*time.Second, "")
}

// asked reports whether a Nacos is to be asked. NACOS_ADDR alone does not say so:
// where it is set, files must be files all the same.
func (f *liveFlags) asked() bool { return f.live || f.addr != "" }

// config returns the Nacos that flags and environment name.
func (f *liveFlags) config() (confignacos.Config, error) {
	servers := cmp.Or(string(f.addr), os.Getenv("NACOS_ADDR"), "127.0.0.1:8848")
	cfg := confignacos.Config{Servers: strings.Split(servers, ","), Namespace: f.namespace}
	switch user, password := os.Getenv("NACOS_USERNAME"), os.Getenv("NACOS_PASSWORD"); {
	case (user == "") != (password == ""):
		return cfg, errors.New("of NACOS_USERNAME and NACOS_PASSWORD only one is set")
	case user != "":
		cfg.Credentials = confignacos.UserPassword(user, password)
	}
	return cfg, nil
}

// nacos is a connection to what is live. It needs one Close.
type nacos struct {
	flags  *liveFlags
	docs   *confignacos.Client
	naming *registrynacos.Client
	said   lastError
	ctx    context.Context //nolint:containedctx // the time that Nacos has
	cancel context.CancelFunc

	watches sync.WaitGroup // those of follow
}

// lastError is what a client reported last.
type lastError struct {
	mu  sync.Mutex // guards err
	err error
}

func (l *lastError) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *lastError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// open connects to Nacos. It does not wait for it; the time that Nacos has begins
// now.
func (f *liveFlags) open(ctx context.Context) (*nacos, error) {
	cfg, err := f.config()
	if err != nil {
		return nil, unusable("%w", err)
	}
	n := &nacos{flags: f}
	n.docs, err = confignacos.New(cfg, confignacos.WithGroup(f.group),
		confignacos.WithOnError(func(_ string, err error) { n.said.set(err) }))
	if err != nil {
		return nil, unusable("%w", err)
	}
	n.naming, err = registrynacos.New(cfg,
		registrynacos.WithOnError(func(_ registry.Service, err error) { n.said.set(err) }))
	if err != nil {
		_ = n.docs.Close()
		return nil, unusable("%w", err)
	}
	n.ctx, n.cancel = context.WithTimeout(ctx, f.timeout)
	return n, nil
}

// again gives Nacos its time anew.
func (n *nacos) again(ctx context.Context) {
	n.cancel()
	n.ctx, n.cancel = context.WithTimeout(ctx, n.flags.timeout)
}

// Close ends the connection and what is followed.
func (n *nacos) Close() {
	n.cancel()
	_ = n.docs.Close()
	_ = n.naming.Close()
	n.watches.Wait()
}

// document returns a document; it is without content if there is none.
func (n *nacos) document(dataID string) (config.Doc, error) {
	doc, err := first(n.ctx, func(ctx context.Context, fn func(config.Doc)) error {
		return n.docs.Watch(ctx, dataID, fn)
	})
	if err != nil {
		return doc, n.explained(dataID, err, n.docs.Reason)
	}
	return doc, nil
}

// instances returns the instances of a service; there are none of an unknown one.
func (n *nacos) instances(service string) (*registry.Snapshot, error) {
	s := registry.Service{Group: n.flags.serviceGroup, Name: service}
	update, err := n.list(s, "instances of "+service)
	if err != nil {
		return nil, err
	}
	return registry.NewSnapshot(s, 0, update.Instances), nil
}

// list returns what is listed of a service.
func (n *nacos) list(s registry.Service, what string) (registry.Update, error) {
	update, err := first(n.ctx, func(ctx context.Context, fn func(registry.Update)) error {
		return n.naming.Watch(ctx, s, fn)
	})
	if err != nil {
		err = n.explained(what, err, n.naming.Reason)
	}
	return update, err
}

// explained says why there was no answer.
func (n *nacos) explained(what string, err error, disconnected func() error) error {
	if n.ctx.Err() == nil {
		return unusable("%s: %w", what, err) // can never be watched
	}
	for _, why := range []error{disconnected(), n.said.get()} {
		if why != nil {
			return fmt.Errorf("%s: %w", what, why)
		}
	}
	return fmt.Errorf("%s: no answer from Nacos within %v", what, n.flags.timeout)
}

// first returns what a watch tells first. The error is the watch's own, if it told
// nothing.
func first[T any](ctx context.Context, watch func(ctx context.Context, fn func(T)) error) (value T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := false
	err = watch(ctx, func(v T) {
		if !told {
			value, told = v, true
			cancel()
		}
	})
	if told {
		err = nil
	}
	return value, err
}
