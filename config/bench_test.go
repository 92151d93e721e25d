package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParseRules reads a document of 200 rules of all kinds.
func BenchmarkParseRules(b *testing.B) {
	var doc strings.Builder
	doc.WriteString("gray: v1\ndefault: v1\ntargets:\n  v1: {version: v1}\n  v2: {version: v2}\nrules:\n")
	for i := range MaxRules {
		fmt.Fprintf(&doc, "- name: rule-%d\n", i)
		switch i % 4 {
		case 0:
			fmt.Fprintf(&doc, "  when: {header.x-tester: [qa-%d, staff], path: {prefix: /v%d}}\n  to: v2\n", i, i)
		case 1:
			fmt.Fprintf(&doc, "  when: {user: {regex: 'qa-[0-9]+-%d'}}\n  unless: {path: {prefix: /pay}}\n  to: v2\n", i)
		case 2:
			doc.WriteString("  to: {v2: 10%}\n  sticky: user\n")
		case 3:
			doc.WriteString("  by: header.x-gray-version\n  missing: fail\n")
		}
	}
	content := []byte(doc.String())
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if rules, problems := ParseRules("gray.order.yaml", "order", content); rules == nil {
			b.Fatal(problems)
		}
	}
}
