# make demo: see it work.   make test: everything that must hold.   make setup: all that development uses.
# make test-spark: every test of Spark's, which takes minutes. Java 17: apt-get install openjdk-17-jre-headless
# make bench: what benchmarks measure beside, without which their tests are skipped.
.PHONY: setup demo test test-spark lint docs bench dbt clean
PY := .venv/bin/python
export PYTHONUNBUFFERED := 1
# The tests start many processes, which import what `setup` did not compile.
unexport PYTHONDONTWRITEBYTECODE

# What is never imported need not be compiled: half of an installation's time.
PIP := $(PY) -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt
WANTED := pyproject.toml constraints.txt

setup: .venv/ready

$(PY):
	python3 -m venv .venv

.venv/base: $(WANTED) | $(PY)
	$(PIP) -e .
	touch $@

.venv/ready: $(WANTED) | $(PY)
	$(PIP) -e '.[dev,torch]'
	$(PY) -m embsql precompile
	touch $@ .venv/base

.venv/peers: $(WANTED) .venv/ready
	$(PIP) -e '.[bench]'
	touch $@

demo: .venv/base $(if $(POSTGRES),.venv/postgres)
	$(PY) -m embsql demo $(if $(POSTGRES),--postgres) $(if $(DATA),--data "$(DATA)") $(OPTIONS)

.venv/postgres: .venv/base
	$(PIP) -e '.[demo]'
	touch $@

test: setup lint
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-spark: setup
	$(PY) -m pytest -m "slow or not slow" tests/engines/test_spark*.py $(ARGS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/mypy

# Writes the reference pages, and of all pages a site with a search: build/site.
docs: .venv/site
	$(PY) docs/build.py
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

.venv/site: $(WANTED) .venv/ready
	$(PIP) -e '.[docs]'
	touch $@

# dbt holds versions back that the linter needs newer, so it has an environment of its own.
.venv/dbt/ready: $(WANTED)
	python3 -m venv .venv/dbt
	.venv/dbt/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[demo,dbt]' pytest
	touch $@

dbt: .venv/dbt/ready
	.venv/dbt/bin/python -m pytest -p no:cacheprovider tests/dbt -s $(ARGS)

bench: .venv/peers
	$(PY) -m benchmarks --list

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
