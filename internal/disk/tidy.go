package disk

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// slack is how far below the bounds a full store is emptied, and how much a
// process writes before it looks again at what others wrote: one in 64 of each.
const slack = 64

// counts is what the directory holds, as far as this process knows: as of the
// last look, and with its own writes since.
type counts struct {
	files, newFiles int
	bytes, newBytes int64
}

// replaced counts a write over a file of oldSize bytes; -1 when there was none.
func (c *counts) replaced(oldSize, size int64) {
	if oldSize < 0 {
		c.files++
		oldSize = 0
	}
	c.bytes += size - oldSize
	c.newFiles++
	c.newBytes += size
}

// due reports whether to look again: when a bound is passed, or others may have.
func (c *counts) due() bool {
	return c.files > MaxFiles || c.bytes > MaxTotal || c.newFiles >= MaxFiles/slack || c.newBytes >= MaxTotal/slack
}

// found is a file of ours in the directory.
type found struct {
	name string
	kind kind
	size int64
	mod  time.Time
}

// tidy removes what is too old or, oldest first and damaged ones before the
// others, over the bounds, but never keep. It counts anew.
func (s *Store) tidy(keep string) error {
	files, err := s.list()
	if err != nil {
		return err
	}
	now := time.Now()
	s.counts = counts{}
	files = slices.DeleteFunc(files, func(f found) bool {
		age := now.Sub(f.mod)
		if f.name != keep && (age > maxAge || f.kind == temp && age > tempAge) && s.remove(f.name) {
			return true
		}
		s.counts.files++
		s.counts.bytes += f.size
		return false
	})
	if s.counts.files <= MaxFiles && s.counts.bytes <= MaxTotal {
		return nil
	}
	slices.SortFunc(files, func(a, b found) int {
		if (a.kind == damaged) != (b.kind == damaged) {
			return cmp.Compare(b.kind, a.kind)
		}
		return a.mod.Compare(b.mod)
	})
	for _, f := range files {
		if s.counts.files <= MaxFiles-MaxFiles/slack && s.counts.bytes <= MaxTotal-MaxTotal/slack {
			break
		}
		if f.name != keep && f.kind != temp && s.remove(f.name) {
			s.counts.files--
			s.counts.bytes -= f.size
		}
	}
	return nil
}

func (s *Store) remove(name string) bool {
	err := s.root.Remove(name)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// list returns our files. One from the future is made one of now: a clock that
// went back would otherwise keep it for ever, and before all that is written now.
func (s *Store) list() ([]found, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	files := make([]found, 0, len(names))
	for _, name := range names {
		kind := kindOf(name)
		if kind == foreign {
			continue
		}
		info, err := s.root.Lstat(name)
		if err != nil {
			continue // another process was faster
		}
		f := found{name: name, kind: kind, size: info.Size(), mod: info.ModTime()}
		if now := time.Now(); f.mod.After(now) && info.Mode().IsRegular() && s.root.Chtimes(name, now, now) == nil {
			f.mod = now
		}
		files = append(files, f)
	}
	return files, nil
}
