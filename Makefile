# `make compare` and `make test`: each does all of its own set-up in .venv.
#   PYTHON=python3.12     another interpreter, 3.11 to 3.13
#   TORCH="torch==2.11.0" another torch build; extra pip arguments may follow, such as --index-url URL

PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help compare test machine
help:
	@echo "make compare   install into .venv, run 'nas run smoke' (minutes), say where the report is"
	@echo "make test      install into .venv, run the tests"

compare: $(VENV)/nas
	@$(BIN)/nas run smoke --run-dir runs/smoke --resume

test: $(VENV)/dev
	@$(BIN)/python -m pytest

machine:
	@$(PYTHON) .ci/machine.py

# The versions that were tested; a torch of the user's own choice is left alone.
$(VENV)/constraints.txt: constraints.txt | machine
	@$(PYTHON) -m venv $(VENV)
	@$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH))
	@$(if $(TORCH),grep -v '^torch==' constraints.txt,cat constraints.txt) > $@

$(VENV)/nas: $(VENV)/constraints.txt pyproject.toml
	@echo "installing into $(VENV) (minutes the first time)"
	@$(BIN)/python -m pip install --quiet --constraint $< --editable .
	@touch $@

$(VENV)/dev: $(VENV)/nas
	@$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[dev]'
	@touch $@
