# Every command a developer needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed
VERSION = $(shell sed -n 's/^appVersion: //p' helm/keyturn/Chart.yaml)
# Parallel test processes: cluster tests mostly wait, so one per core and one more.
WORKERS ?= $(shell echo $$(( $$(nproc) + 1 )))

.PHONY: help install demo test unit node lint format chart lock bench bench-node chaos cluster-up cluster-down clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(INSTALLED): pyproject.toml requirements/dev.lock requirements/build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Keyturn needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module does not work: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "==> Locked dependencies (half a minute the first time)"
	@{ $(PIP) --require-hashes -r requirements/build.lock && $(PIP) --require-hashes -r requirements/dev.lock && \
	  $(PIP) --no-build-isolation --no-deps --editable .; } || \
	  { echo "pip did not install the locked packages: it needs PyPI, or a mirror that PIP_INDEX_URL names" >&2; exit 1; }
	@touch $@

install: $(INSTALLED) ## make .venv with the locked dependencies

lint: install ## ruff, mypy strict, the layers of the house, what the chart repeats
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python dev/chart.py --check

format: install ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

unit: install ## tests without any I/O, and how much of each package they cover
	@mkdir -p build
	@$(BIN)/coverage run $(BIN)/pytest tests/unit -q
	@$(BIN)/coverage json -q -o build/coverage.json
	@$(BIN)/python dev/coverage_floor.py

test: lint unit ## lint, then every test: unit, emulator with 1Password's own clients, real API server, real node
	@$(BIN)/python -m localcluster build
	@$(BIN)/python tests/clients/prepare.py
	@$(BIN)/python -m localnode prepare
	@$(BIN)/pytest tests -n $(WORKERS) --dist worksteal --ignore tests/unit --ignore tests/node
	@$(BIN)/pytest tests/node

node: install ## only the tests on a real node (root and Debian packages: it says which)
	@$(BIN)/python -m localcluster build
	@$(BIN)/python -m localnode prepare
	@$(BIN)/pytest tests/node

demo: install ## the whole story in the terminal, on a real control plane (KEEP=1 leaves it running, STOP=1 ends that)
	@$(BIN)/python -m demo $(if $(STOP),--stop,$(if $(KEEP),--keep,$(if $(RECORD),--record)))

chart: install ## write what the chart repeats: its README's table, its copy of crds/, the reviewed files of its tests
	@$(BIN)/python dev/chart.py
	@KEYTURN_RENEW_SNAPSHOTS=1 $(BIN)/pytest tests/chart/test_chart_rendering.py -q -k reviewed

kind-demo: ## a trial on a cluster of its own; needs docker, kind, helm and kubectl (end: kind delete cluster --name keyturn)
	docker build --tag keyturn:$(VERSION) .
	kind create cluster --config kind-config.yaml
	kind load docker-image keyturn:$(VERSION) --name keyturn
	helm install keyturn helm/keyturn --kube-context=kind-keyturn --namespace keyturn --create-namespace --set emulator.enabled=true --set operator.pollingInterval=5 --wait
	kubectl --context=kind-keyturn apply -f examples/database.yaml -f examples/web.yaml
	kubectl --context=kind-keyturn wait --for=condition=Ready opi/database --timeout=60s
	kubectl --context=kind-keyturn get opi,deployments
	kubectl --context=kind-keyturn describe secret database

bench: install ## measure what the README promises (UPDATE=1 puts the table there)
	@$(BIN)/python tests/bench/run.py $(if $(UPDATE),--update-readme)

bench-node: install ## memory of the operator's pod with 0, 1,000 and 5,000 items, on a real node
	@$(BIN)/python -m localnode prepare
	@PYTHONPATH=tests $(BIN)/python tests/node/measure_memory.py

chaos: install ## kill the operator in mass rotations, at length (CHAOS="--seed 7 --trouble api-faults" chooses)
	@PYTHONPATH=tests $(BIN)/python tests/chaos/run.py $(CHAOS)

cluster-up: install ## a local control plane that stays up
	@$(BIN)/python -m localcluster up

cluster-down: install ## stop it without a trace
	@$(BIN)/python -m localcluster down

lock: install ## resolve the dependencies anew
	@$(BIN)/python dev/lock.py

clean: ## remove what the other targets made here
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
