# `make` lists the commands. Needed: git, make and Python 3.11 or newer with its venv module.

# PYTHON=... chooses another interpreter, PIP_ARGS=... passes options to pip.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(shell \
	$(p) -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print("$(p)")' 2>/dev/null)))
BIN := .venv/bin

# Without it, every kernel and every test's process would compile all that it imports, PyTorch included.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup fingerprints book book-full links test lint faults clean elmo
.PHONY: results-aviary results-birds results-text results-benchmark results-studies
.DELETE_ON_ERROR:

help:
	@echo "make book    run the notebooks on the aviary and build the book (no downloads of data)"
	@echo "make book-full DATA=DIR        everything that the book shows, measured here, then the book (a day or two)"
	@echo "make links   check every address on the web that the book points to"
	@echo "make test    style, types, tests and notebooks, at small sizes"
	@echo "make lint    style and types only"
	@echo "make faults  the tests of faults, many times over: results/faults.json (15 minutes)"
	@echo "make fingerprints   what today's code gives, after a change of results that is meant (CONTRIBUTING.md)"
	@echo "make setup   install everything into .venv (the others do it when needed)"
	@echo "make results-aviary            train and measure what results/training holds (about an hour)"
	@echo "make results-text DATA=DIR     text encoders on CUB: results/text_encoders (about two hours)"
	@echo "make results-benchmark DATA=DIR   every method of the tables on CUB: results/benchmark (some hours)"
	@echo "make results-birds DATA=DIR DESCRIPTORS=FILE   the run that ships, and its model card (two hours)"
	@echo "make results-studies           the experiments on the aviary: results/gamma_mu, conditioning, ... (a day)"
	@echo "make elmo DATA=DIR NAME=cub    put ELMo's embeddings of a dataset's texts into the cache"
	@echo "make clean   remove .venv, the book and every cache"

setup: .venv/installed

# pip reports errors only (-qq), and leaves compiling to the first import, which few of the files ever see.
.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found: install one or say PYTHON=..."; exit 1; }
	@echo "Installing into .venv (once, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check $(PIP_ARGS) \
		-c constraints.txt -e '.[book,dev,onnx,glove]'
	@touch $@

# Executed notebooks are kept as long as their cells do not change; what they import and read counts too.
# OUT=... is another folder for _build, BOOK_FLAGS=... options of jupyter-book.
OUT := book
$(OUT)/_build/inputs: .venv/installed $(shell find $(wildcard n3lib configs results) -name '*.py' -o -name '*.yaml' -o -name '*.json' -o -name '*.safetensors')
	@rm -rf $(@D) && mkdir -p $(@D) && touch $@

