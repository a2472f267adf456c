"""The stored outputs of the notebooks in examples/; ``make notebooks`` runs the notebooks."""

import json
import re
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

#: Code that produces an output, at the start of a line.
PRODUCES_OUTPUT = re.compile(
    r"^(print\(|\w+Display\.from_|pd\.DataFrame\(|!(?!.*>>))", re.MULTILINE
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path):
    return [cell for cell in notebook(path)["cells"] if cell["cell_type"] == "code"]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell["outputs"]]


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_cells_were_run_once_from_top_to_bottom(path):
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_cells_that_produce_an_output_have_one(path):
    empty = [
        cell["source"]
        for cell in code_cells(path)
        if PRODUCES_OUTPUT.search("".join(cell["source"])) and not cell["outputs"]
    ]
    assert not empty


@each_notebook
def test_no_cell_failed(path):
    assert not [output for output in outputs(path) if output["output_type"] == "error"]


@each_notebook
def test_no_warning_or_log_line_is_stored(path):
    # TensorFlow logs to stderr when it starts; remove these lines before you commit.
    assert not [output["text"] for output in outputs(path) if output.get("name") == "stderr"]


@each_notebook
def test_no_path_of_a_machine_is_stored(path):
    stored = [
        output.get("text")
        or {kind: data for kind, data in output.get("data", {}).items() if kind != "image/png"}
        for output in outputs(path)
    ]
    text = json.dumps(stored)
    places = [str(ROOT), str(Path.home()), tempfile.gettempdir() + "/", "site-packages"]
    assert not [place for place in places if place in text]
    assert not re.findall(r"/(?:home|root|tmp|Users)/\w+|[A-Z]:\\+\w+", text)


@each_notebook
def test_kernel_is_any_python_3(path):
    assert notebook(path)["metadata"]["kernelspec"]["name"] == "python3"


@each_notebook
def test_notebook_is_small_enough_for_viewers(path):
    assert path.stat().st_size < 1_000_000


@each_notebook
def test_linked_notebooks_exist(path):
    linked = re.findall(r"\]\((\w+\.ipynb)\)", path.read_text(encoding="utf-8"))
    assert not [name for name in linked if not (path.parent / name).is_file()]


@each_notebook
def test_readme_or_documentation_names_the_notebook(path):
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(re.search(rf"\b{path.stem}\b", page.read_text("utf-8")) for page in pages)
