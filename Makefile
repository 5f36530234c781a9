# One command per wish. `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install -q --python $(BIN)/python
.DEFAULT_GOAL := help
.PHONY: help setup fmt lint types check test test-all laws cover bench exactly-once ledger judges fuzz golden mutation notebooks docs run image lock fresh clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.uv: requirements-uv.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

# What running needs: the runtime lock and an editable install.
$(VENV)/.run: $(VENV)/.uv requirements.lock pyproject.toml
	$(UV) --require-hashes -r requirements.lock
	$(UV) --no-build-isolation --no-deps -e .
	@touch $@

# What developing needs besides.
$(VENV)/.ok: $(VENV)/.run requirements-dev.lock
	$(UV) --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.ok ## Virtual environment from the hash locks, editable install

run: $(VENV)/.run ## The whole platform on the embedded default: opens the demo
	$(BIN)/zion demo $(ARGS)

fmt: setup ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Style, import contracts, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

types: setup ## Type checker
	$(BIN)/pyrefly check

check: lint types ## What must hold before a commit

test: setup ## Everything quick
	$(BIN)/pytest -q -n 2 --dist loadgroup -m "not slow and not testnet" $(ARGS)

test-all: setup ## Everything but the real exchange, slow proofs included
	$(BIN)/pytest -q -n 2 --dist loadgroup -m "not testnet" $(ARGS)

laws: setup ## The laws, with many more examples
	ZION_HYPOTHESIS_PROFILE=deep $(BIN)/pytest -q -n 2 -m laws $(ARGS)

cover: setup ## Coverage: the engine as plain Python, the rest as it runs
	NUMBA_DISABLE_JIT=1 ZION_HYPOTHESIS_PROFILE=uncompiled $(BIN)/pytest -q -n 2 -m "not slow" -W "ignore::RuntimeWarning" --cov --cov-report= --ignore=tests/laws/test_mutants.py --ignore=tests/laws/test_uncompiled.py tests/engine tests/laws $(ARGS)
	$(BIN)/pytest -q -n 2 --dist loadgroup -m "not slow and not testnet and not browser" --cov --cov-append --cov-report=term --ignore=tests/engine --ignore=tests/laws $(ARGS)

SHARE ?= 0.25
SEED ?= 1

mutation: setup ## Mutants of risk, ledger, order machine: SHARE of them by SEED; table in var/mutation.txt
	$(BIN)/python -m tests.mutation --share $(SHARE) --seed $(SEED) $(ARGS)

bench: setup ## Speed, each figure beside its reference
	$(BIN)/zion bench detect
	$(BIN)/zion bench lake
	$(BIN)/zion bench live
	$(BIN)/zion bench orders

SEEDS ?= 20000
FILLS ?= 1000000

exactly-once: setup ## SEEDS seeded runs of the client against the simulator; planted bugs found
	$(BIN)/zion prove exactly-once --seeds $(SEEDS) $(ARGS)

ledger: setup ## FILLS executions booked twice: wallet and profit equal to the last digit
	$(BIN)/zion prove ledger --fills $(FILLS) $(ARGS)

golden: setup ## Write the golden files anew (look at the difference before committing)
	$(BIN)/python -m tests.golden.rewrite

notebooks: setup ## Execute the notebooks into var/notebooks/*.ipynb
	$(BIN)/python -m research.notebooks.execute

fuzz: setup ## Mutated frames and bodies through codec, venue and sockets: make fuzz N=1000000
	$(BIN)/python -m tests.fuzz --n $(or $(N),1000000) $(ARGS)

judges: setup ## Independent clients (ccxt, pybit, NautilusTrader, freqtrade) trade on `zion sim`; table and var/judges/report.json
	$(BIN)/python -m tests.judges $(ARGS)

docs: setup ## Check that every setting, command and link in the documents is true
	$(BIN)/pytest -q tests/docs

image: ## Build the container image (needs a container engine)
	docker build -t zion-core .

lock: ## Compile the requirement locks anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock" requirements.in -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock" -c requirements.lock requirements-dev.in -o requirements-dev.lock

fresh: ## Clone into an empty folder, empty caches; seconds to the demo page and to passing tests
	$(PYTHON) tests/fresh.py

clean: ## Remove what can be made again
	rm -rf .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist htmlcov .coverage
