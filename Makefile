# Everything runs from one virtual environment in .venv, made from the hashed requirement files.
# PYTHON picks the interpreter that makes it: make setup PYTHON=python3.12

PYTHON ?= python3
UV     ?= uv
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# Packages that mypy, ruff and the layer contracts look at.
SOURCES := domain handlers projections adapters service tests
ifneq ($(wildcard bench/*.py),)
SOURCES += bench
endif

# The broker of make soak: apache, wheel, or an address (unset: as for tests); SEED repeats a run.
KAFKA ?= $(ROUTEKEEPER_TEST_KAFKA)
SEED  ?=

# Extra arguments, e.g. make test ARGS="tests/domain -x" or make demo ARGS=--exit
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-apache-kafka soak bench bench-check check format asyncapi settings-reference requirements clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.project ## make the virtual environment (again only when its inputs change)
	@:

demo: setup ## bring everything up on embedded defaults, play the acts, stay up until Ctrl-C
	@$(BIN)/routekeeper demo $(ARGS)

test: setup ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-apache-kafka: setup ## run what talks to a broker against Apache Kafka itself (needs mvn and Java 17 or newer)
	@ROUTEKEEPER_TEST_KAFKA=apache $(BIN)/python -m pytest -m kafka $(ARGS)

soak: setup ## kill workers amid 10,000 commands, restart broker and database, ask the oracle (KAFKA=apache, SEED=…)
	@ROUTEKEEPER_TEST_KAFKA=$(KAFKA) $(BIN)/python -m tests.fleet.soak $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup ## compare with what the parts allow; table and bench/results.json (ARGS=--quick or --long)
	@$(BIN)/python -m bench.yardstick $(ARGS)

bench-check: setup ## fail where a command has become much dearer, in multiples of the floor in the same run
	@$(BIN)/python -m bench.guard

check: setup ## formatting, lint, types, layer contracts
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

format: setup ## format the sources and apply safe lint fixes
	$(BIN)/ruff check --quiet --fix-only $(SOURCES)
	$(BIN)/ruff format --quiet $(SOURCES)

asyncapi: setup ## write docs/asyncapi.yaml from the message models
	$(BIN)/python -m service.asyncapi

settings-reference: setup ## write docs/settings.md from the settings model
	$(BIN)/python -m service.settings_reference

# Names, versions and hashes only: no file here says where a package came from.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(ARGS)

requirements: ## compile the hashed requirement files from pyproject.toml (ARGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo 'make requirements needs uv: install it, or say where it is with UV=path' >&2; exit 1; }
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --group dev --constraint requirements/runtime.txt --constraint requirements/build.txt \
		--output-file requirements/dev.txt

clean: ## remove the virtual environment, caches and demo data
	rm -rf $(VENV) .cache .routekeeper build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.requirements: requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no '$(PYTHON)' here. Name an interpreter (3.11 or newer): make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Routekeeper needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another interpreter: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; takes about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --only-binary :all: --require-hashes --requirement requirements/dev.txt
	@touch $@

# Editable: the sources stay where they are and the `routekeeper` command appears. Its build tool came with the
# requirements above, so that nothing unhashed is fetched.
$(VENV)/.project: $(VENV)/.requirements pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
