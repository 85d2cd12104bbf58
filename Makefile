# `make` lists the commands. Needed: git, make and Python 3.11 or newer with its venv module.

# PYTHON=... chooses another interpreter, PIP_ARGS=... passes options to pip.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(shell \
	$(p) -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print("$(p)")' 2>/dev/null)))
BIN := .venv/bin

.PHONY: help setup book test lint clean
.DELETE_ON_ERROR:

help:
	@echo "make book    run the notebooks on the aviary and build the book (no downloads of data)"
	@echo "make test    style, types, tests and notebooks, at small sizes"
	@echo "make lint    style and types only"
	@echo "make setup   install everything into .venv (the others do it when needed)"
	@echo "make clean   remove .venv, the book and every cache"

setup: .venv/installed

# pip reports errors only (-qq), and leaves compiling to the first import, which few of the files ever see.
.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found: install one or say PYTHON=..."; exit 1; }
	@echo "Installing into .venv (once, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check $(PIP_ARGS) \
		-c constraints.txt -e '.[book,dev,onnx,timm,glove]'
	@touch $@

# Executed notebooks are kept as long as their cells do not change; what they import and read counts too.
book/_build/inputs: .venv/installed $(shell find $(wildcard n3lib configs results) -name '*.py' -o -name '*.yaml' -o -name '*.json' -o -name '*.safetensors')
	@rm -rf $(@D) && mkdir -p $(@D) && touch $@

book: book/_build/inputs
	$(BIN)/jupyter-book build book/
	@echo "The book: $(CURDIR)/book/_build/html/index.html"

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	N3_CI=1 $(BIN)/python -m pytest --nbval-lax --nbval-current-env tests notebooks

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache book/_build build *.egg-info
