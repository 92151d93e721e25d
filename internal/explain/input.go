package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/graylane/graylane/registry"
)

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

// ParseInstance reads an instance, one JSON object. It has no ID, which
// registry.NewSnapshot gives it.
func ParseInstance(line []byte) (registry.Instance, error) {
	var w wireInstance
	if err := decode(line, &w); err != nil {
		return registry.Instance{}, err
	}
	if addr, err := netip.ParseAddrPort(w.Addr); err != nil || addr.Port() == 0 {
		return registry.Instance{}, fmt.Errorf("field addr: %.80q is no ip:port, as 10.0.0.1:80 or [fd00::1]:80", w.Addr)
	}
	in := registry.NewInstance(w.Addr)
	in.ID, in.Cluster = "", w.Cluster
	if w.Weight != nil {
		in.Weight = registry.Weight(*w.Weight)
	}
	in.Healthy = w.Healthy == nil || *w.Healthy
	in.Enabled = w.Enabled == nil || *w.Enabled
	in.Metadata = present(w.Metadata)
	return in, nil
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
