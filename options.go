package graylane

import (
	"crypto/tls"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/zapx"
)

// Option configures a Client. Of two options that set the same thing the later
// one counts; an option beats the environment.
type Option func(*options)

// options is what was asked for, not yet checked; see options.check.
type options struct {
	servers, namespace, group setting
	user, password            setting
	ip, weight                setting
	defaultVersion, service   setting
	cache                     setting // a directory; noCache: none
	retries                   *int    // nil: the resolver's default
	hold                      *time.Duration
	serverErrors              bool
	unannounced               bool
	labels                    map[string]setting
	slowStart                 *time.Duration // nil: the resolver's default
	policy                    config.Policy
	tls                       *tls.Config
	hooks                     []resolver.Hooks
}

// setting is a value and who gave it, so that a problem can name the place to
// mend. The zero setting is "not given".
type setting struct{ value, from string }

// WithServers names the servers of one Nacos cluster as "host:port" of their
// HTTP API; gRPC is at port + 1000. The default is 127.0.0.1:8848.
func WithServers(addrs ...string) Option {
	return func(o *options) { o.servers = setting{strings.Join(addrs, ","), "WithServers"} }
}

// WithNamespace sets the Nacos namespace, by its ID, of services and documents.
// The default is "public".
func WithNamespace(id string) Option {
	return func(o *options) { o.namespace = setting{id, "WithNamespace"} }
}

// WithGroup sets the Nacos group of services; the default is
// registry.DefaultGroup. Documents are in config.DefaultGroup always.
func WithGroup(group string) Option {
	return func(o *options) { o.group = setting{group, "WithGroup"} }
}

// WithCredentials sets the user and password that Nacos asks for. By default
// none are sent.
func WithCredentials(user, password string) Option {
	return func(o *options) {
		o.user, o.password = setting{user, "WithCredentials"}, setting{password, "WithCredentials"}
	}
}

// WithTLS makes all connections to Nacos use TLS. The config is copied; nil is
// plain text, the default.
func WithTLS(c *tls.Config) Option {
	return func(o *options) { o.tls = c }
}

// WithVersion sets the label "version" of the instances that the client
// registers.
func WithVersion(version string) Option {
	return func(o *options) { o.labels[registry.KeyVersion] = setting{version, "WithVersion"} }
}

// WithService names the service that this process is, for rules that ask for
// caller.service. By default such a rule does not match.
func WithService(name string) Option {
	return func(o *options) { o.service = setting{name, "WithService"} }
}

// WithLabels sets labels of the instances that the client registers, such as
// "env", "region", "zone" and "lane". As a consumer, the client's rules see them
// as its own. Of an empty value nothing is written, also where the environment
// has one. The instance's own labels beat all of them.
func WithLabels(labels map[string]string) Option {
	labels = maps.Clone(labels)
	return func(o *options) {
		for name, value := range labels {
			o.labels[name] = setting{value, "WithLabels"}
		}
	}
}

// WithIP sets the IP address that is announced for an instance without one. The
// default is the local address of the connection to Nacos.
func WithIP(ip string) Option {
	return func(o *options) { o.ip = setting{ip, "WithIP"} }
}

// WithWeight sets the weight of instances that are registered with the default
// weight, in Nacos's unit: 1 is normal, 0.5 half of it, 0 no traffic, 10000 the
// most. It is kept in thousandths.
func WithWeight(nacos float64) Option {
	return func(o *options) { o.weight = setting{strconv.FormatFloat(nacos, 'g', -1, 64), "WithWeight"} }
}

// WithLogger writes updates and errors to logger, see package telemetry/zapx. By
// default nothing is logged.
func WithLogger(logger *zap.Logger) Option { return WithHooks(zapx.Hooks(logger)) }

// WithHooks adds hooks that observe the client's resolver; OnError also hears
// what goes wrong with the connections to Nacos, then without a service. It may
// be given several times; all are called, in order.
func WithHooks(h resolver.Hooks) Option {
	return func(o *options) { o.hooks = append(o.hooks, h) }
}

