# What there is to do: make run, make test, make lint, make audit.

# The first interpreter that is new enough; make run PYTHON=… names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint audit venv runtime development
.DEFAULT_GOAL := run

run: runtime
	@exec $(BIN)/flask up

test: development
	@$(BIN)/python -m pytest $(ARGS)

lint: development
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: development
	$(BIN)/pip-audit --requirement requirements.txt

# Installing takes a while and asks the network: only where the list differs from the one installed last.
runtime: venv
	@cmp -s requirements.txt $(VENV)/installed.txt || { \
		echo "Installing requirements.txt …"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt \
		&& cp requirements.txt $(VENV)/installed.txt; }

development: runtime
	@cmp -s requirements-dev.txt $(VENV)/installed-dev.txt || { \
		echo "Installing requirements-dev.txt …"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt \
		&& cp requirements-dev.txt $(VENV)/installed-dev.txt; }

venv:
	@test -x $(BIN)/pip || { \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo "Python 3.11 or newer is needed; “$(PYTHON)” is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
			echo "Install one, or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; }; \
		echo "Making $(VENV) …"; $(PYTHON) -m venv $(VENV); }
