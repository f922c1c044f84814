# The everyday commands; `make` alone lists them.

VENV ?= .venv
BIN = $(VENV)/bin
ROOTS = $(CURDIR)/platform:$(CURDIR)/workers:$(CURDIR)/detectors:$(CURDIR)/cli:$(CURDIR)/migrations

# In three processes, since most of the time is waiting; in one: make check SIDE_BY_SIDE=
# A file's tests stay together, since they share what they start.
SIDE_BY_SIDE ?= -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help quickstart install test check lint fmt up down slow chaos soak mutants bench audit

help: ## List these commands
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

quickstart: ## Install and try everything on drawn screws; DATA=DIR: train on your own images
	@.ci/venv "$(VENV)" worker
ifeq ($(origin DATA),command line)
	"$(BIN)/adctl" up
	"$(BIN)/adctl" submit train --model patchcore --data "$(DATA)" --wait
else
	"$(BIN)/adctl" quickstart
endif

install: ## Make the virtual environment VENV (.venv), or bring it up to date
	@.ci/venv "$(VENV)" dev

test: install ## Install, then check: what CI runs
	@$(MAKE) --no-print-directory check

# The checkout's own roots come first, so that one virtual environment can serve several checkouts.
check lint slow chaos soak mutants bench: export PYTHONPATH = $(ROOTS)

check: lint ## Lint, types, imports and tests
	"$(BIN)/python" -m pytest $(SIDE_BY_SIDE)

lint: ## Lint, types and imports alone
	@test -x "$(BIN)/python" || { echo "no virtual environment at $(VENV); run: make install" >&2; exit 2; }
	"$(BIN)/ruff" check
	"$(BIN)/ruff" format --check
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

fmt: ## Repair what ruff can and format
	"$(BIN)/ruff" check --fix
	"$(BIN)/ruff" format

up: ## Start the services of this machine
	"$(BIN)/adctl" up

down: ## Stop them
	"$(BIN)/adctl" down

slow: ## Run the long tests
	"$(BIN)/python" -m pytest -m slow

chaos: ## Try to break every promise, on all stacks (ON=embedded, clustered, hosts: that alone)
	"$(BIN)/python" -m pytest -m "slow or not slow" tests/chaos -k "$(ON)"

soak: ## Fight for 1,000 jobs while everything is killed at random (ADCTL_SOAK_JOBS, _WORKERS, _SEED)
	"$(BIN)/python" -m pytest -s -m slow tests/chaos/test_soak.py -k "long_fight and clustered"

mutants: ## Take each promise's guard away and see its test turn red (ONLY="1 7": those)
	"$(BIN)/python" tests/mutants/mutate.py $(ONLY)

audit: ## Ask PyPI what is known against the pinned versions (needs a network)
	"$(if $(wildcard $(BIN)/python),$(BIN)/python,python3)" .ci/audit.py

bench: ## Measure (about 8 minutes); figures go on top of benchmarks/RESULTS.md
	"$(BIN)/python" benchmarks/platform.py
