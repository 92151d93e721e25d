package config

import (
	"iter"
	"strconv"
	"strings"
)

// documentKind is one of the kinds of documents: how the shortest accepted one of
// it is, how one with conditions begins and with a list of rules, how that ends.
type documentKind struct {
	name, head, when, rules, end string
	parse                        func(content []byte) Problems
}

func kinds() []documentKind {
	return []documentKind{
		{
			name:  "rules",
			head:  "gray: v1\ndefault: v1\n",
			when:  "gray: v1\ndefault: v1\nrules:\n- name: a\n  to: v2\n  when:\n",
			rules: "gray: v1\ndefault: v1\nrules: [",
			end:   "]",
			parse: func(content []byte) Problems { _, ps := ParseRules("f", "order", content); return ps },
		},
		{
			name:  "global",
			head:  "gray: v1\n",
			when:  "gray: v1\nenter:\n- name: a\n  lane: v2\n  when:\n",
			rules: "gray: v1\nenter: [",
			end:   "]",
			parse: func(content []byte) Problems { _, ps := ParseGlobal("f", content); return ps },
		},
		{
			name:  "switches",
			head:  "gray: v1\nswitches: {}\n",
			when:  "gray: v1\nswitches:\n a:\n  value: 1\n  rules:\n  - name: a\n    value: 2\n    when:\n",
			rules: "gray: v1\nswitches: {a: {value: 1, rules: [",
			end:   "]}}",
			parse: func(content []byte) Problems { _, ps := ParseSwitches("f", content); return ps },
		},
	}
}

type hostileDocument struct{ content, want string } // want "": it is accepted

// full repeats part, in which N counts, between head and tail until the document
// has its full size. What is left for less than a part is a comment.
func full(head, part, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; ; i++ {
		s := strings.ReplaceAll(part, "N", strconv.Itoa(i))
		if b.Len()+len(s)+len(tail) > MaxDocument {
			break
		}
		b.WriteString(s)
	}
	b.WriteString(tail)
	if rest := MaxDocument - b.Len(); rest > 0 {
		b.WriteString("\n" + strings.Repeat("#", rest-1))
	}
	return b.String()
}

// hostileDocuments returns documents of full size that ask for much work.
func hostileDocuments(k documentKind) iter.Seq2[string, hostileDocument] {
	return func(yield func(string, hostileDocument) bool) {
		more := true
		add := func(name, want, head, part, tail string) {
			more = more && yield(k.name+", "+name, hostileDocument{full(head, part, tail), want})
		}
		hostileSyntax(k, add)
		hostileTrees(k, add)
		hostileConditions(k, add)
		if k.name == "rules" {
			hostileTargets(k, add)
		}
	}
}

type adder func(name, want, head, part, tail string)

func hostileSyntax(k documentKind, add adder) {
	add("open lists", codeTooDeep, "", "[", "")
	add("open maps", codeTooDeep, "", "{a: ", "")
	add("open blocks", codeTooDeep, "", "- ", "")
	add("open keys", codeTooDeep, "", "? ", "")
	add("comments", codeSyntax, "", "#\n", "")
	add("list comments", codeWrongType, "", "- #\n", "")
	add("map comments", codeDuplicateKey, "", "a: #x\n#y\n\n#z\n", "")
	add("empty lines", codeSyntax, "", "\n", "")
	add("old Mac lines", codeSyntax, "", "\r", "")
	add("anchors", codeAnchor, k.head+"x-a: [", "&a a,", "]")
	add("short anchors", codeAnchor, k.head+"x-a: {", "&a,", "}")
	add("aliases", codeAnchor, k.head+"x-a: [&a a,", "*a,", "]")
	add("an unknown alias", codeSyntax, k.head+"x-a: *", "a", "")
	add("tags", codeAnchor, k.head+"x-a: [", "!a a,", "]")
	add("bare tags", codeAnchor, k.head+"x-a: [", "! a,", "]")
	add("short tags", codeAnchor, k.head+"x-a: {", "! ,", "}")
	add("exclamation marks", "", k.head+"x-a: a", "!", "")
	add("merges", codeAnchor, k.head, "<<: a\n", "")
	add("documents", codeSyntax, k.head, "---\n", "")
	add("a second document", codeSyntax, k.head+"---\n- [", "a,", "]")
	add("one folded text", "", k.head+"x-a: >\n", " a\n", "")
	add("one text of many lines", "", k.head+"x-a: \"", "a\n ", "\"")
	add("one long name", codeUnknownField, k.head+"? ", "a", "\n: b\n")
	add("one name of control characters", codeUnknownField, k.head+"? \"", "\\0", "\"\n: b\n")
	add("not UTF-8", codeSyntax, k.head+"x-a: ", "a", "\xff")
	add("UTF-16", codeWrongType, "\xff\xfe", "\x00\x4e", "")
	add("Chinese", "", k.head+"x-a: ", "盐", "")
}

