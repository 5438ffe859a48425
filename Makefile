# Each target does its own set-up: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= build/demo

.PHONY: demo test test-slow test-faults test-deploy test-browser bench bench-audit lint clean

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Willis needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e ".[ray,dev]"
	touch $@

demo: .venv/.ready  ## four phantom hospitals -> private run -> data set, report, utility table
	rm -rf $(RUN)
	$(BIN)/willis phantoms tof $(RUN)/cohorts --sites 4 --patients 24 --seed 1 --shape 96 96 48
	$(BIN)/willis phantoms tof $(RUN)/held-out --sites 4 --patients 4 --seed 1 --first 101 --shape 96 96 48
	$(BIN)/willis simulate $(RUN)/run --recipe vessels-2d --cohorts $(RUN)/cohorts --epsilon 8 --delta 1e-5 --seed 1
	$(BIN)/willis audit verify $(RUN)/run
	$(BIN)/willis evaluate $(RUN)/run --real $(RUN)/cohorts --held-out $(RUN)/held-out --steps 150

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## style, types, import contract, tests
	$(BIN)/python -m pytest -n auto

test-slow: .venv/.ready  ## the heavy checks
	$(BIN)/python -m pytest -m slow

test-faults: .venv/.ready  ## killed, or a bad or full disk, at every system call (needs strace)
	$(BIN)/python -m pytest -m faults -s tests/faults

test-deploy: .venv/.ready  ## a real federation: TLS, Flower's processes, network namespaces (as root, with iproute2, curl, nginx, faketime)
	for tool in ip curl nginx faketime; do \
	  command -v $$tool >/dev/null || exec apt-get install --yes iproute2 curl nginx-light faketime; done
	$(BIN)/python -m pytest -m deploy -s tests/deploy

test-browser: .venv/.ready  ## the viewer of data sets in Chromium, by its pixels (as root where Chromium is missing)
	command -v chromium >/dev/null || apt-get install --yes chromium
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e ".[browser]"
	$(BIN)/python -m pytest -m browser tests/browser

bench: .venv/.ready  ## ratios against plain training, with memory
	$(BIN)/python -m benchmarks

bench-audit: .venv/.ready  ## forgeries, spoilt messages, and how long an audit and a report take
	$(BIN)/python -m benchmarks.tampering
	$(BIN)/python -m benchmarks.fuzzing --trials 1000 --seed 7
	$(BIN)/python -m benchmarks.ledger_verify
	$(BIN)/python -m benchmarks.report_render

clean:
	rm -rf build .venv
