# make            build, test and lint: what to run before a commit
# make check      everything, as CI does; needs Java 17 and Maven for the real Nacos
# make help       the other targets

GO            ?= go
GOLANGCI      := bin/golangci-lint-v2.15.0
MODULES       := . integration examples/gin bench
BENCHTIME     ?= 1s
FUZZTIME      ?= 20s
FUZZPKGS      ?= ./...
DECISIONS     ?= 50000000

# Tests leave nothing behind in the user's cache directory.
export GRAYLANE_CACHE_DIR ?= off

# Why the real Nacos cannot run here; empty if it can.
NACOS_MISSING := $(shell \
	java=$$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1); \
	[ "$${java:-0}" -ge 17 ] && java --list-modules | grep -q '^jdk.compiler' || printf ' JDK-17'; \
	command -v mvn >/dev/null || printf ' Maven')

.PHONY: all build test race race-cpus lint fmt quickstart picture demo gin integration faults budget figures pinned bench bench-short benchmarks fuzz differential cover tidy-check check help

all: build test lint ## build, test and lint

build: ## compile every package
	$(GO) build ./...

test: ## go test ./...: needs Go alone
	$(GO) test ./...

race: ## the tests under the race detector, in any order
	$(GO) test -race -shuffle=on -timeout 15m ./...

race-cpus: ## the same on one, two and eight processors
	$(GO) test -race -shuffle=on -cpu 1,2,8 -timeout 60m ./...

lint: $(GOLANGCI) ## golangci-lint in the pinned version
	@for dir in $(MODULES); do (cd $$dir && "$(CURDIR)/$(GOLANGCI)" run --config "$(CURDIR)/.golangci.yml" ./...) || exit 1; done

fmt: $(GOLANGCI) ## gofumpt and goimports
	@for dir in $(MODULES); do (cd $$dir && "$(CURDIR)/$(GOLANGCI)" fmt --config "$(CURDIR)/.golangci.yml" ./...) || exit 1; done

quickstart: ## the README's first command
	$(GO) run ./examples/quickstart

picture: ## docs/img/split.svg, of what the quickstart counts
	cd integration && $(GO) run ./cmd/picture ../docs/img/split.svg

demo: ## docker-compose.yml without Docker, until Ctrl-C; NACOS_ADDR=host:port takes a Nacos that runs
	cd integration && $(GO) run ./cmd/demo

gin: ## the example in a module of its own
	cd examples/gin && $(GO) test ./...

integration: ## the same scripts on a real Nacos and on nacostest, one package at a time: each starts servers
ifeq ($(NACOS_MISSING),)
	cd integration && $(GO) test -v -count=1 -p 1 -timeout 30m ./...
else ifneq ($(filter true 1,$(CI) $(REQUIRE_NACOS)),)
	@echo 'integration: no real Nacos, missing:$(NACOS_MISSING); on Debian: apt-get install openjdk-17-jdk-headless maven chromium prometheus' >&2; exit 1
else
	@echo 'LEFT OUT: the tests on a real Nacos, missing:$(NACOS_MISSING); on Debian: apt-get install openjdk-17-jdk-headless maven chromium prometheus'
endif

budget: ## modules and size that a minimal consumer links
	BUDGET=1 $(GO) test -v -count=1 -run Budget ./internal/deptest

figures: ## what the library's own tests measure
	$(GO) test -v -count=1 -run '^Test(AddedInstances|NoCallFailsWhenConnections|OneConnection|ARollingRestart)' ./httpx ./grpcx
	FIGURES=1 $(GO) test -v -count=1 -run '^Test(CloseIsQuick|AColdStart)' .
	$(GO) test -v -count=1 -run '^Test(Hostile|AnUpdateEvery|SeveralCores|NoEndpointIsOverloaded|Policies)' ./config ./balancer

faults: ## the fault suite at full size beside rivals, on a real Nacos of three nodes; about two hours; writes docs/faults-table.md
	cd integration && $(GO) run ./faults/cmd/faults -full -count 3 -o ../docs/faults-table.md

pinned: ## the picker built with the tag graylane_pinned
	$(GO) vet -tags graylane_pinned ./...
	$(GO) test -tags graylane_pinned ./balancer ./resolver ./httpx ./grpcx

bench: ## our pickers beside those of others, ten minutes on an idle machine; writes docs/performance.md
	$(MAKE) -C bench OUT=../docs/performance.md

bench-short: ## their tests of quality, and one quick repetition
	$(MAKE) -C bench test short

benchmarks: ## the library's own, with allocations
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

fuzz: ## each fuzz target of FUZZPKGS for FUZZTIME
	@set -e; pkgs=$$($(GO) list $(FUZZPKGS)); for pkg in $$pkgs; do \
		list=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$list" | grep '^Fuzz'); do \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

differential: ## DECISIONS decisions by the library and by a reference written from the specification
	DECISIONS=$(DECISIONS) $(GO) test -v -count=1 -timeout 2h -run '^TestDifferential' ./internal/reference

cover: ## coverage over all packages, as cover.out
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

tidy-check: ## go.mod and go.sum are what go mod tidy would write
	@for dir in $(MODULES); do (cd $$dir && $(GO) mod tidy -diff) || exit 1; done

check: quickstart test race lint tidy-check budget figures pinned gin bench-short integration ## everything

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

$(GOLANGCI):
	mkdir -p bin
	GOBIN="$(CURDIR)/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(patsubst bin/golangci-lint-%,%,$@)
	mv bin/golangci-lint $@
