package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/judge"
)

// The rule documents that the operator publishes, one after the other.
const (
	byHeader = `gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version}
`
	twentyPercent = byHeader + `- {name: twenty, to: {v2: 20%}}
`
	twentySticky = byHeader + `- {name: twenty, to: {v2: 20%}, sticky: user}
`
	fiftyPercent = byHeader + `- {name: fifty, to: {v2: 50%}, sticky: user}
`
)

// play runs the story, a table for each step.
func (s *stage) play(ctx context.Context) error {
	fmt.Printf("Providers of %q: v1 ×3, v2 ×1, each over HTTP and gRPC\n", userService)
	if err := s.observe(ctx, "1  no rules: every instance gets its share", nil); err != nil {
		return err
	}
	for _, p := range []struct{ title, doc string }{
		{"2  a header names the version: " + lastLine(byHeader), byHeader},
		{"3  and 20 % of all others: " + lastLine(twentyPercent), twentyPercent},
		{"4  20 % of the users, who stay: " + lastLine(twentySticky), twentySticky},
	} {
		if err := s.publish(ctx, p.title, p.doc); err != nil {
			return err
		}
	}
	fmt.Printf("\nA provider of version v3 starts in the lane %q\n", laneName)
	if err := s.startProvider(ctx, "v3", laneName); err != nil {
		return err
	}
	if err := s.observe(ctx, "5  a lane over two hops: consumer → "+orderService+" → "+userService, nil); err != nil {
		return err
	}
	return s.publish(ctx, "6  rollback to the rules of step 2", byHeader)
}

// publish lets the operator publish a document, and observes what follows.
func (s *stage) publish(ctx context.Context, title, doc string) error {
	p, err := s.operator.publish(ctx, doc, s.recorder.Now)
	if err != nil {
		return err
	}
	s.publications = append(s.publications, p)
	return s.observe(ctx, title, &p)
}

// observe waits until the consumer follows the publication (nil: none), counts
// for a while, and prints who served what.
func (s *stage) observe(ctx context.Context, title string, p *judge.Publication) error {
	revision := ""
	if p != nil {
		revision = p.Revision()
	}
	if err := s.consumer.follow(ctx, revision, s.users); err != nil {
		return err
	}
	from := s.recorder.Now()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(s.step):
	}
	fmt.Printf("\n%s\n", title)
	printTable(s.consumer.attempts(from))
	if p != nil {
		printFollowed(p, s.consumer.attempts(p.Sent))
	}
	return nil
}

// goOn opens a door, and prints a table every few seconds until ctx ends.
func (s *stage) goOn(ctx context.Context, out io.Writer, at string) error {
	if err := s.publish(ctx, "20 % again, and yours from here on", twentyPercent); err != nil {
		return err
	}
	d, err := openDoor(ctx, at, s.consumer)
	if err != nil {
		return err
	}
	defer d.close()
	d.help(out, s.operator)
	for {
		if err := s.observe(ctx, time.Now().Format(time.TimeOnly), nil); err != nil {
			return err
		}
		s.recorder.Forget()
	}
}

// lastLine returns the rule that a document adds to the one before.
func lastLine(doc string) string {
	lines := strings.Split(strings.TrimSpace(doc), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "- ")
}
