"""How an image and its boxes look wherever they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import PIXELS_FROM, as_boxes, as_class_names
from ..exceptions import BoxError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.typing import ColorType, LineStyleType
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray

__all__ = [
    "MEASURE_COLOR",
    "PREDICTED_COLOR",
    "PREDICTED_STYLE",
    "TRUE_COLOR",
    "draw_box",
    "format_count_axis",
    "format_label",
    "get_confidence",
    "make_axes",
    "new_axes",
    "show_image",
    "split_boxes_and_labels",
]

# Sky blue, orange and bluish green of M. Okabe and K. Ito, "Color universal design" (2008):
# told apart with every kind of colour blindness, and the first two light enough for black text.
TRUE_COLOR = "#56B4E9"
PREDICTED_COLOR = "#E69F00"
#: Of bars and curves that measure.
MEASURE_COLOR = "#009E73"
#: Dashes of the predicted box.
PREDICTED_STYLE = (0, (4, 2))


def show_image(pixels: NDArray[np.uint8], ax: Axes | None) -> Axes:
    """Draw an image; the axes are in its pixels, origin at the top left."""
    ax = new_axes() if ax is None else ax
    height, width = pixels.shape[:2]
    # Edges of pixels at whole numbers, so that a box's edge is where its number says.
    ax.imshow(pixels, extent=(0, width, height, 0))
    ax.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    return ax


def draw_box(
    ax: Axes,
    box: FloatArray,
    label: str | None,
    color: ColorType,
    *,
    linestyle: LineStyleType = "-",
    label_below: bool = False,
) -> None:
    """Draw a normalised box on the axes of an image, with a label beside it."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    left, right, top, bottom = box * (width, width, height, height)
    ax.add_patch(
        Rectangle(
            (left, top),
            right - left,
            bottom - top,
            fill=False,
            edgecolor=color,
            linewidth=2,
            linestyle=linestyle,
            path_effects=[withStroke(linewidth=3.5, foreground="black")],
        )
    )
    if label is not None:
        text = _text(ax, label, color)
        _place(ax, text, left, bottom if label_below else top, label_below)


def split_boxes_and_labels(boxes: BoxesLike) -> list[tuple[FloatArray, str | None]]:
    """Pairs of (ndarray of shape (4,), label or None), without the boxes of NaN."""
    coordinates, labels = _coordinates_and_labels(boxes)
    pairs = []
    for row, (box, label) in enumerate(zip(coordinates, labels, strict=True)):
        if np.isnan(box).all():
            continue
        # Any other odd box is drawn as it is: seeing it is how its mistake is found.
        if not np.isfinite(box).all() or (np.abs(box) >= PIXELS_FROM).any():
            raise BoxError(
                f"Box {row} cannot be drawn: boxes are four numbers normalised to 0..1; divide "
                "pixels by the image's width and height. Received: "
                f"{', '.join(f'{value:g}' for value in box)}."
            )
        pairs.append((box, None if pd.isna(label) else str(label)))
    return pairs


def format_label(who: str, name: str | None, confidence: float | None = None) -> str:
    """What a label says: whose box, of which class, with which confidence."""
    what = [] if name is None else [name]
    if confidence is not None and not np.isnan(confidence):
        what.append(f"{confidence:.2f}")
    return f"{who}: {' '.join(what)}" if what else who


def get_confidence(predicted: pd.DataFrame) -> float | None:
    """Of the first predicted box; None where the table has no such column."""
    if "confidence" not in getattr(predicted, "columns", ()):
        return None
    return float(predicted["confidence"].iloc[0])


def make_axes(
    ax: Axes | NDArray[Any] | None, n_rows: int, n_columns: int, panel: tuple[float, float]
) -> NDArray[Any]:
    """Axes for the panels of a picture.

    Parameters
    ----------
    ax : Axes, array of Axes or None
        One of a figure's subplots, whose place the panels take; as many axes as there are
        panels; or None for a new figure.
    n_rows, n_columns : int
    panel : (float, float)
        Width and height of a panel in inches, in a new figure.

    Returns
    -------
    ndarray of Axes, of shape (n_rows * n_columns,)
    """
    n_panels = n_rows * n_columns
    if ax is None:
        import matplotlib.pyplot as plt

        size = (panel[0] * n_columns, panel[1] * n_rows)
        return plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")[
            1
        ].ravel()
    if isinstance(ax, (np.ndarray, list, tuple)):
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) < n_panels:
            raise ValueError(f"ax needs {n_panels} axes, one a panel. Received: {len(axes)}.")
        return axes
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax is divided into panels, for which it must be a subplot: pass what plt.subplots or "
            "figure.add_subplot gives, or an array of axes."
        )
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    cells = [grid[number] for number in range(n_panels)]
    return np.array([ax.figure.add_subplot(cell) for cell in cells], dtype=object)


def format_count_axis(axis: Axis) -> None:
    """Whole numbers alone on an axis."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))


def new_axes(size: tuple[float, float] | None = None) -> Axes:
    """Axes of a new figure, whose size is in inches."""
    # Imported here, so that importing skbbox stays quick.
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _coordinates_and_labels(boxes: BoxesLike) -> tuple[Iterable[FloatArray], Iterable[Any]]:
    if _is_table(boxes):
        coordinates, names = as_boxes(boxes), as_class_names(boxes)
        return coordinates, [None] * len(coordinates) if names is None else names
    rows = list(boxes)
    if rows and np.ndim(rows[0]) == 0:
        rows = [rows]
    # One by one, because some boxes may have a label and others none.
    pairs = [_coordinates_and_label(row) for row in rows]
    return [box for box, _ in pairs], [label for _, label in pairs]


def _coordinates_and_label(row: Any) -> tuple[FloatArray, Any]:
    box, names = as_boxes([row])[0], as_class_names([row])
    if names is not None:
        return box, names[0]
    return box, row[4] if len(row) > 4 else None


def _is_table(boxes: BoxesLike) -> bool:
    named = getattr(getattr(boxes, "dtype", None), "names", None) is not None
    return named or isinstance(boxes, (pd.DataFrame, pd.Series))


def _text(ax: Axes, label: str, color: ColorType) -> Text:
    return ax.text(
        0,
        0,
        label,
        fontsize="small",
        color="black",
        clip_on=True,
        bbox={"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "black"},
    )


def _place(ax: Axes, text: Text, left: float, edge: float, below: bool) -> None:
    """Put the label beside the box's edge, or within the box where the image ends there."""
    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    # Until then the axes have the shape of the figure, not of the image.
    ax.apply_aspect()
    extent = text.get_window_extent().transformed(ax.transData.inverted())
    margin = 0.2 * abs(extent.height)
    text_width, text_height = extent.width + 2 * margin, abs(extent.height) + 2 * margin

    outside = edge + text_height <= height if below else edge - text_height >= 0
    upwards = below != outside
    edge = min(max(edge, 0), height)
    text.set_y(edge - margin if upwards else edge + margin)
    text.set_verticalalignment("bottom" if upwards else "top")

    left = max(left, 0)
    at_the_right = left + text_width > width >= text_width
    text.set_x(width - margin if at_the_right else min(left, max(width - text_width, 0)) + margin)
    text.set_horizontalalignment("right" if at_the_right else "left")
