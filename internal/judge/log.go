package judge

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Request is who asks, and for what: all that rules may look at.
type Request struct {
	// ID is unique in a log.
	ID string `json:"id"`
	// Protocol is "http" or "grpc".
	Protocol string `json:"protocol"`
	Service  string `json:"service"`
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`
	// Headers holds the headers that were sent exactly once, names in lower case.
	Headers map[string]string `json:"headers,omitempty"`
	// User is what the application said, "" where only the header x-user-id may.
	User string `json:"user,omitempty"`
	Lane string `json:"lane,omitempty"`
}

// Refusals: why a request got no instance.
const (
	// NoInstance: the rules leave none.
	NoInstance = "no_instance"
	// UnknownTarget: the request names a target that the rules do not know.
	UnknownTarget = "unknown_target"
	// Skipped: there are candidates, but none that may be tried now.
	Skipped = "skipped"
)

// Attempt is one line of the log: one try of one request. Times are nanoseconds
// of one clock, see Recorder.Now.
type Attempt struct {
	Request
	// Number is 1 for the first try; 0: the request failed before any.
	Number int `json:"attempt"`
	// Rules is the md5 of the document in force, "" for none.
	Rules string `json:"rules"`
	// List is the revision of the instance list.
	List uint64 `json:"list"`

	// Via, Rule, Target, Fallback and Slot are the decision as the consumer
	// explains it.
	Via      string `json:"via,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Target   string `json:"target,omitempty"`
	Fallback string `json:"fallback,omitempty"`
	Slot     int    `json:"slot"`
	// Refusal is set where the decision left no instance.
	Refusal string `json:"refusal,omitempty"`

	// Instance and Addr are what was picked.
	Instance string `json:"instance,omitempty"`
	Addr     string `json:"addr,omitempty"`
	// Version is what the server said of itself in its answer.
	Version string `json:"version,omitempty"`
	Error   string `json:"error,omitempty"`

	// Begin is when the request began, Start when this try was picked, End when
	// it had ended.
	Begin int64 `json:"begin"`
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	// Last marks the try whose outcome the caller saw.
	Last bool `json:"last,omitempty"`
}

// WriteLog writes the attempts as JSON lines.
func WriteLog(w io.Writer, log []Attempt) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for i := range log {
		if err := enc.Encode(&log[i]); err != nil {
			return fmt.Errorf("judge: write log: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("judge: write log: %w", err)
	}
	return nil
}

// ReadLog reads what WriteLog wrote.
func ReadLog(r io.Reader) ([]Attempt, error) {
	var log []Attempt
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	for {
		var a Attempt
		switch err := dec.Decode(&a); {
		case errors.Is(err, io.EOF):
			return log, nil
		case err != nil:
			return nil, fmt.Errorf("judge: line %d of the log: %w", len(log)+1, err)
		}
		log = append(log, a)
	}
}
