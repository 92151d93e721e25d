package reference

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

// The tests below say what holds for the library whatever the document, without
// asking the reference.

// grown returns the document with larger shares for arms of its sticky rules:
// for one arm of each rule, or for all. It returns which arms grew, by the
// rule's name. The arm of the default stays, which is no arm.
func grown(r *rand.Rand, d *Document, one bool) (*Document, map[string][]string) {
	larger, which := *d, map[string][]string{}
	larger.Rules = slices.Clone(d.Rules)
	for i := range larger.Rules {
		rule := &larger.Rules[i]
		arms := slices.Sorted(maps.Keys(rule.Arms))
		arms = slices.DeleteFunc(arms, func(name string) bool { return name == d.Default })
		if rule.Sticky == "" || len(arms) == 0 {
			continue
		}
		r.Shuffle(len(arms), func(i, j int) { arms[i], arms[j] = arms[j], arms[i] })
		if one {
			arms = arms[:1]
		}
		left := slots
		for _, p := range rule.Arms {
			left -= p
		}
		rule.Arms = maps.Clone(rule.Arms)
		for _, name := range arms {
			more := r.IntN(left + 1)
			rule.Arms[name] += more
			left -= more
		}
		which[rule.Name] = arms
	}
	return &larger, which
}

// eachGrown hands over the answers to the same requests before and after arms of
// sticky rules grew, where such a rule decided.
func eachGrown(t *testing.T, one bool, check func(before, after Answer, grew []string, note string)) {
	t.Helper()
	checked := 0
	for seed := range uint64(1500) {
		c := seeded(seed)
		if c.Document == nil {
			continue
		}
		later := c
		var grew map[string][]string
		later.Document, grew = grown(rand.New(rand.NewPCG(seed, 1)), c.Document, one)
		if len(grew) == 0 {
			continue
		}
		libBefore, err := newLibrary(&c)
		require.NoError(t, err)
		libAfter, err := newLibrary(&later)
		require.NoError(t, err)
		for i := range c.Requests {
			before, after := libBefore.decide(&c.Requests[i]), libAfter.decide(&c.Requests[i])
			require.Equal(t, before.Rule, after.Rule)
			if arms := grew[before.Rule]; arms != nil && before.Via == "rule" {
				checked++
				check(before, after, arms, fmt.Sprintf("seed %d, request %d, rule %s\n%s\n%s",
					seed, i, before.Rule, c.Document.YAML(), later.Document.YAML()))
			}
		}
	}
	require.Greater(t, checked, 5000, "sticky decisions")
}

func TestAGrowingShareMovesNobodyOut(t *testing.T) {
	t.Parallel()
	stayed := 0
	eachGrown(t, false, func(before, after Answer, grew []string, note string) {
		if slices.Contains(grew, before.Target) {
			stayed++
			require.Equal(t, before.Target, after.Target, note)
		}
	})
	require.Greater(t, stayed, 500)
}

func TestGrowthOfOneArmDoesNotTouchTheOther(t *testing.T) {
	t.Parallel()
	others := 0
	eachGrown(t, true, func(before, after Answer, grew []string, note string) {
		if before.Target == after.Target {
			others++
			return
		}
		// Whoever moved, moved into the arm that grew, and came from the default.
		require.Equal(t, grew[0], after.Target, note)
		require.NotContains(t, grew, before.Target, note)
		require.True(t, before.Slot >= 0 && before.Slot == after.Slot, note)
	})
	require.Greater(t, others, 500)
}

// digest is a hash of the library's answers in many cases.
func digest(t *testing.T) string {
	t.Helper()
	hash := xxhash.New()
	for seed := range uint64(300) {
		c := seeded(seed)
		lib, err := newLibrary(&c)
		require.NoError(t, err)
		for i := range c.Requests {
			_, err := hash.WriteString(line(lib.decide(&c.Requests[i])))
			require.NoError(t, err)
		}
	}
	return strconv.FormatUint(hash.Sum64(), 16)
}

func TestTwoProcessesDecideAlike(t *testing.T) {
	t.Parallel()
	const child, mark = "REFERENCE_CHILD", "digest "
	if os.Getenv(child) != "" {
		_, err := os.Stdout.WriteString(mark + digest(t) + "\n")
		require.NoError(t, err)
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestTwoProcessesDecideAlike$", "-test.count=1")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	_, rest, found := strings.Cut(string(out), mark)
	require.True(t, found, "%s", out)
	theirs, _, _ := strings.Cut(rest, "\n")
	assert.Equal(t, digest(t), theirs)
}

func TestCandidatesAreInstancesThatMayServe(t *testing.T) {
	t.Parallel()
	seen := 0
	for seed := range uint64(1500) {
		c := seeded(seed)
		lib, err := newLibrary(&c)
		require.NoError(t, err)
		isolate := &world{doc: &Document{}}
		if c.Document != nil {
			isolate.doc = c.Document
		}
		for i := range c.Requests {
			a := lib.decide(&c.Requests[i])
			may := map[string]int{}
			for _, in := range c.Instances {
				if in.Enabled && in.Weight > 0 && !isolate.isolated(in.Addr) && (in.Healthy || a.Fallback == "panic") {
					may[in.Addr]++
				}
			}
			for _, addr := range a.Candidates {
				may[addr]--
				seen++
				require.GreaterOrEqual(t, may[addr], 0, "seed %d, request %d: %s", seed, i, addr)
			}
			require.Equal(t, a.Error == "", len(a.Candidates) > 0, "seed %d, request %d: candidates, or an error", seed, i)
		}
	}
	require.Greater(t, seen, 10_000)
}

func TestADocumentThatLintsCleanNeverFails(t *testing.T) {
	t.Parallel()
	accepted, refused := 0, 0
	for seed := range uint64(8000) {
		r := rand.New(rand.NewPCG(seed, 2))
		c := Random(r, 8)
		if c.Document == nil {
			continue
		}
		text := damaged(r, c.Document.YAML())
		rules, problems := config.ParseRules("gray."+c.Service+".yaml", c.Service, []byte(text))
		if problems.Err() != nil {
			refused++
			continue
		}
		accepted++
		lib := build(&c, rules, nil)
		for i := range c.Requests {
			got := lib.decide(&c.Requests[i])
			require.Contains(t, []string{"", NoInstance, UnknownTarget}, got.Error, "seed %d, request %s\n%s", seed, line(c.Requests[i]), text)
		}
	}
	t.Logf("FIGURE damaged documents: %d accepted, %d refused, none failed", accepted, refused)
	require.Greater(t, accepted, 500)
	require.Greater(t, refused, 500)
}

// damaged changes a document here and there: lines go, come twice or change
// places, and words are replaced by others.
func damaged(r *rand.Rand, text string) string {
	words := []string{
		`"v1"`, `"v2"`, "exists", "not", "regex", "prefix", "range", "to", "by", "sticky", "when", "unless",
		"true", "false", "fail", "any", "0%", "100%", `"user"`, `"lane"`, `"path"`, `"("`, `"["`, `"1"`, `""`, "[]", "{}",
	}
	lines := strings.Split(text, "\n")
	for range 1 + r.IntN(3) {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(4) {
		case 0:
			lines[i] = ""
		case 1:
			lines[i], lines[j] = lines[j], lines[i]
		case 2:
			lines = slices.Insert(lines, i, lines[j])
		default:
			from, to := words[r.IntN(len(words))], words[r.IntN(len(words))]
			lines[i] = strings.Replace(lines[i], from, to, 1)
		}
	}
	return strings.Join(lines, "\n")
}
