# Everything runs in an environment of its own: `make demo` and `make test` make it, keep it, and renew it when
# pyproject.toml or constraints.txt change. Another Python: make demo PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq -c constraints.txt
NEEDS := pyproject.toml constraints.txt

.PHONY: help demo test fuzz test-gpu check lint types unit clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    a study on real data, from install to report, in about a minute after the install"
	@echo "make test    linters and all tests"
	@echo "make lint    ruff;  make types: mypy;  make unit: the tests that take seconds;  make check: these three"
	@echo "make fuzz    random models of each framework: their opened baselines answer as they do (minutes)"
	@echo "make test-clocks  each test that judges a clock or a load, 30 times in a row beside two busy loops (hours)"
	@echo "make test-gpu  the GPU meter on a real NVIDIA GPU, recorded in benchmarks/results; skipped where there is none"
	@echo "make clean   remove the environment and caches"

demo: $(VENV)/.demo
	@$(BIN)/trimwatt demo

# a file's tests share what is dear to make, so they stay together; files with slow tests come first (tests/conftest.py)
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test lint types
	@$(PYTEST) --durations 15

check: lint types unit

lint: $(VENV)/.test
	@echo "ruff: checking the style"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.test
	@echo "mypy: checking the types"
	@$(BIN)/mypy

unit: $(VENV)/.test
	@$(PYTEST) -q -m "not slow"

# every test that judges a clock or a load, 30 times in a row beside two busy loops; takes hours, in pieces if need be:
# what has passed is kept in the record, and the next call goes on from there
test-clocks: $(VENV)/.test
	@$(BIN)/python tests/tools/clock_tests.py --record benchmarks/results/clocks.json

# a tenth of it runs in `make test`
fuzz: $(VENV)/.test
	@$(BIN)/python tests/fuzz/fuzz.py -o benchmarks/results/fuzz.json

# loads the GPU with PyTorch where that has CUDA, else with a kernel that nvcc compiles
test-gpu: $(VENV)/.test
	@$(BIN)/python -m pytest -m gpu -s tests/gpu

# torch stays pinned by the constraints: left free, other packages pull gigabytes of CUDA
$(VENV)/.demo: $(VENV)/.made $(NEEDS)
	@echo "installing what the demo needs into $(VENV) (about a minute, once)"
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.made $(NEEDS)
	@echo "installing trimwatt with all extras and its tools into $(VENV) (a few minutes, once)"
	@$(PIP) -e '.[all,test]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "trimwatt needs Python 3.11 or newer, $(PYTHON) is older or not there;" \
	       "name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "making an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
