package announce

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAnnouncementIsReadAsItWasWritten(t *testing.T) {
	for name, a := range map[string]Announcement{
		"nothing": {Language: Language},
		"usual": {
			Rules: Applied{MD5: "0123456789ab"}, Global: Applied{MD5: "ba9876543210"},
			Took: 1200 * time.Microsecond, Language: Language,
			Process: Process{Service: "order", Version: "v1", Host: "order-7", Boot: "ABCDEFGH", PID: 7},
		},
		"refused": {
			Rules:    Applied{MD5: "0123456789ab", Refused: "111111111111", Code: "unsupported-need"},
			Global:   Applied{Refused: "222222222222", Code: "bad-name"},
			Language: "v9", Features: []string{"shadow", "mirror"},
		},
		"unicode": {Process: Process{Service: "订单", Host: "h 1"}},
	} {
		assert.Equal(t, a, Read(a.metadata()), name)
	}
}

func TestAnnouncementIsNeverLargerThanItsBound(t *testing.T) {
	long := strings.Repeat("x", 300)
	a := Announcement{
		Rules:    Applied{MD5: long[:MD5Length], Refused: long[:MD5Length], Code: long},
		Global:   Applied{MD5: long[:MD5Length], Refused: long[:MD5Length], Code: long},
		Took:     time.Hour * 1e5,
		Language: long,
		Process:  Process{Service: long, Version: long, Host: long, Boot: long, PID: 1 << 60},
	}
	m := a.metadata()
	assert.Equal(t, MaxSize, sizeOf(m), "all of the room is used, and no more")
	read := Read(m)
	assert.Equal(t, a.Rules.MD5, read.Rules.MD5)
	assert.Equal(t, a.Global.Refused, read.Global.Refused)
	assert.Equal(t, long[:maxCode], read.Rules.Code)
	assert.Equal(t, long[:maxVersion], read.Version, "what status needs comes first")

	// A character more than there is room for; one that Java counts twice.
	for host := range 40 {
		a.Host = strings.Repeat("a", host) + "😀"
		a.Service = ""
		m = a.metadata()
		assert.LessOrEqual(t, sizeOf(m), MaxSize)
		assert.NotContains(t, m[keyHost], "\uFFFD")
	}
}

func TestFeaturesAreAnnouncedWholeOrNot(t *testing.T) {
	var names []string
	for range 60 {
		names = append(names, "feature")
	}
	a := Announcement{Rules: Applied{MD5: "0123456789ab"}, Language: Language, Features: names}
	m := a.metadata()
	assert.LessOrEqual(t, sizeOf(m), MaxSize)
	read := Read(m).Features
	assert.Greater(t, len(read), 15)
	for _, name := range read {
		assert.Equal(t, "feature", name)
	}
}

func TestWhatOthersWriteIsHarmless(t *testing.T) {
	assert.Equal(t, Announcement{}, Read(nil))
	odd := Announcement{Process: Process{Service: "a\x1b[2J\n\xff", Host: "\u202ehost"}}
	m := odd.metadata()
	assert.Equal(t, "a?[2J?\uFFFD", m[keyService])
	assert.Equal(t, "?host", m[keyHost])
	for _, took := range []string{"-1", "NaN", "Inf", "1e300", "x", ""} {
		assert.Zero(t, Read(map[string]string{keyTook: took, keyPID: took, keyRefused: took}).Took, took)
	}
}
