# The commands that people, hooks and CI call. `make run` and `make test` need Python 3.11 to 3.13 and nothing else.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed-from-lock

.PHONY: help run up test check lint bench format install lock clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: install  ## install, then keep iris fit: data to released model
	@$(BIN)/keepfit run iris

# Three at a time even on two cores: much of it waits for servers.
test: install  ## the whole test suite, its servers included
	@$(BIN)/pytest -n 3 --dist loadgroup

up: install  ## the production stack on this machine, in the foreground: Ctrl-C stops it
	@$(BIN)/keepfit up

check: lint  ## format, lint, types, import contracts, quick tests
	@$(BIN)/pytest -n 2 -q -m "not servers and not engine and not end_to_end and not slow"

lint: install  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: install  ## every figure that the README claims
	@$(BIN)/python -m benchmarks

format: install  ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

install: $(STAMP)  ## make .venv from the lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"keepfit needs Python 3.11 to 3.13; {sys.executable} is {v[0]}.{v[1]}. Choose one: make PYTHON=python3.12 …")'
	@echo "Installing keepfit into .venv (about 3 GB, once) …"
	@$(PYTHON) -m venv .venv
	@awk '/^uv==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode \
	  --build-constraints requirements.lock -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline -e .
	@touch $(STAMP)

lock:  ## resolve requirements.lock anew (no download addresses in it)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes \
	  --extra examples --extra stack --extra onnx --extra dev pyproject.toml -o requirements.lock
	@{ head -n 4 infra/deploy/requirements-gpu.lock; $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --no-annotate --no-header -c requirements.lock --extra gpu pyproject.toml \
	  | awk '/^[a-z]/ {on = /^nvidia-/} on'; } > .venv/gpu.lock && mv .venv/gpu.lock infra/deploy/requirements-gpu.lock

clean:  ## remove what was built; .keepfit (models and history) stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
