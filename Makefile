# sparsebench. `make` needs Python 3.11 and git; it brings everything else.
SHELL := /bin/bash
PYTHON ?= python3.11
UV := .tools/bin/uv
LOCKS := include/sparsebench/locks
SETUP := .venv/.ready .envs/bench/.ready .envs/sparsify/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test system lint lock

help: ## What there is to do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(SETUP) ## Install the three environments from their locks (done by the others when missing)

$(UV): $(LOCKS)/uv.txt
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --require-hashes --requirement $(LOCKS)/uv.txt
	@touch $@

.venv/.ready: requirements.txt requirements-dev.txt pyproject.toml | $(UV)
	test -x .venv/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --python .venv --require-hashes requirements.txt requirements-dev.txt
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

.envs/%/.ready: $(LOCKS)/%.txt | $(UV)
	test -x .envs/$*/bin/python || $(UV) venv --quiet --python $(PYTHON) .envs/$*
	$(UV) pip sync --python .envs/$* --require-hashes $(LOCKS)/$*.txt
	@touch $@

demo: setup ## Run the main job on this machine (NETWORKS=all: every one; DEMO_ONCE=1: stop at the end)
	.venv/bin/sparsebench demo

up: .venv/.ready ## Start Airflow and the emulated cloud in the background
	.venv/bin/sparsebench up

down: .venv/.ready ## End what `make up` has started
	.venv/bin/sparsebench down

test: setup system lint ## Lint, types and all tests
	.venv/bin/pytest tests/unit/bench  # by itself: it measures
	@# in the idle class, as the Airflow that is tested is: beside tests of a higher one it would get nothing
	chrt --idle 0 .venv/bin/pytest --numprocesses 3 --no-loadscope-reorder --ignore=tests/unit/bench

system: ## Install what tests need of Debian: a browser, Postgres, Redis (done by `make test` when missing)
	@if ! command -v chromium >/dev/null || ! command -v redis-server >/dev/null || ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update --quiet && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium redis-server postgresql; \
	fi

lint: .venv/.ready ## Lint and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

lock: $(UV) ## Renew the locks from their .in files
	for name in requirements requirements-dev $(LOCKS)/uv $(LOCKS)/bench $(LOCKS)/sparsify; do \
	  $(UV) pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-header $$name.in --output-file $$name.txt || exit 1; \
	done
