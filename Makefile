# What there is to do: make run, make test, make lint, make audit, make translations.

# The first interpreter that is new enough; make run PYTHON=… names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV := .venv
# Processes that test side by side; much of a test is waiting, so a few more than there are cores do no harm.
TESTERS ?= 4
BIN := $(VENV)/bin

.PHONY: bench bench-web chaos run test lint audit translations venv runtime development
.DEFAULT_GOAL := run

run: runtime
	@exec $(BIN)/flask up

# Which process tests what, and in which order: tests/sharing_out.py.
test: development
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadscope $(ARGS)

# make chaos MINUTES=10: storms over the whole service, one after the other; SEED=… repeats the plan of the first.
MINUTES ?= 1
chaos: development
	@CHAOS_MINUTES=$(MINUTES) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -n 0 -s tests/chaos $(ARGS)

lint: development
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: development
	$(BIN)/pip-audit --requirement requirements.txt

# The texts of the code into both catalogues, and the catalogues into what the pages read. New texts are empty
# in mailservice/translations/*/LC_MESSAGES/messages.po: fill them in, and run this again.
CATALOGUES := mailservice/translations
translations: development
	@texts=$$(mktemp) && trap 'rm -f "$$texts"' EXIT && \
	$(BIN)/pybabel -q extract -F pyproject.toml --add-location=file --sort-by-file -w 100 -o "$$texts" . && \
	$(BIN)/pybabel -q update -D messages -i "$$texts" -d $(CATALOGUES) --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date -w 100 && \
	$(BIN)/pybabel -q compile -d $(CATALOGUES)

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

# The pictures of the README, in docs/img/: needs Chromium.
.PHONY: screenshots
screenshots: development
	@$(BIN)/python -m docs.screenshots

# make bench SINK=path/to/sink.c [POSTFIX=folder]: this service and its peers, side by side (docs/performance.md).
# make bench-growth: the same service with 10,000, 100,000 and a million clients.
BENCH = $(if $(SINK),--sink "$(SINK)") $(if $(POSTFIX),--postfix "$(POSTFIX)") $(ARGS)

bench: development
	@$(BIN)/python -m benchmarks $(BENCH)

.PHONY: bench-growth
bench-growth: development
	@$(BIN)/python -m benchmarks.growth $(BENCH)

# make bench-web ARGS="--clients 100000": the public pages with the cache and without it.
bench-web: development
	@$(BIN)/python -m benchmarks.web $(ARGS)

# make bench-pages: every page for an owner with 100,000 clients, 1,000 mailings and a million deliveries.
.PHONY: bench-pages
bench-pages: development
	@$(BIN)/python -m benchmarks.pages $(ARGS)

# make bench-import ARGS="--rows 1000000": rows a second from a file to clients.
.PHONY: bench-import
bench-import: development
	@$(BIN)/python -m benchmarks.imports $(ARGS)

# axe-core for the tests of the pages, by npm; without it they are skipped.
.PHONY: axe
axe: development
	@$(BIN)/python -m tests.e2e.axe

# make bench-audiences ARGS="--clients 1000000": how long audiences by saved filters take to freeze on PostgreSQL.
.PHONY: bench-audiences
bench-audiences: development
	@$(BIN)/python -m benchmarks.audiences $(ARGS)
