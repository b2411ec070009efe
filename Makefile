# Every target is a line or two; what needs more is a script in scripts/, runnable alone.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# The race detector needs a C compiler and the C library's headers; scripts/race prints -race where both are.
RACE = $(shell scripts/race)
# The browser tests share the machine with the others, so two packages at a time whatever the number of cores.
TESTFLAGS ?= -timeout 20m -p 2

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve the whole product on this machine
	go run ./cmd/console demo

.PHONY: build
build: ## build bin/console, static
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/console ./cmd/console

.PHONY: test
test: ## install what the tests need, then run all of them
	@scripts/install-test-deps
	go test $(RACE) $(TESTFLAGS) ./...
	go test $(TESTFLAGS) -run Many ./internal/audit # too many records for the race detector

.PHONY: e2e
e2e: ## drive the built program over HTTP and in a browser
	@scripts/install-test-deps
	go test $(TESTFLAGS) -count=1 ./e2e/...

.PHONY: bench
bench: ## measure; BENCH_EVENTS=10_000_000 for a log of that size
	go test -run '^$$' -bench . -benchmem -p 1 -timeout 6h ./...

.PHONY: lint
lint: ## golangci-lint, with .golangci.yml
	@scripts/lint

.PHONY: vuln
vuln: ## known vulnerabilities in what the program uses
	@scripts/vulncheck

.PHONY: generate
generate: ## Go from .templ files
	go tool templ generate

.PHONY: assets
assets: ## web/static/vendor from npm packages; needs Node
	@scripts/assets

.PHONY: check
check: ## fail when a generated or formatted file is stale
	@scripts/check-stale
