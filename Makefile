# Everything here needs only Python 3.11+, make and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cat requirements/dev.txt pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)

.PHONY: help setup compiled demo check format test integration soak bench lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make the virtual environment from the lock file

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned packages into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: setup ## Four nodes act as one validator on a development chain
	@$(BIN)/tetrarch demo $(ARGS)

check: setup ## What pre-commit and CI check: format, lint, types, import layers
	@$(BIN)/ruff format --check src tests bench examples
	@$(BIN)/ruff check src tests bench examples
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup ## Format the code
	@$(BIN)/ruff format src tests bench examples
	@$(BIN)/ruff check --fix src tests bench examples

# Processes start by the hundred: where PYTHONDONTWRITEBYTECODE is set, each would compile all again.
compiled: setup
	@$(BIN)/python -m compileall -q src tests bench

test: compiled ## Fast tier: Python packages only, under 15 minutes on two cores
	@$(BIN)/pytest -n 2 --dist worksteal -m "not integration and not soak" $(ARGS)

integration: compiled ## Real processes and peers, more seeds, under 45 minutes
	@PYTHON=$(BIN)/python tests/integration/install_peers.sh
	@PYTEST=$(BIN)/pytest tests/integration/run.sh $(ARGS)

soak: setup ## As long as you like: SIM_SEEDS=100000 make soak
	@$(BIN)/pytest -n 2 -m "soak" --timeout 0 $(ARGS)

bench: setup ## Print the benchmark tables and write bench/results/*.json
	@$(BIN)/python -m bench

lock: setup ## Renew the lock files from requirements/*.in
	@cd requirements && for name in dev runtime; do ../$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe \
	  --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o $$name.txt $$name.in; done

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
