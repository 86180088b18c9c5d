# `make help` lists what there is.
SHELL := /bin/bash
.DELETE_ON_ERROR:
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard $(addsuffix /*/pyproject.toml,shared services deploy)))
export UV_PYTHON_DOWNLOADS := never
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help setup lock tools demo up down status test quick check soak model mutants bench events
.PHONY: topology docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/ready ## make the virtual environment from requirements.lock

.venv/ready: requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/{p=1} p{print} p&&!/\\$$/{exit}' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip -q install --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@echo "Installing the pinned packages ..."
	@$(BIN)/uv pip sync -q --require-hashes requirements.lock
	@$(BIN)/uv pip install -q --no-deps $(MEMBERS:%=-e ./%)
	@echo "Compiling the matching engine ..."
	@$(BIN)/python -m kompetensnav_matching.engine.warm
	@touch $@

lock: ## resolve again and write requirements.lock
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export -q --frozen --all-packages --all-groups --no-emit-workspace --format requirements-txt \
	  --no-header --no-annotate -o requirements.lock

tools: ## install what some tests of faults need and pip has not: strace, libfaketime (Debian, as root)
	@command -v strace >/dev/null && test -n "$$(find /usr/lib -name libfaketime.so.1)" \
	  || (apt-get -qq update && apt-get -qq install -y strace faketime >/dev/null)

demo: setup ## set up and run the main job (ONCE=1 stops at the end; DATA=folder; DECLINES=8)
	@$(BIN)/kompetensnav demo $(if $(ONCE),--once) $(if $(DATA),--data $(DATA)) \
	  $(if $(DECLINES),--declines $(DECLINES))

up: setup ## start everything on this machine and leave it running
	@$(BIN)/kompetensnav up

down: setup ## stop what `make up` started
	@$(BIN)/kompetensnav down

status: setup ## what runs, and is it well
	@$(BIN)/kompetensnav status

test: setup ## every test that needs no container engine, on real servers
	@$(BIN)/python -m pytest -m "not containers"

quick: setup ## the tests that need no server, in seconds
	@$(BIN)/python -m pytest -m "not real and not slow and not containers"

check: setup ## format, lint, types, import contracts, house rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(foreach m,$(MEMBERS),$(wildcard $(m)/kompetensnav_*))
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest tests/house shared/contracts/tests

soak: setup ## strike a working stack again and again, then verify (KILLS=200 SEED=1)
	@PYTHONPATH=tests $(BIN)/python tests/faults/soak.py \
	  $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

model: setup ## 5,000 stories of 50 steps on the chassis in memory, any order, any loss, any kill
	@MODEL_STORIES=$(or $(STORIES),5000) $(BIN)/python -m pytest tests/model --timeout 1200

mutants: setup ## break the protocol in one place at a time; every break must be caught
	@PYTHONPATH=tests $(BIN)/python tests/model/mutants.py $(if $(ONLY),--only "$(ONLY)")

bench: setup ## run the benchmarks and print their tables
	@$(BIN)/python benchmarks/pipeline.py
	@$(BIN)/python benchmarks/footprint.py

events: setup ## write the schemas, docs/events.md and docs/asyncapi.json from the catalogue
	@$(BIN)/python -m kompetensnav_contracts.catalogue --write .

topology: setup ## write deploy/topology's services.toml from the installed services
	@$(BIN)/kompetensnav topology services --write

docs: setup events topology ## write every generated page
	@$(BIN)/kompetensnav docs --write .
	@PYTHONPATH=tests $(BIN)/python -m support.faults_page --write

clean: ## remove the virtual environment and what was built
	rm -rf .venv build
