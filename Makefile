.DEFAULT_GOAL := help
VENV ?= .venv
TUNE_VENV ?= .venv-tune
DOCS_VENV ?= .venv-docs
BIN := $(VENV)/bin
SHARED := $(BIN)/python -m pytest -m "not vllm and not slurm and not ray" -n auto --maxprocesses 8 --dist loadfile

.PHONY: help setup demo tune-env test coverage same architecture docs style format bench mutants sparse lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install the pinned CPU environment into .venv (idempotent)
	@VENV=$(VENV) requirements/setup.sh

demo: setup ## Run the main job on real parts: ML-100K, SmolLM2 in vLLM, MiniLM, LLMRec, report
	$(BIN)/augrec run configs/ml-100k/demo.yaml

tune-env: ## Install the environment of instruction tuning into .venv-tune (idempotent; 1.4 GB; only the stage tune needs it)
	@TUNE_VENV=$(TUNE_VENV) requirements/tune.sh

# The real engine, the real SLURM and the real Ray each want the whole machine; the rest shares its cores.
test: setup style ## Lint, type-check and run every test
	$(SHARED) --durations 10
	$(BIN)/python -m pytest -m "vllm or slurm or ray" --durations 5

coverage: setup ## Say which share of the lines is run by tests without a real engine, SLURM or Ray
	$(SHARED) --cov --cov-report=
	@echo "lines run by tests without a real engine, SLURM or Ray: $$($(BIN)/coverage report --format=total) %"

same: setup ## Prove that results are those of another revision (BASE=revision, HEAD by default)
	$(BIN)/python tests/same $(BASE)

architecture: setup ## Draw the picture of docs/architecture.md from the imports
	$(BIN)/python docs/architecture_picture.py

docs: setup ## Build the site of the documents into site/ (fails on a link that leads nowhere)
	@DOCS_VENV=$(DOCS_VENV) requirements/docs.sh
	$(BIN)/python docs/reference.py docs/reference
	$(DOCS_VENV)/bin/mkdocs build --strict --quiet

style: setup ## Check format, lint, types, the dependency rule, and that no import goes round
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.import_circles

format: setup ## Format the code and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Run all benchmarks (AMAZON=folder adds the anchors); fails when one misses its target
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/bench.txt
	AMAZON=$(AMAZON) $(BIN)/python -m benchmarks.all

mutants: setup ## Plant small faults one at a time and list those that no test notices (hours; for the night)
	$(BIN)/python tests/mutants

sparse: setup ## Install the optional torch-sparse backend (compiles ten minutes the first time, needs a C++ compiler)
	@VENV=$(VENV) requirements/sparse.sh

lock: setup ## Resolve the pins of all environments again from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	PYTHON=$(BIN)/python requirements/lock.sh

clean: ## Remove the environment, caches and runs
	rm -rf $(VENV) $(TUNE_VENV) $(DOCS_VENV) site docs/reference runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
