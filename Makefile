# Everything the project needs is installed by these targets; see README.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
NPM ?= npm
ARGS ?=

UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' -not -path 'ui/dist/*')

.PHONY: setup build run test test-clients lint bench bench-peers fault-test fuzz clean-ui

## Install what building, running and testing need (idempotent; works offline once packages are cached)
setup: ui/dist/index.html
	$(CARGO) fetch --locked || $(CARGO) fetch --locked --offline
	$(CARGO) run --locked --quiet -- engine install

## target/release/hypocenter
build: ui/dist/index.html
	$(CARGO) build --release --locked

## Build, install the engine, start with zero configuration
run: build
	$(CARGO) run --release --locked --quiet -- engine install
	exec $(CARGO) run --release --locked --quiet -- $(ARGS)

## All tests: Rust rooms, the program over its real protocols, the UI
test: setup tests/clients/.ready
	cd ui && $(NPM) test
	mkdir -p target
	$(CARGO) test --locked --workspace --lib --bins --tests 2>&1 | tee target/test.log
	@awk '/^test result:/ { p += $$4; f += $$6 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' target/test.log

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

ui/node_modules/.ready: ui/package-lock.json
	cd ui && $(NPM) ci --prefer-offline --no-audit --no-fund
	touch $@

ui/dist/index.html: ui/node_modules/.ready $(UI_SOURCES)
	cd ui && $(NPM) run build
	touch $@

tests/clients/.ready: tests/clients/requirements.txt tests/clients/package-lock.json tests/clients/setup.sh
	tests/clients/setup.sh
	touch $@
