// Graylane is the operator's command: it says what is wrong with a rule document
// before it is published, who gets a request and why, publishes documents and says
// which consumers follow.
//
//	graylane lint gray.order.yaml
//	graylane publish gray.order.yaml
//	graylane status order
//	graylane explain --rules gray.order.yaml --service order \
//	    --instances instances.jsonl --requests requests.jsonl
//	graylane help
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/graylane/graylane/internal/explain"
)

// No signal is handled: there is nothing to tidy up, and Ctrl-C ends a read of
// stdin at once.
func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK = iota
	// exitFailed: a document has errors, or Nacos or the output failed us.
	exitFailed
	// exitUsage: the command line, or a file that it names, is of no use.
	exitUsage
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is one subcommand. Its error says with which code the program ends.
type command func(ctx context.Context, s streams, args []string) error

func commands() map[string]command {
	return map[string]command{
		"lint": lint, "explain": explainRequests,
		"status": status, "publish": publish, "rollback": rollback, "history": history, "get": get,
		"help": help, "version": version,
	}
}

// run is the program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, helpText)
		return exitUsage
	}
	name := args[0]
	if name == "-h" || name == "-help" || name == "--help" {
		name = "help"
	}
	cmd, ok := commands()[name]
	if !ok {
		fmt.Fprintf(stderr, "graylane: there is no command %q; see graylane help\n", name)
		return exitUsage
	}
	s := streams{stdin, stdout, stderr}
	err := cmd(ctx, s, args[1:])
	if errors.Is(err, flag.ErrHelp) {
		err = help(ctx, s, []string{name})
	}
	return report(stderr, name, err)
}

// report tells the person of an error in one line, unless a command has told
// already, and returns its exit code.
func report(stderr io.Writer, name string, err error) int {
	var e *exitError
	switch {
	case err == nil:
		return exitOK
	case !errors.As(err, &e):
		e = &exitError{exitFailed, err}
	}
	if e.err != nil {
		fmt.Fprintf(stderr, "graylane %s: %s\n", name, explain.Safe(oneLine(e.err)))
	}
	return e.code
}

// exitError is an error that ends the program with a code of its own. Without an
// error in it, everything was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "said already"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// unusable is an error about the command line or an input.
func unusable(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
