# Socle: `make lab` makes a whole small cloud on this machine, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cksum requirements.lock | cut -d' ' -f1)
SITE ?= lab
PYTEST := $(BIN)/pytest
# Of which commit the tests ran: the audit reads the reports of the code that is in place.
REPORTS = .reports/$(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)

.PHONY: help lab test lane-lab lane-units lane-roles lane-hosts test-unit test-slow test-long test-hosts test-roles test-lab audit-mutations lint lock venv clean bench

help: ## List what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: venv ## Make the lab's cloud on this machine (root; Debian 12 or 13)
	@$(BIN)/socle --site $(SITE) lab up
	@$(BIN)/socle --site $(SITE) deploy

test: venv ## Prove everything: linters, units, roles and the whole lab
	@tests/lab/install-browser
	@$(MAKE) --no-print-directory --jobs=2 lane-lab lane-units
	@$(MAKE) --no-print-directory --jobs=2 lane-roles lane-hosts

# Tests of the lab and of its nodes wait for half of their time: others run beside them, and give way.
# `sed` passes whole lines, so that those of two lanes do not mix.
lane-lab: venv
	@MAKEFLAGS= $(MAKE) --no-print-directory test-lab | sed -u ''
lane-units: venv
	@MAKEFLAGS= nice -n 5 $(MAKE) --no-print-directory lint test-unit test-slow | sed -u 's/^/units: /'
lane-roles: venv
	@MAKEFLAGS= $(MAKE) --no-print-directory test-roles | sed -u ''
lane-hosts: venv
	@MAKEFLAGS= nice -n 5 $(MAKE) --no-print-directory test-hosts | sed -u 's/^/hosts: /'

test-unit: venv ## Unit tests (seconds)
	$(PYTEST) --junit-xml=$(REPORTS)/unit.xml -m "not slow" tests/unit

test-slow: venv ## Unit tests that take minutes: clusters of OpenBao, an HSM, kills
	$(PYTEST) --junit-xml=$(REPORTS)/unit-slow.xml -m slow tests/unit

test-hosts: venv ## Hardening on a machine of its own under QEMU, and who comes in by SSH (root; minutes)
	$(PYTEST) --junit-xml=$(REPORTS)/hosts.xml tests/hosts

test-roles: venv ## Roles on real lab nodes (molecule)
	$(PYTEST) --junit-xml=$(REPORTS)/roles.xml tests/roles

test-lab: venv ## End to end on the lab
	@tests/lab/install-browser
	$(PYTEST) --junit-xml=$(REPORTS)/lab.xml -m "not long" tests/lab

test-long: venv ## What proves once more, on more: every kill of a rotation, the largest rotation (root; ten minutes)
	$(PYTEST) -m long tests/lab

audit-mutations: venv ## Break the lab once for each control that says how, see who notices, repair (root; twenty minutes)
	$(BIN)/socle --site $(SITE) audit mutations

lint: venv ## Linters, all strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	ANSIBLE_INVENTORY=inventories/lab/site.yml ANSIBLE_INVENTORY_UNPARSED_FAILED=false \
	  ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=false $(BIN)/ansible-lint --offline -q
	git ls-files -- '*.sh' tools/find-python tools/bootstrap tests/lab/install-browser .ci/run | xargs $(BIN)/shellcheck

venv: $(STAMP) ## Install the pinned Python dependencies in .venv

$(STAMP): requirements.lock tools/bootstrap
	@tools/bootstrap $(VENV)
	@touch $(STAMP)

lock: venv ## Pin the dependencies of pyproject.toml again, with hashes
	$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.12 --all-extras \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --universal --custom-compile-command "make lock" \
	  -o tools/uv.lock tools/uv.in

bench: venv ## Benchmarks (tables; JSON in benchmarks/results/)
	@for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean: ## Stop the lab and delete its disks and the virtual environment (caches stay in SOCLE_CACHE)
	@if [ -x $(BIN)/socle ]; then $(BIN)/socle --site $(SITE) lab reset --yes; fi
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
