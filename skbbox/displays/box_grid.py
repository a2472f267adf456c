"""A grid of images with true and predicted box."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, check_random_state

from ..boxes import as_boxes, as_class_names, iou
from ..exceptions import BoxError
from ..images import load_image
from ..inputs import check_images
from ..templates import shorten
from .drawing import (
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_box,
    format_label,
    make_axes,
    show_image,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import (
        BoxesLike,
        FloatArray,
        ImagesLike,
        IntArray,
        Localizer,
        RandomStateLike,
    )

__all__ = ["BoxGridDisplay", "compute_suspicion"]

ORDERS = ("worst", "best", "random", "suspicious")

#: Width and height of a panel in inches.
PANEL = (2.5, 3.1)
#: With longer names, labels would run into the next image.
NAME_LENGTH = 18


class BoxGridDisplay:
    """Images with their true and predicted box, class, confidence and IoU.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : list
        What :func:`skbbox.images.load_image` takes, the first to be drawn first.
    rows : ndarray of shape (n,)
        Position of each image in the X that it comes from.
    predicted : table of n boxes, default=None
        Perhaps with ``class_name`` and ``confidence``.
    true : table of n boxes, default=None

    Attributes
    ----------
    iou : ndarray of shape (n,) or None
        In 0..1; None without true or predicted boxes.
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import BoxGridDisplay, DummyLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(20, image_size=32, random_state=0)
    >>> display = BoxGridDisplay.from_estimator(DummyLocalizer().fit(X, y), X, y, n_images=4)
    >>> display.axes_.shape
    (4,)
    """

    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        images: Sequence[Any],
        rows: IntArray,
        predicted: BoxesLike | None = None,
        true: BoxesLike | None = None,
    ) -> None:
        self.images, self.rows = images, rows
        self.predicted, self.true = predicted, true
        self.iou: FloatArray | None = None
        if true is not None and predicted is not None:
            self.iou = np.asarray(iou(true, predicted))

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: BoxesLike | None = None,
        *,
        order: Literal["worst", "best", "random", "suspicious"] | Sequence[int] = "worst",
        n_images: int = 12,
        n_columns: int = 4,
        random_state: RandomStateLike = None,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Predict images and draw some of them.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes, default=None
            None draws the predicted boxes alone.
        order, n_images, n_columns, random_state, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        BoxGridDisplay
        """
        return cls.from_predictions(
            X,
            y,
            estimator.predict(X),
            order=order,
            n_images=n_images,
            n_columns=n_columns,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        X: ImagesLike,
        y_true: BoxesLike | None,
        y_pred: BoxesLike | None = None,
        *,
        order: Literal["worst", "best", "random", "suspicious"] | Sequence[int] = "worst",
        n_images: int = 12,
        n_columns: int = 4,
        random_state: RandomStateLike = None,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Draw some images with boxes that are predicted already.

        Parameters
        ----------
        X : images of length n
        y_true : table of n boxes, or None
        y_pred : table of n boxes, default=None
            What ``predict(X)`` returned. Images that could not be read are left out. None draws
            the true boxes alone.
        order : {"worst", "best", "random", "suspicious"} or sequence of int, default="worst"
            Which images come first: those of the lowest or the highest IoU, any, or those where
            the model is sure of something else than `y_true` says, see `suspicion`. Or
            positions of rows, such as ``rank_label_issues(...)["row"]``.
        n_images : int, default=12
            At most so many.
        n_columns : int, default=4
        random_state : int, RandomState instance or None, default=None
            Of ``order="random"``.
        ax : matplotlib Axes, array of them or None, default=None
            A subplot, whose place the grid takes; one axes for each image; None creates a figure.

        Returns
        -------
        BoxGridDisplay

        Raises
        ------
        ValueError
            If `order` is none of these, or lengths differ.
        BoxError
            If `order` needs true and predicted boxes, or there are neither.
        """
        images = check_images(X).items
        for name, boxes in (("y_true", y_true), ("y_pred", y_pred)):
            if boxes is not None and len(boxes) != len(images):
                raise ValueError(
                    f"X and {name} differ in length: {len(images)} images and {len(boxes)} boxes."
                )
        rows = _rows(y_true, y_pred, order, random_state)[:n_images]
        return cls(
            [images[row] for row in rows],
            rows,
            None if y_pred is None else _safe_indexing(y_pred, rows),
            None if y_true is None else _safe_indexing(y_true, rows),
        ).plot(n_columns=n_columns, ax=ax)

    def plot(self, *, n_columns: int = 4, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the grid.

        Parameters
        ----------
        n_columns : int, default=4
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_predictions`.

        Returns
        -------
        BoxGridDisplay
        """
        n_columns = max(min(n_columns, len(self.images)), 1)
        n_rows = max(math.ceil(len(self.images) / n_columns), 1)
        axes = make_axes(ax, n_rows, n_columns, PANEL)
        for spare in axes[len(self.images) :]:
            spare.set_axis_off()
        self.axes_ = axes[: len(self.images)]
        self.figure_ = axes[0].figure
        true, predicted = _drawable(self.true), _drawable(self.predicted)
        confidence = _column(self.predicted, "confidence")
        for i, (panel, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            show_image(load_image(image), panel)
            labels = []
            if true is not None:
                draw_box(panel, true[0][i], None, TRUE_COLOR)
                labels.append((format_label("true", _name(true[1], i)), TRUE_COLOR))
            if predicted is not None:
                draw_box(panel, predicted[0][i], None, PREDICTED_COLOR, linestyle=PREDICTED_STYLE)
                sure = None if confidence is None else float(confidence[i])
                labels.append(
                    (format_label("predicted", _name(predicted[1], i), sure), PREDICTED_COLOR)
                )
            measured = "" if self.iou is None else f"   IoU {self.iou[i]:.2f}"
            panel.set_title(f"row {self.rows[i]}{measured}", fontsize="medium")
            _write_below(panel, labels)
        return self


def compute_suspicion(y_true: BoxesLike, y_pred: BoxesLike) -> FloatArray:
    """How sure predictions are of something else than the given boxes and classes.

    The confidence of a prediction, times 1 - IoU where the class is the given one, in 0..1.
    A model that learnt from the very rows is sure of their mistakes, too: then take
    :func:`skbbox.rank_label_issues`.

    Parameters
    ----------
    y_true, y_pred : tables of n boxes

    Returns
    -------
    ndarray of shape (n,)
    """
    distance = 1 - np.asarray(iou(y_true, y_pred))
    given, named = as_class_names(y_true), as_class_names(y_pred)
    if given is not None and named is not None:
        distance[given != named] = 1.0
    confidence = _column(y_pred, "class_confidence")
    return distance if confidence is None else distance * confidence


def _rows(
    y_true: BoxesLike | None, y_pred: BoxesLike | None, order: Any, random_state: RandomStateLike
) -> IntArray:
    """Positions of the rows in the order in which they are drawn."""
    known = y_true if y_pred is None else y_pred
    if known is None:
        raise BoxError("There is no box to draw: pass y_true, y_pred or both.")
    errors, n = _column(y_pred, "error"), len(known)
    if not isinstance(order, str):
        rows = np.asarray(order)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= n)).any():
            raise ValueError(
                f"order as a sequence holds positions of rows from 0 to {n - 1}. Received: "
                f"{order!r}."
            )
        return rows
    if order not in ORDERS:
        raise ValueError(
            f"order must be one of {list(ORDERS)} or positions of rows. Received: {order!r}."
        )
    readable = np.arange(n) if errors is None else np.flatnonzero(pd.isna(errors))
    if order == "random":
        return check_random_state(random_state).permutation(readable)
    if y_true is None or y_pred is None:
        missing = "true" if y_true is None else "predicted"
        raise BoxError(f"order={order!r} needs {missing} boxes; pass them, or order='random'.")
    y_true, y_pred = _safe_indexing(y_true, readable), _safe_indexing(y_pred, readable)
    if order == "suspicious":
        first = -compute_suspicion(y_true, y_pred)
    else:
        first = np.asarray(iou(y_true, y_pred)) * (1 if order == "worst" else -1)
    return readable[np.argsort(first, kind="stable")]


def _column(boxes: Any, name: str) -> NDArray[Any] | None:
    has_it = isinstance(boxes, pd.DataFrame) and name in boxes
    return boxes[name].to_numpy() if has_it else None


def _drawable(boxes: BoxesLike | None) -> tuple[FloatArray, NDArray[np.object_] | None] | None:
    return None if boxes is None else (as_boxes(boxes), as_class_names(boxes))


def _name(names: NDArray[np.object_] | None, row: int) -> str | None:
    return None if names is None else shorten(names[row], NAME_LENGTH)


def _write_below(ax: Axes, labels: list[tuple[str, str]]) -> None:
    for line, (label, color) in enumerate(labels):
        ax.annotate(
            label,
            xy=(0, 0),
            xycoords="axes fraction",
            # In points, so that lines do not touch, however tall the image is.
            xytext=(2, -5 - 16 * line),
            textcoords="offset points",
            verticalalignment="top",
            fontsize="small",
            color="black",
            bbox={"boxstyle": "square,pad=0.2", "facecolor": color, "edgecolor": "none"},
        )
