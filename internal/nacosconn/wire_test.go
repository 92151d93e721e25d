package nacosconn

import (
	"testing"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"
)

const realPush = `{"headers":{},"requestId":"7","serviceInfo":{"name":"user","groupName":"G","clusters":"","cacheMillis":10000,
"hosts":[{"instanceId":"1","ip":"10.0.0.1","port":80,"weight":1.5,"healthy":true,"enabled":true,"ephemeral":true,
"clusterName":"DEFAULT","serviceName":"G@@user","metadata":{"version":"v1"},"instanceHeartBeatInterval":5000}],
"lastRefTime":1,"checksum":"","allIps":false,"reachProtectionThreshold":false,"valid":true},"module":"naming"}`

func TestPushesAreRead(t *testing.T) {
	p, err := decodePush(typeServiceChange, []byte(realPush))
	require.NoError(t, err)
	assert.Equal(t, "7", p.id)
	assert.Equal(t, &ServiceInfo{Name: "user", GroupName: "G", Hosts: []Host{{
		IP: "10.0.0.1", Port: 80, Weight: 1.5, Healthy: true, Enabled: true, Cluster: "DEFAULT",
		Metadata: map[string]string{"version": "v1"},
	}}}, p.service)

	p, err = decodePush(typeConfigChange, []byte(`{"requestId":"8","dataId":"d","group":"g"}`))
	require.NoError(t, err)
	assert.Equal(t, &ConfigKey{DataID: "d", Group: "g"}, p.config)

	p, err = decodePush(typeReset, []byte(`{"requestId":"9","serverIp":"10.0.0.1","serverPort":"8848"}`))
	require.NoError(t, err)
	assert.Equal(t, &server{host: "10.0.0.1", port: 8848}, p.reset)
	p, err = decodePush(typeReset, []byte(`{"serverIp":"::1","serverPort":"8848"}`))
	require.NoError(t, err)
	assert.Equal(t, &server{host: "::1", port: 8848}, p.reset)
	p, err = decodePush(typeReset, []byte(`{"serverIp":null}`))
	require.NoError(t, err)
	assert.Equal(t, &server{}, p.reset)
}

func TestOddPushesAreRefusedAndKeepTheirID(t *testing.T) {
	for _, c := range []struct{ typ, body, err string }{
		{typeServiceChange, `{"requestId":"1"}`, "no serviceInfo"},
		{typeServiceChange, `{"requestId":"1","serviceInfo":{}}`, "without a name"},
		{typeServiceChange, `{"requestId":"1","serviceInfo":{"name":"n","groupName":"g"}}`, "without hosts"},
		{typeServiceChange, `{"requestId":"1","serviceInfo":{"name":"n","groupName":"g","hosts":null}}`, "without hosts"},
		{typeServiceChange, `{"requestId":"1","serviceInfo":{"name":"n","groupName":"g","hosts":[{"port":"80"}]}}`, "port"},
		{typeConfigChange, `{"requestId":"1","dataId":"d"}`, "no dataId or group"},
		{typeReset, `{"requestId":"1","serverIp":"10.0.0.1","serverPort":"http"}`, "want host:port"},
		{"Odd", `{"requestId":"1"}`, `unknown type "Odd"`},
	} {
		p, err := decodePush(c.typ, []byte(c.body))
		require.ErrorContains(t, err, c.err, c.body)
		assert.Equal(t, "1", p.id, c.body)
		assert.Nil(t, p.service)
		assert.Nil(t, p.config)
	}
	_, err := decodePush(typeServiceChange, nil)
	require.Error(t, err)
}

func TestAnswersAreCheckedBeforeTheyAreUsed(t *testing.T) {
	payload := func(typ, body string) *auto.Payload {
		return &auto.Payload{Metadata: &auto.Metadata{Type: typ}, Body: &anypb.Any{Value: []byte(body)}}
	}
	for _, c := range []struct {
		name    string
		p       *auto.Payload
		refused int // code of a ServerError
		err     string
	}{
		{"no body", payload("QueryServiceResponse", ""), 0, "unexpected end"},
		{"an empty message", &auto.Payload{}, 0, `type ""`},
		{"another type", payload("InstanceResponse", `{"success":true}`), 0, `type "InstanceResponse"`},
		{"nothing said", payload("QueryServiceResponse", `{}`), 0, "refused"},
		{"its own type says no", payload("QueryServiceResponse", `{"resultCode":500,"errorCode":403,"message":"m"}`), 403, "m"},
		{"success=false beats the code", payload("QueryServiceResponse", `{"resultCode":200,"success":false}`), 200, ""},
		{"ErrorResponse", payload("ErrorResponse", `{"resultCode":500,"errorCode":301,"message":"m"}`), 301, "m"},
		{"ErrorResponse unread", payload("ErrorResponse", `[]`), 0, "cannot unmarshal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := decode("s:1", "ServiceQueryRequest", c.p, &queryAnswer{})
			require.ErrorContains(t, err, c.err)
			if c.refused != 0 {
				var refused *ServerError
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, c.refused, refused.Code)
			}
		})
	}
	require.NoError(t, decode("s:1", "", payload("QueryServiceResponse", `{"resultCode":200}`), &queryAnswer{}))
	require.NoError(t, decode("s:1", "", payload("QueryServiceResponse", `{"success":true}`), &queryAnswer{}))
}

func FuzzPush(f *testing.F) {
	f.Add(typeServiceChange, []byte(realPush))
	f.Add(typeConfigChange, []byte(`{"requestId":"8","dataId":"d","group":"g","tenant":null}`))
	f.Add(typeReset, []byte(`{"serverIp":"::1","serverPort":"8848"}`))
	f.Add(typeDetection, []byte(`{"requestId":1}`))
	f.Add("", []byte(`null`))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		p, err := decodePush(typ, body)
		if p.service != nil && (err != nil || p.service.Name == "" || p.service.Hosts == nil) {
			t.Errorf("unchecked service: %+v, %v", p.service, err)
		}
		if p.config != nil && (err != nil || p.config.DataID == "" || p.config.Group == "") {
			t.Errorf("unchecked config: %+v, %v", p.config, err)
		}
		if p.reset != nil && *p.reset != (server{}) && (p.reset.port < 1 || p.reset.port+grpcOffset > 65535) {
			t.Errorf("unchecked server: %+v", p.reset)
		}
		if _, err := p.reply("127.0.0.1"); err != nil {
			t.Errorf("no reply: %v", err)
		}
	})
}
