package main

import (
	"fmt"

	"github.com/graylane/graylane/internal/explain"
)

// heading says what is explained.
func (e *explainer) heading() string {
	var p explain.Page
	p.Fold("service  ", fmt.Sprintf("%s, %s of %s", explain.Plain(string(e.service)), e.counted(), e.instancesFrom))
	p.Fold("rules    ", e.rulesFrom)
	p.Fold("global   ", e.globalFrom)
	if e.againstFile != "" {
		p.Fold("against  ", string(e.againstFile))
	}
	return p.String()
}

// counted says how many instances the consumer sees, and of how many.
func (e *explainer) counted() string {
	if e.protocol == "" {
		return count(e.snapshot.Len(), "instance")
	}
	return fmt.Sprintf("%d over %s, of %s", e.snapshot.Len(), e.protocol, count(e.instances, "instance"))
}
