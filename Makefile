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
# Number of parallel test processes. Cluster tests mostly wait, so this is one more than there are cores.
WORKERS ?= $(shell echo $$(( $$(nproc) + 1 )))

.PHONY: help install demo test unit compat node lint format chart pages lock bench bench-node chaos soak cluster-up cluster-down node-up node-down clean clean-cache

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(INSTALLED): pyproject.toml operator/connect_emulator/pyproject.toml requirements/dev.lock requirements/build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Keyturn needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module does not work. On Debian, run: apt-get install python3-venv" >&2; exit 1; }
	@echo "==> Installing the locked dependencies (half a minute the first time)"
	@{ $(PIP) --require-hashes -r requirements/build.lock && $(PIP) --require-hashes -r requirements/dev.lock && \
	  $(PIP) --no-build-isolation --no-deps --editable . && \
	  $(PIP) --no-build-isolation --no-deps --editable operator/connect_emulator; } || \
	  { echo "pip could not install the locked packages: it needs access to PyPI, or set PIP_INDEX_URL to a mirror" >&2; exit 1; }
	@touch $@

install: $(INSTALLED) ## create .venv with the locked dependencies

lint: install ## run ruff, mypy (strict) and import-linter, and check the generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python dev/chart.py --check
	@$(BIN)/python dev/reference.py --check
	@$(BIN)/python dev/picture.py --check
	@$(BIN)/python dev/schemas.py --check

format: install ## format the code, and let ruff fix what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

unit: install ## run the tests without I/O, and print how much of each package they cover
	@mkdir -p build
	@$(BIN)/coverage run $(BIN)/pytest tests/unit -q
	@$(BIN)/coverage json -q -o build/coverage.json
	@$(BIN)/python dev/coverage_floor.py

test: lint unit ## lint, then run every test: unit, emulator with 1Password's own clients, real API server, real node
	@$(BIN)/python -m localcluster build
	@$(BIN)/python tests/clients/prepare.py
	@$(BIN)/python -m localnode prepare
	@$(BIN)/pytest tests -n $(WORKERS) --dist worksteal --ignore tests/unit --ignore tests/node
	@$(BIN)/pytest tests/node

compat: install ## run the chart and the operator on each version of Kubernetes in docs/install.md (builds them the first time)
	@COMPAT=1 $(BIN)/pytest tests/compat

node: install ## run only the tests on a real node (needs root and Debian packages; it lists missing ones)
	@$(BIN)/python -m localcluster build
	@$(BIN)/python -m localnode prepare
	@$(BIN)/pytest tests/node

demo: install ## show what Keyturn does, on a real control plane (KEEP=1 keeps it running, STOP=1 stops it)
	@$(BIN)/python -m demo $(if $(STOP),--stop,$(if $(KEEP),--keep,$(if $(RECORD),--record)))

chart: install ## generate the chart's README table, its copy of crds/, and the snapshots of its tests
	@$(BIN)/python dev/chart.py
	@RENEW_SNAPSHOTS=1 $(BIN)/pytest tests/chart/test_chart_rendering.py -q -k reviewed

pages: install ## generate docs/reference.md, docs/schemas, and the picture docs/architecture.svg from docs/architecture.txt
	@$(BIN)/python dev/reference.py
	@$(BIN)/python dev/picture.py
	@$(BIN)/python dev/schemas.py

kind-demo: ## try Keyturn on a new kind cluster; needs docker, kind, helm and kubectl (to end: kind delete cluster --name keyturn)
	docker build --tag localhost/keyturn:$(VERSION) .
	docker build --target emulator --tag localhost/keyturn-emulator:$(VERSION) .
	kind create cluster --config kind-config.yaml
	kind load docker-image localhost/keyturn:$(VERSION) localhost/keyturn-emulator:$(VERSION) --name keyturn
	helm install keyturn helm/keyturn --kube-context=kind-keyturn --namespace keyturn --create-namespace --set emulator.enabled=true --wait
	kubectl --context=kind-keyturn apply -f examples/database.yaml -f examples/web.yaml
	kubectl --context=kind-keyturn wait --for=condition=Ready opi/database --timeout=60s
	kubectl --context=kind-keyturn get opi,deployments
	kubectl --context=kind-keyturn describe secret database

bench: install ## measure what the README promises (UPDATE=1 writes the tables into the README, BENCH="shapes tenants" measures a part)
	@PYTHONPATH=tests $(BIN)/python tests/bench/run.py $(if $(UPDATE),--update-readme) $(BENCH)

bench-node: install ## measure the memory of the operator's pod with 0, 1,000 and 5,000 items, on a real node
	@$(BIN)/python -m localnode prepare
	@PYTHONPATH=tests $(BIN)/python tests/node/measure_memory.py

chaos: install ## kill the operator during mass rotations, for about an hour (CHAOS="--seed 7 --trouble api-faults" selects a part)
	@PYTHONPATH=tests $(BIN)/python tests/chaos/run.py $(CHAOS)

soak: install ## let everything fail at random for 20 minutes, then check everything (SOAK="--seed 7 --minutes 5" selects a run)
	@PYTHONPATH=tests $(BIN)/python tests/soak/run.py $(SOAK)

cluster-up: install ## start a local control plane that keeps running
	@$(BIN)/python -m localcluster up

cluster-down: install ## stop the local control plane, and remove everything that it left
	@$(BIN)/python -m localcluster down

node-up: install ## start a real node with the chart and its emulator on it, for playing (needs root and Debian packages)
	@$(BIN)/python -m localnode up

node-down: install ## stop the real node, and remove everything that it left
	@$(BIN)/python -m localnode down

lock: install ## resolve and lock the dependencies again
	@$(BIN)/python dev/lock.py

clean-cache: ## remove what the first demo and tests built and downloaded for all clones: ~/.cache/keyturn
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/keyturn"

clean: ## remove the files that the other targets created here
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
