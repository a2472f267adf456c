"""The text for PyPI, where links to files of the repository need an address."""

import tomllib
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (HERE / "README.md").read_text(encoding="utf-8")

setup(
    long_description=README.replace(
        "](docs/images/", f"]({PROJECT['urls']['Source']}/raw/main/docs/images/"
    ),
    long_description_content_type="text/markdown",
)
