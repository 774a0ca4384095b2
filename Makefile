# SPDX-License-Identifier: GPL-3.0-or-later
# `make cluster`: from nothing to the verified cluster of the lab. `make test`: all tests. `make help`: the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# A recipe is one script.
.ONESHELL:
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
SCENARIO ?= default
# The scenarios that `make test` runs; each brings nodes of its own and removes them.
SCENARIOS ?= default single reuse ha lifecycle upgrade
# Those that only `make test-all` runs, and its fault runs: together they take hours.
MORE_SCENARIOS = backup_restore bgp calico cilium crio dns docker dual_stack ipv6 machines manifest options patch platforms release reset runtimes runtimes_crio two_nics
FAULTS ?= bad_machines drift
FAILURES ?= clients_of_a_reconfiguration clients_of_an_upgrade failures five_control_planes killed_upgrades late_control_planes
MORE_FAULTS = certificates change_cni control_plane_joins facts_cache firewalls foreign_files healed interruptions move_endpoint other_inventory power_cuts reconfigure registries restore secrets selinux taken_over trust two_runs upgrade
ENVIRONMENT = $(PYTHON) tests/gates/environments.py
# Virtual environments lie in the cache, named by what is in them; the first use makes them.
WITH_MAIN = bin="$$($(ENVIRONMENT) main)/bin"; export PATH="$$bin:$$PATH";
WITH_MINIMUM = $(subst main,minimum,$(WITH_MAIN))
WITH_NEWEST = $(subst main,newest,$(WITH_MAIN))

.PHONY: help
help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: environment
environment: ## make the virtual environment and print where it is
	@$(ENVIRONMENT) main

# --- the lab and its cluster

.PHONY: lab
lab: ## start the lab: a mirror of all that a cluster needs, and three bare machines
	@$(WITH_MAIN) python -m lab up

.PHONY: lab-down
lab-down: ## stop the lab and all that it started
	@$(WITH_MAIN) python -m lab down

.PHONY: cluster
cluster: lab ## build the cluster of the lab and prove that it works
	@$(WITH_MAIN) ansible-playbook site.yml -i inventory
	ansible-playbook playbooks/verify.yml -i inventory

# --- the gates

# The longest come first; as many at once as there are processors. Clusters come after them, one at a time.
GATES = bad-inputs sanity lint unit differential lab-builds unit-minimum unit-newest build

.PHONY: test
test: ## all tests, as CI runs them
	@$(MAKE) --no-print-directory --jobs=$$(nproc) --output-sync=target $(GATES)
	$(MAKE) --no-print-directory scenarios faults

.PHONY: test-all
test-all: test ## and what takes too long for CI: more scenarios, failures of control planes, more fault runs
	@$(MAKE) --no-print-directory scenarios SCENARIOS="$(MORE_SCENARIOS)"
	DIFFERENTIAL_MUTATIONS=400000 DIFFERENTIAL_SEED="$$(date +%s)" $(MAKE) --no-print-directory differential
	$(MAKE) --no-print-directory failures
	$(MAKE) --no-print-directory faults FAULTS="$(MORE_FAULTS)"

.PHONY: lint
lint: ## ruff, mypy, yamllint, ansible-lint, the changelog, the generated documentation
	@$(WITH_MAIN) set -x
	ruff check .
	ruff format --check .
	yamllint --strict .
	(cd collections && mypy --config-file ../pyproject.toml ansible_collections/slipway/kubernetes/plugins)
	mypy --config-file pyproject.toml tools/*.py
	mypy --config-file pyproject.toml tests/gates/*.py
	mypy --config-file pyproject.toml -p lab
	antsibull-changelog lint
	python tools/reference.py --check
	ansible-lint --strict

# A test without machines that takes minutes hangs: where, is printed.
UNHUNG = -o faulthandler_timeout=240

.PHONY: unit
unit: ## unit tests, with the branch coverage of the plugins
	@$(WITH_MAIN) python -m pytest $(UNHUNG) tests/unit --cov --cov-report=term

.PHONY: bad-inputs
bad-inputs: ## what is said about more than two hundred wrong inputs; needs no machines
	@$(WITH_MAIN) python -m pytest --quiet tests/integration/bad_inputs

.PHONY: lab-builds
lab-builds: ## the lab's own programs and packages, with Go and dpkg
	@$(WITH_MAIN) python -m pytest --quiet tests/integration/lab_builds

.PHONY: differential
differential: ## what we read in requests, certificates and keys against what Go and gpg read in them, mutated at random
	@$(WITH_MAIN) python -m pytest --capture=no tests/integration/differential

.PHONY: unit-minimum
unit-minimum: ## unit tests, each role alone, and syntax check with the oldest ansible-core that is supported
	@$(WITH_MINIMUM) $(UNIT_AND_SYNTAX)

.PHONY: unit-newest
unit-newest: ## the same with the newest ansible-core, when a Python is there that can run it
	@if ! $(ENVIRONMENT) newest --path >/dev/null; then
	    echo "unit-newest: left out, \`make unit\` had the newest ansible-core that this machine's Python can run"
	    exit 0
	fi
	$(WITH_NEWEST) $(UNIT_AND_SYNTAX)

# Plain Python does not ask which ansible-core there is; `make unit` and `make sanity` run it.
PLAIN = lab integration plugins/module_utils

define UNIT_AND_SYNTAX
ansible --version | sed -n '1p;/python version/p'
	python -m pytest --quiet $(UNHUNG) $(PLAIN:%=--ignore=tests/unit/%) tests/unit tests/integration/bad_inputs/test_roles_alone.py
	for playbook in site.yml playbooks/*.yml; do
	    ansible-playbook "$$playbook" -i inventory --syntax-check
	done
endef

.PHONY: build
build: ## build the collection, install it into an empty path, use it from there by its full names
	@$(WITH_MAIN) python tests/gates/build.py

.PHONY: sanity
sanity: ## ansible-test sanity, without exceptions
	@$(WITH_MAIN) python tests/gates/sanity.py

.PHONY: molecule
molecule: ## one scenario: make molecule SCENARIO=default
	@$(WITH_MAIN) molecule test --scenario-name $(SCENARIO)

.PHONY: faults
faults: ## clusters of the lab: drift, machines that are refused; FAULTS=interruptions kills runs
	@$(WITH_MAIN) python -m pytest $(FAULTS:%=tests/integration/faults/test_%.py)

.PHONY: failures
failures: ## control planes that fail, are added late or upgraded, also by runs that are killed: what clients notice, in numbers
	@$(WITH_MAIN) python -m pytest $(FAILURES:%=tests/integration/ha/test_%.py)

.PHONY: scenarios
scenarios: ## the scenarios that belong to `make test`
	@$(WITH_MAIN) for scenario in $(SCENARIOS); do
	    molecule test --scenario-name "$$scenario"
	done

# --- what is generated

.PHONY: docs
docs: ## write docs/variables.md from the roles' argument specifications
	@$(WITH_MAIN) python tools/reference.py

.PHONY: changelog
changelog: ## write CHANGELOG.md from changelogs/fragments, for the version in galaxy.yml
	@$(WITH_MAIN) antsibull-changelog release --update-existing --reload-plugins

.PHONY: pins
pins: ## write requirements/*.txt anew, from what the package index has today
	@for name in main minimum newest importer; do
	    $(ENVIRONMENT) "$$name" --pin
	done
