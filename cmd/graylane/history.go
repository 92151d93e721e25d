package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
)

// published is what one change made of a document.
type published struct {
	change

	content []byte // nil: not there any more, as far as Nacos's history goes
	deleted bool
}

// versions makes versions of changes, the last one first. Nacos keeps, of each but
// the creation, what the document was BEFORE: so what a change made of it is with the
// change that followed; the last made what is live.
func versions(changes []change, live config.Doc) []published {
	all := make([]published, len(changes))
	for i, ch := range changes {
		all[i].change = ch
		switch {
		case ch.op() == "D":
			all[i].deleted = true
		case ch.op() == "I":
			all[i].content = []byte(ch.Content)
		case i == 0:
			all[i].content = live.Content
		case changes[i-1].op() != "I":
			all[i].content = []byte(changes[i-1].Content)
		}
	}
	return all
}

// versions reads the last versions of a document, and up to the one that has this ID
// if one is wanted. Live is what was live before: who changes it meanwhile is noticed.
func (c *console) versions(ctx context.Context, live config.Doc, dataID string, most int, id string) ([]published, error) {
	changes, err := c.history(ctx, dataID)
	if err != nil {
		return nil, err
	}
	for i := range changes {
		if changes[i].ID == id {
			most = max(most, i+1)
		}
	}
	changes = changes[:min(len(changes), most)]
	for i, ch := range changes {
		if changes[i], err = c.detail(ctx, dataID, ch.ID); err != nil {
			return nil, fmt.Errorf("change %s: %w", ch.ID, err)
		}
	}
	return versions(changes, live), nil
}

// live returns what is live. The console is asked first, as it says at once, and best, what
// is wrong with the name and password.
func (c *console) live(n *nacos, dataID string) (config.Doc, error) {
	if err := c.login(n.ctx); err != nil {
		return config.Doc{}, err
	}
	if _, err := c.history(n.ctx, dataID); err != nil {
		return config.Doc{}, err
	}
	return n.document(dataID)
}

// before returns the version that a rollback publishes: that of an ID, or without one
// that before the last change.
func before(all []published, id string) (*published, error) {
	for i := range all {
		v := &all[i]
		switch {
		case id != "" && v.ID != id, id == "" && i == 0:
			continue
		case v.deleted && id == "":
			return nil, fmt.Errorf("change %s had deleted it, so that there is nothing to go back to; see graylane history", v.ID)
		case v.content == nil:
			return nil, fmt.Errorf("what change %s made of it is not in Nacos's history", v.ID)
		}
		return v, nil
	}
	if id != "" {
		return nil, fmt.Errorf("there is no change %s; see graylane history", id)
	}
	return nil, errors.New("nothing was there before; see graylane history")
}

func history(ctx context.Context, s streams, args []string) error {
	var live liveFlags
	var addr text
	var asJSON bool
	var most int
	fs := newFlags("history")
	live.register(fs)
	fs.Var(&addr, "console", "")
	fs.BoolVar(&asJSON, "json", false, "")
	fs.IntVar(&most, "last", 10, "")
	name, err := parseName(fs, args, "SERVICE or DOCUMENT")
	if err != nil {
		return err
	}
	c, err := live.console(string(addr))
	if err != nil {
		return err
	}
	n, err := live.open(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	doc, err := c.live(n, dataID(name))
	if err != nil {
		return err
	}
	all, err := c.versions(n.ctx, doc, dataID(name), max(most, 1), "")
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: Nacos knows no change of it in the group %s", dataID(name), live.group)
	}
	if asJSON {
		return historyJSON(s.out, all)
	}
	return historyTable(s.out, all)
}

func (p *published) revision() string {
	switch {
	case p.deleted:
		return "deleted"
	case p.content == nil:
		return "unknown"
	}
	return revision(config.NewDoc(p.content).MD5)
}

func historyTable(out io.Writer, all []published) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHANGE\tWHEN\tWHAT\tREVISION\tUSER\tFROM")
	for i := range all {
		v := &all[i]
		what := map[string]string{"I": "created", "U": "changed", "D": "deleted"}[v.op()]
		user := "-"
		if v.SrcUser != "" {
			user = explain.Plain(v.SrcUser)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", explain.Plain(v.ID), v.at().Format(time.DateTime), what, v.revision(), user, explain.Plain(v.SrcIP))
	}
	_ = w.Flush() // to memory
	_, err := io.WriteString(out, explain.Safe(text.String()))
	return err
}

func historyJSON(out io.Writer, all []published) error {
	for i := range all {
		v := &all[i]
		err := writeJSON(out, struct {
			ID       string    `json:"id"`
			At       time.Time `json:"at"`
			Type     string    `json:"type"`
			Revision string    `json:"revision"` // "" if deleted, or not known
			User     string    `json:"user"`
			From     string    `json:"from"`
		}{v.ID, v.at().UTC(), v.op(), config.NewDoc(v.content).MD5, v.SrcUser, v.SrcIP})
		if err != nil {
			return err
		}
	}
	return nil
}
