# Needs python3 (3.11 to 3.13, with venv) and make. uv is brought along where it is missing.
UV_VERSION := 0.13.8
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
READY := .venv/.ready
# Slow tests train models and start servers: more of them at once would only wait for one another.
SLOW_WORKERS := 3
RUN := $(UV) run --frozen
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo dev test test-slow check docs lock clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Install everything that uv.lock names, bytecode included.

.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found on PATH: install one, with its venv module."; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): $(UV) pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found on PATH: install one, with its venv module."; exit 1; }
	$(UV) sync --frozen --compile-bytecode --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

demo: setup ## Run the whole chain on the bundled sample.
	$(RUN) workflows-dagster demo

dev: setup ## Open the Dagster UI on http://127.0.0.1:3000.
	$(RUN) dagster dev

test: setup ## Run the fast tests.
	$(RUN) pytest -n auto

test-slow: setup ## Run the tests that take longer: real processes, whole jobs, benchmarks' correctness.
	$(RUN) pytest -m slow -n $(SLOW_WORKERS) --dist loadfile

check: setup ## Formatting, lint, types, import directions, definitions.
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) pyright
	$(RUN) lint-imports
	$(RUN) dagster definitions validate
	$(RUN) dg check defs

docs: setup ## Draw the asset graph and write the tables of the documentation anew.
	$(RUN) python -m workflows_dagster_tests.readme

lock: ## Bring uv.lock up to date with pyproject.toml.
	$(UV) lock

clean: ## Remove what runs have stored here: published data, event log, sample.
	rm -rf .workflows_dagster .dagster_home
