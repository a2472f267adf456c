# make demo               the main job on pictures that it draws itself
# make demo DATA=folder   the same on a folder with annotations.csv and images/
# make test               the tests, but for the slow ones
# make slow               the slow ones
# make docs               the documentation, in docs/_build/html
# make lint doctest notebooks   what CI runs beside them
# make soak               300 fits with failures; what is promised in docs/reliability.md
# make mutants            whether the tests of boxes and measures notice changes to the code

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test slow soak lint mutants doctest docs notebooks clean

demo: $(INSTALLED)
	$(RUN) examples/demo.py $(if $(DATA),--data "$(DATA)") $(DEMO_OPTIONS)

TEST_OPTIONS ?= -n 2
# Of these tests together; fails below the share in pyproject.toml. For none: COVERAGE=
COVERAGE ?= --cov --cov-report=term-missing:skip-covered

test: $(INSTALLED)
	$(RUN) -m pytest -m "not slow" $(COVERAGE) $(TEST_OPTIONS)

slow: $(INSTALLED)
	$(RUN) -m pytest -m slow $(TEST_OPTIONS)

lint: $(VENV)/.installed-lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

soak: $(INSTALLED)
	$(RUN) benchmarks/soak.py

mutants: $(VENV)/.installed-mutants
	$(VENV)/bin/mutmut run
	$(VENV)/bin/mutmut results

doctest: $(INSTALLED)
	$(RUN) -m pytest --doctest-modules skbbox

docs: $(VENV)/.installed-docs
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build/html
	$(RUN) docs/check_links.py docs/_build/html *.md
	$(RUN) docs/run_code_blocks.py docs

notebooks: $(VENV)/.installed-notebooks
	$(RUN) -m nbconvert --to notebook --execute --output-dir build/notebooks examples/*.ipynb

$(INSTALLED): pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/.installed-%: $(INSTALLED)
	$(RUN) -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) build dist mutants docs/_build docs/api/generated docs/generated demo-output
