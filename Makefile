# make run    set up and start the product        make test    every test
# make check  linter and type checker             make lock    pin the dependencies anew
# make faults every fault, as often as promised (FAULTS=0.1 a tenth of that, FAULT=name one of them), then longer stories
# make bench  the product beside a tutorial's app on one machine (an idle one, for a quarter of an hour)
# make limits starts, 2,000 open streams, four times too many questions, half an hour of work (idle, for 35 minutes)
# make evals  how good the answers are, measured on our own cases (EVALS='retrieval --data FOLDER' for more)
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
LOCK := uv pip compile -q pyproject.toml --python-version 3.11 --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

.PHONY: run test check lock faults bench limits evals
run: .venv/ready
	$(BIN)/helpdesk serve

test: .venv/ready
	$(BIN)/pytest -n 3 --dist loadfile

faults: .venv/ready
	$(BIN)/python -m tests.faults.run
	LONGEST_S=3600 STORIES=40 OPENAPI_EXAMPLES=5 $(BIN)/pytest tests/faults/test_stories.py tests/faults/test_openapi.py

bench: .venv/ready
	mkdir -p data
	$(BIN)/python -m tests.bench.run --thread 200 --out data/bench.json --plot data/bench.svg

limits: .venv/ready
	mkdir -p data
	$(BIN)/python -m tests.bench.limits --out data/limits.json

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

evals: .venv/ready
	$(BIN)/python -m evals $(EVALS)

lock: .venv/ready
	$(BIN)/$(LOCK) --extra dev -o requirements.lock
	$(BIN)/$(LOCK) -o deploy/requirements.lock
	echo hatchling | $(BIN)/$(subst pyproject.toml,-,$(LOCK)) -c requirements.lock -o deploy/build.lock

.venv/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/pip install -q --disable-pip-version-check $$(grep -oE '^uv==[0-9.]+' requirements.lock)
	$(BIN)/uv pip sync -q --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	$(BIN)/python -m compileall -q memory kbs tools agent api evals
	touch $@
