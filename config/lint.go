package config

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// ErrUnknownKind says that a file's name is no document's.
var ErrUnknownKind = errors.New("config: not the name of a document")

// Lint returns everything that is wrong with a document, of the kind and service
// that the file's name tells: gray.<service>.yaml, gray._global.yaml,
// switches.<service>.yaml, switches._global.yaml. The error is ErrUnknownKind.
//
// There says whether any instance of the service has such labels, for the warning
// about a target without instances; nil: that is not known.
func Lint(file string, content []byte, there func(labels map[string]string) bool) (Problems, error) {
	kind, rest, _ := strings.Cut(path.Base(file), ".")
	service, yaml := strings.CutSuffix(rest, ".yaml")
	if !yaml || service == "" {
		kind = ""
	}
	var problems Problems
	switch {
	case kind == "gray" && path.Base(file) == GlobalDocID:
		_, problems = ParseGlobal(file, content)
	case kind == "gray":
		_, problems = parseRules(&reader{file: file, there: there}, service, content)
	case kind == "switches":
		_, problems = ParseSwitches(file, content)
	default:
		return nil, fmt.Errorf("%w: %s; documents are gray.SERVICE.yaml, %s, switches.SERVICE.yaml and %s",
			ErrUnknownKind, file, GlobalDocID, GlobalSwitchesDocID)
	}
	return problems, nil
}
