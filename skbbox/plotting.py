"""The chapter's helpers: pictures of boxes and of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .boxes import PIXELS_FROM, as_boxes, as_class_names, iou
from .exceptions import BoxError, SkbboxError
from .history import as_history, combine_histories
from .images import load_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.typing import ColorType, LineStyleType
    from numpy.typing import NDArray

    from .typing import BoxesLike, FloatArray, HistoryLike, ImageLike, Localizer

__all__ = [
    "PREDICTED_COLOR",
    "TRUE_COLOR",
    "combine_histories",
    "plot_accuracy",
    "plot_bbox_loss",
    "plot_image",
    "plot_iou",
    "plot_loss",
    "plot_prediction",
]

# Sky blue and orange of M. Okabe and K. Ito, "Color universal design" (2008):
# told apart with every kind of colour blindness, and both light enough for black text.
TRUE_COLOR = "#56B4E9"
PREDICTED_COLOR = "#E69F00"


def plot_image(
    img: ImageLike, boxes: BoxesLike, *, ax: Axes | None = None, color: ColorType = TRUE_COLOR
) -> Axes:
    """Draw an image with its boxes and their labels.

    Parameters
    ----------
    img : str, Path, ndarray or PIL image
        As for :func:`skbbox.images.load_image`.
    boxes : box, sequence of boxes or table of boxes
        One box or several, each ``x_min, x_max, y_min, y_max`` or with a label as
        fifth entry; or a DataFrame, a row of it, or a structured array with these
        columns and, for labels, ``class_name``. Normalised to 0..1. A box of NaN,
        as an image without object has it, is left out.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.
    color : matplotlib color, default=TRUE_COLOR
        Of the boxes and labels.

    Returns
    -------
    matplotlib Axes
        In pixels of the image, origin at the top left.

    Raises
    ------
    ImageError
        If the image cannot be read.
    BoxError
        If a box is not four numbers, or is in pixels.

    Examples
    --------
    >>> from skbbox.datasets import make_shapes
    >>> from skbbox.plotting import plot_image
    >>> X, y = make_shapes(n_samples=1, random_state=0)
    >>> ax = plot_image(X[0], (0.25, 0.75, 0.5, 1.0, "cat"))
    >>> print(ax.patches[0])
    Rectangle(xy=(24, 48), width=48, height=48, angle=0)
    """
    labelled = _boxes_and_labels(boxes)
    ax = _show(load_image(img), ax)
    for box, label in labelled:
        _draw_box(ax, box, label, color)
    return ax


def plot_prediction(
    estimator: Localizer, image: ImageLike, true: BoxesLike | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw an image with the box that an estimator predicts and, if known, the true one.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict([image])`` gives a DataFrame with the columns
        ``x_min, x_max, y_min, y_max`` and, if it knows them, ``class_name`` and
        ``confidence``.
    image : str, Path, ndarray or PIL image
    true : box or table of one box, default=None
        As `boxes` of :func:`plot_image`.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.

    Returns
    -------
    matplotlib Axes
        The predicted box is dashed, the true one solid; with a true box the title
        is their IoU.

    Raises
    ------
    BoxError
        If `true` is more than one box, or a box cannot be drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox.datasets import make_shapes
    >>> from skbbox.plotting import plot_prediction
    >>> X, y = make_shapes(n_samples=1, random_state=0)
    >>> class Left:
    ...     def predict(self, X):
    ...         return pd.DataFrame({"x_min": [0.0], "x_max": 0.5, "y_min": 0.0, "y_max": 1.0})
    >>> plot_prediction(Left(), X[0], (0, 1, 0, 1)).get_title()
    'IoU 0.50'
    """
    true_boxes = [] if true is None else _boxes_and_labels(true)
    if len(true_boxes) > 1:
        raise BoxError(
            f"plot_prediction compares with one true box. Received {len(true_boxes)} boxes; "
            "choose one, for example y.iloc[[0]]."
        )
    predicted = estimator.predict([image])
    predicted_boxes = _boxes_and_labels(predicted)
    ax = _show(load_image(image), ax)
    for box, name in true_boxes:
        _draw_box(ax, box, _said("true", name), TRUE_COLOR)
    for box, name in predicted_boxes:
        label = _said("predicted", name, _confidence(predicted))
        _draw_box(ax, box, label, PREDICTED_COLOR, linestyle=(0, (4, 2)), label_below=True)
    if true_boxes and predicted_boxes:
        ax.set_title(f"IoU {iou(true_boxes[0][0], predicted_boxes[0][0]):.2f}")
    return ax


