# `make help` lists what there is.
SHELL := /bin/bash
.DELETE_ON_ERROR:
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard $(addsuffix /*/pyproject.toml,shared services deploy)))
ASSETS := shared/pages/assets
STATIC := shared/pages/kompetensnav_pages/static
ON_BOTH := services shared $(addprefix tests/,architecture/test_scope.py faults/test_durability.py \
  flows/test_alone.py)
WORKERS ?= 3
TIED := $(BIN)/python -m kompetensnav_embedded.tether $(BIN)/python
PYTEST := $(TIED) -m pytest
SIDE_BY_SIDE := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
CHECKS := tests/architecture shared/contracts/tests
IMAGES := operate $(patsubst services/%/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
VERSION ?= dev
PROFILES ?= registry,matching,notifications,reporting,operations,issuer,mail,prometheus
COMPOSE = COMPOSE_PROFILES=$(PROFILES) KOMPETENSNAV_VERSION=$(VERSION) \
  $$(docker compose version >/dev/null 2>&1 && echo "docker compose" || echo $(BIN)/docker-compose)
export UV_PYTHON_DOWNLOADS := never
export KOMPETENSNAV_TEST_BACKEND ?= local
export VIRTUAL_ENV := $(CURDIR)/.venv
# a service that finds its bytecode starts in half the time, and many are started here
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup assets lock tools demo start stop status images up down logs containers test quick check
.PHONY: fresh theme check-text check-rules screenshots soak model mutants bench events topology docs clean

help: ## list the targets
	@awk -F':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} \
	  /^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Set up

setup: .venv/ready ## make the virtual environment from requirements.lock

.venv/ready: requirements.lock $(MEMBERS:%=%/pyproject.toml) $(ASSETS)/package-lock.json
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 to 3.13 is needed: no $(PYTHON) here"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/{p=1} p{print} p&&!/\\$$/{exit}' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip -q install --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@echo "Installing the pinned packages ..."
	@$(BIN)/uv pip sync -q --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/uv pip install -q --no-deps $(MEMBERS:%=-e ./%)
	@$(MAKE) -s assets
	@echo "Compiling the matching engine ..."
	@$(BIN)/python -m kompetensnav_matching.engine.warm
	@touch $@

assets: ## fetch what pages are made with, as its lock file says
	@command -v npm >/dev/null || { echo "npm is needed for the pages' styles: it was not found"; exit 1; }
	@npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(ASSETS)
	@mkdir -p $(STATIC)/vendor
	@cp $(ASSETS)/node_modules/@digdir/designsystemet-css/dist/src/index.css $(STATIC)/vendor/designsystemet.css
	@cd $(ASSETS)/node_modules/htmx.org/dist && sed -e '$$s/$$/;/' -e '/sourceMappingURL/d' htmx.min.js \
	  ext/hx-sse.min.js > $(CURDIR)/$(STATIC)/vendor/htmx.js # one file: htmx may begin before a second is there

lock: ## resolve again and write requirements.lock; then `make docs`
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export -q --frozen --all-packages --all-groups --no-emit-workspace --format requirements-txt \
	  --no-header --no-annotate -o requirements.lock

tools: ## install what some tests need and pip has not: strace, libfaketime, chromium (Debian, as root)
	@command -v strace >/dev/null && command -v chromium >/dev/null \
	  && test -n "$$(find /usr/lib -name libfaketime.so.1)" \
	  || (apt-get -qq update && apt-get -qq install -y strace faketime chromium fonts-dejavu-core >/dev/null)

fresh: ## a new machine in a folder (Debian 13, Python 3.13; as root), and what the README says in it
	@.ci/fresh

clean: ## remove the virtual environment and what was built
	rm -rf .venv build

## Try and run it on this machine

demo: setup ## set up and run the main job (ONCE=1 stops at the end; DATA=folder; DECLINES=8)
	@$(BIN)/kompetensnav demo $(if $(ONCE),--once) $(if $(DATA),--data $(DATA)) \
	  $(if $(DECLINES),--declines $(DECLINES))

start: setup ## start everything on this machine, without containers, and leave it running
	@$(BIN)/kompetensnav up

stop: setup ## stop what `make start` started
	@$(BIN)/kompetensnav down

status: setup ## what `make start` started, and is it well
	@$(BIN)/kompetensnav status

## Run it in containers

images: setup ## build the container images, one a service
	@rm -rf build/wheels && $(BIN)/uv build -q --wheel --all-packages -o build/dist
	@$(BIN)/python deploy/docker/pins.py wheels build/dist build/wheels
	@for s in $(IMAGES); do docker build -q -f deploy/docker/Dockerfile --build-arg SERVICE=$$s \
	  -t kompetensnav/$$s:$(VERSION) . >/dev/null && echo "kompetensnav/$$s:$(VERSION)" || exit 1; done

up: images ## start the stack in containers (PROFILES=registry,reporting,... chooses parts)
	@$(BIN)/kompetensnav topology containers
	@$(COMPOSE) up -d --wait --wait-timeout 120

down: setup ## stop the containers; the data stays (WIPE=1 takes it too)
	@$(COMPOSE) down $(if $(WIPE),--volumes)

logs: setup ## follow the containers' logs (SERVICE=registry for one)
	@$(COMPOSE) logs -f --tail 200 $(SERVICE)

## Test

test: setup ## every test that needs no container engine, on real servers (WORKERS=3)
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not containers" $(if $(CHECKED),$(CHECKS:%=--ignore %))

containers: images ## the tests of the containers; needs an engine and the base images
	@$(PYTEST) -m containers tests/containers
	@KOMPETENSNAV_TEST_BACKEND=docker $(PYTEST) $(SIDE_BY_SIDE) -m real $(ON_BOTH)

quick: setup ## the tests that need no server, within a minute
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not real and not slow and not containers"

check: setup ## format, lint, types, import contracts, architecture tests, contract tests
	@$(MAKE) -s -j2 --output-sync=target check-text check-rules

check-text:
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(foreach m,$(MEMBERS),$(wildcard $(m)/kompetensnav_*))

check-rules:
	@$(BIN)/lint-imports --no-cache
	@$(PYTEST) $(CHECKS)

soak: setup ## strike a working stack again and again, then verify (KILLS=200 SEED=1)
	@PYTHONPATH=tests $(TIED) tests/faults/soak.py \
	  $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

model: setup ## 5,000 stories of 50 steps on the chassis in memory, any order, any loss, any kill
	@MODEL_STORIES=$(or $(STORIES),5000) $(PYTEST) tests/model --timeout 1200

mutants: setup ## break the protocol in one place at a time; every break must be caught
	@PYTHONPATH=tests $(TIED) tests/model/mutants.py $(if $(ONLY),--only "$(ONLY)")

## Measure

bench: setup ## run the benchmarks and print their tables
	@$(BIN)/python benchmarks/pipeline.py
	@$(BIN)/python benchmarks/footprint.py

## Write generated files

events: setup ## write the schemas, docs/events.md and docs/asyncapi.json from the catalogue
	@$(BIN)/python -m kompetensnav_contracts.catalogue --write .

theme: ## write the pages' theme.css from shared/pages/assets/theme.json
	@rm -rf build/theme && mkdir -p build/theme && cp $(ASSETS)/theme.json build/theme/designsystemet.config.json
	@cd build/theme && for step in "create --config designsystemet.config.json" build; do \
	  npx --yes @digdir/designsystemet@1.15.0 tokens $$step >/dev/null || exit 1; done
	@cp build/theme/design-tokens-build/kompetensnav.css $(STATIC)/theme.css

topology: setup ## write deploy/topology's services.toml from the installed services
	@$(BIN)/kompetensnav topology services --write

docs: setup events topology ## write every generated page
	@$(BIN)/python deploy/docker/pins.py write
	@$(BIN)/kompetensnav docs --write .
	@PYTHONPATH=tests $(BIN)/python -m support.faults_page --write
	@PYTHONPATH=tests $(BIN)/python -m support.alerts_page --write
	@PYTHONPATH=tests $(BIN)/python -m support.architecture_page --write

screenshots: setup ## take the pictures of the console that the docs show
	@KOMPETENSNAV_SCREENSHOTS=1 $(PYTEST) tests/console -k picture
