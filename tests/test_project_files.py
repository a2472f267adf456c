"""Files around the package: addresses, versions, workflows, and the package without TensorFlow."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import skbbox

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CORE = tomllib.loads((ROOT / "packaging" / "core" / "pyproject.toml").read_text(encoding="utf-8"))
#: Files that may name an address of the project.
NAMING = [
    *(ROOT.glob("*.md")),
    ROOT / "CITATION.cff",
    ROOT / "docs" / "conf.py",
    *(ROOT / "docs").glob("**/*.md"),
    *(ROOT / ".github").glob("**/*.yml"),
    *(ROOT / "packaging").glob("**/*.*"),
]
GENERATED = {"_build", "generated"}

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read_workflow(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_all_files_name_the_same_addresses():
    urls = PYPROJECT["project"]["urls"]
    for path in NAMING:
        if path.is_dir() or GENERATED & set(path.parts) or path.name == "RELEASING.md":
            continue
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"https://(?:github\.com|raw\.githubusercontent\.com)/\S+", text):
            if re.search(r"/skbbox\b", found):
                owner_and_name = re.search(r"\.com/([\w.-]+/[\w.-]+)", found)[1]
                assert urls["Source"].endswith(f".com/{owner_and_name}"), (path.name, found)
        for found in re.findall(r"https://[\w.-]+\.github\.io/skbbox\b", text):
            assert found + "/" == urls["Documentation"], (path.name, found)


def test_citation_has_the_version_and_the_address():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    urls = PYPROJECT["project"]["urls"]
    assert citation["version"] == skbbox.__version__
    assert (citation["repository-code"], citation["url"]) == (
        urls["Source"],
        urls["Documentation"],
    )


def test_core_depends_on_all_but_tensorflow():
    without = [d for d in PYPROJECT["project"]["dependencies"] if not d.startswith("tensorflow")]
    assert CORE["project"]["dependencies"] == without
    assert len(without) == len(PYPROJECT["project"]["dependencies"]) - 1


def test_core_is_the_same_package():
    ours, core = PYPROJECT["project"], CORE["project"]
    for key in ("requires-python", "license", "urls", "scripts"):
        assert core[key] == ours[key]
    assert (
        CORE["tool"]["setuptools"]["package-data"]
        == PYPROJECT["tool"]["setuptools"]["package-data"]
    )
    assert (ROOT / "packaging" / "core" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_extras_of_core_are_those_of_the_package_and_the_backends():
    ours = PYPROJECT["project"]["optional-dependencies"]
    core = dict(CORE["project"]["optional-dependencies"])
    assert core.pop("jax") and core.pop("torch")
    assert core.items() <= ours.items()


@each_workflow
def test_workflow_gives_no_permission_by_default(path):
    workflow = read_workflow(path)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


@each_workflow
def test_actions_are_pinned_by_a_hash_and_name_their_version(path):
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in uses if not pinned.fullmatch(action)] == []


def test_an_action_has_the_same_hash_in_all_workflows():
    texts = [path.read_text(encoding="utf-8") for path in WORKFLOWS]
    pins = {pin for text in texts for pin in re.findall(r"uses: (\S+)@(\S+)", text)}
    assert len(pins) == len({action for action, _ in pins})


def test_tests_run_on_the_classified_systems_and_versions_of_python():
    matrix = read_workflow(ROOT / ".github/workflows/tests.yml")["jobs"]["systems"]["strategy"]
    classifiers = PYPROJECT["project"]["classifiers"]
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert matrix["matrix"]["python-version"] == versions
    assert f">={versions[0]}" == PYPROJECT["project"]["requires-python"]
    systems = [c for c in classifiers if c.startswith("Operating System")]
    assert len(matrix["matrix"]["os"]) == len(systems)


def test_changelog_fragments_are_of_a_known_kind():
    kinds = {kind["directory"] for kind in PYPROJECT["tool"]["towncrier"]["type"]}
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert all(re.fullmatch(rf"[\w+-]+\.({'|'.join(kinds)})\.md", path.name) for path in fragments)