# Chapter 0 trains the network of the others. These then run side by side, one for each core.
JCACHE = JUPYTERCACHE=$(OUT)/_build/.jupyter_cache $(BIN)/python book/execute.py
book: $(OUT)/_build/inputs
	@mkdir -p $(OUT)/_build/.jupyter_cache
	$(JCACHE) notebook add notebooks/00_*.ipynb && $(JCACHE) project execute --timeout 900
	$(JCACHE) notebook add notebooks/*.ipynb && \
	  OMP_NUM_THREADS=1 $(JCACHE) project execute --executor local-parallel --timeout 900
	$(BIN)/jupyter-book build $(BOOK_FLAGS) --path-output $(OUT) book/
	@echo "The book: $(abspath $(OUT)/_build/html/index.html)"

# What results/ holds is kept: delete a file to have it made again.
book-full: setup
	@test -n "$(DATA)" || { echo "make book-full needs DATA=DIR, a folder with CUB-200-2011 and its texts:"; \
	  echo "  n3 data download cub --root DIR, then n3 data describe cub --root DIR --section all --contact ADDRESS"; \
	  echo "and the weights of ResNet-18 and of a text encoder, downloaded once (or CUB_ARGS=... for files of yours)."; \
	  echo "NABirds, AwA2 and Oxford Flowers are run by n3 table table2 --dataset NAME. It takes a day or two on two"; \
	  echo "processor cores, a few hours with a GPU, and goes on where it was stopped."; exit 1; }
	$(MAKE) results-aviary results-studies
	$(MAKE) results-benchmark results-text
	$(BIN)/n3 bench
	N3_DATA_ROOT="$(DATA)" $(MAKE) book

links: book
	$(BIN)/jupyter-book build --builder linkcheck book/

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	N3_CI=1 $(BIN)/python -m pytest --nbval-lax --nbval-current-env tests notebooks

faults: setup
	N3_FAULTS=results/faults.json $(BIN)/python -m pytest tests/faults
	for what in json config archive; do $(BIN)/python tests/faults/fuzz.py $$what -max_total_time=60 || exit 1; done

fingerprints: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m n3lib.experiments.fingerprints results

# What results/ has of an experiment is not measured again, and a finished run is not trained again.
results-aviary: setup
	$(BIN)/n3 study training

# CUB_ARGS=... passes settings on, such as --text.encoder=FOLDER --backbone.weights=FILE for local files.
results-text: setup
	$(BIN)/n3 study text-encoders --data-root "$(DATA)" $(CUB_ARGS)

# The scales of N3 and its controls, chosen per split; then every method, three seeds, on the splits of Table 2 and Figure 5.
# Then what N3's settings are worth, and N3 on another network (LITE0_ARGS: as CUB_ARGS, with that one's weights).
results-benchmark: setup
	$(BIN)/n3 study selection --data-root "$(DATA)" $(CUB_ARGS)
	$(BIN)/python -m n3lib.experiments.selection
	$(BIN)/n3 table table2 --dataset cub --data-root "$(DATA)" $(CUB_ARGS)
	$(BIN)/n3 table sce --dataset cub --data-root "$(DATA)" $(CUB_ARGS)
	$(BIN)/n3 table table6 --dataset cub --data-root "$(DATA)" $(CUB_ARGS)
	$(BIN)/n3 study ablation --data-root "$(DATA)" $(CUB_ARGS)
	$(BIN)/n3 study equivalence --data-root "$(DATA)" $(CUB_ARGS)
	for table in table2 sce; do \
	  $(BIN)/n3 table $$table --dataset cub --config configs/benchmark-lite0.yaml -o results/benchmark/lite0 \
	    --method exem --method n3 --method n3-constant --method finetune --data-root "$(DATA)" $(LITE0_ARGS) || exit 1; \
	done

# The run that ships. DESCRIPTORS: descriptors_cub.json of Menon and Vondrick (2023), as published.
# CUB_ARGS: --backbone.weights=FILE for local weights.
results-birds: setup
	$(BIN)/python -m n3lib.experiments.ship "$(DATA)" "$(DESCRIPTORS)" $(CUB_ARGS)

# The experiments on the aviary, three seeds each.
results-studies: setup
	for name in mu conditioning dialects; do $(BIN)/n3 study $$name || exit 1; done
	for name in googlenet resnet18 squeezenet1_1; do file=runs/backbones/$$name.safetensors; \
	  test -e $$file || $(BIN)/n3 data backbone --name $$name -o $$file || exit 1; done
	$(BIN)/n3 study backbones
	$(BIN)/n3 search configs/aviary.yaml -o runs/search/aviary --train.steps=120 --train.every=60

# AllenNLP, which runs ELMo, needs an environment of its own. The others then find its embeddings in the cache.
.venv-elmo/installed: pyproject.toml requirements-elmo.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found: install one or say PYTHON=..."; exit 1; }
	@echo "Installing ELMo into .venv-elmo (once, a minute or two) ..."
	@test -x .venv-elmo/bin/python || $(PYTHON) -m venv .venv-elmo
	@.venv-elmo/bin/python -m pip install -qq --no-compile --no-deps --disable-pip-version-check $(PIP_ARGS) \
		-r requirements-elmo.txt -e .
	@touch $@

# ELMO=... is a folder with options and weights (default: the original model, downloaded once), CONTEXT=... is
# sentence or paragraph (default), ELMO_ARGS=... passes options on, such as --text FILE. On two CPU cores the
# original model takes some two hours for the 175,000 tokens of articles about the classes of CUB.
elmo: .venv-elmo/installed
	.venv-elmo/bin/n3 data embed $(or $(NAME),cub) --root "$(DATA)" --encoder "elmo$(if $(ELMO),:$(ELMO))" \
		--context $(or $(CONTEXT),paragraph) $(ELMO_ARGS)

clean:
	rm -rf .venv .venv-elmo .pytest_cache .mypy_cache .ruff_cache book/_build build *.egg-info
