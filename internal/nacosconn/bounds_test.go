package nacosconn

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/graylane/graylane/registry"
)

func TestTenThousandFullInstancesFitIntoAMessage(t *testing.T) {
	const host = `{"instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@user","ip":"10.0.0.1","port":8080,"weight":1.0,"healthy":true,` +
		`"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@user","metadata":{%s},` +
		`"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeOut":30000,"instanceIdGenerator":"simple"}`
	const label = `"label-00":"` + "0123456789abcdef01234567" // 32 characters, as many as Nacos takes of them
	metadata := strings.Repeat(label+`",`, registry.MaxMetadata/32-1) + label + `"`
	hosts := strings.Repeat(fmt.Sprintf(host, metadata)+",", 9_999) + fmt.Sprintf(host, metadata)
	body := `{"requestId":"1","serviceInfo":{"name":"user","groupName":"DEFAULT_GROUP","hosts":[` + hosts + `]}}`
	assert.Less(t, len(body), maxMessage)
	p, err := decodePush(typeServiceChange, []byte(body))
	require.NoError(t, err)
	assert.Len(t, p.service.Hosts, 10_000)
}

func TestListThatIsTooLongHarmsNobodyElse(t *testing.T) {
	old := &oldServer{bomb: &auto.Payload{Body: &anypb.Any{Value: make([]byte, maxMessage)}}}
	s := open(t, Config{Servers: []string{old.run(t)}}, ModuleNaming, Handler{})
	c := connected(t, s)
	_, err := c.Subscribe(within(t, patience), "G", "bomb")
	require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	assert.EqualValues(t, 1, old.others.Load(), "it is unsubscribed: a push of it would end the connection")
	require.NoError(t, c.Unsubscribe(within(t, patience), "G", "other"), "the connection is as it was")
}

func TestMessageOfTooManyElementsIsRefused(t *testing.T) {
	body := `{"requestId":"1","serviceInfo":{"name":"n","groupName":"g","hosts":[null` + strings.Repeat(",null", maxElements) + `]}}`
	require.Less(t, len(body), maxMessage)
	p, err := decodePush(typeServiceChange, []byte(body))
	require.ErrorContains(t, err, "elements, more than 1048576")
	assert.Nil(t, p.service)
	require.NoError(t, unmarshal([]byte(`"`+strings.Repeat(",", maxElements)+`"`), new(string)))
}

func TestOddNumbersDoNotMakeAListUnreadable(t *testing.T) {
	for in, want := range map[string]float64{
		`1.5`: 1.5, `"2"`: 2, `"NaN"`: math.NaN(), `"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1),
		`1e999`: math.Inf(1), `"x"`: math.NaN(), `[]`: math.NaN(), `{"a":1}`: math.NaN(), `null`: math.NaN(),
	} {
		var h Host
		require.NoError(t, json.Unmarshal([]byte(`{"weight":`+in+`,"ip":"10.0.0.1"}`), &h), in)
		assert.Equal(t, fmt.Sprint(want), fmt.Sprint(float64(h.Weight)), in)
		assert.Equal(t, "10.0.0.1", h.IP, in)
	}
}
