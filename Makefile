# Every target makes a virtual environment where it is missing, and installs into it what it needs, once.

PYTHON ?= python3
# Where the virtual environment is made; another one for each Python that is tried.
VENV ?= .venv
# Tried by test-all: those of 3.11 to 3.14 that are installed.
PYTHONS ?= $(foreach minor,11 12 13 14,$(if $(shell python3.$(minor) -V 2>/dev/null),python3.$(minor)))

# Real galaxies, where they lie beside the project; empty counts as absent.
PECULIAR_DATA ?= $(wildcard ../shared/data)
# Made absolute, since tests work in folders of their own; a name that is no folder stays as it is.
override PECULIAR_DATA := $(if $(PECULIAR_DATA),$(or $(shell CDPATH= cd "$(PECULIAR_DATA)" 2>/dev/null && pwd),$(PECULIAR_DATA)))
export PECULIAR_DATA

# What the model that ships is trained on.
GALAXIES = $(PECULIAR_DATA)/stamps $(PECULIAR_DATA)/odd_native.parquet

# Where runs are kept, and how many simulated galaxies are drawn for training, each as two looks show it.
RUNS ?= runs
SIMULATED ?= 6000
LOOKS = $(RUNS)/simulated/any.parquet $(RUNS)/simulated/random.parquet

# Compiling every module would take more than half of an installation; Python compiles what is imported, once, and here
# keeps it, also where it is told otherwise.
export PYTHONDONTWRITEBYTECODE :=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: demo test coverage test-all test-kernels test-slow screenshots fuzz train train-looks lint format docs site release-check clean help

demo: $(VENV)/.installed-demo ## run the exercise from beginning to end; open demo/index.html afterwards
	$(BIN)/peculiar demo --out demo

test: lint ## check style, types, imports and dependencies, then run the tests
	$(BIN)/pytest -n 2 -m "not slow"

# Apart from `test`, because tests take half as long again while every branch is traced.
coverage: $(VENV)/.installed-dev ## run all tests, also the slow ones, and fail if they pass through less than 97 % of the branches
	$(BIN)/pytest -n 2 --cov --cov-report=term --cov-fail-under=97

test-kernels: $(VENV)/.installed-dev ## run the tests as other processors compute, in five random orders
	$(BIN)/python tests/kernels.py

