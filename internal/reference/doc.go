// Package reference answers one question: what does the specification say?
//
// It is a second evaluator of the rule language, for tests alone. It was written
// from docs/rule-language.md and shares no code with packages config and
// balancer, so that a mistake there does not acquit itself. It is slow and
// obvious on purpose: a reader can lay decide.go beside section 3, condition.go
// beside section 2 and slot.go beside section 4, and nothing is remembered from
// one request to the next.
//
// [Decide] judges; a [Document] and a [Global] are what it judges by, and each
// writes itself as a YAML document for the library to read. [Random] makes cases
// that are valid and hostile: small alphabets, so that everything collides. The
// tests let the library and the reference decide the same cases:
//
//	DECISIONS=50000000 go test -timeout 30m -v -run Differential ./internal/reference
//
// It knows no guard, no limits and no pick among the candidates: documents that
// say something about them are decided as if they did not.
package reference
