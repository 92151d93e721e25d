package config

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// tree turns the parser's nodes into ours.
type tree struct {
	*reader
	tags []place   // see findTags
	none *children // of all nodes that have none
	// chunk is where the next nodes are made, many at once: a document can have
	// tens of thousands.
	chunk []node
}

func (t *tree) node(y *yaml.Node) *node {
	if len(t.chunk) == cap(t.chunk) {
		t.chunk = make([]node, 0, 64)
	}
	t.chunk = append(t.chunk, node{place: placeAt(y.Line, y.Column), children: t.none})
	return &t.chunk[len(t.chunk)-1]
}

func (t *tree) convert(y *yaml.Node, depth int) *node {
	n := t.node(y)
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
		n.kind, n.children = list, &children{items: make([]*node, len(y.Content))}
		for i := range n.items {
			n.items[i] = t.convert(y.Content[i], depth+1)
			y.Content[i] = nil // Both trees of a large document are too much.
		}
		return n
	}
	n.kind, n.children = mapping, &children{pairs: make([]pair, 0, min(len(y.Content)/2, 16))}
	keys := keyIndex{of: n}
	for i := 0; i+1 < len(y.Content); i += 2 {
		t.convertPair(&keys, y.Content[i], y.Content[i+1], depth+1)
		y.Content[i], y.Content[i+1] = nil, nil
	}
	return n
}

func (t *tree) convertPair(keys *keyIndex, k, v *yaml.Node, depth int) {
	before := t.chunk
	key, value := t.convert(k, depth), t.convert(v, depth)
	if key.kind == scalar {
		first := keys.find(key.text)
		switch {
		case k.Tag == "!!merge":
			t.errorf(key.place, codeAnchor, "a merge key; write the fields out")
		case first == nil:
			keys.add(key, value)
			return
		case !t.full(Error): // else what a document repeats ten thousand times costs nothing
			t.errorf(key.place, codeDuplicateKey, "%s stands at line %d already", quote(key.text), first.line)
		}
		t.chunk = before // Nothing refers to the pair.
		return
	}
	if key.kind == refused {
		value = t.node(v)
	}
	keys.of.pairs = append(keys.of.pairs, pair{key, value})
}

// keyIndex finds the keys of a mapping that are single values.
type keyIndex struct {
	of     *node
	places map[string]int // indexes of pairs; nil for a small mapping
}

// find returns the key of that text, nil if there is none.
func (x *keyIndex) find(text string) *node {
	if x.places != nil {
		if i, ok := x.places[text]; ok {
			return x.of.pairs[i].key
		}
		return nil
	}
	for _, p := range x.of.pairs {
		if p.key.kind == scalar && p.key.text == text {
			return p.key
		}
	}
	return nil
}

func (x *keyIndex) add(key, value *node) {
	x.of.pairs = append(x.of.pairs, pair{key, value})
	switch n := len(x.of.pairs); {
	case x.places != nil:
		x.places[key.text] = n - 1
	case n >= 16:
		x.places = make(map[string]int, 2*n)
		for i, p := range x.of.pairs {
			if p.key.kind == scalar {
				x.places[p.key.text] = i
			}
		}
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
	_, found := slices.BinarySearchFunc(t.tags, placeAt(y.Line, y.Column), place.compare)
	return found
}

// findTags returns the places of all exclamation marks in their order, counted as
// the parser counts: whatever a tag begins with.
func findTags(content []byte) []place {
	count := bytes.Count(content, []byte("!"))
	if count == 0 {
		return nil
	}
	tags := make([]place, 0, count)
	at := place{1, 1}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	for last := rune(0); len(content) > 0; {
		c, size := utf8.DecodeRune(content)
		content = content[size:]
		switch c {
		case '\n', '\r', '\u0085', '\u2028', '\u2029':
			if c != '\n' || last != '\r' {
				at = place{at.line + 1, 1}
			}
		default:
			if c == '!' {
				tags = append(tags, at)
			}
			at.col++
		}
		last = c
	}
	return tags
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.line, o.line), cmp.Compare(p.col, o.col))
}
