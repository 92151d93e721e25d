package nacos

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

func TestDifferencesHaveALikelyReason(t *testing.T) {
	in := registry.NewInstance("10.0.0.1:80")
	in.Weight = 500
	in.Metadata = map[string]string{"version": "v2", "boot": "b2", "team": "a"}
	host := func(change func(*nacosconn.Host)) *nacosconn.Host {
		h := &nacosconn.Host{
			IP: "10.0.0.1", Port: 80, Weight: 0.5, Healthy: true, Enabled: true, Cluster: "DEFAULT",
			Metadata: map[string]string{"version": "v2", "boot": "b2", "team": "a", "added": "by somebody"},
		}
		change(h)
		return h
	}
	same := host(func(*nacosconn.Host) {})
	for name, c := range map[string]struct {
		hosts       []*nacosconn.Host
		differences []string
		likely      string
	}{
		"equal":           {hosts: []*nacosconn.Host{same}},
		"our older copy":  {hosts: []*nacosconn.Host{same, host(func(h *nacosconn.Host) { h.Weight = 3 })}},
		"version":         {[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Metadata["version"] = "v1" })}, []string{`version is "v1", registered "v2"`}, likelyEdit},
		"lane":            {[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Metadata["lane"] = "gray" })}, []string{`lane is "gray", registered absent`}, likelyEdit},
		"a label is gone": {[]*nacosconn.Host{host(func(h *nacosconn.Host) { delete(h.Metadata, "team") })}, []string{`team is absent, registered "a"`}, likelyEdit},
		"weight":          {[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Weight = 0 })}, []string{"weight is 0, registered 0.5"}, likelyEdit},
		"partial edit": {
			[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Weight, h.Metadata["version"] = 1, "v1" })},
			[]string{"weight is 1, registered 0.5", `version is "v1", registered "v2"`},
			likelyPartial,
		},
		"boot": {
			[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Metadata["boot"], h.Metadata["version"] = "b1", "v1" })},
			[]string{`boot is "b1", registered "b2"`, `version is "v1", registered "v2"`},
			likelyOldEdit,
		},
		"two processes": {
			[]*nacosconn.Host{same, host(func(h *nacosconn.Host) { h.Metadata["boot"] = "b3" })},
			[]string{`it is listed 2 times, also with boot "b3"`},
			likelyRival,
		},
		"healthy": {[]*nacosconn.Host{host(func(h *nacosconn.Host) { h.Healthy = false })}, []string{"healthy is false, registered true"}, likelyLost},
	} {
		t.Run(name, func(t *testing.T) {
			e := otherwise(&in, c.hosts)
			if c.differences == nil {
				assert.Nil(t, e)
				return
			}
			assert.Equal(t, &ShownError{in.ID, c.differences, c.likely}, e)
		})
	}
	in.Healthy = false
	assert.Equal(t, likelyThresh, otherwise(&in, []*nacosconn.Host{same}).Likely)
	in.Enabled = false
	assert.Equal(t, likelyEdit, otherwise(&in, []*nacosconn.Host{same}).Likely)
}

func TestEachFindingIsReportedOnce(t *testing.T) {
	srv := nacostest.Run(t)
	var found []*ShownError
	c, err := New(Config{Servers: []string{srv.Addr()}}, WithOnError(func(s registry.Service, err error) {
		var e *ShownError
		if assert.ErrorAs(t, err, &e) && assert.Equal(t, "user", s.Name) {
			found = append(found, e)
		}
	}))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	conn, err := c.session.Conn(t.Context())
	require.NoError(t, err)
	s, err := c.service(registry.Service{Name: "user"})
	require.NoError(t, err)
	p := newPublication(c, s)
	in := registry.NewInstance("[0:0::1]:80") // Nacos writes it otherwise
	in.ID = registry.InstanceID(in.Addr, "")
	in.Metadata = map[string]string{"version": "v2"}
	_, err = p.add(in)
	require.NoError(t, err)
	look := func(times int) []*ShownError {
		found = nil
		for range times {
			if set, revision, behind := p.desired(conn); behind {
				require.NoError(t, conn.Register(t.Context(), s.Group, s.Name, set))
				p.outcome(conn, revision, nil)
			}
			p.verify(t.Context(), conn)
		}
		return found
	}
	edit := func(version string, enabled bool) {
		e := nacostest.NewInstance("::1", 80, map[string]string{"version": version})
		e.Enabled = enabled
		require.True(t, srv.Edit(s, e))
	}
	assert.Empty(t, look(3))
	edit("v1", true)
	require.Len(t, look(3), 1)
	assert.Equal(t, `nacos: [0:0::1]:80#DEFAULT is not shown as registered: version is "v1", registered "v2"; likely `+likelyEdit, found[0].Error())
	edit("v3", true)
	require.Len(t, look(3), 1)
	assert.Equal(t, []string{`version is "v3", registered "v2"`}, found[0].Differences)
	edit("v2", true)
	assert.Empty(t, look(3))
	edit("v3", true)
	assert.Len(t, look(3), 1, "it was as registered in between")
	edit("v3", false)
	require.Len(t, look(5), 1)
	assert.Equal(t, &ShownError{in.ID, []string{"it is not listed"}, likelyHidden}, found[0])

	p.mu.Lock()
	before := p.revision
	p.desire()
	p.mu.Unlock()
	shown := map[place][]*nacosconn.Host{{netip.MustParseAddrPort("[::1]:80"), "DEFAULT"}: {{Weight: 7}}}
	assert.Empty(t, p.compare(conn, before, shown), "what was asked for before a change says nothing")
	assert.Len(t, p.compare(conn, before+1, shown), 1)
}
