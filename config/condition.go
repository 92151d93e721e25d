package config

// Condition is a compiled condition. The zero value always holds.
type Condition struct{}

// Holds reports whether the condition holds for r. Caller holds the labels of
// this process.
func (c *Condition) Holds(r Request, caller map[string]string) bool { return true }
