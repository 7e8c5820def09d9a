# Every target that runs code sets the environment up first; `make` alone lists the targets.
# The first that runs and is new enough: a version manager's shim may be on the path and still not run.
PYTHON ?= $(shell for found in python3.13 python3.12 python3.11 python3; do \
	$$found -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$found && break; done)
BIN := .venv/bin
SOURCES := services shared sandbox tests bench scripts

LOCK := --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test lint types architecture unit simulation simulate leaders leaders-real properties plant golden integration browser away e2e bench bench-rivals bench-replay bench-decide bench-act bench-policies bench-scale reference lock clean
.PHONY: cluster-build cluster-up cluster-down test-cluster
CLUSTER ?= sandbox
ROUNDS ?= 100
SEEDS ?= 1000000
FROM ?= 0

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## make .venv with the pinned packages
	@test -n "$(PYTHON)" || { echo "No Python found; expected 3.11 or newer with venv (Debian: apt install python3-venv), or make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) scripts/bootstrap

demo: setup ## break a small bank three ways on a local stack, and watch it heal; CLUSTER=real: on a real Kubernetes
	@$(BIN)/sre-agent demo --cluster $(CLUSTER)

up: setup ## start the local stack and leave it running
	@$(BIN)/sre-agent up

down: setup ## stop the local stack
	@$(BIN)/sre-agent down

test: lint types architecture unit simulation integration ## lint, types, architecture contracts, all fast tests

lint: setup ## ruff: rules and format
	@echo "lint: ruff check, ruff format"
	@$(BIN)/ruff check $(SOURCES) scripts/bootstrap
	@$(BIN)/ruff format --check $(SOURCES) scripts/bootstrap

types: setup ## pyright, strict
	@echo "types: pyright"
	@$(BIN)/pyright --pythonpath $(BIN)/python $(SOURCES)

architecture: setup ## import-linter and deptry
	@echo "architecture: import-linter, deptry"
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry services shared sandbox
	@$(BIN)/python -m scripts.reference --check

unit: setup ## unit tests, without network
	@$(BIN)/pytest tests/unit -q -n 2 --dist worksteal

simulation: setup ## 200 seeds of the simulation, those that failed once, and planted bugs that it must find
	@$(BIN)/pytest tests/simulation -q -n 2 --dist worksteal

simulate: setup ## the simulation on SEEDS seeds from FROM on, on all processors; a failing seed prints its story
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

leaders: setup ## 1,000 rounds and more of two remediators, of which the leader stands still or dies at each step
	@LEADER_SEEDS=40 $(BIN)/pytest tests/simulation/test_leaders.py -q -n 2 --dist worksteal

leaders-real: setup ## the same as processes on a real Kubernetes, Kafka and Valkey: ROUNDS that stop a leader, a third as many kill it
	@LEADER_ROUNDS=$(ROUNDS) $(BIN)/sre-agent cluster run --no-node -- $(BIN)/pytest tests/cluster/test_leaders.py -q -s

properties: setup ## what holds for every history of the decider, on 2,000 histories each
	@$(BIN)/pytest tests/unit/services/decider/core/test_properties.py -q --hypothesis-profile long

plant: setup ## plant known bugs in the source, one at a time: the unit tests must catch each; an hour
	@$(BIN)/python -m scripts.plant

golden: setup ## decide the golden histories anew and write them; the diff shows what became different
	@$(BIN)/python -m scripts.golden

integration: setup ## tests against real parts (Kafka, Valkey), which they start themselves
	@$(BIN)/pytest tests/contracts tests/integration -q --ignore tests/integration/away

browser: ## install Chromium for the tests of the page, where there is none (Debian, root)
	@command -v chromium >/dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends chromium; } >/dev/null

away: setup ## each dependency of each service away in six ways; 6 minutes, not a part of `make test`
	@$(BIN)/pytest tests/integration/away -q -s

e2e: setup ## the whole stack as processes: the demo, and the demo while parts of it are killed
	@$(BIN)/pytest tests/e2e -q

cluster-build: setup ## build a real Kubernetes from the Go module proxy; once, about 10 minutes
	@$(BIN)/sre-agent cluster build

cluster-up: setup ## start a real Kubernetes on loopback, with a node that runs pods (root)
	@$(BIN)/sre-agent cluster up

cluster-down: setup ## stop it, and remove what a crashed one left
	@$(BIN)/sre-agent cluster down

test-cluster: setup ## the whole system on a real Kubernetes: rights, contracts, faults, disturbances (root)
	@$(BIN)/sre-agent cluster run --longest-back-off 3s -- pytest tests/cluster tests/contracts/cluster -q

bench: setup ## signals matched per second; what a hostile playbook costs; latency from a signal to its action
	@$(BIN)/python -m bench.matching
	@$(BIN)/python -m bench.hostile
	@$(BIN)/python -m bench.latency

bench-rivals: setup ## the same rules and signals here and in ansible-rulebook, side by side; 10 minutes
	@$(BIN)/python -m bench.rivals

bench-replay: setup ## a million signals replayed from Kafka beside aiokafka alone; 10 minutes
	@$(BIN)/python -m bench.replay

bench-decide: setup ## findings decided a second through Faust with its table, and a finding to its command; 5 minutes
	@$(BIN)/python -m bench.deciding

bench-act: setup ## a command on Kafka to its change in a real API server, and actions a second beside that server alone; 5 minutes
	@$(BIN)/python -m bench.acting

bench-policies: setup ## what the admission policies cost everybody else, and an API server that starts; 3 minutes
	@$(BIN)/python -m bench.policies

bench-scale: setup ## the collector on a real Kubernetes of 50 nodes and 5,000 pods: memory, CPU, time to a signal; 10 minutes
	@$(BIN)/python -m bench.scale

reference: setup ## write docs/reference and the playbook's ConfigMap from their sources
	@$(BIN)/python -m scripts.reference

lock: setup ## pin all packages again, with hashes and without addresses
	@$(BIN)/uv pip compile -q pyproject.toml --extra dev $(LOCK) -o requirements/dev.txt
	@for service in collector decider remediator rca api; do \
		$(BIN)/uv pip compile -q pyproject.toml --extra $$service -c requirements/dev.txt $(LOCK) -o requirements/$$service.txt; done
	@$(BIN)/uv pip compile -q requirements/bench-rulebook.in $(LOCK) -o requirements/bench-rulebook.txt

clean: ## remove the environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
