package graylane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"

	"github.com/graylane/graylane/registry"
)

var _ registry.Registrar = (*Client)(nil)

// Register announces an instance, see registry.Registrar. It fills in what is
// missing: namespace and group of the service; labels and, for the default
// weight, the weight of the client's options; and for an address without an IP,
// such as ":8080" or "[::]:8080", the IP address of the options or that of the
// connection to Nacos. While there was no such connection yet, the registration
// is pending, and its Instance has the address that was given.
//
// An error, which wraps registry.ErrInvalid or registry.ErrClosed, says that the
// instance can never be announced; that Nacos is gone is none.
func (c *Client) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("graylane: register %s: %w", s.Name, context.Cause(ctx))
	}
	if s.Namespace == "" {
		s.Namespace = c.settings.home.Namespace
	}
	if s.Group == "" {
		s.Group = c.settings.home.Group
	}
	return c.register(ctx, s, c.withDefaults(in))
}

// register registers an instance that lacks at most its IP address.
func (c *Client) register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	ip, port, err := c.announced(in.Addr)
	if err == nil {
		err = validate(s, at(in, ip, port))
	}
	if err != nil {
		return nil, fmt.Errorf("graylane: register %s: %w", s.Name, err)
	}
	if ip.IsValid() {
		return c.naming.Register(ctx, s, at(in, ip, port))
	}
	return c.registerLater(s, in, port) //nolint:contextcheck // it waits as long as the client lives
}

// withDefaults returns the instance with the client's weight and labels where it
// has none of its own. The map is a new one. An instance that says nothing of its
// state, as a literal with an address alone, is healthy and enabled.
func (c *Client) withDefaults(in registry.Instance) registry.Instance {
	if !in.Healthy && !in.Enabled && in.Weight == 0 {
		in.Healthy, in.Enabled, in.Weight = true, true, registry.DefaultWeight
	}
	labels := maps.Clone(c.settings.labels)
	maps.Copy(labels, in.Metadata)
	in.Metadata = labels
	if in.Weight == registry.DefaultWeight {
		in.Weight = c.settings.weight
	}
	return in
}

// announced splits an instance's address. The IP is the zero Addr if neither the
// address nor the options have one, and Nacos was never connected.
func (c *Client) announced(addr string) (netip.Addr, uint16, error) {
	host, text, err := net.SplitHostPort(addr)
	port, perr := strconv.ParseUint(text, 10, 16)
	if err != nil || perr != nil {
		return netip.Addr{}, 0, fmt.Errorf("%w: instance address %q: want ip:port or :port", registry.ErrInvalid, addr)
	}
	if host != "" {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return netip.Addr{}, 0, fmt.Errorf("%w: instance address %q: want an IP address, not a name", registry.ErrInvalid, addr)
		}
		if !ip.IsUnspecified() {
			return ip.Unmap().WithZone(""), uint16(port), nil
		}
	}
	if c.settings.ip.IsValid() {
		return c.settings.ip, uint16(port), nil
	}
	ip, _ := c.naming.LocalAddr()
	return ip, uint16(port), nil
}

// validate reports now what would keep the instance from being announced later.
func validate(s registry.Service, in registry.Instance) error {
	return errors.Join(s.Validate(), in.Validate())
}

// at returns the instance at an address; for the zero ip at a stand-in.
func at(in registry.Instance, ip netip.Addr, port uint16) registry.Instance {
	if !ip.IsValid() {
		ip = netip.IPv6Loopback()
	}
	in.Addr = netip.AddrPortFrom(ip, port).String()
	in.ID = registry.InstanceID(in.Addr, in.Cluster)
	return in
}
