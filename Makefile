# Two commands on a fresh machine: `make run` and `make test`. They need Python 3.11 or newer with
# pip, make, and a package index as pip is configured; everything goes into .venv.

PYTHON ?= python3
CORES ?= all
GPUS ?= 1
# Another build of torch is chosen by its index: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
# (.../cu130 for CUDA 13, and so on). The choice is remembered in .venv until another one is made.
-include .venv/torch.mk
PINNED_TORCH := torch==2.13.0
TORCH ?= $(PINNED_TORCH)
TORCH_INDEX ?=

PIP := .venv/bin/python -m pip --disable-pip-version-check
ACTIVATE := . .venv/bin/activate &&
CONFIG := $(if $(SCENARIO),--config scenario=$(SCENARIO))
# ARGS comes first: --resources would take a target that follows it for a resource.
SNAKEMAKE := snakemake $(ARGS) --cores $(CORES) --resources gpu=$(GPUS) $(CONFIG)

# The names of the two marks hold a sum of what the set-up depends on (a moved checkout included,
# since programs in .venv know their path), so that a finished set-up is recognised at once.
SUM := cksum | cut -d ' ' -f 1
ENVIRONMENT := .venv/.done-$(shell { cat requirements.lock; echo '$(TORCH)$(TORCH_INDEX)$(CURDIR)'; } | $(SUM))
PACKAGE := .venv/.package-$(shell cat pyproject.toml | $(SUM))

.PHONY: help setup run test resume plan replay lint lock

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 14

run: setup  ## the whole DAG to the report; SCENARIO=laptop takes another scenario, ARGS=-n plans only
	$(ACTIVATE) $(SNAKEMAKE)

test: setup  ## the whole test suite; ARGS="-k text" runs a part
	$(ACTIVATE) pytest $(ARGS)

# `.writing-*` are files that a killed job was writing; none is ever read, so none is kept.
resume: setup  ## go on after a crash or a kill, when no other run is at work in this folder
	$(ACTIVATE) snakemake --unlock $(CONFIG)
	@find data $(wildcard results) -type f -name '.writing-*' -print -exec rm -f {} +
	$(ACTIVATE) $(SNAKEMAKE) --rerun-incomplete

plan: setup  ## the jobs that SCENARIO has left and what all of it costs; ARGS="--tokens-per-second 20000" adds hours
	$(ACTIVATE) snakemake -n --quiet rules $(CONFIG)
	$(ACTIVATE) distilro plan$(if $(SCENARIO), --scenario $(SCENARIO)) $(ARGS)

replay: setup  ## the workflow's own tests: a small part of the DAG, in clones
	$(ACTIVATE) pytest tests/workflow -m workflow $(ARGS)

lint: setup  ## style of the code and of the workflow
	$(ACTIVATE) ruff check .
	$(ACTIVATE) ruff format --check .
	$(ACTIVATE) snakefmt --check Snakefile workflow
	$(ACTIVATE) snakemake --lint

setup: $(PACKAGE)  ## .venv with pinned versions: done once, then recognised

$(PACKAGE): $(ENVIRONMENT)
	@echo "== set-up: the package itself, in editable form"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@rm -f .venv/.package-* && touch $@

export PYTHON_CHECK := import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	"distilro needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + \
	". Nothing was installed. Name another one: make run PYTHON=python3.12")

# Torch comes without its dependencies first: those that every build needs are in the lock, with
# hashes; the libraries of a GPU build are fetched last, in the versions that torch itself pins.
$(ENVIRONMENT):
	@command -v $(PYTHON) > /dev/null || { \
		echo "$(PYTHON) is not there: distilro needs Python 3.11 or newer with pip." >&2; exit 1; }
	@$(PYTHON) -c "$$PYTHON_CHECK"
	@echo "== set-up: a new .venv"
	@$(PYTHON) -m venv --clear .venv > /dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python .venv/bin/python install --quiet pip; }
	@echo "== set-up: $(TORCH) from $(or $(TORCH_INDEX),the package index)"
	$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	@echo "== set-up: the $$(grep -c == requirements.lock) packages of requirements.lock (minutes)"
	$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@echo "== set-up: the GPU libraries of this build of torch, where it has any"
	@$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	@printf '%s\n' $(if $(filter-out $(PINNED_TORCH),$(TORCH)),'TORCH ?= $(TORCH)') \
		$(if $(TORCH_INDEX),'TORCH_INDEX ?= $(TORCH_INDEX)') > .venv/torch.mk
	@touch $@

# Versions that still fit are kept; `make lock ARGS=--upgrade` looks for new ones.
lock:  ## requirements.lock anew from pyproject.toml
	$(PYTHON) -m venv --clear build/uv
	build/uv/bin/python -m pip install --quiet uv==0.13.8
	build/uv/bin/uv pip compile pyproject.toml --quiet --extra dev --universal --generate-hashes \
		--no-emit-package torch --custom-compile-command 'make lock' -o requirements.lock $(ARGS)
