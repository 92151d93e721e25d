package nacostest_test

import "strings"

// script is what TestAnswersAreThoseRecordedFromNacos plays. N is a connection of
// module naming, C one of module config, P a provider. SVC stands for a name that
// the server has not seen.
func script() []step {
	return slicesOf(handshake(), registration(), batch(), names(), edits(), configuration(), operator(), clientsHTTP(), misuse())
}

func slicesOf(parts ...[]step) []step {
	var all []step
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

const svc = `"namespace":"public","serviceName":"SVC","groupName":"DEFAULT_GROUP"`

func reg(instance string) string {
	return `{` + svc + `,"type":"registerInstance","instance":` + instance + `}`
}

const pushed = "NotifySubscriberRequest"

func handshake() []step {
	return []step{
		{conn: "N", send: "InstanceRequest", body: `{"requestId":"1"}`},
		{conn: "N", send: "NoSuchRequest", body: `{"requestId":"1"}`},
		{conn: "N", send: "ServerCheckRequest", body: `{"requestId":"1","module":"internal"}`},
		{conn: "N", send: "ConnectionSetupRequest", body: `{"clientVersion":"x","tenant":"","labels":{"module":"naming"},"abilityTable":{}}`},
		{conn: "N", await: "SetupAckRequest"},
		{conn: "P", send: "ConnectionSetupRequest", body: `{"clientVersion":"x","tenant":"","labels":{"module":"naming"},"abilityTable":{}}`},
		{conn: "P", await: "SetupAckRequest"},
		{conn: "C", send: "ConnectionSetupRequest", body: `{"clientVersion":"x","tenant":"","labels":{"module":"config"},"abilityTable":{}}`},
		{conn: "C", await: "SetupAckRequest"},
		{conn: "N", send: "HealthCheckRequest", body: `{"requestId":"2"}`},
		{conn: "N", send: "NoSuchRequest", body: `{"requestId":"2"}`},
		{conn: "C", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80}`)},
		{conn: "C", send: "SubscribeServiceRequest", body: `{` + svc + `,"subscribe":true,"clusters":""}`},
		{conn: "C", send: "ServiceQueryRequest", body: `{` + svc + `,"cluster":"","healthyOnly":false}`},
	}
}

func registration() []step {
	return []step{
		{conn: "N", send: "SubscribeServiceRequest", body: `{` + svc + `,"subscribe":true,"clusters":""}`},
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"weight":1,"healthy":true,"enabled":true,"ephemeral":true,"metadata":{"version":"v1"}}`)},
		{conn: "N", await: pushed},
		{conn: "N", send: "ServiceQueryRequest", body: `{` + svc + `,"cluster":"","healthyOnly":false}`},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":81}`)}, // replaces the one before
		{conn: "N", await: pushed},
		{conn: "N", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":81,"metadata":{"version":"v2"}}`)}, // the same address, other metadata
		{conn: "N", await: pushed},
		{conn: "N", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":81}`)}, // the same in all
		{conn: "N", await: pushed},
		{conn: "N", send: "InstanceRequest", body: `{` + svc + `,"type":"deregisterInstance","instance":{"ip":"9.9.9.9","port":9}}`}, // whatever is named
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"weight":20000,"healthy":false,"clusterName":"C1","metadata":{"a":"b"}}`)},
		{conn: "N", await: pushed},
		{conn: "N", send: "ServiceQueryRequest", body: `{` + svc + `,"cluster":"","healthyOnly":true}`},
		{conn: "N", send: "ServiceQueryRequest", body: `{` + svc + `,"cluster":"C1","healthyOnly":false}`},
		{conn: "N", send: "ServiceQueryRequest", body: `{` + svc + `,"cluster":"C2","healthyOnly":false}`},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"weight":0.5,"instanceId":"own","serviceName":"other","ephemeral":false}`)},
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"clusterName":""}`)}, // not the same as none in its ID
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"enabled":false}`)},
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: `{` + svc + `,"type":"deregisterInstance","instance":{}}`},
		{conn: "N", await: pushed},
		{conn: "P", send: "PersistentInstanceRequest", body: onDisk("registerInstance")},
		{conn: "P", send: "ServiceQueryRequest", body: `{` + strings.ReplaceAll(svc, "SVC", "SVC.disk") + `}`, settled: true},
		{conn: "P", send: "PersistentInstanceRequest", body: onDisk("deregisterInstance")},
		{conn: "P", send: "ServiceQueryRequest", body: `{` + strings.ReplaceAll(svc, "SVC", "SVC.disk") + `}`, settled: true},
		{conn: "P", send: "PersistentInstanceRequest", body: onDisk("nosuch")},
	}
}

