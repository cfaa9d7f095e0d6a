# Users need `make run` and `make test`; everything else is for those who change the code. `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --warn-undefined-variables

STATE ?= $(CURDIR)/.state
SAMPLES ?=
WORKERS ?= 1
ONLY ?=
REGION ?=
KUBE_CONTEXT ?=
CERTIFICATES ?=
CONFIRM ?=
COMPONENTS ?=
TAG ?=
REGISTRY ?=
CA_FILE ?=
PLACE = --region "$(REGION)" --components "$(COMPONENTS)" --tag "$(TAG)" --registry "$(REGISTRY)"
CLUSTER = $(PLACE) --context "$(KUBE_CONTEXT)" --certificates "$(CERTIFICATES)" --samples "$(SAMPLES)" --confirm "$(CONFIRM)"
export MERIDIAN_STATE := $(STATE)
# Compiled modules are kept: a process's start costs a third less.
export NODE_COMPILE_CACHE := $(STATE)/compile-cache
BIN := $(STATE)/toolchain/node_modules/.bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
JEST := node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js
KUBERNETES := node --disable-warning=ExperimentalWarning infra/kustomize/src/main.ts
LOCAL := node --disable-warning=ExperimentalWarning infra/local/src/main.ts

.PHONY: help setup toolchain packages run demo check format lint types proto generated boundaries dead-code test unit \
  faults acceptance bench sim sim-mutants chaos overlays render validate images secrets diff deploy undo undeploy \
  smoke clean

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

run: packages ## three regions on this machine, sample photographs recognised through each, until Ctrl-C
	@exec $(LOCAL) run --workers $(WORKERS) --samples "$(SAMPLES)"

demo: packages ## the same without staying up; exit 0 only if every photograph was answered and every label found
	@exec $(LOCAL) demo --workers $(WORKERS) --samples "$(SAMPLES)"

test: check ## all tests and checks, from a fresh machine too

check: setup format lint types proto generated boundaries dead-code validate unit ## what CI runs

format: packages
	@biome format .

lint: packages
	@biome lint .

types: packages
	@tsc -p .

proto: packages
	@cd proto && buf lint
	@tools/proto/breaking.sh

# Generated files are committed; this fails when they are not what the sources give.
generated: packages
	@tools/proto/up-to-date.sh
	@node infra/nats/src/write-docs.ts --check
	@$(KUBERNETES) overlays --check

boundaries: packages
	@depcruise --config .dependency-cruiser.mjs packages services infra models test --output-type err 2>&1 | grep -v 'tsc-transpiler' | sed '/^ *$$/d;/TypeScript/d;/typescript/d;/this means/d;/missed/d'

dead-code: packages
	@knip --no-progress

unit: packages
	@$(LOCAL) prepare
	@$(JEST)

faults: packages ## kill, stop and cut real processes under a job and compare with an undisturbed run; ROUNDS=10
	@exec node --disable-warning=ExperimentalWarning test/faults/main.ts

acceptance: packages ## long checks; ONLY=big-job, starts, cut-off-restarts, garbage, placement, residency, roll-cuts, state or rolls
	@$(LOCAL) prepare
	@exec node --disable-warning=ExperimentalWarning test/acceptance/main.ts "$(ONLY)"

bench: packages ## benchmarks, each against its limit or aim in one run; ONLY=path, link, cache, placement or sync
	@$(LOCAL) prepare
	@exec node --disable-warning=ExperimentalWarning test/bench/main.ts --only "$(ONLY)"

sim: packages ## deterministic simulation of the replication, judged by causal histories; SEED=1 RUNS=500 VERBOSE=1
	@exec node --disable-warning=ExperimentalWarning test/simulation/main.ts

sim-mutants: packages ## plants known bugs and counts the seeds until the simulation finds them; ONLY=, TRIALS=5
	@exec node --disable-warning=ExperimentalWarning test/simulation/mutants/main.ts

chaos:
	@echo "make $@: not there yet; the issue list has it" >&2; exit 1

overlays: packages ## writes infra/kustomize/overlays from regions.yaml, the subjects and the services' schemas
	@$(KUBERNETES) overlays

render: packages ## prints the manifests of REGION=; COMPONENTS=keda,service-monitor TAG= REGISTRY=; needs kubectl, no cluster
	@$(KUBERNETES) render $(PLACE)

images: packages ## builds meridian/service and meridian/broker with docker, podman or buildah; TAG= REGISTRY= CA_FILE=
	@TAG="$(TAG)" REGISTRY="$(REGISTRY)" CA_FILE="$(CA_FILE)" infra/docker/build.sh

secrets: packages ## makes certificates and keys in CERTIFICATES=/path and puts those of REGION= into KUBE_CONTEXT=
	@$(KUBERNETES) secrets $(CLUSTER)

diff: packages ## what deploy would change in KUBE_CONTEXT=; REGION= and the variables of render
	@$(KUBERNETES) diff $(CLUSTER)

deploy: packages ## REGION= to KUBE_CONTEXT=, workload by workload, until a photograph is recognised, or back; CERTIFICATES=
	@$(KUBERNETES) deploy $(CLUSTER)

undo: packages ## brings back what ran in KUBE_CONTEXT= before the last deploy of REGION=
	@$(KUBERNETES) undo $(CLUSTER)

undeploy: packages ## removes REGION= from KUBE_CONTEXT= but for namespace, secrets and claims; CONFIRM=<region>
	@$(KUBERNETES) undeploy $(CLUSTER)

smoke: packages ## sends a photograph to REGION= in KUBE_CONTEXT= until it is recognised; CERTIFICATES=
	@$(KUBERNETES) smoke $(CLUSTER)

# kubectl is the one tool that is not fetched. What is skipped is said and counted; .ci/run fails without it.
validate: packages ## renders and checks every combination of regions and components; needs kubectl, no cluster
	@if kubectl version --client >/dev/null 2>&1; then $(KUBERNETES) validate; else \
	  echo "SKIPPED: manifests are not validated, and 1 suite of tests is not run: no kubectl (1.27 or later) on PATH"; fi

clean: ## remove the state folder and installed packages
	rm -rf "$(STATE)" node_modules
