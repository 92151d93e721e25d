package main

import (
	"errors"
	"flag"
	"io"
)

// newFlags returns the flags of a command, which print nothing themselves.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads the flags, which may also stand behind or between the arguments,
// and returns the arguments.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var operands []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, unusable("%w; see graylane help %s", err, fs.Name())
		}
		rest := fs.Args()
		ended := len(rest) < len(args) && args[len(args)-len(rest)-1] == "--"
		if len(rest) == 0 || ended {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

// text is a flag that is never empty: an empty one is a variable of a script that
// was not set, and not a flag that was left out.
type text string

func (t *text) String() string { return string(*t) }

func (t *text) Set(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	*t = text(s)
	return nil
}
