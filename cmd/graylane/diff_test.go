package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnifiedDiff(t *testing.T) {
	const before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n"
	assert.Empty(t, unified("live", "new", []byte(before), []byte(before)))
	for _, c := range []struct{ after, want string }{
		{strings.Replace(before, "a", "A", 1), "@@ -1,4 +1,4 @@\n-a\n+A\n b\n c\n d\n"},
		{"new\n" + before, "@@ -1,3 +1,4 @@\n+new\n a\n b\n c\n"},
		{strings.Replace(before, "f\n", "", 1), "@@ -3,7 +3,6 @@\n c\n d\n e\n-f\n g\n h\n i\n"},
		{
			"a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\nL\n",
			"@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -9,4 +9,4 @@\n i\n j\n k\n-l\n+L\n",
		},
		{
			strings.TrimSuffix(strings.Replace(before, "h", "H", 1), "\n"),
			"@@ -5,8 +5,8 @@\n e\n f\n g\n-h\n+H\n i\n j\n k\n-l\n+l\n\\ No newline at end of file\n",
		},
	} {
		assert.Equal(t, "--- live\n+++ new\n"+c.want, unified("live", "new", []byte(before), []byte(c.after)))
	}
	assert.Equal(t, "--- live\n+++ new\n@@ -0,0 +1,2 @@\n+a\n+b\n", unified("live", "new", nil, []byte("a\nb\n")))
	assert.Equal(t, "--- live\n+++ new\n@@ -1,1 +0,0 @@\n-a\n", unified("live", "new", []byte("a\n"), nil))
}

func TestDiffLeadsFromOneTextToTheOther(t *testing.T) {
	texts := [][]byte{nil, []byte("\n"), []byte("x\n"), []byte("x")}
	var long strings.Builder
	for i := range 300 {
		fmt.Fprintf(&long, "line %d\n", i%17)
		if i%60 == 0 {
			texts = append(texts, []byte(long.String()), []byte(strings.ReplaceAll(long.String(), "line 3\n", "other\n")))
		}
	}
	for _, a := range texts {
		for _, b := range texts {
			var haveA, haveB []string
			for _, e := range edits(lines(a), lines(b)) {
				if e.op != '+' {
					haveA = append(haveA, e.line)
				}
				if e.op != '-' {
					haveB = append(haveB, e.line)
				}
			}
			assert.Equal(t, lines(a), haveA)
			assert.Equal(t, lines(b), haveB)
		}
	}
}

func TestDiffOfHugeTextsIsQuick(t *testing.T) {
	var a, b strings.Builder
	for i := range 60_000 {
		fmt.Fprintln(&a, i)
		fmt.Fprintln(&b, "other", i)
	}
	got := unified("a", "b", []byte("same\n"+a.String()), []byte("same\n"+b.String()))
	assert.Equal(t, 60_000+1, strings.Count(got, "\n+"), "and the heading")
}
