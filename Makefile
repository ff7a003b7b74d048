# One command for a developer, the same one for CI. Each target sets up what it needs; see deploy/dev/setup.sh.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

PY := .venv/bin/python
SETUP := deploy/dev/setup.sh
STAMP := .venv/.ready
PYTEST_ARGS ?=
BENCH_ARGS ?=
PROOF_ARGS ?=

.PHONY: help venv demo test test-long test-homeassistant test-node-red test-page test-prometheus test-systemd test-install soak bench lint format docs lock wheel wheelhouse clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

venv: $(STAMP) ## Make .venv with the locked versions and this tree in it.

$(STAMP): requirements-dev.lock pyproject.toml $(SETUP)
	@$(SETUP) venv

demo: $(STAMP) ## Simulated battery, virtual GX, MQTT broker and all processes; Ctrl-C ends it.
	@$(SETUP) demo
	@exec $(PY) -m tinybms_ctl demo

test: $(STAMP) ## All tests that take less than a minute, with branch coverage.
	@$(SETUP) mosquitto
	@$(SETUP) test $(PYTEST_ARGS)

test-long: $(STAMP) ## The tests of `make test` and those that take minutes.
	@$(SETUP) mosquitto
	@$(SETUP) strace
	@TINYBMS_EXAMPLES=2000 $(SETUP) test -m "not soak and not bench and not homeassistant and not nodered and not page and not prometheus and not systemd and not install" $(PYTEST_ARGS)

test-homeassistant: $(STAMP) ## Home Assistant itself as the judge; makes an environment for it once.
	@$(SETUP) mosquitto
	@test -x build/homeassistant/bin/python || python3.11 -m venv build/homeassistant
	@build/homeassistant/bin/pip install -q -r deploy/dev/homeassistant.txt
	@TINYBMS_HOMEASSISTANT_PYTHON=$(CURDIR)/build/homeassistant/bin/python \
	  $(PY) -m pytest -q -m homeassistant tests/system/test_home_assistant.py

test-node-red: $(STAMP) ## Node-RED with the flow in deploy/node-red; installs it into build/ once.
	@$(SETUP) mosquitto
	@test -x build/node-red/node_modules/.bin/node-red || \
	  npm install --silent --no-audit --no-fund --prefix build/node-red node-red@4
	@TINYBMS_NODE_RED=$(CURDIR)/build/node-red/node_modules/.bin/node-red \
	  $(PY) -m pytest -q -m nodered tests/system/test_node_red.py

test-page: $(STAMP) ## The page at / in headless Chromium, with axe; screenshots go to build/page/screenshots.
	@$(SETUP) chromium
	@test -d build/page/node_modules/axe-core || \
	  npm install --silent --no-audit --no-fund --prefix build/page playwright-core@1 axe-core@4
	@TINYBMS_PAGE_MODULES=$(CURDIR)/build/page $(PY) -m pytest -q -m page tests/system/test_page.py

test-prometheus: $(STAMP) ## promtool reads /metrics and the alert rules in deploy/prometheus.
	@$(SETUP) promtool
	@$(PY) -m pytest -q -m prometheus tests/system/test_prometheus.py

test-systemd: $(STAMP) ## systemd-analyze reads the units in deploy/systemd.
	@command -v systemd-analyze >/dev/null || { echo "systemd-analyze is missing; install the package systemd." >&2; exit 1; }
	@$(PY) -m pytest -q -m systemd tests/system/test_systemd.py

test-install: $(STAMP) ## install.sh in a Debian 12 tree of its own (root), and shellcheck; makes build/install once.
	@$(SETUP) mosquitto
	@$(SETUP) install-tools
	@$(SETUP) wheelhouse
	@$(PY) -m pytest -q -m install tests/install $(PYTEST_ARGS)

soak: $(STAMP) ## Tests that run for hours.
	@$(SETUP) mosquitto
	@$(PY) -m pytest -m soak $(PYTEST_ARGS)

bench: $(STAMP) ## Measure latency, processor and memory; prints a table and JSON.
	@$(SETUP) mosquitto
	@PYTHONPATH=tests/fakes exec $(PY) tests/bench/run.py $(BENCH_ARGS)

charge-proof: $(STAMP) ## Charge control beside the peers' rules; writes deploy/docs/charge-control.md, takes long.
	@$(PY) tests/bench/charge_proof.py $(PROOF_ARGS)

lint: $(STAMP) ## ruff, mypy and the import contracts.
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

format: $(STAMP) ## Format the tree and mend what ruff can mend.
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: $(STAMP) ## Write the generated pages of deploy/docs and deploy/man anew.
	@$(PY) -c "from tinybms_config.reference import markdown; print(markdown(), end='')" > deploy/docs/configuration.md
	@$(PY) -c "from tinybms_mqtt_out.reference import markdown; print(markdown(), end='')" > deploy/docs/mqtt-topics.md
	@$(PY) -c "from tinybms_ctl.doctor.page import markdown; print(markdown(), end='')" > deploy/docs/troubleshooting.md
	@mkdir -p deploy/man
	@$(PY) -P -m tinybms_ctl.manpage > deploy/man/tinybms-ctl.1

lock: ## Write the lock files anew from pyproject.toml.
	@$(SETUP) lock

wheel: $(STAMP) ## Build dist/tinybms_gateway-*.whl.
	$(PY) -m pip wheel -q --no-deps --no-build-isolation --wheel-dir dist .
	@ls -1 dist/*.whl

wheelhouse: $(STAMP) ## Fill build/wheelhouse: all that install.sh needs on a machine without internet.
	@$(SETUP) wheelhouse

clean: ## Remove everything that make made.
	rm -rf .venv .demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find shared services tests -name __pycache__ -type d -prune -exec rm -rf {} +
