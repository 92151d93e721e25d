package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// maxLine is the length in bytes of a line of requests or instances; a longer one
// is refused.
const maxLine = 1 << 20

// readDocument reads as much of a file as is needed to judge it: of a longer one
// than a document may be, enough to see that.
func readDocument(name string) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, config.MaxDocument+1))
	if err != nil {
		return nil, unusable("%s: %w", name, reason(err))
	}
	return content, nil
}

// open opens a file for reading.
func open(name string) (*os.File, error) {
	f, err := os.Open(name) //nolint:gosec // The operator says which.
	if err != nil {
		return nil, unusable("%s: %w", name, reason(err))
	}
	return f, nil
}

// reason leaves out what a message about a file says anyway.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// eachLine calls fn with every line of r that is not blank. Errors begin with the
// name and the line.
func eachLine(name string, r io.Reader, fn func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine+2) // with its end
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := fn(line); err != nil {
			if _, ok := errors.AsType[*exitError](err); ok { // not about the line
				return err
			}
			return unusable("%s:%d: %w", name, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return unusable("%s:%d: a line of more than %d bytes", name, n+1, maxLine)
	case err != nil:
		return unusable("%s: %w", name, reason(err))
	}
	return nil
}

// decode reads a line that is one JSON object.
func decode(line []byte, out any) error {
	if !utf8.Valid(line) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong) && wrong.Field == "":
			return errors.New("want one JSON object a line")
		case errors.As(err, &wrong):
			return fmt.Errorf("field %s: %s belongs here, not %s", wrong.Field, shape(wrong.Type), wrong.Value)
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("the JSON object does not end on this line")
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// shape names in JSON's words what belongs into a field.
func shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of strings"
	case reflect.Map:
		return "an object"
	case reflect.Int:
		return "a whole number"
	default:
		return "a number"
	}
}

// wireInstance is an instance as files have it. What is absent or null has the
// default.
type wireInstance struct {
	Addr     string             `json:"addr"`
	Weight   *float64           `json:"weight"` // in Nacos's unit
	Healthy  *bool              `json:"healthy"`
	Enabled  *bool              `json:"enabled"`
	Cluster  string             `json:"cluster"`
	Metadata map[string]*string `json:"metadata"`
}

func parseInstance(line []byte) (registry.Instance, error) {
	var w wireInstance
	if err := decode(line, &w); err != nil {
		return registry.Instance{}, err
	}
	if addr, err := netip.ParseAddrPort(w.Addr); err != nil || addr.Port() == 0 {
		return registry.Instance{}, fmt.Errorf("field addr: %.80q is no ip:port, as 10.0.0.1:80 or [fd00::1]:80", w.Addr)
	}
	in := registry.NewInstance(w.Addr)
	in.ID, in.Cluster = "", w.Cluster // NewSnapshot completes them
	if w.Weight != nil {
		in.Weight = registry.Weight(*w.Weight)
	}
	in.Healthy = w.Healthy == nil || *w.Healthy
	in.Enabled = w.Enabled == nil || *w.Enabled
	in.Metadata = present(w.Metadata)
	return in, nil
}

// readInstances reads a file of instances.
func readInstances(name, service string) (*registry.Snapshot, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []registry.Instance
	err = eachLine(name, f, func(line []byte) error {
		in, err := parseInstance(line)
		list = append(list, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return registry.NewSnapshot(registry.Service{Name: service}, 0, list), nil
}

// present leaves out what is null: it counts as absent.
func present(m map[string]*string) map[string]string {
	out := make(map[string]string, len(m))
	for name, value := range m {
		if value != nil {
			out[name] = *value
		}
	}
	return out
}
