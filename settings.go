package graylane

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

// settings are checked options: what a Client works with.
type settings struct {
	nacos  nacosconn.Config
	home   registry.Service // namespace and group of services; no name
	ip     netip.Addr       // zero: that of the connection to Nacos
	weight uint32           // thousandths
	labels map[string]string
	// caller is what this process's rules see as caller.*: its labels and service.
	caller map[string]string
	// defaultVersion serves, for this consumer, where there are no rules.
	defaultVersion string
	// effective is all of it, and what the options say beside it, for people.
	effective shown
}

// checker collects problems, each with the place to mend.
type checker struct{ problems []error }

func (c *checker) problem(s setting, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("graylane: %s: %w", s.from, fmt.Errorf(format, args...)))
}

// check returns the settings, or every problem joined.
func (o *options) check() (settings, error) {
	var c checker
	s := settings{
		nacos:  nacosconn.Config{Servers: c.servers(o.servers), Namespace: o.namespace.value, TLS: o.tls},
		home:   c.home(o.namespace, o.group),
		ip:     c.ip(o.ip),
		weight: c.weight(o.weight),
		labels: c.labels(o.labels),

		defaultVersion: c.version(o.defaultVersion),
	}
	s.caller = maps.Clone(s.labels)
	if s.caller["service"] = o.service.value; o.service.value == "" {
		delete(s.caller, "service")
	}
	s.nacos.Credentials = c.credentials(o.user, o.password)
	s.effective = o.effective(&s)
	return s, errors.Join(c.problems...)
}

func (c *checker) servers(s setting) []string {
	var servers []string
	for addr := range strings.SplitSeq(s.value, ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			servers = append(servers, addr)
		}
	}
	cfg := nacosconn.Config{Servers: servers}
	if err := cfg.Validate(); err != nil {
		c.problem(s, "%w", err)
	}
	return servers
}

func (c *checker) home(namespace, group setting) registry.Service {
	home := registry.Service{Namespace: namespace.value, Group: group.value}.WithDefaults()
	probe := registry.Service{Name: "x", Namespace: home.Namespace}
	if err := probe.Validate(); err != nil {
		c.problem(namespace, "%w (want the namespace's ID)", err)
	}
	probe = registry.Service{Name: "x", Group: home.Group}
	if err := probe.Validate(); err != nil {
		c.problem(group, "%w", err)
	}
	return home
}

func (c *checker) ip(s setting) netip.Addr {
	if s.value == "" {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(s.value)
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
		c.problem(s, "%q: want an IP address that consumers can connect to, such as 10.0.0.7", s.value)
	}
	return ip.Unmap()
}

func (c *checker) weight(s setting) uint32 {
	if s.value == "" {
		return registry.DefaultWeight
	}
	w, err := strconv.ParseFloat(s.value, 64)
	if err != nil || !(w >= 0 && w <= registry.MaxWeight/1000) { // also refuses NaN
		c.problem(s, "%q: want a weight from 0 to %d, such as 0.5; 1 is normal", s.value, registry.MaxWeight/1000)
	}
	return registry.Weight(w)
}

// labels adds the label "boot", random per client: with it a consumer can tell a
// restart on the same port from an instance that stayed.
func (c *checker) labels(given map[string]setting) map[string]string {
	labels := map[string]string{registry.KeyBoot: rand.Text()}
	size := len(registry.KeyBoot) + len(labels[registry.KeyBoot])
	for _, name := range slices.Sorted(maps.Keys(given)) {
		s := given[name]
		switch {
		case s.value == "":
			continue
		case name == "":
			c.problem(s, "a label without a name")
		case name == registry.KeyBoot || name == registry.KeyProtocol:
			c.problem(s, "the label %q is graylane's own, choose another name", name)
		case name == registry.KeyVersion:
			c.version(s)
		}
		labels[name] = s.value
		size += utf8.RuneCountInString(name) + utf8.RuneCountInString(s.value)
		if size > registry.MaxMetadata {
			c.problem(s, "labels have more than %d characters together, which is all that Nacos takes; label %q is too much",
				registry.MaxMetadata, name)
			break
		}
	}
	return labels
}

func (c *checker) version(s setting) string {
	if s.value != "" && !config.ValidName(s.value) {
		c.problem(s, "version %q: rules could not name it; want 1 to 64 letters, digits, dots, underscores and hyphens, "+
			"with a letter or digit at both ends", s.value)
	}
	return s.value
}

func (c *checker) credentials(user, password setting) nacosconn.Credentials {
	switch {
	case user.value == "" && password.value == "":
		return nil
	case user.value == "":
		c.problem(password, "a password without a user; set %s or use WithCredentials", envUser)
		return nil
	case password.value == "":
		c.problem(user, "a user without a password; set %s or use WithCredentials", envPassword)
		return nil
	}
	return nacosconn.UserPassword(user.value, password.value)
}
