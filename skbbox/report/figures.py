"""The displays' plots as SVG in the colours of the page, whichever they are when it is read."""

from __future__ import annotations

import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..markup import Markup, shown, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["plots", "with_short_names"]

#: Width and height of a plot in inches; its text is readable at 350 pixels, a phone's width.
SIZE = (5.0, 3.5)

#: Beside Matplotlib's own defaults, whatever the user has set.
STYLE = {
    "axes.facecolor": "none",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "legend.edgecolor": "none",
    "legend.facecolor": "white",
    "savefig.facecolor": "none",
    # Text that can be searched and read aloud, in the fonts of the page.
    "svg.fonttype": "none",
    # Names of classes are no formulas.
    "text.parse_math": False,
}

#: Colours that change between light and dark, and what the style sheet calls them.
COLORS = {
    "#000000": "currentColor",
    "#ffffff": "var(--surface)",
    "#696969": "var(--muted)",
    "#1f77b4": "var(--curve)",
}

#: Longer names would leave no room for the plot.
LONGEST = 24

#: Matplotlib's style belongs to the whole process.
DRAWING = threading.Lock()

#: A browser has the characters that Matplotlib's font lacks.
UNHEARD = ("ignore", re.compile("Glyph .* missing from font"), UserWarning, None, 0)


def plots(draw: Callable[[NDArray[Any]], Any], prefix: str, labels: Sequence[str]) -> list[Markup]:
    """One SVG for each panel of a display, so that they stand side by side or below each other.

    Parameters
    ----------
    draw : callable
        Draws on an array of axes, as the displays do on `ax`.
    prefix : str
        Of the ids, so that no two on the page are the same.
    labels : sequence of str
        What each panel shows, for who does not see it. One axes is made for each.

    Returns
    -------
    list of str
        Without panels that `draw` left empty.
    """
    import matplotlib.style
    import numpy as np
    from matplotlib.figure import Figure

    with DRAWING, _quiet(), matplotlib.style.context(["default", STYLE]):
        # Without pyplot, which would keep them, and asks for the main thread.
        axes = np.array([Figure(SIZE, layout="constrained").add_subplot() for _ in labels])
        draw(axes)
        return [
            _svg(ax.figure, f"{prefix}-{number}", label)
            for number, (ax, label) in enumerate(zip(axes, labels, strict=True))
            if ax.has_data()
        ]


def with_short_names(table: pd.DataFrame) -> pd.DataFrame:
    """A copy of a table of boxes with class names that fit beside an axis, still all different."""
    if "class_name" not in table:
        return table
    short: dict[Any, str] = {}
    uses: Counter[str] = Counter()
    for name in table["class_name"].drop_duplicates():
        text = shown(name, LONGEST)
        uses[text] += 1
        short[name] = text if uses[text] == 1 else f"{text} ({uses[text]})"
    return table.assign(class_name=table["class_name"].map(short))


@contextmanager
def _quiet() -> Iterator[None]:
    # As in images.py: warnings.catch_warnings is for one thread.
    warnings.filters.insert(0, UNHEARD)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with suppress(ValueError):
            warnings.filters.remove(UNHEARD)  # type: ignore[attr-defined]


def _svg(figure: Any, prefix: str, label: str) -> Markup:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    root = ET.fromstring(file.getvalue())
    for element in root.iter():
        element.tag = _without_namespace(element.tag)
        element.attrib = {_without_namespace(key): text for key, text in element.attrib.items()}
    for parent in list(root.iter()):
        for child in list(parent):
            # A style sheet in it would change the whole page.
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    # Matplotlib draws some of them by lot.
    new_id = {old: f"{prefix}-{number}" for number, old in enumerate(ids)}
    for element in root.iter():
        element.attrib = {key: _renamed(key, text, new_id) for key, text in element.attrib.items()}
    drawing = "".join(ET.tostring(child, encoding="unicode") for child in root)
    return tag(
        "svg",
        Markup(drawing),
        class_="plot",
        viewBox=root.attrib["viewBox"],
        role="img",
        aria_label=label,
    )


def _without_namespace(name: str) -> str:
    return name.rpartition("}")[2]


def _renamed(key: str, text: str, new_id: dict[str, str]) -> str:
    """An attribute with the new ids and the colours of the page."""
    if key == "id":
        return new_id[text]
    if key == "href":
        return f"#{new_id[text[1:]]}"
    text = re.sub(r"url\(#(\w+)\)", lambda found: f"url(#{new_id[found[1]]})", text)
    return re.sub("|".join(COLORS), lambda found: COLORS[found[0]], text)
