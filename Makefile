# `make compare` and `make test`: each does all of its own set-up in .venv.
#   PYTHON=python3.12     another interpreter, 3.11 to 3.13
#   TORCH="torch==2.11.0" another torch build; extra pip arguments may follow, such as --index-url URL
#   RUN_DIR=runs/mine     another run directory for `make compare`; an existing run is continued
#
# Disk: about 2 GB with a torch without CUDA, 10 GB with it. Time: 2 to 6 minutes to install, then 5 to
# 10 minutes each on 2 processor cores without an accelerator; with one it has not been measured.

PYTHON ?= python3
TORCH ?=
export TORCH
RUN_DIR ?= runs/smoke
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help compare test soak machine
help:
	@echo "make compare   install into .venv, run 'nas run smoke' (minutes), say where the report is"
	@echo "make test      install into .venv, run the tests (minutes)"
	@echo "make soak      install into .venv, measure what intervals cover and what a run costs, hurt 30 runs in nine ways,"
	@echo "               write docs/coverage.md and docs/faults.md (two hours)"

compare: $(VENV)/nas
	@$(BIN)/nas run smoke --run-dir $(RUN_DIR) --resume

test: $(VENV)/dev
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# By hand, where an estimator or the engine changed; the results are kept in docs/ with date and commit.
soak: $(VENV)/dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage --replications 1000 --processes 2 --write
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.nas.coverage_across
	@$(BIN)/python benchmarks/report_at_scale.py
	@$(BIN)/python -m tests.nas.faults --count 30 --seed 0 --write
	@$(BIN)/python -m tests.nas.exporting.soak --designs 5
	@$(BIN)/python benchmarks/export.py
	@$(BIN)/python benchmarks/overhead.py
	@$(BIN)/python benchmarks/scale.py --threads
	@$(BIN)/python -m benchmarks.resume --repeats 1
	@$(if $(KUBERAY_CRD),$(BIN)/python -m tests.kuberay,echo "KUBERAY_CRD is not set: docs/cluster/rayjob.yaml not checked by it")

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
