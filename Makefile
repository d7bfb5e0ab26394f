# `make help` lists the targets. Every target first runs scripts/setup.py, which installs only what is missing.

PYTHON ?= python3
PYTEST_ARGS ?=
PYTEST_WORKERS ?= 2
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=

VENV := .venv/bin
SETUP := $(PYTHON) scripts/setup.py
CARGO_FLAGS := --manifest-path rust/Cargo.toml $(if $(filter true,$(CI)),--locked)

# Where rustup puts cargo, and where Debian puts tools for root: not on every user's PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CURDIR)/.tools/bin:/usr/local/sbin:/usr/sbin:/sbin
export PYO3_PYTHON := $(CURDIR)/$(VENV)/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench fuzz fuzz-keep golden clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing: Debian packages, .venv, the Rust core
	@$(SETUP) build

demo: ## capture real traffic between two namespaces and show its flow table (root)
	@$(SETUP) demo
	@$(VENV)/python scripts/demo.py

test: ## every test, Rust and Python (PYTEST_ARGS='-k flows' for some of the latter)
	@$(SETUP) test
	cargo test --workspace --quiet $(CARGO_FLAGS)
	$(VENV)/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

check: ## format, lint, types, and that sniffkit/_core.pyi says what the built core has
	@$(SETUP) build
	$(VENV)/python scripts/check.py

format: ## rewrite Rust and Python sources in the project's format
	@$(SETUP) build
	$(VENV)/python scripts/check.py --fix

bench: ## measure against tcpdump, softflowd, argus, NFStream and tshark (BENCH_ARGS='--help')
	@$(SETUP) bench
	cargo build --release --quiet -p sniffkit-core --example core $(CARGO_FLAGS)
	$(VENV)/python -m bench $(BENCH_ARGS)

fuzz: ## every fuzz target for FUZZ_SECONDS (60) from its kept corpus (FUZZ_ARGS='decode' for one)
	@$(SETUP) fuzz
	$(VENV)/python scripts/fuzz.py run --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

fuzz-keep: ## add what fuzzing found to the kept corpus, smallest set that covers the same
	@$(SETUP) fuzz
	$(VENV)/python scripts/fuzz.py keep $(FUZZ_ARGS)

golden: ## write the golden files anew from what the code gives now, and show what changed
	@$(SETUP) test
	SNIFFKIT_UPDATE_GOLDEN=1 $(VENV)/python -m pytest -q tests $(PYTEST_ARGS)
	git --no-pager diff --stat -- tests docs

clean: ## remove what was built (.venv, .tools, rust/target, the core)
	rm -rf .venv .tools rust/target rust/fuzz/target rust/fuzz/found sniffkit/_core*.so
