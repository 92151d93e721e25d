package config

import (
	"cmp"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

// Limits of patterns; what exceeds them is refused.
const (
	// MaxRegex is the length of a pattern in bytes.
	MaxRegex = 256
	// MaxCompiled is what reading all patterns of a document may take in bytes,
	// nearly. A letter takes some 250, repeated up to 50 times 50 times as much:
	// without this limit a document could take 600 MB, and seconds for a value.
	MaxCompiled = 13 << 20
)

// What the parts of a pattern take in bytes, nearly.
const (
	costPattern     = 3800 // with what the document's tree takes for it
	costByte        = 170
	costNode        = 320
	costInstruction = 256
	costRange       = 14 // of a class
	costTable       = 80 // a range of a Unicode class, which may be gone in the end
)

// regex reads a pattern, which has to match the whole value.
func (r *reader) regex(n *node) *regexp.Regexp {
	pattern, ok := r.operand(n)
	if !ok {
		return nil
	}
	if len(pattern) > MaxRegex {
		r.errorf(n.place, codeBadRegex, "%d bytes, at most %d are read", len(pattern), MaxRegex)
		return nil
	}
	regex, err := r.compile(pattern)
	if err != nil {
		r.errorf(n.place, codeBadRegex, "%s", shorten(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
		return nil
	}
	if !strings.ContainsAny(pattern, `\.+*?()[]{}|^$`) {
		r.warnf(n.place, codeRegexNotNeeded, "%s matches itself alone; write it without regex", quote(pattern))
	}
	return regex
}

// compile compiles a pattern, the same one once.
func (r *reader) compile(pattern string) (*regexp.Regexp, error) {
	if regex := r.patterns[pattern]; regex != nil {
		return regex, nil
	}
	cost := textCost(pattern)
	if r.compiled+cost > MaxCompiled {
		return nil, errCompiled()
	}
	r.compiled += cost
	// Alone first: "a)|(b" would compile in a group.
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if more := treeCost(tree) - cost; more > 0 {
		if r.compiled+more > MaxCompiled {
			return nil, errCompiled()
		}
		r.compiled += more
	}
	regex, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, err
	}
	if r.patterns == nil {
		r.patterns = make(map[string]*regexp.Regexp)
	}
	r.patterns[pattern] = regex
	return regex, nil
}

func errCompiled() error {
	return fmt.Errorf("the document's patterns take more than %d bytes together", MaxCompiled)
}

// textCost returns what parsing a pattern takes, before it is parsed.
func textCost(pattern string) int {
	cost := costPattern + costByte*len(pattern)
	for rest := pattern; ; {
		i := strings.Index(rest, `\`)
		if i < 0 || i+2 >= len(rest) {
			return cost
		}
		if c := rest[i+1]; c == 'p' || c == 'P' {
			cost += costTable * tableSize(rest[i+2:])
		}
		rest = rest[i+2:]
	}
}

// tableSize returns the number of ranges of the Unicode class whose name s
// begins with, or that of the largest.
func tableSize(s string) int {
	name := s[:1]
	if name == "{" {
		name, _, _ = strings.Cut(s[1:], "}")
		name = strings.TrimPrefix(name, "^")
	}
	t := cmp.Or(unicode.Scripts[name], unicode.Categories[name])
	if t == nil {
		return 1000 // It has another name, or none.
	}
	n := 0
	for _, r := range t.R16 {
		n += rangesOf(int(r.Lo), int(r.Hi), int(r.Stride))
	}
	for _, r := range t.R32 {
		n += rangesOf(int(r.Lo), int(r.Hi), int(r.Stride))
	}
	return n
}

// rangesOf returns how many ranges a class has for one of a table.
func rangesOf(low, high, stride int) int {
	if stride == 1 {
		return 1
	}
	return (high-low)/stride + 1
}

// treeCost returns what compiling a parsed pattern takes.
func treeCost(t *syntax.Regexp) int {
	nodes, program := treeCosts(t)
	return costPattern + nodes + program
}

func treeCosts(t *syntax.Regexp) (nodes, program int) {
	nodes = costNode
	for _, sub := range t.Sub {
		n, p := treeCosts(sub)
		nodes += n
		program += p
	}
	switch t.Op {
	case syntax.OpLiteral:
		program += costInstruction * len(t.Rune)
	case syntax.OpCharClass:
		program += costInstruction + costRange*len(t.Rune)/2
	case syntax.OpCapture:
		program += 2 * costInstruction
	case syntax.OpAlternate:
		program += costInstruction * len(t.Sub)
	case syntax.OpRepeat: // up to 1000 times, with what is repeated in it
		if t.Max < 0 {
			program = program*max(t.Min, 1) + costInstruction
		} else {
			program = program*t.Max + (costInstruction+costNode)*(t.Max-t.Min)
		}
	default:
		program += costInstruction
	}
	return nodes, program
}
