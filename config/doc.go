// Package config answers one question: what does the operator want?
//
// It reads the documents of the rule language `gray: v1` into types, reports
// every problem with its place, compiles conditions, and says in which slot of
// a split a key lies. A [Source] brings documents, a [Publisher] writes them;
// config/nacos, config/file and config/memory implement them.
//
// docs/rule-language.md is the language's specification.
//
// The package is pure: no network, no files, no goroutine, no clock.
package config
