package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// maxLine is the length in bytes of a line of requests or instances; a longer one
// is refused.
const maxLine = 1 << 20

// readDocument reads as much of a file as is needed to judge it: of a longer one
// than a document may be, enough to see that.
func readDocument(name string) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, config.MaxDocument+1))
	if err != nil {
		return nil, unusable("%s: %w", name, reason(err))
	}
	return content, nil
}

// open opens a file for reading.
func open(name string) (*os.File, error) {
	f, err := os.Open(name) //nolint:gosec // The operator says which.
	if err != nil {
		return nil, unusable("%s: %w", name, reason(err))
	}
	return f, nil
}

// reason leaves out what a message about a file says anyway.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// eachLine calls fn with every line of r that is not blank. Errors begin with the
// name and the line.
func eachLine(name string, r io.Reader, fn func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine+2) // with its end
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := fn(line); err != nil {
			if _, ok := errors.AsType[*exitError](err); ok { // not about the line
				return err
			}
			return unusable("%s:%d: %w", name, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return unusable("%s:%d: a line of more than %d bytes", name, n+1, maxLine)
	case err != nil:
		return unusable("%s: %w", name, reason(err))
	}
	return nil
}

// readInstances reads a file of instances.
func readInstances(name, service string) (*registry.Snapshot, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []registry.Instance
	err = eachLine(name, f, func(line []byte) error {
		in, err := explain.ParseInstance(line)
		list = append(list, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return registry.NewSnapshot(registry.Service{Name: service}, 0, list), nil
}
