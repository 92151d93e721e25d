// Package explain says who gets a request and why: in text for a person, and in
// JSON for a program. The command and the debug page share it, so that both say
// the same.
package explain
