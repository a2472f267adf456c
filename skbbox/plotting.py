"""The chapter's helper functions, which plot boxes and learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .boxes import TARGET_COLUMNS
from .boxes.tables import as_pandas
from .displays.curves import format_share_axis, plot_curve
from .displays.drawing import (
    CLASS_ONLY,
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_row,
    format_expected,
    format_label,
    format_result,
    get_column,
    get_confidences,
    show_image,
    split_boxes_and_labels,
)
from .exceptions import BoxError
from .history import combine_histories
from .images import load_image
from .metrics import NO_OBJECT, pair_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

    from .typing import BoxesLike, HistoryLike, ImageLike, Localizer

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


def plot_image(
    image: ImageLike, boxes: BoxesLike, *, ax: Axes | None = None, color: ColorType = TRUE_COLOR
) -> Axes:
    """Draw an image with its boxes, given as ``x_min, x_max, y_min, y_max``, and their labels.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        As for :func:`skbbox.images.load_image`.
    boxes : box, sequence of boxes or table of boxes
        One box or several, each ``x_min, x_max, y_min, y_max``, with an optional label as
        fifth entry; or a DataFrame, a row of it, or a structured array with these
        columns and, for labels, ``class_name``. Normalised to 0..1. A row without a box has its
        label in a corner, such as ``cat (class only)``; an image without an object has the label
        ``no object``.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.
    color : matplotlib color, default=TRUE_COLOR
        Colour of the boxes and labels.

    Returns
    -------
    matplotlib Axes
        In pixels of the image, with the origin at the top left.

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
    labelled = split_boxes_and_labels(boxes)
    ax = show_image(load_image(image), ax)
    without = [label for box, label in labelled if np.isnan(box).any()]
    for box, label in labelled:
        if not np.isnan(box).any():
            draw_row(ax, box, label, color)
    if without:
        classes = [f"{label} {CLASS_ONLY}" for label in without if label is not None]
        if not classes and len(without) == len(labelled):
            classes = [NO_OBJECT]
        draw_row(ax, labelled[0][0] * np.nan, "\n".join(classes) or None, color)
    return ax


def plot_prediction(
    estimator: Localizer, image: ImageLike, true: BoxesLike | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw an image with its predicted and its true box, ``x_min, x_max, y_min, y_max``.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict([image])`` returns a DataFrame with the columns
        ``x_min, x_max, y_min, y_max`` and, optionally, ``class_name``,
        ``class_confidence`` and ``box_confidence``.
    image : str, Path, ndarray or PIL image
    true : box or table of one box, default=None
        As `boxes` of :func:`plot_image`, in the order ``x_min, x_max, y_min, y_max``.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.

    Returns
    -------
    matplotlib Axes
        The predicted box is dashed and the true box solid. The number after the class is its
        probability. The title shows the IoU of both boxes, and the IoU that the model expects. If
        an image has no object, or none is predicted, the label is ``no object``, and the title
        says whether this is a false alarm or a missed object, and shows the ``presence``.

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
    true_boxes = [] if true is None else split_boxes_and_labels(true)
    if len(true_boxes) > 1:
        raise BoxError(
            f"plot_prediction takes one true box. Received {len(true_boxes)} boxes; choose one, "
            "for example y.iloc[[0]]."
        )
    predicted = as_pandas(estimator.predict([image]))
    ((box, name),) = split_boxes_and_labels(predicted)
    class_confidence, box_confidence = get_confidences(predicted, 0)
    ax = show_image(load_image(image), ax)
    for true_box, true_name in true_boxes:
        label = format_label("true", true_name, has_box=not np.isnan(true_box).any())
        draw_row(ax, true_box, label, TRUE_COLOR)
    label = format_label("predicted", name, class_confidence, has_box=not np.isnan(box).any())
    draw_row(ax, box, label, PREDICTED_COLOR, linestyle=PREDICTED_STYLE, label_below=True)
    if true_boxes:
        ((true_box, true_name),) = true_boxes
        table = pd.DataFrame([(true_name, *true_box)], columns=TARGET_COLUMNS)
        title = format_result(pair_rows(table, predicted), 0, box_confidence)
    else:
        presence = get_column(predicted, "presence")
        title = format_expected(box_confidence, None if presence is None else presence[0])
    if title:
        ax.set_title(title)
    return ax


def plot_loss(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the total loss over the epochs, training solid and validation dashed.

    Parameters
    ----------
    history : dict of lists, fitted estimator or Keras History
        The dict has the keys of ``history_``; ``val_`` keys are drawn if present.
    ax : matplotlib Axes, default=None
        Where to draw. None creates a figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    DataError
        If the history lacks the curve; the message lists its keys.
    TypeError
        If `history` is of another type.

    Examples
    --------
    >>> from skbbox.plotting import plot_loss
    >>> ax = plot_loss({"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]})
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation']
    """
    ax = plot_curve(history, "loss", ax)
    ax.set_ylabel("loss")
    return ax


def plot_bbox_loss(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the loss of the boxes over the epochs.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``bbox_prediction_loss``.
    """
    ax = plot_curve(history, "bbox_prediction_loss", ax)
    ax.set_ylabel("box loss")
    return ax


def plot_accuracy(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of the classes over the epochs, on an axis from 0 to 1.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``class_prediction_accuracy``, which a model without classes does not have.
    """
    ax = plot_curve(history, "class_prediction_accuracy", ax)
    format_share_axis(ax, "accuracy")
    return ax


def plot_iou(history: HistoryLike, *, ax: Axes | None = None) -> Axes:
    """Draw the mean IoU over the epochs, on an axis from 0 to 1.

    Parameters, return value and errors are those of :func:`plot_loss`; the curve
    is ``bbox_prediction_mean_iou``.
    """
    ax = plot_curve(history, "bbox_prediction_mean_iou", ax)
    format_share_axis(ax, "mean IoU")
    return ax
