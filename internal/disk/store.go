package disk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// What a store holds at most. Over the last two the oldest files go. A process
// sees the files of others that share its directory every 64 writes, or 4 MiB of
// them, so that each process may add that much to the bounds for a while.
const (
	MaxKey   = 64 << 10  // bytes of a key
	MaxSize  = 4 << 20   // bytes of the data of one key
	MaxFiles = 4096      // files, damaged ones included
	MaxTotal = 256 << 20 // bytes of all files
)

const (
	maxAge       = 30 * 24 * time.Hour // a state that nobody saved for so long says nothing
	tempAge      = time.Minute         // a younger temporary file may be one in the making
	refreshAfter = time.Hour           // the same data is written again after this, to keep its time true
)

// ErrClosed is returned by Save after Close.
var ErrClosed = errors.New("disk: store is closed")

// Store is a directory of last good states. Its methods may be called
// concurrently; they wait for the disk, and for each other, so none belongs on the
// path of a request.
type Store struct {
	dir string // absolute

	mu     sync.Mutex // guards what follows, and orders this process's use of the disk
	root   *os.Root   // nil when closed
	known  map[string]written
	counts counts
}

// written is what this process last saw of a file.
type written struct {
	digest [sha256.Size]byte // of the data
	saved  time.Time
	info   fs.FileInfo
}

// Open returns the store in dir, which it makes (mode 0700, parents too) when it
// is missing. A directory that belongs to someone else, that the group or others
// may write to, or that is reached over someone else's symbolic link is refused.
// Open removes files of 30 days, temporary files that a crash left more than a
// minute ago, and the oldest over the bounds; it touches only names that a store
// makes.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("disk: no directory given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	s := &Store{dir: dir}
	if err := s.reopen(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// reopen puts a fresh root in place of the old one. A root outlives its
// directory, but nothing can be made in it then.
func (s *Store) reopen() error {
	root, err := openRoot(s.dir)
	if err != nil {
		return err
	}
	if s.root != nil {
		_ = s.root.Close()
	}
	s.root, s.known = root, map[string]written{}
	if err := s.tidy(""); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return nil
}

func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w; choose a directory that can be made", err)
	}
	link, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if link.Mode()&fs.ModeSymlink != 0 && !trustedLink(link) {
		return nil, fmt.Errorf("disk: %s is a symbolic link of another user; choose another directory", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	// Asked of what was opened, so that a change of the path no longer counts.
	info, err := root.Stat(".")
	if err == nil && !private(info) {
		err = fmt.Errorf("%s belongs to another user, or others may write to it (%v); "+
			"choose a directory of your own with mode 0700", dir, info.Mode().Perm())
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("disk: %w", err)
	}
	return root, nil
}

// Load returns what was last saved under key, and when: to the hour, never in the
// future. The data belongs to the caller. It is not ok when there is nothing, or
// when the file is damaged or someone else's; such a file is put aside as .bad,
// one per key.
func (s *Store) Load(key string) (data []byte, saved time.Time, ok bool) {
	name := fileName(key)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return nil, time.Time{}, false
	}
	// Looked at before it is opened: opening a pipe would wait for its writer.
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, time.Time{}, false
	}
	if !info.Mode().IsRegular() || !private(info) {
		s.putAside(name, info)
		return nil, time.Time{}, false
	}
	file, info, err := s.read(name)
	if err != nil { // absent by now, or unreadable at the moment: no proof of damage
		return nil, time.Time{}, false
	}
	data, saved, ok = decode(file, key)
	if !ok {
		s.putAside(name, info)
		return nil, time.Time{}, false
	}
	if now := time.Now(); saved.After(now) {
		saved = now
	}
	s.remember(name, written{digest: sha256.Sum256(data), saved: saved, info: info})
	return data, saved, true
}

func (s *Store) read(name string) ([]byte, fs.FileInfo, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	// One byte more than there should be: a file that is too large is seen, and refused.
	file := make([]byte, min(info.Size(), int64(maxFile))+1)
	n, err := io.ReadFull(f, file)
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull returns these as they are.
		err = nil
	}
	return file[:n], info, err
}

// putAside makes a file that cannot be believed absent: the file that was looked
// at, and not one that another process has put there since.
func (s *Store) putAside(name string, bad fs.FileInfo) {
	if info, err := s.root.Lstat(name); err != nil || !os.SameFile(info, bad) {
		return
	}
	if bad.Mode().IsRegular() && s.root.Rename(name, name+badSuffix) == nil {
		return
	}
	_ = s.root.Remove(name)
}

// Save keeps data under key in place of what was there. It writes nothing when
// this process knows that the file holds the same data and is less than an hour
// old. After an error what was there is still there, whole. A directory that was
// removed is made again. Save does not keep data.
func (s *Store) Save(key string, data []byte) error {
	if len(key) > MaxKey || len(data) > MaxSize {
		return fmt.Errorf("disk: not saved: key of %d and data of %d bytes, at most %d and %d",
			len(key), len(data), MaxKey, MaxSize)
	}
	name, digest := fileName(key), sha256.Sum256(data)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return ErrClosed
	}
	now := time.Now()
	if s.holds(name, digest, now) {
		return nil
	}
	file := encode(key, data, now)
	info, err := s.replace(name, file)
	if errors.Is(err, fs.ErrNotExist) { // the directory is gone
		if err := s.reopen(); err != nil {
			return err
		}
		info, err = s.replace(name, file)
	}
	if err != nil {
		return fmt.Errorf("disk: not saved: %w", err)
	}
	s.remember(name, written{digest: digest, saved: now, info: info})
	if s.counts.due() {
		_ = s.tidy(name) // The state is saved; the next write tries again.
	}
	return nil
}

// holds reports whether the file is still the one that this process last saw
// there, with the same data, and not old.
func (s *Store) holds(name string, digest [sha256.Size]byte, now time.Time) bool {
	w, ok := s.known[name]
	if !ok || w.digest != digest {
		return false
	}
	if age := now.Sub(w.saved); age < 0 || age >= refreshAfter {
		return false
	}
	info, err := s.root.Lstat(name)
	return err == nil && os.SameFile(info, w.info) && info.Size() == w.info.Size() && info.ModTime().Equal(w.info.ModTime())
}

// replace writes a temporary file and renames it, which is old or new to every
// reader, and to those after a killed process.
//
// It does not sync: only a crash of the machine could tell, and would leave a file
// that the checksum refuses: one state less to start with. A sync would hold every
// push for as long as the disk is busy.
func (s *Store) replace(name string, file []byte) (fs.FileInfo, error) {
	var oldSize int64 = -1
	if old, err := s.root.Lstat(name); err == nil {
		oldSize = old.Size()
	}
	tmp := tempName(name)
	info, err := s.write(tmp, file)
	if err == nil {
		err = s.root.Rename(tmp, name)
	}
	if err != nil {
		_ = s.root.Remove(tmp)
		return nil, err
	}
	s.counts.replaced(oldSize, int64(len(file)))
	return info, nil
}

func (s *Store) write(name string, file []byte) (fs.FileInfo, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(file)
	info, statErr := f.Stat()
	return info, errors.Join(err, statErr, f.Close()) // Close tells of a full disk over NFS
}

func (s *Store) remember(name string, w written) {
	if len(s.known) >= MaxFiles {
		clear(s.known) // costs one write each, not memory without end
	}
	s.known[name] = w
}

// Close lets go of the directory. Later calls load nothing and save nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return nil
	}
	err := s.root.Close()
	s.root, s.known = nil, nil
	return err
}