// WithDefaultVersion names the version that serves, as seen by this consumer,
// while a service has no rule document. Without it every instance that is in no
// lane does.
func WithDefaultVersion(version string) Option {
	return func(o *options) { o.defaultVersion = setting{version, "WithDefaultVersion"} }
}

// WithSlowStart sets how long the weight of an instance that has just appeared takes
// to grow from a tenth to the whole; default resolver.DefaultSlowStart, 0 disables,
// see resolver.WithSlowStart.
func WithSlowStart(d time.Duration) Option {
	return func(o *options) { o.slowStart = &d }
}

// noCache is the directory that stands for none.
const noCache = "off"

// WithCacheDir sets the directory where the last good lists and documents are kept, so
// that a process that starts while Nacos is away can serve. The default is graylane in
// the user's cache directory (os.UserCacheDir); "off" keeps nothing. Processes may share
// it. A cache that cannot be used is an error to OnError, and nothing else.
func WithCacheDir(dir string) Option {
	return func(o *options) { o.cache = setting{dir, "WithCacheDir"} }
}

// WithRetries sets how often a request may be sent again where the document's `limits`
// do not say it, see resolver.WithRetries. The default is resolver.DefaultRetries; 0
// disables.
func WithRetries(n int) Option {
	return func(o *options) { o.retries = &n }
}

// WithServerErrors makes every HTTP status from 500 on speak against the instance, see
// resolver.WithServerErrors.
func WithServerErrors() Option {
	return func(o *options) { o.serverErrors = true }
}

// WithHold sets for how long instances are held, at most, that an empty or suddenly small
// list does not have any more, see resolver.WithHold. The default is
// resolver.DefaultHold; 0 disables.
func WithHold(d time.Duration) Option {
	return func(o *options) { o.hold = &d }
}

// WithoutAnnouncements keeps to this process which rules it has applied. By default it
// registers, for each service that it consumes (at most 100), an
// instance of weight 0 in the Nacos group GRAYLANE_CONSUMERS, which graylane status and
// graylane publish read.
func WithoutAnnouncements() Option {
	return func(o *options) { o.unannounced = true }
}

// WithPolicy sets how an instance is picked where a service's document says nothing of
// it, see resolver.WithPolicy. The default is config.Weighted.
func WithPolicy(p config.Policy) Option {
	return func(o *options) { o.policy = p }
}

// newOptions reads the environment, then the options.
func newOptions(opts []Option) *options {
	o := &options{
		servers: setting{"127.0.0.1:8848", "the default"},
		labels:  map[string]setting{},
	}
	o.readEnv()
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// resolverOptions are what of the options the resolver needs.
func (o *options) resolverOptions(s *settings) []resolver.Option {
	opts := []resolver.Option{
		resolver.WithNamespace(s.home.Namespace),
		resolver.WithGroup(s.home.Group),
		resolver.WithCaller(s.caller),
		resolver.WithDefaultVersion(s.defaultVersion),
		resolver.WithPolicy(o.policy),
	}
	if o.slowStart != nil {
		opts = append(opts, resolver.WithSlowStart(*o.slowStart))
	}
	if o.serverErrors {
		opts = append(opts, resolver.WithServerErrors())
	}
	if o.hold != nil {
		opts = append(opts, resolver.WithHold(*o.hold))
	}
	if o.retries != nil {
		opts = append(opts, resolver.WithRetries(*o.retries))
	}
	for _, h := range o.hooks {
		opts = append(opts, resolver.WithHooks(h))
	}
	return opts
}

// report tells the hooks of an error that no caller gets.
func (o *options) report(s registry.Service, err error) {
	for _, h := range o.hooks {
		if h.OnError != nil {
			h.OnError(s, err)
		}
	}
}

// reportDocument is report for errors of the source of documents.
func (o *options) reportDocument(dataID string, err error) {
	if dataID != "" {
		err = fmt.Errorf("document %s: %w", dataID, err)
	}
	o.report(registry.Service{}, err)
}
