# make demo: see it work.   make test: everything that must hold.   make setup: the environment both use.
.PHONY: setup demo test lint docs bench clean
PY := .venv/bin/python
export PYTHONUNBUFFERED := 1

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	touch $@

demo: setup
	$(PY) -m embsql demo $(if $(DATA),--data "$(DATA)") $(OPTIONS)

test: setup lint
	$(PY) -m pytest $(ARGS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/mypy

docs: setup
	$(PY) docs/build.py

bench: setup
	$(PY) -m benchmarks --list

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
