// Package kit is what the examples are played with: a Nacos, the one at NACOS_ADDR
// or an embedded one, so that they need nothing but Go; and an operator, who
// publishes rules and counts who answers.
package kit
