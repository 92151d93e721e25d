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
// excessive depth, and the later ones of duplicate keys are reported and gone.
type node struct {
	place
	kind  kind
	text  string // of a scalar; of a refused one too if it is known
	plain bool   // a scalar without quotes
	items []*node
	pairs []pair
}

type pair struct{ key, value *node }

type place struct{ line, col int }

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
	if line := directive(content); line > 0 {
		r.errorf(place{line, 1}, codeSyntax, "a directive; write the document without")
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
		r.errorf(place{line, 1}, code, "%s", text)
	case next != nil:
		r.errorf(place{next.Line, next.Column}, codeSyntax, "a second document; only one is read")
	case empty(doc.Content[0]):
		r.errorf(origin, codeSyntax, "the document is empty")
	default:
		t := tree{reader: r, tags: findTags(content)}
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
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	n := 0
	for line := range bytes.Lines(content) {
		n++
		if line[0] == '%' {
			return n
		}
		if rest := bytes.TrimLeft(line, " \t\r\n"); len(rest) > 0 && rest[0] != '#' {
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

// tree turns the parser's nodes into ours.
type tree struct {
	*reader
	tags map[place]bool
}

func (t *tree) convert(y *yaml.Node, depth int) *node {
	n := &node{place: place{y.Line, y.Column}}
	switch {
	case y.Kind == yaml.AliasNode:
		t.errorf(n.place, codeAnchor, "an alias; write the value out")
		return n
	case y.Anchor != "":
		n.text = y.Value
		t.errorf(n.place, codeAnchor, "an anchor; write the value out where it is needed")
		return n
	case t.tagged(y):
		n.text = y.Value
		t.errorf(n.place, codeAnchor, "a tag; quotes make a string")
		return n
	case y.Kind == yaml.ScalarNode:
		n.kind, n.text, n.plain = scalar, y.Value, y.Style == 0
		return n
	case depth > MaxDepth:
		t.errorf(n.place, codeTooDeep, "more than %d maps and lists inside each other", MaxDepth)
		return n
	case y.Kind == yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			n.items = append(n.items, t.convert(item, depth+1))
		}
		return n
	}
	n.kind = mapping
	t.convertPairs(n, y, depth+1)
	return n
}

func (t *tree) convertPairs(n *node, y *yaml.Node, depth int) {
	seen := make(map[string]place, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := t.convert(y.Content[i], depth), t.convert(y.Content[i+1], depth)
		if key.kind == scalar && y.Content[i].Tag == "!!merge" {
			t.errorf(key.place, codeAnchor, "a merge key; write the fields out")
			continue
		}
		if key.kind == refused {
			value = &node{place: value.place}
		}
		if key.kind == scalar {
			if first, ok := seen[key.text]; ok {
				t.errorf(key.place, codeDuplicateKey, "%s stands at line %d already", quote(key.text), first.line)
				continue
			}
			seen[key.text] = key.place
		}
		n.pairs = append(n.pairs, pair{key, value})
	}
}

// tagged reports whether a node has a tag. The parser forgets the tag "!", but
// the node begins at it; a mapping begins at its first key, and with its tag.
func (t *tree) tagged(y *yaml.Node) bool {
	if y.Style&yaml.TaggedStyle != 0 {
		return true
	}
	if len(y.Content) > 0 && y.Content[0].Line == y.Line && y.Content[0].Column == y.Column {
		return false
	}
	return t.tags[place{y.Line, y.Column}]
}

// findTags returns the places of all exclamation marks, counted as the parser
// counts: whatever a tag begins with.
func findTags(content []byte) map[place]bool {
	tags := make(map[place]bool)
	at := place{1, 1}
	last := rune(0)
	for _, c := range strings.TrimPrefix(string(content), "\ufeff") {
		switch c {
		case '\n', '\r', '\u0085', '\u2028', '\u2029':
			if c != '\n' || last != '\r' {
				at = place{at.line + 1, 1}
			}
		default:
			if c == '!' {
				tags[at] = true
			}
			at.col++
		}
		last = c
	}
	return tags
}
