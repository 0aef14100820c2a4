# make run    the real job: a season of 200 pilgrims, from the agent's request to the exit stamp
# make test   every check there is: lint, types, architecture, laws, real sockets, files and databases
# make help   the rest
# The first that runs and is new enough: a name may be there and lead nowhere (pyenv's do).
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: help setup run test chaos fuzz-api lint coverage clean

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo 'make setup  only install, into $(VENV)'
	@echo 'make chaos  everything killed with -9, 300 times on each store, and the books compared (minutes)'
	@echo 'make fuzz-api   20,000 calls to every operation of the API in every role, by schemathesis (minutes)'
	@echo 'make lint   ruff, mypy and the import rules'
	@echo 'make coverage   branches of the journey and the maps that the tests go through; under 95 % fails'
	@echo 'make clean  remove $(VENV) and the seasons of demonstrations; a hub of your own keeps its keys and its store'

setup: $(VENV)/.installed

# `make run ARGS="--pilgrims 600 --faults storm"` passes options on.
run: $(VENV)/.installed
	$(BIN)/hub demo $(ARGS)

# 300 kills on each store, and a bug planted a dozen times; `make chaos ARGS="--kills 3000"` goes on longer.
chaos: $(VENV)/.installed-test
	$(BIN)/hub chaos --store sqlite $(ARGS)
	$(BIN)/hub chaos --store postgres $(ARGS)

# Fails at the first server error, undocumented status or answer that its schema does not fit.
fuzz-api: $(VENV)/.installed-test
	$(BIN)/python -m tests.fuzz_api $(ARGS)

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

coverage: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/journey tests/mapping tests/laws -q --cov=hub.journey --cov=hub.mapping --cov-branch --cov-report=term --cov-fail-under=95

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) var/season-* build *.egg-info
