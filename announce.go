package graylane

import (
	"context"
	"os"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/registry"
)

// newAnnouncer returns what announces the rules that the client has applied; nil if
// nobody is to know.
func (c *Client) newAnnouncer(o *options) *announce.Announcer {
	if o.unannounced {
		return nil
	}
	host, _ := os.Hostname() // one without a name is told by its address
	return announce.New(announce.Options{
		Registrar: announcements{c},
		Namespace: c.settings.home.Namespace,
		Features:  config.Features(),
		Process: announce.Process{
			Service: c.settings.caller["service"], Version: c.settings.labels[registry.KeyVersion],
			Host: host, Boot: c.settings.labels[registry.KeyBoot], PID: os.Getpid(),
		},
		OnError: o.report,
	})
}

// reportNaming tells of an error of the registry; of announcements, which repeat it,
// only what is new.
func (c *Client) reportNaming(o *options) func(registry.Service, error) {
	return func(s registry.Service, err error) {
		if c.announcer != nil && s.Group == announce.Group {
			c.announcer.Failed(s, err)
			return
		}
		o.report(s, err)
	}
}

// announcements registers with the client's address, and without its labels and
// weight, which are those of providers.
type announcements struct{ client *Client }

// Register implements registry.Registrar.
func (a announcements) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	return a.client.register(ctx, s, in)
}
