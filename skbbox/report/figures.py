"""The displays' plots as SVG that takes the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..templates import Markup, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["draw_plots", "shorten_class_names"]

#: Width and height of a plot in inches; its text is legible at 350 pixels, the width of a phone.
SIZE = (5.0, 3.5)

#: On top of Matplotlib's defaults; the user's settings are ignored.
STYLE = {
    "axes.facecolor": "none",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "legend.edgecolor": "none",
    "legend.facecolor": "white",
    "savefig.facecolor": "none",
    # Keeps text as text: searchable, read aloud by screen readers, in the fonts of the page.
    "svg.fonttype": "none",
    # Class names may contain dollar signs.
    "text.parse_math": False,
}

#: Colours that differ between light and dark, and the style sheet's variables for them.
COLORS = {
    "#000000": "currentColor",
    "#ffffff": "var(--surface)",
    "#696969": "var(--muted)",
    "#1f77b4": "var(--curve)",
}

#: Longer class names would leave no space for the plot.
MAX_NAME_LENGTH = 24

#: Matplotlib's settings are global to the process.
STYLE_LOCK = threading.Lock()

#: Matplotlib warns of characters that its font lacks; the browser has them.
MISSING_GLYPHS = ("ignore", re.compile("Glyph .* missing from font"), UserWarning, None, 0)


def draw_plots(
    draw: Callable[[NDArray[Any]], Any], prefix: str, labels: Sequence[str]
) -> list[Markup]:
    """Draw a display with one SVG for each panel, so that the page can wrap them.

    Parameters
    ----------
    draw : callable
        Called with an array of axes, as `ax` of the displays.
    prefix : str
        Start of the SVG's ids, unique on the page.
    labels : sequence of str
        Description of each panel for screen readers; sets the number of axes.

    Returns
    -------
    list of Markup
        Without the panels that `draw` left empty.
    """
    import matplotlib.style
    import numpy as np
    from matplotlib.figure import Figure

    with STYLE_LOCK, _ignore_missing_glyphs(), matplotlib.style.context(["default", STYLE]):
        # Not by pyplot, which keeps figures open and is not thread-safe.
        axes = np.array([Figure(SIZE, layout="constrained").add_subplot() for _ in labels])
        draw(axes)
        return [
            _to_svg(ax.figure, f"{prefix}-{number}", label)
            for number, (ax, label) in enumerate(zip(axes, labels, strict=True))
            if ax.has_data()
        ]


def shorten_class_names(table: pd.DataFrame) -> pd.DataFrame:
    """A copy of a table of boxes with class names short enough for an axis, and still unique."""
    if "class_name" not in table:
        return table
    short: dict[Any, str] = {}
    uses: Counter[str] = Counter()
    for name in table["class_name"].dropna().drop_duplicates():
        text = shorten(name, MAX_NAME_LENGTH)
        uses[text] += 1
        short[name] = text if uses[text] == 1 else f"{text} ({uses[text]})"
    return table.assign(class_name=table["class_name"].map(short))


@contextmanager
def _ignore_missing_glyphs() -> Iterator[None]:
    # warnings.catch_warnings is not thread-safe.
    warnings.filters.insert(0, MISSING_GLYPHS)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with suppress(ValueError):  # Another thread may have reset all filters.
            warnings.filters.remove(MISSING_GLYPHS)  # type: ignore[attr-defined]


def _to_svg(figure: Any, prefix: str, label: str) -> Markup:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    root = ET.fromstring(file.getvalue())
    for element in root.iter():
        element.tag = _strip_namespace(element.tag)
        element.attrib = {_strip_namespace(key): text for key, text in element.attrib.items()}
    for parent in list(root.iter()):
        for child in list(parent):
            # Matplotlib's style sheet would apply to the complete page.
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    # Some of Matplotlib's ids are random.
    new_id = {old: f"{prefix}-{number}" for number, old in enumerate(ids)}
    for element in root.iter():
        element.attrib = {
            key: _adapt_attribute(key, text, new_id) for key, text in element.attrib.items()
        }
    root.attrib = {
        "class": "plot",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": label,
    }
    return Markup(ET.tostring(root, encoding="unicode"))


def _strip_namespace(name: str) -> str:
    return name.rpartition("}")[2]


def _adapt_attribute(key: str, text: str, new_id: dict[str, str]) -> str:
    """Value of an attribute with the new ids and the colours of the page."""
    if key == "id":
        return new_id[text]
    if key == "href":
        return f"#{new_id[text[1:]]}"
    text = re.sub(r"url\(#(\w+)\)", lambda found: f"url(#{new_id[found[1]]})", text)
    return re.sub("|".join(COLORS), lambda found: COLORS[found[0]], text)