func onDisk(typ string) string {
	return `{` + strings.ReplaceAll(svc, "SVC", "SVC.disk") + `,"type":"` + typ + `","instance":{"ip":"10.0.0.1","port":80,"ephemeral":false}}`
}

func batch() []step {
	return []step{
		{conn: "P", send: "BatchInstanceRequest", body: `{` + svc + `,"type":"batchRegisterInstance","instances":[` +
			`{"ip":"10.0.0.1","port":81,"metadata":{"v":"1"}},{"ip":"10.0.0.1","port":81,"metadata":{"v":"2"}},{"ip":"10.0.0.1","port":82,"enabled":false},` +
			`{"ip":"10.0.0.1","port":83,"weight":0},{"ip":"10.0.0.1","port":83,"weight":0},{"ip":"10.0.0.1","port":83,"clusterName":"C1"}]}`},
		{conn: "N", await: pushed},
		{conn: "P", send: "BatchInstanceRequest", body: `{` + svc + `,"type":"batchDeregisterInstance","instances":[{"ip":"10.0.0.1","port":81}]}`},
		{conn: "P", send: "BatchInstanceRequest", body: `{` + svc + `,"type":"batchRegisterInstance"}`},
		{conn: "P", send: "BatchInstanceRequest", body: `{` + svc + `,"type":"batchRegisterInstance","instances":[{"ip":"10.0.0.1","port":99999}]}`},
		{conn: "P", send: "BatchInstanceRequest", body: `{` + svc + `,"type":"batchRegisterInstance","instances":[]}`},
		{conn: "N", await: pushed},
	}
}

func names() []step {
	const group = `"namespace":"public","groupName":"SVC"`
	return []step{
		{conn: "P", send: "InstanceRequest", body: `{` + group + `,"serviceName":"b","type":"registerInstance","instance":{"ip":"10.0.0.1","port":1}}`},
		{conn: "P", send: "InstanceRequest", body: `{` + group + `,"serviceName":"a","type":"registerInstance","instance":{"ip":"10.0.0.1","port":1}}`},
		{conn: "N", send: "SubscribeServiceRequest", body: `{` + group + `,"serviceName":"c","subscribe":true,"clusters":""}`},
		{conn: "N", await: pushed},
		{conn: "N", send: "SubscribeServiceRequest", body: `{` + group + `,"serviceName":"c","subscribe":false,"clusters":""}`},
		{conn: "N", send: "ServiceListRequest", body: `{` + group + `,"pageNo":1,"pageSize":10,"selector":""}`},
		{conn: "N", send: "ServiceListRequest", body: `{"namespace":"nosuch","groupName":"SVC","pageNo":1,"pageSize":10}`},
	}
}

