# sparsebench. `make` needs Python 3.11 and git; it brings everything else.
SHELL := /bin/bash
PYTHON ?= python3.11
UV := .tools/bin/uv
LOCKS := include/sparsebench/locks
SETUP := .venv/.ready .envs/bench/.ready .envs/sparsify/.ready
BUILD ?= build
SYSTEM := chromium redis-server postgresql

# The environments are this checkout's own. Without bytecode every process compiles what it imports: torch's is 9 s
# instead of 4, Airflow's 5 instead of 2.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-fast needs system lint mwaa astro lock

help: ## What there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(SETUP) ## Install the three environments from their locks (done by the others when missing)

$(UV): $(LOCKS)/uv.txt
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --require-hashes --requirement $(LOCKS)/uv.txt
	@touch $@

.venv/.ready: requirements.txt requirements-dev.txt pyproject.toml hatch_build.py | $(UV)
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

test: setup needs lint ## Lint, types and all tests
	.venv/bin/pytest -m measures  # by themselves
	@# in the idle class, as the Airflow that is tested is: beside tests of a higher one it would get nothing
	chrt --idle 0 .venv/bin/pytest --numprocesses 3 --no-loadscope-reorder -m "not measures"

test-fast: .venv/.ready ## The tests that need no server, no engine and nothing installed, in a minute
	.venv/bin/pytest --fast --numprocesses 2

needs: # What the tests need of Debian is there. Nothing is installed unasked, but in CI.
	@missing=; \
	command -v chromium >/dev/null || missing+=" chromium"; \
	command -v redis-server >/dev/null || missing+=" redis-server"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=" postgresql"; \
	if [ -n "$$missing" ] && [ "$$CI" = true ]; then $(MAKE) --no-print-directory system; \
	elif [ -n "$$missing" ]; then echo "The tests need$$missing: \`make system\` installs them (it uses apt-get)" >&2; exit 1; fi

system: ## Install what the tests need of Debian: a browser, Redis, Postgres
	sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo apt-get update --quiet && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $(SYSTEM)

lint: .venv/.ready ## Lint and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-cache
	.venv/bin/mypy

mwaa: .venv/.ready ## build/mwaa: what an environment of MWAA is given (docs/deploying.md)
	rm -rf $(BUILD)/mwaa $(BUILD)/plugins
	mkdir -p $(BUILD)/mwaa
	.venv/bin/python -m hatchling build -t wheel -d $(BUILD)/plugins
	cp -R dags $(BUILD)/mwaa/dags
	cd $(BUILD)/plugins && $(CURDIR)/.venv/bin/python -m zipfile -c ../mwaa/plugins.zip *.whl
	cd $(BUILD)/plugins && printf '/usr/local/airflow/plugins/%s\n' *.whl > ../mwaa/requirements.txt

astro: .venv/.ready ## build/astro: an Astro project (docs/deploying.md)
	rm -rf $(BUILD)/astro
	mkdir -p $(BUILD)/astro/plugins $(BUILD)/astro/include
	.venv/bin/python -m hatchling build -t wheel -d $(BUILD)/astro/wheels
	cp -R dags $(BUILD)/astro/dags
	cp deploy/astro/Dockerfile $(BUILD)/astro/Dockerfile
	touch $(BUILD)/astro/requirements.txt $(BUILD)/astro/packages.txt

lock: LOCK = $(UV) pip compile --quiet $(LOCK_OPTIONS) --python-version 3.11 --generate-hashes --no-header
lock: LOCK_OPTIONS = --upgrade
lock: $(UV) ## Renew the locks from what pyproject.toml and include/pyproject.toml declare
	$(LOCK) --output-file requirements.txt pyproject.toml --extra localcloud --group control
	$(LOCK) --output-file requirements-dev.txt --group dev --constraints requirements.txt
	$(LOCK) --output-file requirements-build.txt --group build --constraints requirements-dev.txt
	$(LOCK) --output-file $(LOCKS)/uv.txt --group uv
	$(LOCK) --output-file $(LOCKS)/bench.txt include/pyproject.toml --extra bench
	$(LOCK) --output-file $(LOCKS)/sparsify.txt include/pyproject.toml --extra sparsify
