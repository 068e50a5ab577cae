# make demo: see it work.   make test: everything that must hold.   make setup: all that development uses.
.PHONY: setup demo test lint docs bench dbt clean
PY := .venv/bin/python
export PYTHONUNBUFFERED := 1

PIP := $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt

setup: .venv/ready

.venv/base: pyproject.toml constraints.txt
	python3 -m venv .venv
	$(PIP) -e .
	touch $@

.venv/ready: .venv/base
	$(PIP) torch safetensors
	$(PIP) -e '.[dev,bench]'
	$(PY) -m embsql warm-up
	touch $@

demo: .venv/base $(if $(POSTGRES),.venv/postgres)
	$(PY) -m embsql demo $(if $(POSTGRES),--postgres) $(if $(DATA),--data "$(DATA)") $(OPTIONS)

.venv/postgres: .venv/base
	$(PIP) -e '.[demo]'
	touch $@

test: setup lint
	$(PY) -m pytest $(ARGS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/mypy

docs: setup
	$(PY) docs/build.py

# dbt holds versions back that the linter needs newer, so it has an environment of its own.
.venv/dbt/ready: pyproject.toml constraints.txt
	python3 -m venv .venv/dbt
	.venv/dbt/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[demo,dbt]' pytest
	touch $@

dbt: .venv/dbt/ready
	.venv/dbt/bin/python -m pytest -p no:cacheprovider tests/dbt -s $(ARGS)

bench: setup
	$(PY) -m benchmarks --list

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
