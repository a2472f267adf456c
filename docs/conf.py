"""Sphinx configuration; ``make docs`` builds the pages with warnings as errors."""

import os
import re
from pathlib import Path

# Before TensorFlow is imported, so that its start-up notes stay out of the build log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from sphinx.util import logging

import skbbox
from skbbox.annotations.reading import FORMATS

project = "skbbox"
author = "The skbbox developers"
copyright = author
version = release = skbbox.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated"]

myst_heading_anchors = 3

autosummary_generate = True
# Keras's own docstrings are Markdown, and scikit-learn's refer to pages that are not here.
autodoc_inherit_docstrings = False
# Docstrings tell the types in words; annotations are for type checkers.
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"skbbox {version}"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"index": [], "installation": [], "data": [], "contributing": []}


def check_every_public_name_is_listed(app):
    listed = set(re.findall(r"\w+", (Path(app.srcdir) / "api.md").read_text(encoding="utf-8")))
    for name in sorted(set(skbbox.__all__) - listed):
        logging.getLogger(__name__).warning("api.md does not list skbbox.%s", name)


def write_table_of_formats(app):
    head = ["format", "files", "coordinates", "size of the image", "image without an object"]
    rows = [head, ["---"] * len(head)]
    for name, reader in FORMATS.items():
        words = (reader.FILES, reader.COORDINATES, reader.SIZE, reader.EMPTY)
        rows.append([f"`{name}`", *words])
    page = Path(app.srcdir, "generated", "formats.md")
    page.parent.mkdir(exist_ok=True)
    page.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")


def setup(app):
    app.connect("builder-inited", check_every_public_name_is_listed)
    app.connect("builder-inited", write_table_of_formats)