test-all: ## run the tests with each of PYTHONS, in virtual environments of their own
	@for python in $(PYTHONS); do \
		echo "== $$python" && $(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$(basename $$python) || exit 1; \
	done

test-slow: $(VENV)/.installed-dev ## run the tests that take longer than five seconds
	$(BIN)/pytest -m slow

screenshots: $(VENV)/.installed-dev ## show every labelling page at three widths, light and dark, as pictures in build/screenshots
	SCREENSHOTS=$(CURDIR)/build/screenshots $(BIN)/pytest -n 0 -m slow -k screenshots tests/labelling/test_browser.py

fuzz: $(VENV)/.installed-dev ## read damaged files for hours: FUZZ_COUNT of them for each reader, another FUZZ_SEED each time
	FUZZ_COUNT=$${FUZZ_COUNT:-200000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -n 0 -m slow -k damaged $(wildcard tests/test_fuzz*.py)

train: $(VENV)/.installed-train ## train the model that ships, on $PECULIAR_DATA; six hours on two cores, goes on after a stop
	$(BIN)/peculiar train $(GALAXIES) --question galaxy --from scratch --body residual --width 48 --precision bf16 \
		--learning-rate 0.003 --epochs 26 --seed 222 --out runs/first --resume
	$(BIN)/peculiar export runs/first --out runs/first.onnx
	$(BIN)/peculiar train $(GALAXIES) --question galaxy --from scratch --body residual --width 48 --precision bf16 \
		--learning-rate 0.003 --epochs 30 --seed 444 --teacher runs/first.onnx --out runs/second --resume
	$(BIN)/peculiar export runs/second --out runs/second.onnx
	$(BIN)/peculiar train $(GALAXIES) --question galaxy --seed 333 --out runs/third --resume
	$(BIN)/peculiar export runs/third --out runs/third.onnx
	$(BIN)/peculiar train $(GALAXIES) --question galaxy --teacher runs/second.onnx --teacher runs/third.onnx \
		--seed 555 --epochs 20 --out runs/galaxy --resume
	$(BIN)/peculiar export runs/galaxy --out runs/galaxy.onnx --licence "BSD-3-Clause AND Apache-2.0" \
		--credit "Galaxy Zoo 1: Lintott et al. 2011, MNRAS 410, 166" \
		--credit "Galaxy Zoo 2: Willett et al. 2013, MNRAS 435, 2835; Hart et al. 2016, MNRAS 461, 3663" \
		--credit "Galaxy Zoo DECaLS: Walmsley et al. 2022, MNRAS 509, 3966" \
		--credit "Galaxy Challenge: Kaggle 2014" \
		--credit "EfficientNet-lite0: Tan & Le 2019, arXiv:1905.11946; begun with weights learned on ImageNet (Apache-2.0)" \
		--credit "Pictures: Sloan Digital Sky Survey; DESI Legacy Imaging Surveys"
	$(BIN)/peculiar calibrate $(GALAXIES) --model runs/galaxy.onnx --eight-bits --embedding 384 --out runs/galaxy.onnx

$(LOOKS): | $(VENV)/.installed-train
	mkdir -p $(@D)
	$(BIN)/peculiar data get mock --look $(basename $(notdir $@)) --count $(SIMULATED) --size 192 --context 2 --seed 222 --out $@

train-looks: $(VENV)/.installed-train $(LOOKS) ## train a candidate in RUNS, also on simulated galaxies, with two extents; goes on after a stop
	$(BIN)/peculiar train $(GALAXIES) $(LOOKS) --question galaxy --from galaxy --context 2 --embedding 384 \
		--consistency 0.2 --epochs 3 --seed 666 --out $(RUNS)/looks --resume
	$(BIN)/peculiar export $(RUNS)/looks --out $(RUNS)/looks.onnx --views 1
	$(BIN)/peculiar calibrate $(GALAXIES) --model $(RUNS)/looks.onnx --eight-bits --out $(RUNS)/looks.onnx

lint: $(VENV)/.installed-dev ## check style, types, imports and dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: $(VENV)/.installed-dev ## put the code into the one style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev ## renew what is generated: docs/cli.md, models.md, modules.md, architecture.svg, gallery.svg and mock.svg
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_models.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_gallery.py
	$(BIN)/python docs/make_mock.py

site: $(VENV)/.installed-site ## build the site; open build/site/index.html afterwards. Warnings and broken links fail
	$(BIN)/python -m sphinx -q -n -W --keep-going docs build/site

release-check: site $(VENV)/.installed-dev $(VENV)/.installed-release ## check all that a release needs: tests, site, sdist and wheel in dist
	$(MAKE) --no-print-directory lint coverage
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean: ## remove what the other targets made, except .venv
	rm -rf demo build dist docs/api .coverage .coverage.* coverage.xml
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "peculiar needs Python 3.11 or later, and $(PYTHON) is none; name one, as in: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Installed again when the dependencies change.
$(VENV)/.installed-demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[exercise]'
	@touch $@

$(VENV)/.installed-train: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[train,pretrained,fast]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) 'pip>=25.1' # the first that knows --group
	$(INSTALL) -e '.[all]' --group dev
	@touch $@

$(VENV)/.installed-release: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) 'pip>=25.1' # the first that knows --group
	$(INSTALL) --group release
	@touch $@

$(VENV)/.installed-site: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) 'pip>=25.1' # the first that knows --group
	$(INSTALL) -e '.[all]' --group docs
	@touch $@
