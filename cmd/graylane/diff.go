package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const (
	// diffContext is how many lines that stay are shown around those that change.
	diffContext = 3
	// maxDiff bounds the work for a diff, in pairs of lines that are compared. Above
	// it, what lies between the first and the last change is shown as exchanged.
	maxDiff = 4 << 20
)

// edit is a line of a diff: ' ' stays, '-' goes, '+' comes.
type edit struct {
	op   byte
	line string
}

// unified returns the difference between two texts as diff -u shows it, "" if there
// is none.
func unified(nameA, nameB string, a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", nameA, nameB)
	edits := edits(lines(a), lines(b))
	atA, atB := 1, 1 // the line that comes next of each
	for i := 0; i < len(edits); {
		if edits[i].op == ' ' && !changesSoon(edits[i:]) {
			i, atA, atB = i+1, atA+1, atB+1
			continue
		}
		n := hunk(edits[i:])
		var inA, inB int
		var text strings.Builder
		for _, e := range edits[i : i+n] {
			if e.op != '+' {
				inA++
			}
			if e.op != '-' {
				inB++
			}
			text.WriteString(string(e.op) + e.line + "\n")
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", span(atA, inA), span(atB, inB), text.String())
		i, atA, atB = i+n, atA+inA, atB+inB
	}
	return out.String()
}

// span is how a hunk says where it is.
func span(at, n int) string {
	if n == 0 {
		at--
	}
	return fmt.Sprintf("%d,%d", at, n)
}

// changesSoon reports whether the line belongs to the context of a change below it.
func changesSoon(rest []edit) bool {
	for _, e := range rest[:min(len(rest), diffContext+1)] {
		if e.op != ' ' {
			return true
		}
	}
	return false
}

// hunk returns how many lines of edits belong together.
func hunk(edits []edit) int {
	end := 0 // behind the last change
	for i, e := range edits {
		switch {
		case e.op != ' ':
			end = i + 1
		case end > 0 && i-end >= 2*diffContext:
			return end + diffContext
		}
	}
	return min(len(edits), end+diffContext)
}

// lines splits a text. The last line may lack its end, which we say as diff does.
func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	all := strings.Split(string(text), "\n")
	if last := len(all) - 1; all[last] == "" {
		return all[:last]
	}
	all[len(all)-1] += "\n\\ No newline at end of file"
	return all
}

// edits returns how to get from a to b with as few changes as there can be.
func edits(a, b []string) []edit {
	var out []edit
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		out = append(out, edit{' ', a[head]})
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	same := a[len(a)-tail:]
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	out = append(out, middle(a, b)...)
	for _, line := range same {
		out = append(out, edit{' ', line})
	}
	return out
}

// middle is edits by the longest common subsequence.
func middle(a, b []string) []edit {
	var common [][]int32 // [i][j]: the length of that of a[i:] and b[j:]
	if len(a)*len(b) <= maxDiff {
		common = make([][]int32, len(a)+1)
		for i := range common {
			common[i] = make([]int32, len(b)+1)
		}
		for i, line := range slices.Backward(a) {
			for j := len(b) - 1; j >= 0; j-- {
				if line == b[j] {
					common[i][j] = common[i+1][j+1] + 1
				} else {
					common[i][j] = max(common[i+1][j], common[i][j+1])
				}
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case common != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common == nil || common[i+1][j] >= common[i][j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}
