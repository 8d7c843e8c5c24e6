# Two commands do all the set-up: "make demo" runs the main job, "make test" passes the tests.
PYTHON ?= python3
BIN := .venv/bin
ARCHIVE ?= callscan-demo

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/callscan demo --archive $(ARCHIVE)

test: .venv/installed-dev
	$(BIN)/pytest

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,s3,pyannote]'
	touch $@ .venv/installed

clean:
	rm -rf .venv callscan-demo
