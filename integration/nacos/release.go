package nacos

import (
	"context"
	_ "embed"
	"fmt"
)

// The releases of Nacos that this package runs.
const (
	Version   = "3.1.0"
	VersionV2 = "2.3.2"
)

// release is what differs between them.
type release struct {
	jars          string // folder in the cache
	pom, launcher []byte
	properties    func(p ports, auth bool) string
	ready         func(*Node) []check // what must answer before the node is up
	users         userAPI
}

// check fails as long as something does not answer.
type check func(context.Context) error

var (
	//go:embed pom.xml
	pom []byte
	//go:embed Launcher.java
	launcher []byte
	//go:embed v2/pom.xml
	pomV2 []byte
	//go:embed v2/Launcher.java
	launcherV2 []byte
)

func releaseV3() release {
	return release{
		jars: "jars", pom: pom, launcher: launcher, properties: propertiesV3, ready: readyV3,
		users: userAPI{"/nacos/v3/auth/", "", "public:*:*"},
	}
}

func releaseV2() release {
	return release{
		jars: "jars-v2", pom: pomV2, launcher: launcherV2, properties: propertiesV2, ready: readyV2,
		users: userAPI{"/nacos/v1/auth/", "s", ":*:*"},
	}
}

// common is what any server is told. Identity and key must be there even where nobody
// is asked for them; they are no secret. On a busy machine the first connection to the
// node's own database takes longer than the default of 3 s (ms).
func common() string {
	return fmt.Sprintf(`server.address=127.0.0.1
db.pool.config.connectionTimeout=60000
nacos.core.auth.system.type=nacos
nacos.core.auth.server.identity.key=%[1]s
nacos.core.auth.server.identity.value=%[1]s
nacos.core.auth.plugin.nacos.token.expire.seconds=%[2]d
nacos.core.auth.plugin.nacos.token.secret.key=Z3JheWxhbmUtZ3JheWxhbmUtZ3JheWxhbmUtZ3JheWxhbmU=
`, identity, int(TokenTTL.Seconds()))
}

// propertiesV3: server and console in one process, HTTP on
// loopback only. A node of a cluster looks for configurations of an old layout
// when it starts, once a second; by default it gives up before the others can be
// up, and ends.
func propertiesV3(p ports, auth bool) string {
	return common() + fmt.Sprintf(`nacos.deployment.type=merged
nacos.server.main.port=%d
nacos.server.contextPath=/nacos
nacos.console.port=%d
nacos.namespace.migrate.retry.times=100
nacos.core.auth.enabled=%[3]t
nacos.core.auth.admin.enabled=%[3]t
nacos.core.auth.console.enabled=%[3]t
`, p.http, p.console, auth)
}

// propertiesV2: the console is a part of the server.
func propertiesV2(p ports, auth bool) string {
	return common() + fmt.Sprintf("server.port=%d\nnacos.core.auth.enabled=%t\n", p.http, auth)
}

func readyV3(n *Node) []check {
	return []check{
		n.answers(n.Addr(), "/nacos/v3/admin/core/state/readiness"),
		n.acceptsGRPC,
		n.answers(n.Console(), "/v3/console/health/readiness"),
	}
}

func readyV2(n *Node) []check {
	return []check{
		n.answers(n.Addr(), "/nacos/v1/console/health/readiness"),
		n.acceptsGRPC,
	}
}

func (n *Node) answers(addr, path string) check {
	return func(ctx context.Context) error { return getOK(ctx, "http://"+addr+path) }
}

func (n *Node) acceptsGRPC(ctx context.Context) error { return dial(ctx, n.ports.addr(n.ports.grpc())) }
