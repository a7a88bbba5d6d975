# What this project can do. `make help` lists it.

# Where: embedded is a cluster made for the command, kind a real one; then NAME is its name.
CLUSTER ?= embedded
NAME ?= smi
CONTEXT ?= kind-$(NAME)
MESH ?= reference
REPORTS ?= reports
# More options of `smi-conformance run`, for instance RUN="-k split", of `smi-conformance faults` and of
# `smi-conformance variants`.
RUN ?=
FAULTS ?=
VARIANTS ?=
# Options of tools/stable.py.
STABLE ?=
# Options of tools/bench.py.
BENCH ?=

PYTHON ?= python3
BIN := .venv/bin
KIND := kind/kind.sh

ifeq ($(CLUSTER),kind)
# The mesh is installed for good, and workloads run on an image that the node has.
READY := mesh
WHERE = --context $(CONTEXT) --image "$$($(KIND) python-image)"
else ifeq ($(CLUSTER),embedded)
READY := venv
WHERE := --embedded
else
$(error CLUSTER=$(CLUSTER): there are embedded and kind)
endif

.DEFAULT_GOAL := help
.PHONY: help conformance test lint types shellcheck none faults kill-table variants variants-page same stable bench kind-up kind-down mesh venv dev lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

conformance: $(READY) ## judge the reference mesh; the report goes to reports/<run>/ (CLUSTER=kind: in a kind cluster)
	$(BIN)/smi-conformance run $(WHERE) --mesh $(MESH) --reports $(REPORTS) $(RUN)

test: dev ## unit tests; no cluster needed
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

lint: dev shellcheck ## ruff, imports, and the project's own lints
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python -m tools.lint
	$(BIN)/vermin --quiet --no-tips --violations --target=3.9- conformance/probe

types: dev ## strict types
	$(BIN)/mypy

shellcheck: dev ## the shell scripts
	$(BIN)/shellcheck kind/kind.sh kind/runc-within-bounds kind/node/entrypoint .ci/run .ci/bare

kind-up: venv ## create the kind cluster if there is none
	$(KIND) up $(NAME) --config kind-config.yaml

kind-down: ## delete the kind cluster
	$(KIND) down $(NAME)

mesh: kind-up ## build the reference mesh's image and install it into the kind cluster
	$(BIN)/python -m smi_reference_mesh.install.image --base "$$($(KIND) python-image)" >build/image-name
	$(KIND) load $(NAME) "$$(cat build/image-name)"
	$(BIN)/smi-conformance reference install --context $(CONTEXT) --image "$$(cat build/image-name)"

none: $(READY) ## run the suite without a mesh: no requirement about traffic may pass
ifeq ($(CLUSTER),kind)
	$(BIN)/smi-conformance reference uninstall --context $(CONTEXT)
	$(BIN)/smi-conformance reference install --context $(CONTEXT) --crds-only
endif
	$(BIN)/python -m tools.none $(WHERE) --reports $(REPORTS)

faults: $(READY) ## run every fault of the reference mesh: exactly its requirements must fail
	@mkdir -p build
	$(BIN)/smi-conformance faults $(WHERE) --json build/faults-$(CLUSTER).json $(FAULTS)

kill-table: $(READY) ## run every fault, and write the results to docs/kill-table.md
	@mkdir -p build
	$(BIN)/smi-conformance faults $(WHERE) --json build/faults-$(CLUSTER).json --format markdown >build/kill-table.md
	mv build/kill-table.md docs/kill-table.md

variants: $(READY) ## run every variant of the reference mesh: each must pass
	@mkdir -p build
	$(BIN)/smi-conformance variants $(WHERE) --json build/variants-$(CLUSTER).json $(VARIANTS)

variants-page: $(READY) ## run every variant, and write the results to docs/variants.md
	@mkdir -p build
	$(BIN)/smi-conformance variants $(WHERE) --json build/variants-$(CLUSTER).json --format markdown >build/variants.md
	mv build/variants.md docs/variants.md

same: venv ## compare the last runs and faults of both clusters: verdicts must be the same
	$(BIN)/python -m tools.same --reports $(REPORTS) --faults build

stable: $(READY) ## run ten times: no verdict and no reading may change (STABLE="--runs 3 --load 2")
	$(BIN)/python -m tools.stable $(WHERE) $(STABLE)

bench: $(READY) ## measure where a run spends its time (BENCH="--against ../old --details")
	$(BIN)/python -m tools.bench $(WHERE) $(BENCH)

venv: .venv/run ## install what a run needs into .venv
dev: .venv/dev ## install what tests, lint and types need as well

.venv/run: requirements.lock pyproject.toml
	@echo "installing what a run needs into .venv: about 20 s, longer where packages have to be downloaded (100 MB)"
	@$(call install,requirements.lock)
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	@echo "installing what runs, tests, lint and types need into .venv: about 40 s, longer where packages have to be downloaded (150 MB)"
	@$(call install,requirements-dev.lock)
	@touch .venv/run $@

# uv installs in a second what takes pip half a minute, from the same index. Where it cannot, pip does it. Neither
# writes bytecode: Python does for what is imported, which is a fraction of what is installed.
define install
mkdir -p build
$(PYTHON) -m venv .venv
pip="$(BIN)/pip install --quiet --disable-pip-version-check --no-compile"; \
uv="$(BIN)/uv pip install --quiet --python $(BIN)/python"; \
itself="--no-deps --no-build-isolation --editable ."; \
index=$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}; \
export UV_NATIVE_TLS=1 $${index:+UV_DEFAULT_INDEX=$$index}; \
if $$pip --require-hashes -r requirements-uv.lock && $$uv --require-hashes -r $(1) && $$uv $$itself; then :; else \
  echo "uv cannot install it here: pip does, which takes longer"; \
  $$pip --require-hashes -r $(1) && $$pip $$itself; \
fi
endef

UV_COMPILE := uv pip compile pyproject.toml --python-version 3.11 --universal --generate-hashes --no-annotate --no-header --quiet

lock: ## write the lock files again from pyproject.toml (needs uv)
	$(UV_COMPILE) --extra dev --output-file requirements-dev.lock
	$(UV_COMPILE) --extra embedded --extra build --constraint requirements-dev.lock --output-file requirements.lock
	echo uv | uv pip compile - --universal --generate-hashes --no-annotate --no-header --quiet --output-file requirements-uv.lock

clean: ## remove build products; clusters and reports stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