func edits() []step {
	put := func(form string) step {
		return step{http: "PUT /nacos/v3/admin/ns/instance", form: "serviceName=SVC&ip=10.0.0.1&port=80&ephemeral=true&" + form}
	}
	return []step{
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"metadata":{"version":"v1","env":"prod"}}`)},
		{conn: "N", await: pushed},
		put(`clusterName=DEFAULT&weight=5&enabled=true&metadata={"version":"v2"}`),
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"weight":3,"metadata":{"version":"v3","env":"gray","new":"1"}}`)},
		{conn: "N", await: pushed},
		put(`weight=0&metadata={"env":"x"}`),
		{conn: "N", await: pushed},
		put(`enabled=false`),
		{conn: "N", await: pushed},
		{http: "GET /nacos/v3/admin/ns/instance/list", form: "serviceName=SVC"},
		{http: "PUT /v3/console/ns/instance", form: `serviceName=SVC&ip=10.0.0.1&port=80&clusterName=DEFAULT&ephemeral=true&weight=7&enabled=true&metadata={"version":"c9"}`},
		{conn: "N", await: pushed},
		{http: "GET /nacos/v3/client/ns/instance/list", form: "serviceName=SVC"},
		{conn: "P", send: "InstanceRequest", body: `{` + svc + `,"type":"deregisterInstance","instance":{}}`},
		{conn: "N", await: pushed},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":80,"metadata":{"version":"v4"}}`)}, // the edit is still there
		{conn: "N", await: pushed},
		{http: "DELETE /nacos/v3/admin/ns/instance", form: "serviceName=SVC&ip=10.0.0.1&port=80"}, // ok, and nothing
		{http: "GET /nacos/v3/client/ns/instance/list", form: "serviceName=SVC", settled: true},
		{http: "PUT /nacos/v3/admin/ns/instance", form: `serviceName=SVC&ip=10.0.0.2&port=80&weight=7&metadata={"k":"before"}`}, // not registered yet
		{conn: "N", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.2","port":80}`), settled: true},
		{conn: "N", send: "ServiceQueryRequest", body: `{` + svc + `}`, settled: true},
	}
}

func configuration() []step {
	key := func(more string) string { return `{"tenant":"","group":"G","dataId":"SVC"` + more + `}` }
	const listen = `{"listen":true,"configListenContexts":[`
	return []step{
		{conn: "C", send: "ConfigQueryRequest", body: key(``)},
		{conn: "C", send: "ConfigBatchListenRequest", body: listen + key(`,"md5":""`) + `]}`},
		{conn: "C", send: "ConfigPublishRequest", body: key(`,"content":"é","casMd5":"00","additionMap":{"type":"yaml"}`)}, // creation is not guarded
		{conn: "C", await: "ConfigChangeNotifyRequest"},
		{conn: "C", send: "ConfigQueryRequest", body: key(``)},
		{conn: "C", send: "ConfigPublishRequest", body: key(`,"content":"b","casMd5":"00"`)},
		{conn: "C", send: "ConfigPublishRequest", body: key(`,"content":"b","casMd5":"` + md5OfE + `"`)},
		{conn: "C", await: "ConfigChangeNotifyRequest"},
		{conn: "C", send: "ConfigQueryRequest", body: key(``)},
		{conn: "C", send: "ConfigPublishRequest", body: key(`,"content":""`)},
		{conn: "C", send: "ConfigBatchListenRequest", body: listen + key(`,"md5":"92eb5ffee6ae2fec3ad71c777531578f"`) +
			`,{"group":"G","dataId":"SVC","tenant":"public","md5":"11"},{"group":"G","dataId":"SVC.no","tenant":"","md5":"11"},{"group":"G","dataId":"SVC.no","tenant":"other","md5":""}]}`},
		{conn: "C", send: "ConfigPublishRequest", body: `{"tenant":"public","group":"G","dataId":"SVC","content":"c"}`}, // the same namespace
		{conn: "C", await: "ConfigChangeNotifyRequest"},
		{conn: "C", send: "ConfigRemoveRequest", body: key(``)},
		{conn: "C", await: "ConfigChangeNotifyRequest"},
		{conn: "C", send: "ConfigRemoveRequest", body: key(``)},
		{conn: "C", send: "ConfigBatchListenRequest", body: strings.Replace(listen, "true", "false", 1) + key(`,"md5":""`) + `]}`},
		{conn: "C", send: "ConfigPublishRequest", body: key(`,"content":"d"`)},
	}
}

const md5OfE = "66ddcd97cfdeabb2f6fb8a999b4bc76f"

func operator() []step {
	const (
		admin    = "/nacos/v3/admin/cs/config"
		con      = "/v3/console/cs/config"
		instance = "/nacos/v3/client/ns/instance"
		doc      = "dataId=SVC.yaml&groupName=G"
		other    = "serviceName=SVC.http"
	)
	return []step{
		{http: "GET /nacos/v3/admin/core/state/readiness"},
		{http: "GET /v3/console/health/readiness"},
		{http: "GET /nacos/v3/client/cs/config", form: doc},
		{http: "GET " + admin, form: doc},
		{http: "POST " + admin, form: doc + "&content=a: 1&type=yaml"},
		{http: "GET " + admin, form: doc, settled: true},
		{http: "GET /nacos/v3/client/cs/config", form: doc},
		{http: "GET /nacos/v3/client/cs/config", form: doc + "&namespaceId=other"},
		{http: "POST " + con, form: doc + "&content=b&type=nosuch", casMD5: "00"},
		{http: "POST " + con, form: doc + "&content=b&type=nosuch"},
		{http: "POST " + admin, form: doc + "&content=c", casMD5: "92eb5ffee6ae2fec3ad71c777531578f"},
		{http: "GET " + con, form: doc, settled: true},
		{http: "DELETE " + admin, form: doc},
		{http: "DELETE " + con, form: doc},

		{http: "GET " + instance + "/list", form: other},
		{http: "GET /nacos/v3/admin/ns/instance/list", form: other},
		{http: "PUT /nacos/v3/admin/ns/instance", form: other + "&ip=10.0.0.1&port=80"},
		{http: "POST " + instance, form: other + "&ip=10.0.0.1&port=80&heartBeat=true"},
		{http: "POST " + instance, form: other + `&ip=10.0.0.1&port=80&metadata={"version":"v1"}`},
		{http: "POST " + instance, form: other + "&ip=10.0.0.2&port=80&clusterName=C&weight=0.5&healthy=false&metadata=a=b,c=d"},
		{http: "POST " + instance, form: other + "&ip=10.0.0.1&port=80&heartBeat=true"},
		{http: "GET " + instance + "/list", form: other, settled: true},
		{http: "GET " + instance + "/list", form: other + "&clusterName=C"},
		{http: "GET " + instance + "/list", form: other + "&clusterName=C,DEFAULT"},
		{http: "GET " + instance + "/list", form: other + "&clusterName=C&healthyOnly=true"},
		{http: "GET /nacos/v3/admin/ns/instance/list", form: other + "&clusterName=X"},
		{http: "DELETE " + instance, form: other + "&ip=10.0.0.2&port=80"},
		{http: "DELETE " + instance, form: other + "&ip=10.0.0.3&port=80"},
		{http: "GET " + instance + "/list", form: other + "&clusterName=C,DEFAULT", settled: true},
	}
}

// clientsHTTP is what the clients of other languages still ask over HTTP.
func clientsHTTP() []step {
	const (
		old  = "/nacos/v1/ns/instance"
		list = "GET /nacos/v3/admin/cs/config/list"
		at   = "serviceName=DEFAULT_GROUP@@SVC.old&groupName=DEFAULT_GROUP&ip=10.0.0.1&port=80&ephemeral=false"
	)
	return []step{
		{http: "GET /nacos/v1/ns/operator/metrics"},
		{http: "PUT " + old, form: at},
		{http: "PUT /nacos/v2/ns/instance", form: at},
		{http: "POST " + old, form: at + `&weight=2&healthy=true&enable=true&metadata={"a":"b"}`},
		{http: "GET /nacos/v3/client/ns/instance/list", form: "serviceName=SVC.old", settled: true},
		{http: "DELETE " + old, form: at},
		{http: "GET /nacos/v3/client/ns/instance/list", form: "serviceName=SVC.old", settled: true},
		{http: "POST " + old, form: "serviceName=SVC.old"},
		{http: "GET /nacos/v1/cs/configs", form: "dataId=SVC&search=accurate"},
		{http: "POST /nacos/v3/admin/cs/config", form: "dataId=SVC.list&groupName=G&content=a&type=yaml"},
		{http: "POST /nacos/v3/admin/cs/config", form: "dataId=SVC.list&groupName=H&content=b"},
		{http: list, form: "dataId=SVC.list&groupName=G&search=accurate&pageNo=1&pageSize=10", settled: true},
		{http: list, form: "dataId=SVC.list&groupName="},
		{http: list, form: "dataId=SVC.l*&groupName=&search=blur&pageNo=2&pageSize=1"},
		{http: list, form: "dataId=SVC.l*&groupName=&search=accurate"},
		{http: list, form: "dataId=SVC.list&groupName=nosuch"},
		{http: "POST /nacos/v3/auth/user/login", form: "username=nobody&password=x"},
		{http: "POST /nacos/v3/auth/user/login"},
		{http: "POST /nacos/v1/auth/users/login", form: "username=nobody&password=x"},
	}
}

