package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// parseName reads the flags of a command that takes one name and nothing else.
func parseName(fs *flag.FlagSet, args []string, what string) (string, error) {
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return "", err
	case len(names) != 1:
		return "", unusable("want one %s; see graylane help %s", what, fs.Name())
	}
	return names[0], nil
}

// parseService is parseName for a service, which may be named by its rules.
func parseService(fs *flag.FlagSet, args []string) (string, error) {
	service, err := parseName(fs, args, "SERVICE")
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(service, ".yaml") {
		name := service
		if service = serviceOf(name); service == "" {
			return "", unusable("want one SERVICE, or gray.SERVICE.yaml: nobody says who follows %s", name)
		}
	}
	if err := (registry.Service{Name: service}).WithDefaults().Validate(); err != nil {
		return "", unusable("%w", err)
	}
	return service, nil
}

func get(ctx context.Context, s streams, args []string) error {
	var live liveFlags
	fs := newFlags("get")
	live.register(fs)
	name, err := parseName(fs, args, "SERVICE or DOCUMENT")
	if err != nil {
		return err
	}
	n, err := live.open(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	doc, err := n.document(dataID(name))
	if err != nil {
		return err
	}
	if doc.State == config.Absent {
		return fmt.Errorf("%s: there is no such document in the group %s, or an empty one", dataID(name), live.group)
	}
	text := string(doc.Content) // as it is, so that it can be published again
	if terminal(s.out) {
		text = explain.Safe(text)
	}
	_, err = fmt.Fprint(s.out, text)
	return err
}
