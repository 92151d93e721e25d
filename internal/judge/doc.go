// Package judge keeps a consumer's event log and judges it afterwards.
//
// A [Recorder] writes one [Attempt] for every try of every request: who asked,
// under which rules and which list, what was decided, which instance was picked,
// and what the server said of itself. [Facts] are what the test knows without
// asking the code under test: the documents as they were published, and the
// instances as they were started. [Judge] holds the log against the facts and
// says for each attempt whether it went where it had to.
//
// The evaluation is written from the specification of the rule language alone.
// It shares no code with packages config and balancer, so that a mistake there
// does not acquit itself. It knows a part of the language: a document that uses
// more is an error, not a guess.
package judge
