package nacosconn

import (
	"context"
	"errors"

	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
)

// maxListen is the most documents in one listen request.
const maxListen = 500

// Document is a document as the server holds it.
type Document struct {
	Found     bool
	Content   string
	MD5       string // the server's digest of it
	Encrypted bool   // the content is cipher text
}

// Listened is a document that we hold and want to hear about when the server's
// digest is another one.
type Listened struct {
	Key ConfigKey
	MD5 string // "": we hold none
}

type configAnswer struct {
	result
	Content string `json:"content"`
	MD5     string `json:"md5"`
	DataKey string `json:"encryptedDataKey"`
}

func (*configAnswer) typeName() string { return "ConfigQueryResponse" }

type publishAnswer struct{ result }

func (*publishAnswer) typeName() string { return "ConfigPublishResponse" }

type listenAnswer struct {
	result
	Changed []ConfigKey `json:"changedConfigs"`
}

func (*listenAnswer) typeName() string { return "ConfigChangeBatchListenResponse" }

// Key returns the full name of a document in the connection's namespace.
func (c Config) Key(group, dataID string) ConfigKey {
	k := ConfigKey{DataID: dataID, Group: group, Tenant: c.Namespace}
	if c.Public() {
		k.Tenant = ""
	}
	return k
}

// GetConfig reads a document. One that does not exist is not an error.
func (c *Conn) GetConfig(ctx context.Context, k ConfigKey) (Document, error) {
	var a configAnswer
	err := c.call(ctx, rpc_request.NewConfigQueryRequest(k.Group, k.DataID, k.Tenant), &a)
	var refused *ServerError
	if errors.As(err, &refused) && refused.Type == a.typeName() && refused.Code == codeStarting {
		return Document{}, nil // of this type, 300 means "no such document"
	}
	if err != nil {
		return Document{}, err
	}
	return Document{Found: true, Content: a.Content, MD5: a.MD5, Encrypted: a.DataKey != ""}, nil
}

// Publish stores a document. With a casMD5 the server refuses if it holds a
// document with another digest; how it refuses differs between versions.
// Kind, if not empty, tells the console how to show it ("yaml").
func (c *Conn) Publish(ctx context.Context, k ConfigKey, content, casMD5, kind string) error {
	req := rpc_request.NewConfigPublishRequest(k.Group, k.DataID, k.Tenant, content, casMD5)
	if kind != "" {
		req.AdditionMap["type"] = kind
	}
	return c.call(ctx, req, &publishAnswer{})
}

// Listen asks for a notification whenever one of the documents changes, and
// returns those that differ already from what we hold.
func (c *Conn) Listen(ctx context.Context, docs []Listened) ([]ConfigKey, error) {
	return c.listen(ctx, docs, true)
}

// Unlisten ends the notifications about a document.
func (c *Conn) Unlisten(ctx context.Context, k ConfigKey) error {
	_, err := c.listen(ctx, []Listened{{Key: k}}, false)
	return err
}

func (c *Conn) listen(ctx context.Context, docs []Listened, on bool) ([]ConfigKey, error) {
	var changed []ConfigKey
	for len(docs) > 0 {
		n := min(len(docs), maxListen)
		req := rpc_request.NewConfigBatchListenRequest(n)
		req.Listen = on
		for _, d := range docs[:n] {
			req.ConfigListenContexts = append(req.ConfigListenContexts,
				model.ConfigListenContext{Group: d.Key.Group, DataId: d.Key.DataID, Tenant: d.Key.Tenant, Md5: d.MD5})
		}
		var a listenAnswer
		if err := c.call(ctx, req, &a); err != nil {
			return changed, err
		}
		changed, docs = append(changed, a.Changed...), docs[n:]
	}
	return changed, nil
}
