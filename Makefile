# Every task of the project is one target here; `make help` lists them. All of them set up what they need.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PY := .venv/bin/python
INSTALL := requirements/install.sh
PROTOC_ENV := build/protoc-venv
# Rooms that exist as Python; a glob, so that the house stands while a room is being built.
ROOMS := $(wildcard sdk/src/licet consensus licensing_vm node examples tests)
TYPED := $(wildcard sdk/src/licet consensus licensing_vm node)
# SEEDS=N for a longer run; FIRST=N to begin elsewhere.
SEEDS ?= 1000
FIRST ?= 0

.PHONY: help setup setup-runtime demo test test-fast check format lint types imports fmt bench sim \
        proto proto-check proto-out lock docker-engine docker-image docker-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with everything a developer needs (a no-op when it is up to date)
	@$(INSTALL) .venv requirements/dev.txt

setup-runtime: ## make .venv with only what the node and the demo need
	@$(INSTALL) .venv requirements/runtime.txt

demo: setup-runtime ## four nodes on loopback carry out the whole main job, in under two minutes
	@$(PY) -m examples.demo

test: setup ## run every test: the fast ones on all cores, then those that start real processes
	@$(PY) -m pytest -m "not cluster" -n auto --dist loadfile
	@$(PY) -m pytest -m cluster || { code=$$?; [ $$code = 5 ] || exit $$code; }

test-fast: setup ## run the tests that start no processes and are not slow
	@$(PY) -m pytest -m "not cluster and not slow" -n auto --dist loadfile

check: format lint types imports proto-check test ## what CI runs: format, lint, types, imports, generated code, tests

format: setup ## refuse files that `make fmt` would change
	@$(PY) -m ruff format --check $(ROOMS)

lint: setup ## ruff over the Python, buf over the contract
	@$(PY) -m ruff check $(ROOMS)
	@.venv/bin/buf lint proto

types: setup ## mypy strict over the rooms
	@$(PY) -m mypy $(TYPED)

imports: setup ## imports follow the arrows of docs/ARCHITECTURE.md
	@.venv/bin/lint-imports --no-cache

fmt: setup ## format the Python and sort its imports
	@$(PY) -m ruff check --select I --fix --quiet $(ROOMS)
	@$(PY) -m ruff format $(ROOMS)

bench: setup ## measure, print the summary and write build/bench/summary.json (15 minutes at most)
	@$(PY) -m tests.bench

sim: setup ## run the simulator over SEEDS seeds (default 1000) from FIRST
	@$(PY) -m tests.sim --first $(FIRST) --seeds $(SEEDS)

# Generated where nothing imports it, then compared or copied: a half-written module is never seen.
proto-out:
	@$(INSTALL) $(PROTOC_ENV) requirements/protoc.txt
	@rm -rf build/proto && mkdir -p build/proto
	@PATH="$(CURDIR)/$(PROTOC_ENV)/bin:$$PATH" $(PROTOC_ENV)/bin/python -m grpc_tools.protoc -I proto \
	  --python_out=build/proto --grpc_python_out=build/proto \
	  --mypy_out=quiet:build/proto --mypy_grpc_out=quiet:build/proto \
	  $(wildcard proto/licet/v1/*.proto)

proto: proto-out ## regenerate sdk/src/licet/v1 from proto/
	@mkdir -p sdk/src/licet/v1
	@rm -f sdk/src/licet/v1/*_pb2*
	@cp build/proto/licet/v1/* sdk/src/licet/v1/
	@echo "proto: wrote $$(ls sdk/src/licet/v1/*_pb2* | wc -l) files to sdk/src/licet/v1"

proto-check: proto-out ## refuse generated code that is older than proto/
	@diff -r --brief --exclude=__init__.py --exclude=__pycache__ build/proto/licet/v1 sdk/src/licet/v1 \
	  || { echo "proto-check: sdk/src/licet/v1 differs from proto/: run make proto and commit the result." >&2; exit 1; }

LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: setup ## compile requirements/*.txt from pyproject.toml (UPGRADE=1 takes the newest versions)
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) --group pyproject.toml:protoc -o requirements/protoc.txt

# Docker is asked first: without an engine nothing is downloaded.
docker-engine:
	@docker info >/dev/null 2>&1 \
	  || { echo "docker: no Docker engine answers here; install and start one, then run this again." >&2; exit 2; }

docker-image: docker-engine setup-runtime ## build the image licet-node (DOCKER_BASE names another base image)
	@mkdir -p build/docker/wheels
	@$(PY) -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none \
	  $(foreach tag,manylinux_2_34 manylinux_2_28 manylinux_2_17 manylinux2014,--platform $(tag)_$(shell uname -m)) \
	  -d build/docker/wheels -r requirements/runtime.txt
	@docker build -q -f docker/Dockerfile $(if $(DOCKER_BASE),--build-arg BASE=$(DOCKER_BASE)) -t licet-node:latest .

docker-test: docker-image ## run four containers: buy, prove, kill, return (needs a Docker engine; takes DOCKER_BASE too)
	@$(PY) -m tests.cluster.docker_scenario

clean: ## remove everything that was built, the virtual environments included
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
