# make train   install, then train on the 8x8 digits (the main job)
# make test    install, then run the tests of library and laboratory, without the slow ones
# make check   install, then formatting, linting, types and spelling
# make full    install, then run all tests, the slow ones too, with coverage, make campaigns, and on
#              Linux make sanitize
# make campaigns  install, then damage files, kill trainings and try extreme numbers, as often as
#              docs/reliability.md says (two hours)
# make sanitize  install, then test the kernel on builds that stop at bad memory accesses
# make site    install, then build the documentation into docs/_build/html; a warning is an error
# make wheel   build dist/*.tar.gz and dist/*.whl, and test the wheel in an environment of its own
# Each works from a bare clone: it needs python3 (3.11 or later), pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet -c constraints.txt
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4

.PHONY: train test check site links full campaigns sanitize wheel clean

train: $(VENV)/run.stamp
	$(BIN)/sqsnn train digits

test: $(VENV)/dev.stamp
	$(PYTEST)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/codespell

site: $(VENV)/dev.stamp
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

links: $(VENV)/dev.stamp
	SQSNN_LINKS=1 $(BIN)/python -m sphinx -q -W --keep-going -b linkcheck docs docs/_build/links

full: $(VENV)/dev.stamp
	$(PYTEST) -m "slow or not slow" --cov=sqsnn --cov=sqsnn_bench --cov-report=term:skip-covered
	$(MAKE) campaigns
ifeq ($(shell uname),Linux)
	$(MAKE) sanitize
endif

campaigns: $(VENV)/dev.stamp
	$(BIN)/python tests/campaigns/readers.py --files 60000
	$(BIN)/python tests/campaigns/datasets.py --files 60000
	$(BIN)/python tests/campaigns/spikes.py --files 60000
	$(BIN)/python tests/campaigns/folders.py --mutations 10000
	$(BIN)/python tests/campaigns/kills.py
	$(BIN)/python tests/campaigns/pairs.py
	$(BIN)/python tests/campaigns/disk_full.py
	$(BIN)/python tests/campaigns/jobs.py
	$(BIN)/python tests/campaigns/leaks.py --every 1
	$(BIN)/python tests/campaigns/extremes.py --cases 10000 --steps 100000

sanitize: $(VENV)/dev.stamp
	$(BIN)/python tests/campaigns/sanitize.py

wheel: $(VENV)/torch.stamp
	$(INSTALL) --group wheel
	$(BIN)/python tests/campaigns/wheel.py

clean:
	rm -rf $(VENV)

# The system's own pip fills the environment, pinned pip included: Debian's python3 comes without
# ensurepip. Torch goes first, alone, so that the constrained build is the one that is taken, and
# setuptools with it, so that building sqsnn below needs nothing that is not pinned.
$(VENV)/torch.stamp: constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("sqsnn needs Python 3.11 or later, but $(PYTHON) is " + sys.version.split()[0] + ": call make PYTHON=...")'
	@echo "Installing into $(VENV): a few minutes the first time."
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet -c constraints.txt pip
	$(INSTALL) setuptools torch
	touch $@

KERNEL := setup.py $(wildcard src/sqsnn/native/*.h src/sqsnn/native/*.cpp)

$(VENV)/run.stamp: $(VENV)/torch.stamp pyproject.toml $(KERNEL)
	$(INSTALL) --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml bench/pyproject.toml $(KERNEL)
	$(INSTALL) --no-build-isolation -e '.[dev]' -e './bench[slurm,spikes]'
	touch $@ $(VENV)/run.stamp
