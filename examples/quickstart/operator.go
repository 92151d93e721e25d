package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/judge"
)

// operator edits the rules of the user service with plain HTTP requests to
// Nacos, as the console does.
type operator struct{ nacos string }

func (o *operator) url() string { return "http://" + o.nacos + "/nacos/v3/admin/cs/config" }

func (o *operator) form() url.Values {
	return url.Values{"dataId": {config.ServiceDocID(userService)}, "groupName": {config.DefaultGroup}}
}

// publish publishes a document and returns what the judge must know of it.
func (o *operator) publish(ctx context.Context, doc string, now func() int64) (judge.Publication, error) {
	form := o.form()
	form.Set("content", doc)
	form.Set("type", "yaml")
	p := judge.Publication{Service: userService, Text: doc, Sent: now()}
	err := o.do(ctx, http.MethodPost, o.url(), form)
	p.Answered = now()
	return p, err
}

// remove deletes the document.
func (o *operator) remove(ctx context.Context) error {
	return o.do(ctx, http.MethodDelete, o.url()+"?"+o.form().Encode(), nil)
}

func (o *operator) do(ctx context.Context, method, to string, form url.Values) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, to, resp.Status)
	}
	return nil
}

// curl is publish as a command line.
func (o *operator) curl(doc string) string {
	return fmt.Sprintf("curl -X POST %s -d dataId=%s -d groupName=%s -d type=yaml \\\n  --data-urlencode 'content=%s'",
		o.url(), config.ServiceDocID(userService), config.DefaultGroup, doc)
}
