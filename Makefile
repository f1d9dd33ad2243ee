# From a clean clone, with Python 3.11 or newer and make:
#
#   make demo    train and test the Recurrent Attention Model on translated digits
#   make test    the tests            (PYTEST_ARGS='-m slow' for the slow ones, '-m ""' for all)
#                                     (JOBS=8: so many at a time; JOBS=0: in one process)
#   make fuzz    hostile input for every reader, a minute each (SECONDS=3600: an hour each)
#   make lint    style and types
#   make docs    the pages that come from the code
#   make clean   remove what these made, runs excepted
#
# PYTHON=/path/to/python3.12 chooses the interpreter, EXTRAS=dev,human,video,report what is
# installed beside the core for the tests.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= dev
PYTEST_ARGS ?=
JOBS ?= 2
SECONDS ?= 60
TARGET ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint docs clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed
	$(BIN)/saccade train configs/ram_translated_digits.yaml --evaluate test

test: $(VENV)/.installed-$(EXTRAS)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(PYTEST_ARGS)

# TARGET=idx takes one reader; tests/fuzz/run.py says what becomes of what is found.
fuzz: $(VENV)/.installed-dev,fuzz
	$(BIN)/python tests/fuzz/run.py $(TARGET) --seconds $(SECONDS)

# mypy goes by folder names: the link gives the checkout its import name, whatever it is called.
lint: $(VENV)/.installed-$(EXTRAS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p $(VENV)/named && ln -sfn "$(CURDIR)" $(VENV)/named/saccade
	MYPYPATH=$(VENV)/named $(BIN)/mypy --package saccade

docs: $(VENV)/.installed-$(EXTRAS)
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) build saccade.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Each mark is touched only after its step went through, so that an interrupted one runs again.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Saccade needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
	       "make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV): PyTorch is large, the first time takes minutes."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-$(EXTRAS): $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV): PyTorch is large, the first time takes minutes."
	$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev,fuzz: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev,fuzz]'
	@touch $@ $(VENV)/.installed