func hostileTrees(k documentKind, add adder) {
	add("duplicates", codeDuplicateKey, k.head, "a: a\n", "")
	add("short duplicates", codeDuplicateKey, k.head, "a:\n", "")
	add("shortest duplicates", codeDuplicateKey, k.head+"x-a: {", "a,", "}")
	add("duplicate numbers", codeDuplicateKey, k.head+"x-a: {", "-,", "}")
	add("duplicates of lists", codeDuplicateKey, k.head+"x-a: {", "a: [b],", "}")
	add("keys", codeUnknownField, k.head, "N:\n", "")
	add("keys of a map", codeUnknownField, k.head+"a: {", "N,", "}")
	add("free keys", "", k.head+"x-a: {", "N,", "}")
	add("keys that are maps", "", k.head+"x-a: {", "{}: a,", "}")
	add("keys that are lists", codeWrongType, k.head, "[]: a\n", "")
	add("maps", "", k.head+"x-a: [", "{},", "]")
	add("lists", "", k.head+"x-a: [", "[],", "]")
	add("pairs", "", k.head+"x-a: [", "a: ,", "]")
	add("shortest pairs", "", k.head+"x-a: [", "?-,", "]")
	add("nested lists", "", k.head+"x-a: [", "[[[[[[[[[[[[[]]]]]]]]]]]]],", "]")
	add("rules", codeTooManyRules, k.rules, "{},", k.end)
	add("names for rules", codeTooManyRules, k.rules, "a,", k.end)
	add("full rules", codeTooManyRules, k.rules, "{name: rN, sticky: path, when: {path: {regex: a}}, unless: {user: [a, b]}, to: {a: 1%}},", k.end)
	add("rules with many keys", codeUnknownField, k.rules, "{a,b,c,d,e,f},", k.end)
	add("one rule with many keys", codeUnknownField, k.rules+"{name: a,", "N,", "}"+k.end)
}

func hostileConditions(k documentKind, add adder) {
	pattern := func(p string) string { return "    - path: {regex: '" + p + "'}\n" }
	add("patterns", codeBadRegex, k.when, pattern(strings.Repeat(".{999}", 41)+"N"), "")
	add("one pattern often", "", k.when, pattern(strings.Repeat(".{99}", 10)), "")
	add("repeated letters", codeBadRegex, k.when, pattern("((a{30}){30}){1}N"), "")
	add("classes", codeBadRegex, k.when, pattern(strings.Repeat(`(?i)\pL`, 35)+"N"), "")
	add("classes of classes", codeBadRegex, k.when, pattern("["+strings.Repeat(`\pL\PL`, 40)+"]N"), "")
	add("classes and an error", codeBadRegex, k.when, pattern("["+strings.Repeat(`\pL\PL`, 40)+"]N("), "")
	add("small classes", codeBadRegex, k.when, pattern(strings.Repeat(`\p{Han}`, 35)+"N"), "")
	add("nested patterns", codeBadRegex, k.when, pattern(strings.Repeat("(", 120)+"N"+strings.Repeat(")", 120)), "")
	add("alternatives", "", k.when, pattern(strings.Repeat("a|b", 83)+"N"), "")
	add("patterns of a usual kind", codeBadRegex, k.when, pattern("/api/vN/orders/[0-9]+"), "")
	add("short patterns", codeBadRegex, k.when, pattern("N."), "")
	add("shortest patterns", codeBadRegex, k.when+"      [", "path: {regex: aN.},", "]")
	add("broken patterns", codeBadRegex, k.when+"      [", "path: {regex: (N},", "]")
	add("needless patterns", codeBadRegex, k.when+"      [", "path: {regex: aN},", "]")
	add("values", "", k.when+"    - path: [", "a,", "]")
	add("different values", "", k.when+"    - path: [", "aN,", "]")
	add("bad values", codeNeedsQuotes, k.when+"    - path: [", "1,", "]")
	add("conditions", codeBadTest, k.when+"      [", "{},", "]")
	add("bad conditions", codeBadField, k.when+"      [", "a: 1,", "]")
	add("fields", "", k.when+"      {", "tag.N: a,", "}")
	add("headers", "", k.when+"      {", "header.N: a,", "}")
	add("bad fields", codeBadField, k.when+"      {", "N,", "}")
	add("bad tests", codeBadTest, k.when+"      [", "path: {N},", "]")
	add("ranges", "", k.when+"      [", "path: {range: [N, N]},", "]")
	add("one long value", codeNeedsQuotes, k.when+"    - path: 1", "1", "")
	add("digits", "", k.when+"    - path: 1", ":1", "x")
	add("one long number", "", k.when+"    - path: {range: [0, 1", "1", "]}")
}

func hostileTargets(k documentKind, add adder) {
	const target = "aN: {a: b},"
	add("targets", "", k.head+"targets: {v1: {a: b},", target, "}")
	targets := full("", target, "")[:MaxDocument/2]
	targets = k.head + "targets: {v1: {a: b}," + targets[:strings.LastIndex(targets, "},")] + "}}\n"
	add("unknown arms", codeUnknownTarget, targets+"rules: [{name: a, to: {", "bN: 1%,", "}}]")
	add("unknown limits", codeUnknownTarget, targets+"limits: {", "bN: {},", "}")
	add("arms", codePercentSum, k.head+"rules: [{name: a, to: {", "bN: 1%,", "}}]")
	add("labels", "", k.head+"targets: {v1: {", "aN: b,", "}}")
	add("isolated addresses", "", k.head+"isolate: [", "'1.1.1.1:1N',", "]")
	add("bad addresses", codeBadAddress, k.head+"isolate: [", "a,", "]")
	add("no addresses", codeWrongType, k.head+"isolate: [", "?-,", "]")
	add("preferred labels", "", k.head+"prefer: [", "aN,", "]")
	add("preferred twice", codeBadValue, k.head+"prefer: [", "a,", "]")
	add("needs", codeUnsupportedNeed, k.head+"needs: [", "a,", "]")
	add("one long address", codeBadAddress, k.head+"isolate: [", "a", "]")
	add("one long duration", codeBadDuration, k.head+"guard: {errors: 1%, over: ", "1", "s}")
	add("one long percent", codeBadPercent, k.head+"prefer_min: ", "1", "%")
	add("one long word", codeBadValue, k.head+"degrade: ", "a", "")
	add("one long service", codeWrongService, k.head+"service: ", "a", "")
}
