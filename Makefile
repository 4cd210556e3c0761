# `make` alone tells what there is. Only Python 3.11 to 3.13, make and a package index are needed.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8501
WORKERS ?= 3
BIN := $(VENV)/bin
# A stamp is newer than pyproject.toml once what it says is installed: a second `make demo` runs no pip.
APP := $(VENV)/.app-installed
TESTS := $(VENV)/.tests-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each worker, and each process that a test starts, would else compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo app test test-on quick check bench docs lock shots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(APP) ## make .venv and install the app with its local engine

demo: $(APP) ## engine, demo data and app at http://localhost:8501 (PORT=… for another)
	@exec $(BIN)/memdb demo --port $(PORT) $(ARGS)

app: $(APP) ## the app alone, for the running engine or MEMDB_URL
	@exec $(BIN)/memdb app --port $(PORT) $(ARGS)

test: $(TESTS) ## ruff, mypy, and all tests (browser tests where there is a Chromium)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(BIN)/mypy & mypy=$$!; \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) \
	  || { test $$? -eq 1 && $(BIN)/python tests/again.py; }; tests=$$?; wait $$mypy && exit $$tests

test-on: $(TESTS) ## the tests that any engine can be asked: SERVER=… [MODULE=…], or URL=… of an empty server
	@test -n "$(SERVER)$(URL)" || { echo "Name what to test: SERVER=/path/to/valkey-server MODULE=/path/to/libsearch.so, or URL=redis://…" >&2; exit 1; }
	MEMDB_ENGINE_SERVER="$(SERVER)" MEMDB_ENGINE_SEARCH="$(MODULE)" $(BIN)/python -m pytest -m any_engine \
	  $(if $(URL),--url "$(URL)") $(if $(DISPOSABLE),--disposable) $(ARGS)

quick: $(TESTS) ## what needs no server: ruff, mypy and the unit tests but the long ones
	@$(BIN)/mypy & mypy=$$!; $(BIN)/ruff check && $(BIN)/ruff format --check \
	  && $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not long" tests/unit $(ARGS); tests=$$?; wait $$mypy && exit $$tests

check: $(TESTS) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(TESTS) ## the figures of docs/figures.md, printed as ratios from one run
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(APP) ## the lists of commands and settings in docs/, from the code
	$(BIN)/python docs/reference.py

lock: $(TESTS) ## deploy/constraints.txt: the versions that hosts and images get
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra login --no-annotate --no-header \
	  --no-emit-index-url --output-file deploy/constraints.txt pyproject.toml

shots: $(TESTS) ## the screenshots of the README, in light and dark
	$(BIN)/python docs/shots.py $(ARGS)

clean: ## remove .venv and what tools left; demo data stays in its home
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find memdb pages tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(APP): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[local]'
	@touch $@

$(TESTS): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[local,test]'
	@touch $(APP) $@
