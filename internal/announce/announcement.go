package announce

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/resolver"
)

const (
	// Group is the Nacos group of announcements. A service in it is named as the
	// consumed one.
	Group = "GRAYLANE_CONSUMERS"
	// Language is the version of the rule language that this build speaks, as
	// documents name it.
	Language = "v1"
	// MaxSize is how many characters all keys and values of an announcement have
	// together, at most.
	MaxSize = 200
	// MD5Length is how much of a document's digest is announced.
	MD5Length = 12
)

// The keys of an announcement. They count against MaxSize, so they are short.
const (
	keyMD5           = "md5"
	keyRefused       = "bad" // md5 and code of the first problem
	keyTook          = "took"
	keyLanguage      = "lang"
	keyFeatures      = "has"
	keyBoot          = "boot"
	keyPID           = "pid"
	keyGlobal        = "gmd5"
	keyGlobalRefused = "gbad"
	keyVersion       = "ver"
	keyService       = "svc"
	keyHost          = "host"
)

// The most characters of values that others choose.
const (
	maxCode    = 20
	maxBoot    = 8
	maxVersion = 16
	maxService = 32
	maxHost    = 32
	maxTook    = 1e6 // ms
)

// Announcement is what a consumer says of itself and of a service's documents.
type Announcement struct {
	Rules, Global Applied
	// Took is how long the rules in force took from the push to being applied, by
	// the consumer's clock; 0: nothing was pushed.
	Took time.Duration
	// Language is the version of the rule language, Features what a document may
	// need, of the consumer's build.
	Language string
	Features []string

	Process
}

// Process is who announces. What is too long is cut.
type Process struct {
	Service, Version string // its own, as a provider; "" if it has none
	Host             string
	Boot             string // random per client, and required
	PID              int
}

// Applied says what became of a document.
type Applied struct {
	// MD5 is of the version in force, its first MD5Length digits; "": none.
	MD5 string
	// Refused is the digest of a newer version that the consumer refuses, "" if
	// there is none, and Code that of the first problem.
	Refused, Code string
}

// applied is what a state says of a document.
func applied(d *resolver.DocStatus) Applied {
	a := Applied{MD5: Short(d.MD5)}
	if d.Refused != nil {
		a.Refused = Short(d.Refused.MD5)
		if i := slices.IndexFunc(d.Refused.Problems, func(p config.Problem) bool { return p.Severity == config.Error }); i >= 0 {
			a.Code = d.Refused.Problems[i].Code
		}
	}
	return a
}

// Short returns as much of a digest as is announced.
func Short(md5 string) string { return md5[:min(len(md5), MD5Length)] }

// metadata returns the announcement as an instance's metadata, of at most MaxSize
// characters. First comes what status cannot do without; features are left out
// whole, the names of the process are cut.
func (a *Announcement) metadata() map[string]string {
	m := writer{left: MaxSize, values: map[string]string{}}
	m.add(keyMD5, a.Rules.MD5, MD5Length)
	m.add(keyRefused, a.Rules.refusal(), MD5Length+1+maxCode)
	m.add(keyLanguage, a.Language, 8)
	if a.Took > 0 {
		ms := min(float64(a.Took)/float64(time.Millisecond), maxTook)
		m.add(keyTook, strconv.FormatFloat(ms, 'f', 1, 64), 9)
	}
	m.add(keyBoot, a.Boot, maxBoot)
	if a.PID != 0 {
		m.add(keyPID, strconv.Itoa(a.PID), 10)
	}
	m.add(keyGlobal, a.Global.MD5, MD5Length)
	m.add(keyGlobalRefused, a.Global.refusal(), MD5Length+1+maxCode)
	m.list(keyFeatures, a.Features)
	m.add(keyVersion, a.Version, maxVersion)
	m.add(keyService, a.Service, maxService)
	m.add(keyHost, a.Host, maxHost)
	return m.values
}

func (a Applied) refusal() string {
	if a.Refused == "" {
		return ""
	}
	return a.Refused + " " + a.Code
}

// writer adds values as long as there is room. Nacos counts as Java does, in UTF-16.
type writer struct {
	left   int
	values map[string]string
}

// add adds a value, cut to a length and to the room that is left.
func (w *writer) add(key, value string, most int) {
	value = cut(value, min(most, w.left-len(key)))
	if value != "" {
		w.values[key] = value
		w.left -= len(key) + size(value)
	}
}

// list adds names as long as there is room for whole ones: a shortened one would be
// another.
func (w *writer) list(key string, names []string) {
	text := ""
	for _, name := range names {
		longer := strings.TrimPrefix(text+","+name, ",")
		if len(key)+size(longer) > w.left {
			break
		}
		text = longer
	}
	w.add(key, text, w.left)
}

// cut returns as much of a text as has no more than so many characters, without what
// cannot be shown.
func cut(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsGraphic(r) {
			r = '?'
		}
		if most -= utf16.RuneLen(r); most < 0 {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func size(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// Read returns what an instance's metadata announces. It believes nothing: what
// others wrote, or another version, leaves fields empty.
func Read(metadata map[string]string) Announcement {
	a := Announcement{
		Rules:    read(metadata[keyMD5], metadata[keyRefused]),
		Global:   read(metadata[keyGlobal], metadata[keyGlobalRefused]),
		Language: metadata[keyLanguage],
		Process: Process{
			Service: metadata[keyService], Version: metadata[keyVersion],
			Host: metadata[keyHost], Boot: metadata[keyBoot],
		},
	}
	a.PID, _ = strconv.Atoi(metadata[keyPID])
	if ms, err := strconv.ParseFloat(metadata[keyTook], 64); err == nil && ms > 0 && ms <= maxTook {
		a.Took = time.Duration(ms * float64(time.Millisecond))
	}
	if names := metadata[keyFeatures]; names != "" {
		a.Features = strings.Split(names, ",")
	}
	return a
}

func read(md5, refused string) Applied {
	a := Applied{MD5: md5}
	a.Refused, a.Code, _ = strings.Cut(refused, " ")
	return a
}
