package graylane

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

// noEnv empties the environment of what Open reads.
func noEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		envServers, envNamespace, envGroup, envUser, envPassword,
		envVersion, envEnv, envRegion, envZone, envIP, envWeight,
	} {
		t.Setenv(name, "")
	}
}

func TestOptionBeatsEnvironmentBeatsDefault(t *testing.T) {
	tests := map[string]struct {
		env      string
		inEnv    string
		option   Option
		value    func(s *settings) any
		byNone   any
		byEnv    any
		byOption any
	}{
		"servers": {
			envServers, "10.0.0.1:8848, 10.0.0.2:8858,", WithServers("n1:8848", "n2"),
			func(s *settings) any { return strings.Join(s.nacos.Servers, " ") },
			"127.0.0.1:8848", "10.0.0.1:8848 10.0.0.2:8858", "n1:8848 n2",
		},
		"namespace": {
			envNamespace, "staging", WithNamespace("live"),
			func(s *settings) any { return s.home.Namespace },
			"public", "staging", "live",
		},
		"group": {
			envGroup, "EAST", WithGroup("WEST"),
			func(s *settings) any { return s.home.Group },
			"DEFAULT_GROUP", "EAST", "WEST",
		},
		"version": {
			envVersion, "v1", WithVersion("v2"),
			func(s *settings) any { return s.labels[registry.KeyVersion] },
			"", "v1", "v2",
		},
		"env": {
			envEnv, "gray", WithLabels(map[string]string{"env": "prod"}),
			func(s *settings) any { return s.labels[registry.KeyEnv] },
			"", "gray", "prod",
		},
		"region": {
			envRegion, "eu", WithLabels(map[string]string{"region": "us"}),
			func(s *settings) any { return s.labels[registry.KeyRegion] },
			"", "eu", "us",
		},
		"zone taken away": {
			envZone, "a", WithLabels(map[string]string{"zone": ""}),
			func(s *settings) any { return s.labels[registry.KeyZone] },
			"", "a", "",
		},
		"ip": {
			envIP, "10.0.0.7", WithIP("::ffff:10.0.0.8"),
			func(s *settings) any { return s.ip.String() },
			"invalid IP", "10.0.0.7", "10.0.0.8",
		},
		"weight": {
			envWeight, "0.5", WithWeight(2),
			func(s *settings) any { return s.weight },
			uint32(1000), uint32(500), uint32(2000),
		},
		"no weight": {
			envWeight, "0.00001", WithWeight(0),
			func(s *settings) any { return s.weight },
			uint32(1000), uint32(1), uint32(0),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			noEnv(t)
			value := func(opts ...Option) any {
				s, err := newOptions(opts).check()
				require.NoError(t, err)
				return tt.value(&s)
			}
			assert.Equal(t, tt.byNone, value(), "default")
			assert.Equal(t, tt.byOption, value(tt.option), "option")
			t.Setenv(tt.env, tt.inEnv)
			assert.Equal(t, tt.byEnv, value(), "environment")
			assert.Equal(t, tt.byOption, value(tt.option), "option over environment")
		})
	}
}

func TestCredentialsComeFromEnvironmentOrOption(t *testing.T) {
	noEnv(t)
	credentials := func(opts ...Option) any {
		s, err := newOptions(opts).check()
		require.NoError(t, err)
		return s.nacos.Credentials
	}
	assert.Nil(t, credentials())
	assert.NotNil(t, credentials(WithCredentials("nacos", "secret")))
	t.Setenv(envUser, "nacos")
	t.Setenv(envPassword, "secret")
	assert.NotNil(t, credentials())
	assert.Nil(t, credentials(WithCredentials("", "")), "an option takes them away")
}

