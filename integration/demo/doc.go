// Package demo runs what docker-compose.yml describes without a container engine:
// the same programs, built by the Dockerfile's own command, with the environment
// of that file and nothing else, where the names of hosts are replaced by
// loopback addresses. Nacos is not among them: it is there already.
// Prometheus can be, by the program of Debian's package; Grafana needs the engine.
//
// The tests also check what only an engine would find out: ports that clash,
// variables that the image of Nacos needs, build arguments that nobody reads.
package demo
