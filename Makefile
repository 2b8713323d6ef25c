# One front door: `make demo` on a clean clone does everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# More for the demo or the measurements: make demo ARGS="--epsilon 8"
ARGS ?=
# The selection of crates decides with which features their dependencies are built. With the whole workspace and one
# target that needs development dependencies it is that of the tests, so that demo and tests build everything once.
BUILD = cargo build --locked --workspace --bin dawn --example edge_app
TARGET = $(shell cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
# How long each fuzz target runs.
SECONDS ?= 60

.PHONY: help setup demo test lint bench ct fuzz miri neon openapi

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing (Postgres) and say what cannot be installed here
	@tools/setup.sh

demo: setup ## six organisations train a model together and an auditor checks every round; ARGS="..." for more
	@echo "demo: building (several minutes on a clean clone)" >&2
	@$(BUILD)
	@"$(TARGET)/debug/dawn" demo $(ARGS)

test: ## every test, documentation examples included
	@tools/setup.sh --tests
	@tools/test.sh

lint: ## formatting, clippy, layout of the crates, licences (with cargo-deny, if installed)
	@tools/lint.sh

bench: setup ## the measurements; ARGS="..." goes to criterion
	@cargo bench --locked -p dawn-benches -- $(ARGS)

ct: ## show with valgrind that no secret decides a branch or an address; ARGS="share-key open" for some cases
	@tools/ct.sh $(ARGS)

fuzz: ## every fuzz target for SECONDS=60 each (nightly, cargo-fuzz); ARGS="shamir audit" for some
	@tools/fuzz.sh $(SECONDS) $(ARGS)

miri: ## the AVX2 backend and the parsers under Miri (nightly)
	@tools/miri.sh

neon: ## the NEON backends on an emulated Arm processor (qemu-user, a cross compiler)
	@tools/neon.sh

openapi: setup ## schemathesis (PyPI) over the REST surface of a running aggregator; ARGS="--max-examples 500" for more
	@tools/schemathesis.sh $(ARGS)
