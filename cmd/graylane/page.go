package main

import (
	"fmt"

	"github.com/graylane/graylane/internal/explain"
)

// heading says what is explained.
func (e *explainer) heading() string {
	var p explain.Page
	p.Fold("service  ", fmt.Sprintf("%s, %s of %s", explain.Plain(string(e.service)), count(e.snapshot.Len(), "instance"), e.instancesFrom))
	p.Fold("rules    ", e.rulesFrom)
	p.Fold("global   ", e.globalFrom)
	if e.againstFile != "" {
		p.Fold("against  ", string(e.againstFile))
	}
	return p.String()
}
