# What this project can do. `make help` lists it.

CLUSTER ?= kind
NAME ?= smi
CONTEXT ?= kind-$(NAME)
MESH ?= reference
REPORTS ?= reports
# More options of `smi-conformance run`, for instance RUN="-k split".
RUN ?=

PYTHON ?= python3
BIN := .venv/bin
KIND := kind/kind.sh

.DEFAULT_GOAL := help
.PHONY: help conformance test lint types shellcheck none faults bench kind-up kind-down mesh venv lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

conformance: kind-up mesh ## judge the reference mesh in a kind cluster; the report goes to reports/<run>/
	@test "$(CLUSTER)" = kind || { echo "CLUSTER=$(CLUSTER): only kind is there" >&2; exit 2; }
	$(BIN)/smi-conformance run --context $(CONTEXT) --mesh $(MESH) --image "$$($(KIND) python-image)" --reports $(REPORTS) $(RUN)

test: venv ## unit tests; no cluster, under a minute
	$(BIN)/python -m pytest -q

lint: venv shellcheck ## ruff, and the project's own lints
	$(BIN)/ruff check conformance reference tests
	$(BIN)/ruff format --check conformance reference tests
	$(BIN)/python -m conformance.lint

types: venv ## strict types
	$(BIN)/mypy

shellcheck: venv ## the shell scripts
	$(BIN)/shellcheck kind/kind.sh kind/runc-within-bounds kind/node/entrypoint .ci/run

kind-up: venv ## create the kind cluster, or use the one that is there
	$(KIND) up $(NAME) --config kind-config.yaml

kind-down: ## delete the kind cluster
	$(KIND) down $(NAME)

mesh: kind-up ## build the reference mesh's image and install it into the kind cluster
	$(BIN)/python -m reference.image --base "$$($(KIND) python-image)" >build/image-name
	$(KIND) load $(NAME) "$$(cat build/image-name)"
	$(BIN)/smi-conformance reference install --context $(CONTEXT) --image "$$(cat build/image-name)"

none: kind-up ## the suite without a mesh: nothing that is about traffic may pass
	$(BIN)/smi-conformance reference uninstall --context $(CONTEXT)
	$(BIN)/smi-conformance reference install --context $(CONTEXT) --crds-only
	$(BIN)/python -m tests.none --context $(CONTEXT) --image "$$($(KIND) python-image)" --reports $(REPORTS)

faults: kind-up mesh ## every fault of the reference mesh: caught, and blamed rightly?
	$(BIN)/smi-conformance faults --context $(CONTEXT) --image "$$($(KIND) python-image)"

bench: kind-up mesh ## where the time of a run goes, and how fast the probe is
	$(BIN)/python -m tests.bench --context $(CONTEXT) --image "$$($(KIND) python-image)"

venv: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@mkdir -p build
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: venv ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes \
		--no-annotate --no-header --quiet --output-file requirements.lock

clean: ## remove what was built here; clusters and reports stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
