"""Images, boxes, labels and axes, drawn in the same style by all displays and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import PIXELS_FROM, as_boxes, as_class_names, find_boxes, read_table
from ..exceptions import BoxError
from ..metrics import NO_OBJECT, count_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.typing import ColorType, LineStyleType
    from numpy.typing import NDArray

    from ..metrics import Pairs
    from ..typing import BoxesLike, FloatArray

__all__ = [
    "CLASS_ONLY",
    "EMPTY_COLOR",
    "MEASURE_COLOR",
    "PREDICTED_COLOR",
    "PREDICTED_STYLE",
    "TRUE_COLOR",
    "create_axes",
    "describe_kinds",
    "draw_box",
    "draw_row",
    "format_count_axis",
    "format_expected",
    "format_label",
    "format_result",
    "get_column",
    "get_confidences",
    "make_axes",
    "show_image",
    "split_boxes_and_labels",
]

# Sky blue, orange, bluish green and reddish purple of M. Okabe and K. Ito, "Color universal
# design" (2008): distinct with every kind of colour blindness; the first two are light enough for
# black text.
TRUE_COLOR = "#56B4E9"
PREDICTED_COLOR = "#E69F00"
#: Bars and curves of measures.
MEASURE_COLOR = "#009E73"
#: Images without an object.
EMPTY_COLOR = "#CC79A7"
#: In labels of rows without a box.
CLASS_ONLY = "(class only)"
#: Dashes of the predicted box.
PREDICTED_STYLE = (0, (4, 2))


def show_image(pixels: NDArray[np.uint8], ax: Axes | None) -> Axes:
    """Draw an image; the axes are in its pixels, origin at the top left."""
    ax = create_axes() if ax is None else ax
    height, width = pixels.shape[:2]
    # Puts the edges of pixels at integers, so that a box in pixels is drawn exactly.
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
    """Draw a normalised box on the axes of an image, with a label next to it."""
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
        text = _add_text(ax, label, color)
        _place_text(ax, text, left, bottom if label_below else top, label_below)


def draw_row(
    ax: Axes, box: FloatArray, label: str | None, color: ColorType, **options: Any
) -> None:
    """Draw a box as :func:`draw_box` does; of a row without one, the label in a corner."""
    if not np.isnan(box).any():
        draw_box(ax, box, label, color, **options)
    elif label is not None:
        text = _add_text(ax, label, color)
        height = ax.get_ylim()[0]
        below = bool(options.get("label_below"))
        # At the edge of the image, where _place_text puts a label inside.
        _place_text(ax, text, 0, height if below else 0, below)


def split_boxes_and_labels(boxes: BoxesLike) -> list[tuple[FloatArray, str | None]]:
    """Pairs of (ndarray of shape (4,), label or None); rows without a box have NaN."""
    coordinates, labels = _split_table(boxes)
    pairs = []
    for row, (box, label) in enumerate(zip(coordinates, labels, strict=True)):
        # Other invalid boxes are drawn, so that the user sees the mistake.
        is_drawn = np.isfinite(box).all() and (np.abs(box) < PIXELS_FROM).all()
        if not is_drawn and not np.isnan(box).all():
            raise BoxError(
                f"Box {row} cannot be drawn: boxes are four numbers normalised to 0..1; divide "
                "pixels by the image's width and height. Received: "
                f"{', '.join(f'{value:g}' for value in box)}."
            )
        pairs.append((box, None if pd.isna(label) else str(label)))
    return pairs


def format_label(
    owner: str, name: str | None, class_confidence: float | None = None, *, has_box: bool = True
) -> str:
    """Text of a label: ``predicted: cat 0.98``, ``true: cat (class only)``, ``true: no object``."""
    if name is None and not has_box:
        return f"{owner}: {NO_OBJECT}"
    parts = [] if name is None else [name]
    if class_confidence is not None:
        parts.append(f"{class_confidence:.2f}")
    if not has_box:
        parts.append(CLASS_ONLY)
    return f"{owner}: {' '.join(parts)}" if parts else owner


def format_expected(box_confidence: float | None, presence: float | None = None) -> str:
    """Text of a title without a true row: ``expected IoU 0.77``, or ``presence 0.12`` of no box."""
    if box_confidence is not None:
        return f"expected IoU {box_confidence:.2f}"
    return "" if presence is None else f"presence {presence:.2f}"


def format_result(pairs: Pairs, row: int, box_confidence: float | None) -> str:
    """Text of a title, such as ``IoU 0.72, expected 0.77`` or ``false alarm, presence 0.83``."""
    presence = None if pairs.presence is None else float(pairs.presence[row])
    if pairs.is_empty[row] or pairs.is_missed[row]:
        words = "false alarm" if pairs.is_false_alarm[row] else ""
        words = "missed" if pairs.is_missed[row] else words
        return ", ".join(filter(None, [words, format_expected(None, presence)]))
    if not pairs.has_iou[row]:
        return format_expected(box_confidence)
    expected = "" if box_confidence is None else f", expected {box_confidence:.2f}"
    return f"IoU {pairs.iou[row]:.2f}{expected}"


def describe_kinds(boxes: BoxesLike) -> str:
    """Number of rows of each kind, as in ``8 class and box, 2 no object``; empty for one kind."""
    has_box = find_boxes(as_boxes(boxes))
    names = as_class_names(boxes)
    has_class = np.zeros_like(has_box) if names is None else pd.Series(names).notna().to_numpy()
    kinds = count_kinds(has_class, has_box)
    return ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()) if len(kinds) > 1 else ""


def get_confidences(predicted: Any, row: int) -> tuple[float | None, float | None]:
    """Class confidence and box confidence of a row; None where missing."""
    columns = [get_column(predicted, name) for name in ("class_confidence", "box_confidence")]
    class_confidence, box_confidence = (
        None if column is None or np.isnan(column[row]) else float(column[row])
        for column in columns
    )
    return class_confidence, box_confidence


def get_column(boxes: Any, name: str) -> NDArray[Any] | None:
    """A column of a DataFrame; None where it is missing, or `boxes` is not a DataFrame."""
    has_column = isinstance(boxes, pd.DataFrame) and name in boxes
    return boxes[name].to_numpy() if has_column else None


def make_axes(
    ax: Axes | NDArray[Any] | None, n_rows: int, n_columns: int, panel: tuple[float, float]
) -> NDArray[Any]:
    """Axes for the panels of a display.

    Parameters
    ----------
    ax : Axes, array of Axes or None
        A subplot, which the panels replace; at least one axes for each panel; or None for a new
        figure.
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
            raise ValueError(
                f"ax needs {n_panels} axes, one for each panel. Received: {len(axes)}."
            )
        return axes
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax is divided into panels, so it must be a subplot: pass what plt.subplots or "
            "figure.add_subplot returns, or an array of axes."
        )
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    cells = [grid[number] for number in range(n_panels)]
    return np.array([ax.figure.add_subplot(cell) for cell in cells], dtype=object)


