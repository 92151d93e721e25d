package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/registry"
)

// publish sends the service's document as the console does, and tells the judge.
func (s *stage) publish(doc string) judge.Publication {
	s.t.Helper()
	return s.publishAs(judge.Publication{Service: s.service, Text: doc})
}

// publishBad is publish for a document that no consumer may apply.
func (s *stage) publishBad(doc string) judge.Publication {
	s.t.Helper()
	return s.publishAs(judge.Publication{Service: s.service, Text: doc, Refused: true})
}

func (s *stage) publishAs(p judge.Publication) judge.Publication {
	s.t.Helper()
	form := s.document()
	form.Set("content", p.Text)
	form.Set("type", "yaml")
	p.Sent = s.recorder.Now()
	s.operate(http.MethodPost, s.nacos.console, "/v3/console/cs/config", form)
	p.Answered = s.recorder.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facts.Publications = append(s.facts.Publications, p)
	return p
}

// remove deletes the service's document.
func (s *stage) remove() {
	s.t.Helper()
	s.operate(http.MethodDelete, s.nacos.console, "/v3/console/cs/config", s.document())
}

func (s *stage) document() url.Values {
	return url.Values{"dataId": {config.ServiceDocID(s.service)}, "groupName": {config.DefaultGroup}, "namespaceId": {registry.DefaultNamespace}}
}

// host is an instance as the admin API shows it.
type host struct {
	IP          string            `json:"ip"`
	Port        int               `json:"port"`
	Weight      float64           `json:"weight"`
	Enabled     bool              `json:"enabled"`
	Ephemeral   bool              `json:"ephemeral"`
	ClusterName string            `json:"clusterName"`
	Metadata    map[string]string `json:"metadata"`
}

// edit changes an instance as the console does: it reads all of it, and writes
// all of it. It returns when the answer came.
func (s *stage) edit(addr string, change func(*host)) int64 {
	s.t.Helper()
	const path = "/nacos/v3/admin/ns/instance"
	data := s.operate(http.MethodGet, s.nacos.addr, path+"/list", url.Values{"serviceName": {s.service}, "groupName": {registry.DefaultGroup}})
	var hosts []host
	require.NoError(s.t, json.Unmarshal(data, &hosts))
	for i := range hosts {
		h := &hosts[i]
		if net.JoinHostPort(h.IP, strconv.Itoa(h.Port)) != addr {
			continue
		}
		change(h)
		metadata, err := json.Marshal(h.Metadata)
		require.NoError(s.t, err)
		s.operate(http.MethodPut, s.nacos.addr, path, url.Values{
			"serviceName": {s.service}, "groupName": {registry.DefaultGroup}, "clusterName": {h.ClusterName},
			"ip": {h.IP}, "port": {strconv.Itoa(h.Port)}, "ephemeral": {strconv.FormatBool(h.Ephemeral)},
			"weight": {strconv.FormatFloat(h.Weight, 'g', -1, 64)}, "enabled": {strconv.FormatBool(h.Enabled)},
			"metadata": {string(metadata)},
		})
		return s.recorder.Now()
	}
	require.Fail(s.t, "no such instance", "%s in %s", addr, data)
	return 0
}

// operate makes a request of the operators' API and returns the answer's data.
func (s *stage) operate(method, at, path string, form url.Values) json.RawMessage {
	s.t.Helper()
	to, body := "http://"+at+path, form.Encode()
	if method == http.MethodGet || method == http.MethodDelete {
		to, body = to+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, to, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, path, text)
	var answer struct {
		Code int             `json:"code"`
		Data json.RawMessage `json:"data"`
	}
	require.NoError(s.t, json.Unmarshal(text, &answer))
	require.Zero(s.t, answer.Code, "%s %s: %s", method, path, text)
	return answer.Data
}
