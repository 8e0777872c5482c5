# The two commands of the README are `make demo` and `make test`; both set up .venv first if it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := .demo

.PHONY: setup demo test test-cluster check format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     run the main job on embedded drawings: draw, prepare, search, ensemble, report"
	@echo "make test     run the tests"
	@echo "make test-cluster  run those of a cluster whose machines fail; as root, on Linux"
	@echo "make check    format, lint and types"
	@echo "make setup    make .venv and install, if that is not done"
	@echo "make clean    remove what the others made"

setup: $(READY)

# Made anew when what is to be installed has changed, and only then.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "huetune needs Python 3.11 to 3.13, and $(PYTHON) is another: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	@rm -rf $(DEMO)
	$(BIN)/huetune draw --count 300 -o $(DEMO)/drawings
	$(BIN)/huetune prepare $(DEMO)/drawings/color --lines $(DEMO)/drawings/line -o $(DEMO)/dataset
	$(BIN)/huetune run searches/demo.py --data $(DEMO)/dataset --storage $(DEMO)/runs --name demo
	$(BIN)/huetune ensemble $(DEMO)/runs/demo
	$(BIN)/huetune report $(DEMO)/runs/demo

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

test-cluster: $(READY)
	$(BIN)/python -m pytest -m live tests/cluster $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
