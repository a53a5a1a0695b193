# Everything the project needs is installed by these targets; see README.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
NPM ?= npm
ARGS ?=

# Where cargo builds; its programs are run from here, because `cargo run` would build them a second time
# with other features.
TARGET := $(or $(CARGO_TARGET_DIR),target)
UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' -not -path 'ui/dist/*')

.PHONY: setup build run demo test test-rust test-clients lint bench bench-peers fault-test test-ui eval-import eval-patterns eval-incidents fuzz

## Install what building, running and testing need (idempotent; works offline once packages are cached)
setup: build tests/clients/.ready
	"$(TARGET)/release/hypocenter" engine install

## target/release/hypocenter
build: ui/dist/index.html
	$(CARGO) build --release --locked

## Build, install the engine, start with zero configuration; ARGS="--listen 0.0.0.0" passes arguments
run: build
	"$(TARGET)/release/hypocenter" engine install
	exec "$(TARGET)/release/hypocenter" $(ARGS)

## The simulated shop against a running Hypocenter, with a page to break it; ARGS="--fault latency" passes arguments
demo: build
	exec "$(TARGET)/release/hypocenter" demo --backfill 30m --control 127.0.0.1:7701 $(ARGS)

# Plain `cargo test` also builds the examples, which the rooms' tests start as engines of their own.
## All tests: the UI, the rooms, the program over its real protocols, a short round of faults
test: ui/dist/index.html tests/clients/.ready
	cd ui && $(NPM) test
	$(MAKE) test-rust

TESTS := --locked --workspace

test-rust:
	$(CARGO) test $(TESTS) --no-run
	"$(TARGET)/debug/hypocenter" engine install
	mkdir -p target
	status=0; $(CARGO) test $(TESTS) --no-fail-fast 2>&1 | tee target/test.log || status=$$?; \
	awk '/^test result:/ { p += $$4; f += $$6 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' target/test.log; \
	exit $$status

## Every fault test in full length (an hour and more): kills, hangs, full disks, damaged files, hostile input
fault-test:
	$(CARGO) test --locked --test fault --no-run
	"$(TARGET)/debug/hypocenter" engine install
	HYPOCENTER_FAULT=full $(CARGO) test --locked --test fault -- $(ARGS)

## The pages in chromium against the real program with data in it, and the demo's page; pictures in target/ui-pages
test-ui: ui/dist/index.html tests/clients/.ready
	command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	$(CARGO) build --locked
	"$(TARGET)/debug/hypocenter" engine install
	node tests/clients/ui_pages.mjs "$(TARGET)/debug/hypocenter" target/ui-pages
	node tests/clients/demo_page.mjs "$(TARGET)/debug/hypocenter" target/ui-pages

## The recordings that DATA names, imported completely: counts equal the files'
eval-import:
	test -n "$(DATA)" || { echo "make eval-import DATA=folder with OTLP JSON lines" >&2; exit 1; }
	HYPOCENTER_DATA="$(abspath $(DATA))" $(CARGO) test --locked --test it evaluation -- --nocapture

## Patterns against those that people made, and what they cost: make eval-patterns DATA=folder that holds loghub-2k/*.csv.gz
eval-patterns:
	test -n "$(DATA)" || { echo "make eval-patterns DATA=folder that holds loghub-2k" >&2; exit 1; }
	HYPOCENTER_DATA="$(abspath $(DATA))" $(CARGO) run --release --locked -p hypocenter-correlate --example pattern_quality
	HYPOCENTER_DATA="$(abspath $(DATA))" $(CARGO) run --release --locked -p hypocenter-correlate --example pattern_cost

## The demo's faults against a program that watches, in real time (ARGS: rates, faults, --calm, --train-ticket; see the script)
eval-incidents: build
	benches/incidents.py --binary "$(TARGET)/release/hypocenter" $(ARGS)

## Suspects for the labelled faults that DATA holds, by the product's API: AC@1/3/5, evidence, false leads
eval-localization:
	test -n "$(or $(DATA),$(HYPOCENTER_DATA))" || { echo "make eval-localization DATA=folder that holds train-ticket/ (or HYPOCENTER_DATA)" >&2; exit 1; }
	HYPOCENTER_DATA="$(abspath $(or $(DATA),$(HYPOCENTER_DATA)))" $(CARGO) test $(TESTS) --test it evaluation_localizes -- --nocapture

## Our own figures (half an hour; docs/benchmarks.md): instructions, CPU, latency, memory, disk, queries
bench: build
	"$(TARGET)/release/hypocenter" engine install
	benches/run.py instructions latency memory engines queries --sides hypocenter $(ARGS)

## Rotel's wheel beside us in the same run: into the same sink, then both into an engine
bench-peers: build
	"$(TARGET)/release/hypocenter" engine install
	benches/run.py peers engines $(ARGS)

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