// misuse is refused in the words of Nacos.
func misuse() []step {
	return []step{
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":99999}`)},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":-1}`)},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"a b","port":1}`)},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":1,"clusterName":"a b"}`)},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":1,"metadata":{"k":"` + strings.Repeat("x", 1024) + `"}}`)},
		{conn: "P", send: "InstanceRequest", body: reg(`{"ip":"10.0.0.1","port":1,"metadata":{"k":"` + strings.Repeat("x", 1023) + `"}}`)},
		{conn: "P", send: "InstanceRequest", body: `{"namespace":"public","serviceName":"","groupName":"G","type":"registerInstance","instance":{"ip":"1.1.1.1","port":1}}`},
		{conn: "P", send: "InstanceRequest", body: `{"namespace":"public","serviceName":"x","groupName":"","type":"registerInstance","instance":{"ip":"1.1.1.1","port":1}}`},
		{conn: "P", send: "InstanceRequest", body: `{"namespace":"public","serviceName":"a b","groupName":"G","type":"registerInstance","instance":{"ip":"1.1.1.1","port":1}}`},
		{conn: "P", send: "InstanceRequest", body: `{` + svc + `,"type":"nosuch","instance":{"ip":"1.1.1.1","port":1}}`},
		{conn: "P", send: "InstanceRequest", body: `{` + svc + `,"type":"registerInstance"}`},
		{conn: "P", send: "SubscribeServiceRequest", body: `{"namespace":"public","groupName":"G","subscribe":true}`},
		{conn: "P", send: "SubscribeServiceRequest", body: `{"namespace":"public","groupName":"G","serviceName":"a b","subscribe":true}`},
		{conn: "C", send: "ConfigPublishRequest", body: `{"group":"G","dataId":"","content":"c"}`},
		{conn: "C", send: "ConfigPublishRequest", body: `{"group":"G","dataId":"a b","content":"c"}`},
		{conn: "C", send: "ConfigQueryRequest", body: `{"group":"G","dataId":"a b"}`},
		{conn: "C", send: "ConfigBatchListenRequest", body: `{"configListenContexts":[{"group":"G","dataId":"a b","md5":""}]}`},
		{http: "POST /nacos/v3/admin/cs/config", form: "dataId=SVC&groupName=G"},
		{http: "POST /nacos/v3/admin/cs/config", form: "groupName=G&content=x"},
		{http: "POST /nacos/v3/admin/cs/config", form: "dataId=SVC&content=x"},
		{http: "POST /nacos/v3/admin/cs/config", form: "dataId=a%20b&groupName=G&content=x"},
		{http: "DELETE /nacos/v3/admin/cs/config", form: "groupName=G"},
		{http: "GET /nacos/v3/client/ns/instance/list"},
		{http: "POST /nacos/v3/client/ns/instance", form: "serviceName=SVC"},
		{http: "POST /nacos/v3/client/ns/instance", form: "serviceName=SVC&ip=1.1.1.1"},
		{http: "POST /nacos/v3/client/ns/instance", form: "serviceName=SVC&ip=1.1.1.1&port=abc"},
		{http: "POST /nacos/v3/client/ns/instance", form: "serviceName=SVC&ip=a%20b&port=1"},
		{http: "POST /nacos/v3/client/ns/instance", form: "serviceName=a%20b&ip=1.1.1.1&port=1"},
		{http: "PUT /nacos/v3/admin/ns/instance", form: "serviceName=SVC&ip=1.1.1.1&port=1&weight=10001"},
	}
}
