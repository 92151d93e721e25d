package nacosconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxServers is the most servers that a Config may name.
	MaxServers = 64
	// MaxLabels is the most labels that a Config may carry.
	MaxLabels = 32

	defaultPort = 8848
	grpcOffset  = 1000 // Nacos listens for gRPC at its HTTP port + 1000
)

// Config says which Nacos to connect to, and as whom.
type Config struct {
	// Servers are the servers of one Nacos cluster as "host:port" of their HTTP
	// API; gRPC is at port + 1000. Without a port it is 8848. At least one,
	// at most MaxServers. There is no connection to any other, whatever a server
	// says: one that sends us to another server is obeyed if that is listed here,
	// by its address or by a name that resolves to it. Otherwise, and so for a
	// cluster that is listed as one address, we go to the next of the list.
	Servers []string
	// Namespace is the ID of the Nacos namespace; "" is "public".
	Namespace string
	// Credentials prove who we are; nil: nobody in particular. Without TLS and to a
	// server that is not on loopback they travel in plain text; that is reported.
	Credentials Credentials
	// TLS is for both the gRPC and the HTTP port; nil: plain text.
	TLS *tls.Config
	// Labels are attached to the connection. They carry the labels of Nacos's own
	// gray configs. At most MaxLabels; "source" and "module" are taken.
	Labels map[string]string
}

// Public reports whether the namespace is the one that Nacos calls public.
func (c Config) Public() bool { return c.Namespace == "" || c.Namespace == "public" }

// Validate reports every problem of the config, joined.
func (c Config) Validate() error {
	_, _, err := c.checked()
	return err
}

// server is one server of the cluster.
type server struct {
	host string
	port int        // HTTP
	ip   netip.Addr // the only address of host to dial; invalid: any
}

func (s server) http() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }
func (s server) grpc() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port+grpcOffset)) }

// dial is the address of the gRPC port to connect to.
func (s server) dial() string {
	if s.ip.IsValid() {
		s.host = s.ip.String()
	}
	return s.grpc()
}

func parseServer(addr string) (server, error) {
	if strings.Contains(addr, "/") {
		return server{}, fmt.Errorf("nacos server %q: want host:port, without a scheme or path", addr)
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		if strings.Contains(addr, ":") || addr == "" {
			return server{}, fmt.Errorf("nacos server %q: want host:port", addr)
		}
		host, text = addr, strconv.Itoa(defaultPort)
	}
	port, err := strconv.Atoi(text)
	if host == "" || err != nil || port < 1 || port+grpcOffset > 65535 {
		return server{}, fmt.Errorf("nacos server %q: want host:port with a port from 1 to %d, since gRPC is at port + %d",
			addr, 65535-grpcOffset, grpcOffset)
	}
	return server{host: host, port: port}, nil
}

// checked returns the servers and a copy of the config that nobody else can
// change, or every problem joined.
func (c Config) checked() (Config, []server, error) {
	var errs []error
	if n := len(c.Servers); n == 0 || n > MaxServers {
		errs = append(errs, fmt.Errorf("nacos servers: want 1 to %d, have %d", MaxServers, n))
	}
	servers := make([]server, 0, len(c.Servers))
	for _, addr := range c.Servers {
		s, err := parseServer(strings.TrimSpace(addr))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !slices.Contains(servers, s) {
			servers = append(servers, s)
		}
	}
	if err := checkNamespace(c.Namespace); err != nil {
		errs = append(errs, err)
	}
	if n := len(c.Labels); n > MaxLabels {
		errs = append(errs, fmt.Errorf("nacos labels: want at most %d, have %d", MaxLabels, n))
	}
	for _, taken := range []string{labelSource, labelModule} {
		if _, ok := c.Labels[taken]; ok {
			errs = append(errs, fmt.Errorf("nacos label %q is taken", taken))
		}
	}
	c.Servers = slices.Clone(c.Servers)
	c.Labels = maps.Clone(c.Labels)
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
	}
	return c, servers, errors.Join(errs...)
}
