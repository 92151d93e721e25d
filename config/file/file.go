package file

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
)

// DefaultInterval is how often a watched file is read.
const DefaultInterval = time.Second

// ErrDataID is what a data ID that cannot be a file's name is refused with.
var ErrDataID = errors.New("file: a data ID has letters, digits and . _ -, begins with none of these three, and is at most 200 long")

// Dir is a directory of documents: a config.Source and a config.Publisher. A
// document's data ID is its file's name. Its methods may be called concurrently.
type Dir struct {
	path     string
	interval time.Duration

	mu sync.Mutex // held while a document is compared and replaced
}

var (
	_ config.Source    = (*Dir)(nil)
	_ config.Publisher = (*Dir)(nil)
)

// Option configures a Dir.
type Option func(*Dir)

// WithInterval sets how often a watched file is read; default DefaultInterval.
func WithInterval(d time.Duration) Option { return func(o *Dir) { o.interval = d } }

// New returns the documents of an existing directory. It starts nothing.
func New(path string, opts ...Option) (*Dir, error) {
	d := &Dir{path: path, interval: DefaultInterval}
	for _, opt := range opts {
		opt(d)
	}
	var problems []error
	if info, err := os.Stat(path); err != nil {
		problems = append(problems, fmt.Errorf("file: %w", err))
	} else if !info.IsDir() {
		problems = append(problems, fmt.Errorf("file: %s is not a directory", path))
	}
	if d.interval <= 0 {
		problems = append(problems, fmt.Errorf("file: interval %v is not positive", d.interval))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return d, nil
}

// Watch calls fn with a document and after each change of its content, as
// config.Source says. A file that is missing or empty is absent. It returns
// early if the data ID is none, or if the file cannot be read at first; when
// that happens later, what was read last stays until it can be read again.
//
// Of a file above config.MaxDocument as much is read as shows that it is too
// large. Replace a file by renaming, as Publish does: of one that is written in
// place a part may be seen.
func (d *Dir) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	last, err := d.read(dataID)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fn(config.NewDoc(last))

	ticker := time.NewTicker(d.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		// Reading costs less than the doubt whether time and size would have
		// changed: two writes can fall into one step of the file system's clock.
		content, err := d.read(dataID)
		if err != nil || bytes.Equal(content, last) || ctx.Err() != nil {
			continue
		}
		last = content
		fn(config.NewDoc(content))
	}
}

// Publish replaces a document in one step, see config.Publisher. Its comparison
// holds against other calls on this Dir, not against other processes.
func (d *Dir) Publish(ctx context.Context, dataID string, content []byte, casMD5 string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, err := d.read(dataID)
	if err != nil {
		return err
	}
	if casMD5 != "" && config.NewDoc(old).MD5 != casMD5 {
		return fmt.Errorf("file: publish %s: %w", dataID, config.ErrConflict)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("file: publish %s: %w", dataID, context.Cause(ctx))
	}
	if err := d.replace(dataID, content); err != nil {
		return fmt.Errorf("file: publish %s: %w", dataID, err)
	}
	return nil
}

var dataIDs = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\z`)

// read returns a file's content, nothing if there is no file.
func (d *Dir) read(dataID string) ([]byte, error) {
	if !dataIDs.MatchString(dataID) {
		return nil, fmt.Errorf("%w: %q", ErrDataID, dataID)
	}
	f, err := os.OpenInRoot(d.path, dataID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, config.MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	return content, nil
}

// replace writes a file beside the document's and renames it, so that a reader
// sees the old content or the new one. Its name begins with a dot, as no data
// ID does.
func (d *Dir) replace(dataID string, content []byte) (err error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	temp := "." + dataID + "." + rand.Text()
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(temp))
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return root.Rename(temp, dataID)
}