def format_count_axis(axis: Axis) -> None:
    """Put ticks at integers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))


def create_axes(size: tuple[float, float] | None = None) -> Axes:
    """Axes of a new figure; `size` is in inches."""
    # Imported here, so that importing skbbox stays fast.
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _split_table(boxes: BoxesLike) -> tuple[Iterable[FloatArray], Iterable[Any]]:
    table: Any = read_table(boxes)
    if _is_table(table):
        coordinates, names = as_boxes(table), as_class_names(table)
        return coordinates, [None] * len(coordinates) if names is None else names
    rows = list(table)
    if rows and np.ndim(rows[0]) == 0:
        rows = [rows]
    # One by one, because only some of the boxes may have a label.
    pairs = [_split_box(row) for row in rows]
    return [box for box, _ in pairs], [label for _, label in pairs]


def _split_box(row: Any) -> tuple[FloatArray, Any]:
    box, names = as_boxes([row])[0], as_class_names([row])
    if names is not None:
        return box, names[0]
    return box, row[4] if len(row) > 4 else None


def _is_table(boxes: BoxesLike) -> bool:
    named = getattr(getattr(boxes, "dtype", None), "names", None) is not None
    return named or isinstance(boxes, (pd.DataFrame, pd.Series))


def _add_text(ax: Axes, label: str, color: ColorType) -> Text:
    return ax.text(
        0,
        0,
        label,
        fontsize="small",
        color="black",
        clip_on=True,
        bbox={"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "black"},
    )


def _place_text(ax: Axes, text: Text, left: float, edge: float, below: bool) -> None:
    """Put the label next to the box's edge, or inside the box where the image ends."""
    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    # Before this, the axes have the aspect of the figure, not of the image.
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
