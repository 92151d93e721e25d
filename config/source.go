package config

import (
	"context"
	"crypto/md5" //nolint:gosec // See digest.
	"encoding/hex"
	"errors"
	"time"
)

// DocState says whether a document exists.
type DocState uint8

// The states of a document.
const (
	// Absent: the source answered that there is no such document, or an empty one.
	Absent DocState = iota
	// Present: Content is what the source holds now.
	Present
	// Cached: Content comes from a local copy, what it says may be old.
	Cached
)

// Doc is one document as its source holds it.
type Doc struct {
	// Content is read-only.
	Content []byte
	// MD5 is the lower-case hex digest of Content: the document's identity.
	// Empty if the document is absent.
	MD5   string
	State DocState
	// At is when the source was told, or found out, that the document has changed; zero
	// for the first that it knows of it.
	At time.Time
}

// NewDoc returns content, which it keeps, as a source holds it: Present, or
// Absent if it is empty.
func NewDoc(content []byte) Doc {
	if len(content) == 0 {
		return Doc{}
	}
	return Doc{Content: content, MD5: digest(content), State: Present}
}

// digest returns what Nacos calls the md5 of a document.
func digest(content []byte) string {
	sum := md5.Sum(content) //nolint:gosec // Nacos's identity of a document, not a protection.
	return hex.EncodeToString(sum[:])
}

// Source brings documents.
type Source interface {
	// Watch calls fn with the document dataID, first when its state is known
	// (absent is a state), then after each change, and blocks until ctx ends.
	//
	// All calls of fn come from one goroutine, one after the other; fn must not
	// block. A quick series of changes may be reported by its last one alone. fn
	// is not called after Watch returned. Watch deals with lost connections
	// itself; it returns early only if watching can never work. At the end of ctx
	// it returns the context's cause. It may be called concurrently.
	Watch(ctx context.Context, dataID string, fn func(Doc)) error
}

// ErrConflict says that a document was not published because somebody else
// changed it first.
var ErrConflict = errors.New("config: the document has changed meanwhile")

// Publisher writes documents.
type Publisher interface {
	// Publish stores content as dataID. With a casMD5 it does so only if the
	// stored document has that digest, else it returns an error that wraps
	// ErrConflict; the check does not guard the creation of a document.
	Publish(ctx context.Context, dataID string, content []byte, casMD5 string) error
}

// The data IDs of documents. No service can be called "_global".
const (
	// GlobalDocID is the data ID of the global document.
	GlobalDocID = "gray._global.yaml"
	// GlobalSwitchesDocID is the data ID of the switches of all services.
	GlobalSwitchesDocID = "switches._global.yaml"
)

// ServiceDocID returns the data ID of a service's rule document.
func ServiceDocID(service string) string { return "gray." + service + ".yaml" }

// SwitchesDocID returns the data ID of a service's switches.
func SwitchesDocID(service string) string { return "switches." + service + ".yaml" }

// DefaultGroup is the Nacos group of the documents.
const DefaultGroup = "GRAY"
