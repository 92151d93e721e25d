package graylane

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// Settings returns the configuration that is in force, in a fixed order: what each
// setting is called, its value, and who gave it: an option such as "WithServers", a
// variable of the environment, or "the default". A password is not in it.
func (c *Client) Settings() []struct{ Name, Value, From string } {
	return slices.Clone(c.settings.effective)
}

// shown collects settings.
type shown []struct{ Name, Value, From string }

func (l *shown) add(name, value, from string) {
	if from == "" {
		from = "the default"
	}
	*l = append(*l, struct{ Name, Value, From string }{name, value, from})
}

// given adds a setting that the default stands for if nobody gave it.
func (l *shown) given(name string, s setting, def string) {
	if s.value == "" {
		l.add(name, def, "")
		return
	}
	l.add(name, s.value, s.from)
}

// optional adds a setting that is nil unless an option gave it.
func optional[T any](l *shown, name string, value *T, def T, option string, text func(T) string) {
	if value == nil {
		l.add(name, text(def), "")
		return
	}
	l.add(name, text(*value), option)
}

// effective returns the settings as people read them.
func (o *options) effective(s *settings) shown {
	var l shown
	l.given("servers", o.servers, "")
	l.given("namespace", o.namespace, s.home.Namespace)
	l.given("group of services", o.group, s.home.Group)
	l.add("group of documents", config.DefaultGroup, "")
	l.given("user", o.user, "none")
	if o.tls != nil {
		l.add("TLS to Nacos", "on", "WithTLS")
	} else {
		l.add("TLS to Nacos", "off", "")
	}
	if s.ip != (netip.Addr{}) {
		l.given("announced IP", o.ip, "")
	} else {
		l.add("announced IP", "that of the connection to Nacos", "")
	}
	l.given("weight", o.weight, "1")
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		if name == registry.KeyBoot {
			l.add("label "+name, s.labels[name], "drawn at the start")
			continue
		}
		l.given("label "+name, o.labels[name], "")
	}
	l.given("service", o.service, "not given: rules that ask for caller.service do not match")
	l.given("default version", o.defaultVersion, "none")
	if o.policy == config.Unset {
		l.add("balance without a document", config.Weighted.String(), "")
	} else {
		l.add("balance without a document", o.policy.String(), "WithPolicy")
	}
	optional(&l, "slow start", o.slowStart, resolver.DefaultSlowStart, "WithSlowStart", time.Duration.String)
	optional(&l, "hold of empty and shrunken lists", o.hold, resolver.DefaultHold, "WithHold", time.Duration.String)
	optional(&l, "retries", o.retries, resolver.DefaultRetries, "WithRetries", strconv.Itoa)
	if o.serverErrors {
		l.add("failures", "every status from 500 on", "WithServerErrors")
	} else {
		l.add("failures", "502, 503, 504", "")
	}
	dir, err := o.cacheDir()
	if err != nil {
		dir = "none: " + err.Error()
	}
	l.given("disk cache", o.cache, dir)
	return l
}
