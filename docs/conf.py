"""Sphinx configuration; ``make docs`` builds the pages with warnings as errors."""

import json
import os
import re
from pathlib import Path

# Must precede the import of TensorFlow; keeps its start-up messages out of the build log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Must precede the import of Matplotlib; the gallery is drawn without a display.
os.environ["MPLBACKEND"] = "Agg"

from sphinx.util import logging
from sphinx_gallery.sorting import ExplicitOrder

import skbbox
import skbbox.typing
from skbbox.annotations.registry import FORMATS

project = "skbbox"
author = "The skbbox developers"
copyright = author
version = release = skbbox.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "generated/*.md", "generated/gallery/**/*.ipynb"]

# External names have no page here, and the inventories of other sites would need internet access.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(keras|matplotlib|numpy|pandas|sklearn)\..*")]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
# The notebooks contain their outputs, and CI runs them separately.
nb_execution_mode = "off"
nb_merge_streams = True
# Do not load scripts from another site for widgets that no notebook uses.
nb_ipywidgets_js = {}

autosummary_generate = True
# Keras's docstrings are Markdown, and scikit-learn's refer to pages that do not exist here.
autodoc_inherit_docstrings = False
# The docstrings describe types in words; annotations are for type checkers.
autodoc_typehints = "none"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": ExplicitOrder(
        [
            "plot_image.py",
            "plot_box_statistics.py",
            "plot_training.py",
            "plot_chapter_curves.py",
            "plot_box_grid.py",
            "plot_iou_distribution.py",
            "plot_iou_threshold.py",
            "plot_presence.py",
            "plot_search.py",
            "plot_label_issues.py",
            "plot_two_looks.py",
            "plot_trust.py",
            "plot_embedding.py",
        ]
    ),
    "doc_module": ("skbbox",),
    "backreferences_dir": "generated/backreferences",
    "exclude_implicit_doc": {r"skbbox\.datasets", r"skbbox\.network"},
    "download_all_examples": False,
    "notebook_extensions": set(),
    "show_signature": False,
    # In seconds; hides the run time of the scripts.
    "min_reported_time": 3600,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "capture_repr": (),
    "image_scrapers": ("matplotlib",),
}
# Functions in sphinx_gallery_conf cannot be cached between builds, which is harmless.
suppress_warnings = ["config.cache"]

html_theme = "pydata_sphinx_theme"
html_title = f"skbbox {version}"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skbbox.css"]
html_js_files = ["search_from_files.js", "stack_tables.js"]
html_show_sourcelink = False
# Without a default, the theme logs errors in the browser's console.
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "skbbox", "alt_text": "skbbox home page"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {
    "index": [],
    "installation": [],
    "generated/gallery/index": ["sidebar-nav-bs"],
}

#: Pages with wide code or tables, which have no list of their sections beside them.
WIDE_PAGES = re.compile(
    r"api/generated/|generated/|benchmarks|reliability|speed|changelog"
    r"|how_to/(annotation_files|errors|export)$"
)
NOTEBOOKS = Path(__file__).parent.parent / "examples"


def check_every_public_name_is_listed(app):
    listed = set(re.findall(r"\w+", (Path(app.srcdir) / "api.md").read_text(encoding="utf-8")))
    names = {
        "skbbox": skbbox.__all__,
        "skbbox.datasets": skbbox.datasets.__all__,
        "skbbox.exceptions": skbbox.exceptions.__all__,
        "skbbox.typing": skbbox.typing.__all__,
    }
    for module, public in names.items():
        for name in sorted(set(public) - listed):
            logging.getLogger(__name__).warning("api.md does not list %s.%s", module, name)


def write_table_of_formats(app):
    head = ["format", "files", "coordinates", "image size", "image without an object"]
    rows = [head, ["---"] * len(head)]
    for name, reader in FORMATS.items():
        words = (reader.FILES, reader.COORDINATES, reader.SIZE, reader.EMPTY)
        rows.append([f"`{name}`", *words])
    page = Path(app.srcdir, "generated", "formats.md")
    page.parent.mkdir(exist_ok=True)
    page.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")


def copy_notebooks(app):
    """Copy the notebooks into the source folder, because Sphinx reads no files outside it."""
    folder = Path(app.srcdir, "generated", "notebooks")
    folder.mkdir(parents=True, exist_ok=True)
    sources = {path.name: path for path in NOTEBOOKS.glob("*.ipynb")}
    for old in folder.glob("*.ipynb"):
        if old.name not in sources:
            old.unlink()
    for name, path in sources.items():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        # Lines that begin with "!" are IPython syntax, not Python.
        notebook["metadata"]["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
        text = json.dumps(notebook, ensure_ascii=False)
        copy = folder / name
        # An unchanged copy keeps its modification time, so that its page is not rebuilt.
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def widen_page(app, pagename, templatename, context, doctree):
    if WIDE_PAGES.match(pagename):
        context["meta"] = {**(context.get("meta") or {}), "html_theme.sidebar_secondary.remove": ""}


def setup(app):
    app.connect("html-page-context", widen_page)
    app.connect("builder-inited", check_every_public_name_is_listed)
    app.connect("builder-inited", write_table_of_formats)
    app.connect("builder-inited", copy_notebooks)
