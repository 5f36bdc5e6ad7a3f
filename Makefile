# Every target sets up .venv by itself; pip's own configuration decides where packages come from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DS_BUILD_OPS := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint bench clean

demo: $(READY)
	rostrum demo

test: $(READY)
	python -m pytest --numprocesses 2 --dist loadfile

lint: $(READY)
	ruff check .
	mypy envs rewards

bench: $(READY)
	python -m benchmarks.bench

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch comes first: DeepSpeed looks for it when it is installed.
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV); this takes a few minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt --editable '.[test]'
	touch $(READY)
