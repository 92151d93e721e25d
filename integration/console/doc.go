// Package console holds the test that plays an operator at Nacos's own page: a
// real Nacos 3.1.0, real providers, a consumer under steady load, and a browser
// that clicks and types. docs/operating.md is the same script for people; with
// SCREENSHOTS=../../docs/img the test takes its pictures.
package console
