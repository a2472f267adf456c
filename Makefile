# make demo               find objects in generated images, with scores and pictures
# make demo DATA=folder   the same on a folder with annotations.csv and images/
# make test               tests, without the slow ones
# make test COVERAGE=--cov   the same with branch coverage
# make slow               the slow tests
# make jax torch          tests of what depends on the backend of Keras
# make lowest             tests with the lowest versions that pyproject.toml allows
# make lint               ruff, the import rule and mypy
# make hooks              the same before each commit, with pre-commit
# make docs               the documentation, in docs/_build/html
# make doctest notebooks  examples in docstrings, notebooks
# make wheel              the wheel and the sdist, checked, and installed in an empty environment
# make wheel PYTHON=python3.13   the same with another version of Python
# make soak               300 fits with failures, or FITS=...; see docs/reliability.md
# make mutants            whether the tests of boxes and metrics detect changes to the code
#
# Checks that use one core can run side by side: make -j 2 -O lint docs doctest notebooks

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Modules are compiled when they are first imported: most of those installed never are. Without
# compiled files, each process that imports TensorFlow would take ten seconds longer.
PIP := -m pip install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := $(VENV)/.installed
DEVELOPER := $(VENV)/.installed-developer
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test slow jax torch lowest lint hooks docs pages code-blocks doctest notebooks wheel soak mutants clean

demo: $(INSTALLED)
	$(RUN) examples/demo.py $(if $(DATA),--data "$(DATA)") $(DEMO_OPTIONS)

TEST_OPTIONS ?= -n 2 --dist worksteal
# COVERAGE=--cov measures branch coverage, and fails below the percentage in pyproject.toml.
test: $(INSTALLED)
	$(RUN) -m pytest -m "not slow" $(COVERAGE) $(TEST_OPTIONS)

slow: $(INSTALLED)
	$(RUN) -m pytest -m slow $(TEST_OPTIONS)

# JAX and PyTorch share an environment without TensorFlow, installed as their users do.
BACKENDS := build/backends
BACKEND_TESTS := $(shell grep -l mark.backend tests/test_*.py)

jax torch: $(BACKENDS)/.installed
	PYTHONPATH=$(CURDIR) KERAS_BACKEND=$@ $(BACKENDS)/bin/python -m pytest -m backend -q -rfE $(TEST_OPTIONS) $(BACKEND_TESTS)

# With the oldest Python, for which all lowest versions exist. Pictures are not compared, because
# another version of Matplotlib draws them differently.
LOWEST := build/lowest

lowest: $(LOWEST)/.installed
	cd $(LOWEST) && bin/python $(CURDIR)/tests/smoke.py
	$(LOWEST)/bin/python -m pytest -m "not slow" -o addopts="-ra --strict-markers" $(TEST_OPTIONS)

# Code on the pages must fit its column beside the navigation.
PAGE_COLUMNS := 72
PAGES := README.md $(filter-out docs/_build/% docs/generated/%, $(wildcard docs/*.md docs/*/*.md))

lint: $(DEVELOPER)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff format --check --config line-length=$(PAGE_COLUMNS) $(PAGES)
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

hooks: $(DEVELOPER)
	$(RUN) -m pre_commit install

docs: pages code-blocks

pages: $(DEVELOPER)
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build/html
	$(RUN) docs/check_links.py docs/_build/html *.md

code-blocks: $(DEVELOPER)
	$(RUN) docs/run_code_blocks.py docs

doctest: $(DEVELOPER)
	$(RUN) -m pytest --doctest-modules skbbox

NOTEBOOKS := $(wildcard examples/*.ipynb)
.PHONY: $(NOTEBOOKS)

notebooks: $(NOTEBOOKS)

$(NOTEBOOKS): $(DEVELOPER)
	$(RUN) -m nbconvert --to notebook --execute --output-dir build/notebooks $@

# `build` makes the wheel from the sdist, so both are tested.
EMPTY := build/empty

wheel: $(INSTALLED)
	rm -rf dist $(EMPTY)
	$(RUN) $(PIP) build check-wheel-contents twine
	$(RUN) -m build --outdir dist .
	$(RUN) -m twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl
	$(PYTHON) -m venv $(EMPTY)/venv
	$(EMPTY)/venv/bin/python $(PIP) dist/skbbox-*.whl
	cp tests/smoke.py $(EMPTY)
	cd $(EMPTY) && venv/bin/python smoke.py

soak: $(INSTALLED)
	$(RUN) benchmarks/soak.py $(if $(FITS),--fits $(FITS))

mutants: $(VENV)/.installed-mutants
	$(VENV)/bin/mutmut run
	$(VENV)/bin/mutmut results

$(INSTALLED): pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) $(PIP) --editable ".[test]"
	touch $@

$(DEVELOPER): $(INSTALLED)
	$(RUN) $(PIP) --editable ".[lint,docs,notebooks]"
	touch $@

$(VENV)/.installed-mutants: $(INSTALLED)
	$(RUN) $(PIP) --editable ".[mutants]"
	touch $@

$(BACKENDS)/.installed: packaging/core/pyproject.toml
	$(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/python $(PIP) "./packaging/core[jax,torch]" psutil pytest pytest-mpl pytest-xdist
	touch $@

# Only direct dependencies are at their lowest version: what they need is theirs to choose.
$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python $(PIP) uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python \
		--resolution lowest-direct --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) build packaging/core/build dist mutants docs/_build docs/api/generated docs/generated demo-output
