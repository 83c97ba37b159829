# Needs python3 (3.11 to 3.13, with venv) and make. uv is brought along where it is missing.
UV_VERSION := 0.13.8
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
SYNC = $(UV) sync --frozen --compile-bytecode --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
# What is installed: all that running needs, or that and the development tools.
RUNNING := .venv/.running
DEVELOPING := .venv/.developing
BIN := .venv/bin
# Slow tests train models and start servers: more of them at once would only wait for one another.
SLOW_WORKERS := 3
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help python setup setup-dev demo dev test test-slow check docs site lock clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(RUNNING) ## Install what running needs, as uv.lock names it, bytecode included.

setup-dev: $(DEVELOPING) ## Install that, all extras, and the development tools.

python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found on PATH: install one, with its venv module."; exit 1; }

.uv/bin/uv: | python
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# --inexact leaves alone what `make test` has installed besides.
$(RUNNING): pyproject.toml uv.lock | python $(UV)
	$(SYNC) --inexact --no-default-groups --extra export
	@touch $@

$(DEVELOPING): pyproject.toml uv.lock | python $(UV)
	$(SYNC)
	@touch $@ $(RUNNING)

demo: setup ## Run the whole chain on the bundled sample.
	$(BIN)/workflows-dagster demo
	@echo "Next: . .venv/bin/activate, then workflows-dagster predict \"The kettle broke after a week.\", or make dev."

dev: setup ## Open the Dagster UI on http://127.0.0.1:3000.
	$(BIN)/dagster dev

test: setup-dev ## Run the fast tests.
	$(BIN)/pytest -n auto

test-slow: setup-dev ## Run the tests that take longer: real processes, whole jobs, benchmarks' correctness.
	$(BIN)/pytest -m slow -n $(SLOW_WORKERS) --dist loadfile

check: setup-dev ## Formatting, lint, types, import directions, definitions.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate
	$(BIN)/dg check defs

docs: setup-dev ## Draw the asset graph and write the tables of the documentation anew.
	$(BIN)/python -m workflows_dagster_tests.readme

site: setup-dev ## Build the documentation as a site; a broken link is an error.
	$(BIN)/zensical build --strict

lock: ## Bring uv.lock up to date with pyproject.toml.
	$(UV) lock

clean: ## Remove what runs have stored here: published data, event log, sample.
	rm -rf .workflows_dagster .dagster_home
