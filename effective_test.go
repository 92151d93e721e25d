package graylane

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

func TestSettingsSayWhoGaveThem(t *testing.T) {
	t.Setenv("NACOS_NAMESPACE", "dev")
	t.Setenv("SERVICE_VERSION", "v1")
	t.Setenv("NACOS_USERNAME", "shop")
	t.Setenv("NACOS_PASSWORD", "hunter2")
	c, err := Open(t.Context(), WithServers("127.0.0.1:1"), WithHold(0), WithRetries(3), WithCacheDir("off"),
		WithLabels(map[string]string{"team": "blue"}), WithPolicy(config.Least))
	require.NoError(t, err)
	defer c.Close()
	got := map[string][2]string{}
	for _, s := range c.Settings() {
		assert.NotContains(t, s.Value, "hunter2")
		got[s.Name] = [2]string{s.Value, s.From}
	}
	for name, want := range map[string][2]string{
		"servers":                          {"127.0.0.1:1", "WithServers"},
		"namespace":                        {"dev", "NACOS_NAMESPACE"},
		"group of services":                {"DEFAULT_GROUP", "the default"},
		"user":                             {"shop", "NACOS_USERNAME"},
		"label version":                    {"v1", "SERVICE_VERSION"},
		"label team":                       {"blue", "WithLabels"},
		"weight":                           {"1", "the default"},
		"balance without a document":       {"least", "WithPolicy"},
		"hold of empty and shrunken lists": {"0s", "WithHold"},
		"slow start":                       {"10s", "the default"},
		"retries":                          {"3", "WithRetries"},
		"disk cache":                       {"off", "WithCacheDir"},
	} {
		assert.Equal(t, want, got[name], name)
	}

	before := c.Settings()
	before[0].Value = "changed"
	assert.Equal(t, "127.0.0.1:1", c.Settings()[0].Value, "it is a copy")
}
