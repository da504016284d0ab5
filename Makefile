# `make run` improves the sample repository and shows it; `make test` proves the project. Both set up what they need.
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help setup run test coverage slow check unit bench mutants clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## make .venv with the bullpen command in it
	@bash scripts/setup

run: setup ## improve the sample repository and show the result
	@bash scripts/run_sample

test: ## checks, unit, contract, integration and end-to-end tests; without the slow ones
	@bash scripts/test

coverage: ## every test, with lines and branches counted; at least 90 %
	@bash scripts/test --coverage

slow: setup ## the slow tests alone: whole sessions, kills, Docker, 100,000 files
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m slow

check: setup ## the fast gates: format, lint, types, import contracts
	@bash scripts/check

unit: setup ## the fast tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "not slow" $(foreach folder,e2e chaos cli contract,--ignore=tests/$(folder))

bench: setup ## comparisons with peers and with the physical limit, as ratios
	@$(BIN)/python -m bench

mutants: setup ## break the core on purpose, and count how many breaks the tests notice
	@$(BIN)/python -m bench.mutants

clean: ## remove what setup and tests made
	rm -rf $(VENV) .programs .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov
