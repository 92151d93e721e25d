package nacostest

import "encoding/json"

// configRequest is the part that all configuration requests share.
type configRequest struct {
	Tenant string `json:"tenant"`
	Group  string `json:"group"`
	DataID string `json:"dataId"`
}

func (r *configRequest) key() configKey { return newConfigKey(r.Tenant, r.Group, r.DataID) }

func (r *configRequest) check() error {
	return checkNames("tenant", r.Tenant, "group", r.Group, "dataId", r.DataID)
}

// pushBody returns the word that a configuration has changed, nil if the
// connection does not listen to it any more.
func (cs *configs) pushBody(c *conn, key configKey, requestID string) ([]byte, error) {
	cs.mu.Lock()
	tenant, ok := cs.listeners[key][c]
	cs.mu.Unlock()
	if !ok {
		return nil, nil
	}
	return json.Marshal(struct {
		Headers   struct{} `json:"headers"`
		RequestID string   `json:"requestId"`
		DataID    string   `json:"dataId"`
		Group     string   `json:"group"`
		Tenant    string   `json:"tenant,omitempty"`
		Module    string   `json:"module"`
	}{RequestID: requestID, DataID: key.Name, Group: key.Group, Tenant: tenant, Module: "config"})
}

type configQueryAnswer struct {
	response
	Content          string  `json:"content,omitempty"`
	EncryptedDataKey *string `json:"encryptedDataKey,omitempty"`
	ContentType      string  `json:"contentType,omitempty"`
	MD5              string  `json:"md5,omitempty"`
	LastModified     int64   `json:"lastModified"` // Unix milliseconds
	Beta             bool    `json:"beta"`
}

func (s *Server) queryConfig(_ *conn, r *configRequest) (*configQueryAnswer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	doc, ok := s.configs.get(r.key())
	if !ok {
		return nil, refused(codeNotFound, "config data not exist")
	}
	return &configQueryAnswer{
		Content: doc.content, EncryptedDataKey: new(string), ContentType: doc.typ, MD5: doc.md5,
		LastModified: doc.modified.UnixMilli(),
	}, nil
}

type publishRequest struct {
	configRequest
	Content     string            `json:"content"`
	CasMD5      string            `json:"casMd5"`
	AdditionMap map[string]string `json:"additionMap"`
}

const casFailed = "Cas publish fail, server md5 may have changed."

func (s *Server) publishConfig(_ *conn, r *publishRequest) (*response, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	switch {
	case r.DataID == "":
		return nil, refused(codeInvalid, "invalid dataId : ")
	case r.Group == "":
		return nil, refused(codeInvalid, "invalid group : ")
	case r.Content == "":
		return nil, refused(codeInvalid, "content is blank : ")
	}
	if !s.configs.publish(r.key(), r.Content, configType(r.AdditionMap["type"]), r.CasMD5) {
		return nil, refused(codeFailed, casFailed)
	}
	return &response{}, nil
}

// configType returns the type of a content; Nacos takes one it does not know for
// text.
func configType(typ string) string {
	switch typ {
	case "properties", "xml", "json", "html", "yaml", "toml":
		return typ
	}
	return "text"
}

func (s *Server) removeConfig(_ *conn, r *configRequest) (*response, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	s.configs.remove(r.key())
	return &response{}, nil
}

type listenRequest struct {
	Listen   *bool           `json:"listen"` // absent is true
	Contexts []listenContext `json:"configListenContexts"`
}

type listenContext struct {
	Group  string  `json:"group"`
	DataID string  `json:"dataId"`
	Tenant *string `json:"tenant"` // it comes back as it was written
	MD5    string  `json:"md5"`
}

func (l *listenContext) tenant() string {
	if l.Tenant == nil {
		return ""
	}
	return *l.Tenant
}

type listenAnswer struct {
	response
	Changed []changedConfig `json:"changedConfigs"`
}

type changedConfig struct {
	Group  string  `json:"group"`
	DataID string  `json:"dataId"`
	Tenant *string `json:"tenant,omitempty"`
}

func (s *Server) listenConfigs(c *conn, r *listenRequest) (*listenAnswer, error) {
	result := &listenAnswer{Changed: []changedConfig{}}
	for _, l := range r.Contexts {
		if err := checkNames("tenant", l.tenant(), "group", l.Group, "dataId", l.DataID); err != nil {
			return result, err
		}
	}
	on := r.Listen == nil || *r.Listen
	for _, l := range r.Contexts {
		if s.configs.listen(c, newConfigKey(l.tenant(), l.Group, l.DataID), l.tenant(), l.MD5, on) {
			result.Changed = append(result.Changed, changedConfig{l.Group, l.DataID, l.Tenant})
		}
	}
	return result, nil
}
