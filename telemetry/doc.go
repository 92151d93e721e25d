// Package telemetry holds no code. Its packages turn the hooks of a resolver into log
// lines, metrics and spans: zapx, promx and otelx. What they write, docs/telemetry.md says;
// the tests here hold the page against it, and measure what it costs.
package telemetry
