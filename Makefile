# servitize: the two commands to know are `make demo` and `make test`. Everything lives in .venv; nothing else is touched.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
ROOMS := core formats ingest models storage rendering stream_processors services boards workbench simulators runtime
# Long to short, so that all processes end together; what one of them keeps to itself: tests/conftest.py.
# Benchmarks give figures, not verdicts: `make bench`.
LONG := tests/integration/storage tests/integration/boards tests/integration/cluster
TESTS := $(wildcard tests/e2e tests/faults $(LONG)) $(filter-out $(LONG), $(wildcard tests/integration/[a-z]*)) \
	$(wildcard tests/judges tests/unit)
SECONDS ?=
PYTEST_ARGS ?=
# Processes that share the test files, one more than the two processors this is meant for; each has servers of its own.
# JOBS=0 runs all in one, as a debugger wants it.
JOBS ?= 3
# Each computes on one thread: what shares a processor with others and spins while it waits takes three times as long.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
FAULTS ?=
BENCH ?=
YEARS ?=
CLUSTER ?=
DIAGNOSIS ?=

# Same versions on every platform and Python; no address in a lock, so any index serves it.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --only-binary :all: $(UPGRADE)

.PHONY: help venv demo openloop test lint format proto sync lock bench benchbacktest years faults fuzz cluster conformance charts diagnosis train-weeks clean

help: ## show this list
	@echo "servitize: telemetry from machines in, maintenance decisions and service business out."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: .venv/READY ## make .venv with everything a developer needs

demo: .venv/RUNTIME ## run the whole system with a simulated fleet (SECONDS=90 ends by itself and checks the alarms)
	@$(BIN)/servitize demo $(if $(SECONDS),--seconds $(SECONDS))

cluster: .venv/RUNTIME ## run the whole system over Kafka on this machine (CLUSTER="--demo --seconds 120 --home DIR")
	@$(BIN)/servitize cluster up $(CLUSTER)

test: .venv/READY ## check import order, style and types, then run all tests (PYTEST_ARGS="-k name")
	@$(MAKE) --no-print-directory lint
	@command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || echo \
		"mosquitto is not installed: tests of that broker will say so and be skipped (Debian: apt-get install mosquitto)"
	@$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder $(TESTS) $(PYTEST_ARGS)

lint: .venv/READY ## import order, ruff, mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/READY ## format the code and apply safe fixes
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

proto: .venv/READY ## generate the code of formats/sparkplug/sparkplug_b.proto anew
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. formats/sparkplug/sparkplug_b.proto

sync: .venv/READY ## make the synchronous client from the asynchronous one (client/servitize_client/aio.py)
	@$(BIN)/python client/make_sync.py

lock: .venv/RUNTIME ## pin requirements/*.in anew (UPGRADE=--upgrade for the newest versions)
	@[ -x $(BIN)/uv ] || { echo "make lock needs uv in .venv: $(BIN)/pip install uv"; exit 1; }
	$(LOCK) requirements/runtime.in -o requirements/runtime.lock
	$(LOCK) requirements/dev.in -c requirements/runtime.lock -o requirements/dev.lock
	$(LOCK) requirements/build.in -c requirements/dev.lock -o requirements/build.lock
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.lock

bench: .venv/READY ## measure the whole system: build/bench.json (BENCH="--seconds 20 --only sustained")
	@$(BIN)/python -m tests.benchmarks.whole $(BENCH)

openloop: .venv/READY ## 50 clients ask the API once a second each, come what may (OPENLOOP="--home DIR" of make years, or "--small")
	@$(BIN)/python -m tests.benchmarks.open_loop $(OPENLOOP)

years: .venv/READY ## a hundred million readings on plain PostgreSQL: sizes, reads and writes (YEARS="--scale 0.1")
	@$(BIN)/python -m tests.benchmarks.years $(YEARS)

benchbacktest: .venv/READY ## how fast history is looked back upon, with and without models: build/bench-backtest.json (BENCH="--hours 6")
	@$(BIN)/python -m tests.benchmarks.backtest $(BENCH)

faults: .venv/READY ## kill processes and take services away, and count what is lost (FAULTS="--only kills --scale 0.1")
	@$(BIN)/python -m tests.faults.run $(FAULTS)

benchcluster: .venv/READY ## the same over Kafka, by number of partitions: build/bench-cluster.json
	@$(BIN)/python -m tests.benchmarks.cluster $(BENCH)

faultscluster: .venv/READY ## the same for a cluster: kills in pairs, rebalances, Kafka away, restarts in turn (FAULTS="--scale 0.1")
	@$(BIN)/python -m tests.faults.run --host cluster $(FAULTS)

fuzz: .venv/READY ## a hundred thousand hostile payloads through real processes, counted to the last value
	@SERVITIZE_FUZZ=100000 $(BIN)/python -m pytest tests/unit/sparkplug/test_fuzz.py \
		tests/integration/ingest/test_fuzz.py -q $(PYTEST_ARGS)

conformance: .venv/READY ## both hosts on thirty minutes of the demonstration's fleet, SKAB and the Azure set: same rows
	@SERVITIZE_CONFORMANCE=1 $(BIN)/python -m pytest tests/integration/cluster/test_conformance.py -q $(PYTEST_ARGS)

diagnosis: .venv/READY ## the whole judge of the diagnosis: machines drawn by lot, counted by class (DIAGNOSIS="--each 100 --seed 1")
	@$(BIN)/python -m tests.judges.diagnosis.judge $(DIAGNOSIS)

train-weeks: .venv/READY ## twenty train-weeks without a fault through the rules of trains: at most two false alarms
	@$(BIN)/python -m tests.judges.train.weeks

charts: .venv/READY ## build what tests need to render the Helm chart and read the compose file (Go; minutes, once)
	@$(BIN)/python -m tests.support.charts

clean: ## remove .venv and caches; never data
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(ROOMS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps, so that who only runs the demo need not fetch the development set. The development set contains the
# runtime set; where it is present it is kept up to date instead of being cut down to the runtime set.
PINS := requirements/install.sh requirements/bootstrap.lock requirements/build.lock pyproject.toml

.venv/READY: $(PINS) requirements/dev.lock
	@requirements/install.sh dev
	@touch .venv/RUNTIME $@

.venv/RUNTIME: $(PINS) requirements/runtime.lock
	@if [ -e .venv/READY ]; then $(MAKE) --no-print-directory .venv/READY; else requirements/install.sh runtime; fi
	@touch $@