func TestEachProblemNamesItsPlaceAndTheFix(t *testing.T) {
	tests := map[string]struct {
		env    map[string]string
		option Option
		want   string
	}{
		"server with scheme": {
			env:  map[string]string{envServers: "http://nacos:8848/nacos"},
			want: `graylane: NACOS_ADDR: nacos server "http://nacos:8848/nacos": want host:port`,
		},
		"server port too high for gRPC": {
			option: WithServers("nacos:65000"),
			want:   `graylane: WithServers: nacos server "nacos:65000": want host:port with a port from 1 to 64535`,
		},
		"no server": {option: WithServers(), want: "graylane: WithServers: nacos servers: want 1 to 64, have 0"},
		"namespace": {
			env:  map[string]string{envNamespace: "a b"},
			want: `graylane: NACOS_NAMESPACE: `,
		},
		"group":  {option: WithGroup("a@@b"), want: `graylane: WithGroup: registry: invalid: group "a@@b" has '@'`},
		"ip":     {env: map[string]string{envIP: "localhost"}, want: `graylane: SERVICE_IP: "localhost": want an IP address`},
		"any ip": {option: WithIP("0.0.0.0"), want: `graylane: WithIP: "0.0.0.0": want an IP address that consumers can connect to`},
		"weight": {env: map[string]string{envWeight: "heavy"}, want: `graylane: SERVICE_WEIGHT: "heavy": want a weight from 0 to 10000`},
		"negative weight": {
			option: WithWeight(-1), want: `graylane: WithWeight: "-1": want a weight from 0 to 10000`,
		},
		"weight that is no number": {
			option: WithWeight(math.NaN()), want: `graylane: WithWeight: "NaN": want a weight from 0 to 10000`,
		},
		"weight one above the most": {
			option: WithWeight(10_001), want: `graylane: WithWeight: "10001": want a weight from 0 to 10000`,
		},
		"version": {
			env:  map[string]string{envVersion: "v 2"},
			want: `graylane: SERVICE_VERSION: version "v 2": rules could not name it; want 1 to 64 letters`,
		},
		"own label":        {option: WithLabels(map[string]string{"protocol": "http"}), want: `graylane: WithLabels: the label "protocol" is graylane's own`},
		"nameless label":   {option: WithLabels(map[string]string{"": "x"}), want: "graylane: WithLabels: a label without a name"},
		"default version":  {option: WithDefaultVersion("v 1"), want: `graylane: WithDefaultVersion: version "v 1"`},
		"missing password": {env: map[string]string{envUser: "nacos"}, want: "graylane: NACOS_USERNAME: a user without a password; set NACOS_PASSWORD"},
		"missing user":     {option: WithCredentials("", "x"), want: "graylane: WithCredentials: a password without a user; set NACOS_USERNAME"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			noEnv(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			var opts []Option
			if tt.option != nil {
				opts = append(opts, tt.option)
			}
			gl, err := Open(t.Context(), opts...)
			assert.Nil(t, gl)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	noEnv(t)
	t.Setenv(envServers, "a/b,c:0")
	t.Setenv(envNamespace, "a b")
	t.Setenv(envWeight, "heavy")
	t.Setenv(envIP, "localhost")
	t.Setenv(envPassword, "secret")
	_, err := Open(t.Context(), WithVersion("?"), WithGroup("?"))
	require.Error(t, err)
	for _, want := range []string{
		`"a/b"`, `"c:0"`, "NACOS_NAMESPACE", "SERVICE_WEIGHT", "SERVICE_IP", "NACOS_PASSWORD", "WithVersion", "WithGroup",
	} {
		require.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "secret")
}

func TestLabelsFitIntoNacos(t *testing.T) {
	noEnv(t)
	fits := func(n int) error {
		_, err := newOptions([]Option{WithLabels(map[string]string{"note": strings.Repeat("é", n)})}).check()
		return err
	}
	s, err := newOptions(nil).check()
	require.NoError(t, err)
	left := registry.MaxMetadata - len("note") - len(registry.KeyBoot) - len(s.labels[registry.KeyBoot])
	require.NoError(t, fits(left))
	require.ErrorContains(t, fits(left+1), `WithLabels: labels have more than 1024 characters together`)
}

func TestBootDiffersBetweenClients(t *testing.T) {
	noEnv(t)
	boot := func() string {
		s, err := newOptions(nil).check()
		require.NoError(t, err)
		return s.labels[registry.KeyBoot]
	}
	assert.NotEmpty(t, boot())
	first := boot()
	assert.NotEqual(t, first, boot())
}
