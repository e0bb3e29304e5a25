# `make demo` and `make test` are all a newcomer needs. Everything lives in .venv; nothing is installed elsewhere.

# The first Python that is new enough; name another with `make PYTHON=/path/to/python test`.
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
PYTEST_ARGS ?=
MUTANTS ?=
BENCH_ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test setup lint types contracts check format bench judges mutants coverage constraints wheel clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## a sandbox org, sample data and a full run: what the service does, in a few seconds
	@$(BIN)/advocacy demo
	@command -v advocacy >/dev/null || printf '\nThe command is %s here; or: export PATH="$$PWD/$(BIN):$$PATH"\n' "$(BIN)/advocacy"

test: $(READY) ## every test, on SQLite and PostgreSQL; no network, no database server needed
	@$(BIN)/pytest -n auto --dist loadgroup $(PYTEST_ARGS)

setup: $(READY) ## the environment alone

# Two steps, because pip cannot verify hashes and install an editable folder in one.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or name it: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "Installing into .venv (once; about a minute)" >&2
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lint: $(READY) ## style and common mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	@$(BIN)/mypy

contracts: $(READY) ## who may import whom
	@$(BIN)/lint-imports

check: lint types contracts ## everything except the tests

format: $(READY) ## rewrite the code in the house style
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(READY) ## time and memory on large data beside plain floors; BENCH_ARGS=--help
	@$(BIN)/python tests/bench/run.py $(BENCH_ARGS)

# The first time installs them into build/judges (about 700 MB), which a slow network may need its minutes for.
judges: $(READY) ## other people's clients against our sandbox: sf, jsforce, simple-salesforce, CumulusCI, a SOQL parser
	@$(BIN)/pytest -m judges -o faulthandler_timeout=900 tests/judges $(PYTEST_ARGS)

# mutmut works on a copy below build/, beside the project's own packages and not among them. What is known to be killed
# is not tried again before its function changes, or `make clean`.
mutants: $(READY) ## do the tests notice when the pure functions change? MUTANTS="app.domain.money*" for a part
	@test -x build/mutmut/bin/mutmut || { $(PYTHON) -m venv build/mutmut && \
		$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > build/mutmut/project.pth && \
		cp build/mutmut/project.pth "$$(build/mutmut/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
		build/mutmut/bin/pip install --quiet 'mutmut==3.8.1'; }
	@mkdir -p build/mutants && rm -rf build/mutants/app build/mutants/connectors build/mutants/tests
	@cp -R app connectors tests pyproject.toml build/mutants/
	@cd build/mutants && HYPOTHESIS_PROFILE=mutants ../mutmut/bin/python tests/mutants.py $(MUTANTS)

coverage: $(READY) ## which lines no test reaches
	@$(BIN)/pytest -n auto --dist loadgroup --cov --cov-report=term --cov-report=html $(PYTEST_ARGS)

constraints: $(READY) ## pin again after a change of pyproject.toml; UPGRADE=--upgrade for newest versions
	@test -x build/pin/bin/uv || { $(PYTHON) -m venv build/pin && build/pin/bin/pip install --quiet uv; }
	@grep '^#' constraints.txt > build/pin/header; echo >> build/pin/header
	@grep -v '^#' constraints.txt > build/pin/constraints.txt
	@echo 'setuptools>=77' > build/pin/build.in
	@build/pin/bin/uv pip compile pyproject.toml build/pin/build.in --extra test --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-emit-index-url --no-header --no-annotate --quiet $(UPGRADE) \
		-o build/pin/constraints.txt
	@cat build/pin/header build/pin/constraints.txt > constraints.txt

wheel: $(READY) ## build the installable package into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove everything that can be made again
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
