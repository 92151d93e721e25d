package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a document; one that exceeds them is refused.
const (
	// MaxDocument is the size of a document in bytes.
	MaxDocument = 65_536
	// MaxDepth is the number of maps and lists inside each other; the root is the first.
	MaxDepth = 16
)

type kind uint8

const (
	refused kind = iota // a problem was reported; readers pass over it
	scalar
	list
	mapping
)

// node is a document's tree without what no reader may see: anchors, tags,
// excessive depth, and the later ones of duplicate keys are reported and gone. It
// is small, for a document can have 65,000.
type node struct {
	place
	kind  kind
	plain bool   // a scalar without quotes
	text  string // of a scalar; of a refused one too if it is known
	*children
}

// children are those of a list or a mapping; all others share empty ones.
type children struct {
	items []*node
	pairs []pair
}

type pair struct{ key, value *node }

// place counts from 1.
type place struct{ line, col int32 }

func placeAt(line, col int) place {
	return place{int32(line), int32(col)} //nolint:gosec // A document is small.
}

// find returns a key of a mapping and its value, nil if there is none.
func (n *node) find(name string) (key, value *node) {
	for _, p := range n.pairs {
		if p.key.text == name && (p.key.kind == scalar || p.key.kind == refused) {
			return p.key, p.value
		}
	}
	return nil, nil
}

// get returns the value of a key of a mapping, nil if there is none.
func (n *node) get(name string) *node {
	_, value := n.find(name)
	return value
}

// start is where problems of a whole mapping stand: at its first key.
func (n *node) start() place {
	if len(n.pairs) > 0 {
		return n.pairs[0].key.place
	}
	return n.place
}

// load parses the syntax of a document and returns its root, nil if there is none.
func (r *reader) load(content []byte) *node {
	origin := place{1, 1}
	if len(content) > MaxDocument {
		r.errorf(origin, codeTooLarge, "%d bytes, at most %d are read", len(content), MaxDocument)
		return nil
	}
	content = toUTF8(content)
	if line := directive(content); line > 0 {
		r.errorf(placeAt(line, 1), codeSyntax, "a directive; write the document without")
		return nil
	}
	doc, next, err := decode(content)
	switch {
	case errors.Is(err, io.EOF):
		r.errorf(origin, codeSyntax, "the document is empty")
	case err != nil:
		line, text := parserError(err)
		code := codeSyntax
		if strings.Contains(text, "exceeded max depth") {
			code = codeTooDeep
		}
		r.errorf(placeAt(line, 1), code, "%s", shorten(text))
	case next != nil:
		r.errorf(placeAt(next.Line, next.Column), codeSyntax, "a second document; only one is read")
	case empty(doc.Content[0]):
		r.errorf(origin, codeSyntax, "the document is empty")
	default:
		t := tree{reader: r, tags: findTags(content), none: new(children)}
		return t.convert(doc.Content[0], 1)
	}
	return nil
}

func empty(y *yaml.Node) bool {
	return y.Kind == yaml.ScalarNode && y.Style == 0 && y.Value == "" && y.Anchor == ""
}

// directive returns the line of the first directive, 0 if there is none. A
// directive is one only before the document begins.
func directive(content []byte) int {
	n := 0
	for line := range lines(content) {
		n++
		if len(line) > 0 && line[0] == '%' {
			return n
		}
		if rest := bytes.TrimLeft(line, " \t"); len(rest) > 0 && rest[0] != '#' {
			return 0
		}
	}
	return 0
}

// decode parses the document and the one after it, if any. The error is io.EOF
// if there is no document at all.
func decode(content []byte) (doc, next *yaml.Node, err error) {
	// The parser reports what it did not expect of itself by a panic.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("config: yaml parser: %v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(content))
	doc, next = new(yaml.Node), new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, nil, err
	}
	switch err := dec.Decode(next); {
	case errors.Is(err, io.EOF):
		return doc, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return doc, next, nil
}

// parserError takes the line, which the parser writes into its text, out of it.
func parserError(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil && n > 0 {
				return n, after
			}
		}
	}
	return 1, text
}
