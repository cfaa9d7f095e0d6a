# Users need `make run` and `make test`; everything else is for those who change the code. `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --warn-undefined-variables

STATE ?= $(CURDIR)/.state
export MERIDIAN_STATE := $(STATE)
BIN := $(STATE)/toolchain/node_modules/.bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
JEST := node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js

.PHONY: help setup toolchain packages check format lint types boundaries test unit clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

toolchain:
	@tools/toolchain/install.sh "$(STATE)" >/dev/null

packages: toolchain
	@if [ ! -f node_modules/.meridian-lock ] || ! cmp -s pnpm-lock.yaml node_modules/.meridian-lock; then \
	  echo "packages: pnpm install"; \
	  pnpm install --frozen-lockfile --reporter=append-only >"$(STATE)/pnpm.log" 2>&1 || { cat "$(STATE)/pnpm.log" >&2; exit 1; }; \
	  cp pnpm-lock.yaml node_modules/.meridian-lock; fi

setup: packages ## fetch everything that running and testing needs into the state folder

test: check ## all tests and checks, from a fresh machine too

check: setup format lint types boundaries unit ## what CI runs

format: packages
	@biome format .

lint: packages
	@biome lint .

types: packages
	@tsc -p .

boundaries: packages
	@depcruise --config .dependency-cruiser.mjs packages services infra models test

unit: packages
	@$(JEST)

clean: ## remove the state folder and installed packages
	rm -rf "$(STATE)" node_modules