def plot_loss(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the total loss over the epochs, training solid and validation dashed.

    Parameters
    ----------
    history : dict of lists, fitted estimator or Keras History
        The dict has the keys of ``history_``; ``val_`` keys are drawn where there.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    SkbboxError
        If the history lacks the curve; names the keys it has.
    TypeError
        If `history` is none of these.

    Examples
    --------
    >>> from skbbox.plotting import plot_loss
    >>> ax = plot_loss({"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]})
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation']
    """
    ax = _plot_curves(history, "loss", ax)
    ax.set_ylabel("loss")
    return ax


def plot_bbox_loss(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the loss of the boxes alone over the epochs.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``bbox_prediction_loss``.
    """
    ax = _plot_curves(history, "bbox_prediction_loss", ax)
    ax.set_ylabel("box loss")
    return ax


def plot_accuracy(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of the classes over the epochs, on an axis of 0 to 1.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``class_prediction_accuracy``, which a model of boxes alone does not have.
    """
    ax = _plot_curves(history, "class_prediction_accuracy", ax)
    _share_axis(ax, "accuracy")
    return ax


def plot_iou(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the mean IoU over the epochs, on an axis of 0 to 1.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``bbox_prediction_mean_iou``.
    """
    ax = _plot_curves(history, "bbox_prediction_mean_iou", ax)
    _share_axis(ax, "mean IoU")
    return ax


def _boxes_and_labels(boxes: BoxesLike) -> list[tuple[FloatArray, str | None]]:
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


def _confidence(predicted: pd.DataFrame) -> float | None:
    if "confidence" not in getattr(predicted, "columns", ()):
        return None
    return float(predicted["confidence"].iloc[0])


def _said(who: str, name: str | None, confidence: float | None = None) -> str:
    what = [] if name is None else [name]
    if confidence is not None and not np.isnan(confidence):
        what.append(f"{confidence:.2f}")
    return f"{who}: {' '.join(what)}" if what else who


def _new_axes() -> Axes:
    # Imported here, so that importing skbbox stays quick.
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def _show(pixels: NDArray[np.uint8], ax: Axes | None) -> Axes:
    ax = _new_axes() if ax is None else ax
    height, width = pixels.shape[:2]
    # Edges of pixels at whole numbers, so that a box's edge is where its number says.
    ax.imshow(pixels, extent=(0, width, height, 0))
    ax.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    return ax


def _draw_box(
    ax: Axes,
    box: FloatArray,
    label: str | None,
    color: ColorType,
    *,
    linestyle: LineStyleType = "-",
    label_below: bool = False,
) -> None:
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


def _plot_curves(history: HistoryLike, key: str, ax: Axes | None) -> Axes:
    from matplotlib.ticker import MaxNLocator

    history = as_history(history)
    if key not in history:
        boxes_alone = not any(name.startswith("class_prediction") for name in history)
        why = " (a model of boxes alone has no accuracy)" if boxes_alone else ""
        raise SkbboxError(
            f"The history has no {key!r}{why if key.startswith('class') else ''}. "
            f"Its keys: {list(history)}."
        )
    ax = _new_axes() if ax is None else ax
    (line,) = ax.plot(_epochs(history[key]), history[key], marker=".", label="training")
    validation = history.get(f"val_{key}")
    if validation is not None:
        ax.plot(
            _epochs(validation),
            validation,
            color=line.get_color(),
            linestyle="--",
            marker=".",
            label="validation",
        )
    # Epochs of NaN keep their place, so that the curves of one training stand side by side.
    ax.update_datalim([(1, 0), (len(history[key]), 0)], updatey=False)
    ax.autoscale_view(scaley=False)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend()
    return ax


def _share_axis(ax: Axes, name: str) -> None:
    # A little above 1, where training accuracy often ends, so that the line is not cut.
    ax.set(ylabel=name, ylim=(0, 1.02))
    ax.legend(loc="lower right")


def _epochs(values: Sequence[float]) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)
