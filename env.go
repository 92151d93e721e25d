package graylane

import (
	"os"

	"github.com/graylane/graylane/registry"
)

// Environment variables that Open reads.
const (
	envServers   = "NACOS_ADDR"
	envNamespace = "NACOS_NAMESPACE"
	envGroup     = "NACOS_GROUP"
	envUser      = "NACOS_USERNAME"
	envPassword  = "NACOS_PASSWORD"
	envVersion   = "SERVICE_VERSION"
	envEnv       = "SERVICE_ENV"
	envRegion    = "SERVICE_REGION"
	envZone      = "SERVICE_ZONE"
	envIP        = "SERVICE_IP"
	envWeight    = "SERVICE_WEIGHT"
	envCache     = "GRAYLANE_CACHE_DIR"
)

// readEnv sets what the environment says. An empty variable is none.
func (o *options) readEnv() {
	for name, field := range map[string]*setting{
		envServers:   &o.servers,
		envCache:     &o.cache,
		envNamespace: &o.namespace,
		envGroup:     &o.group,
		envUser:      &o.user,
		envPassword:  &o.password,
		envIP:        &o.ip,
		envWeight:    &o.weight,
	} {
		if v := os.Getenv(name); v != "" {
			*field = setting{v, name}
		}
	}
	for name, label := range map[string]string{
		envVersion: registry.KeyVersion,
		envEnv:     registry.KeyEnv,
		envRegion:  registry.KeyRegion,
		envZone:    registry.KeyZone,
	} {
		if v := os.Getenv(name); v != "" {
			o.labels[label] = setting{v, name}
		}
	}
}
