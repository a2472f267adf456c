"""Grid of images with their true and predicted boxes."""

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
from ..metrics import compute_box_issue
from ..templates import shorten
from .drawing import (
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_box,
    format_iou,
    format_label,
    get_column,
    get_confidences,
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
#: Labels with longer names would overlap the next image.
MAX_NAME_LENGTH = 18


class BoxGridDisplay:
    """Images with their true and predicted box, class, confidence and IoU.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : list
        What :func:`skbbox.images.load_image` takes, in the order of the panels.
    rows : ndarray of shape (n,)
        Position of each image in X.
    predicted : table of n boxes, default=None
        Optionally with ``class_name``, ``class_confidence`` and ``box_confidence``.
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
            None draws only the predicted boxes.
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
        """Draw some images with existing predictions.

        Parameters
        ----------
        X : images of length n
        y_true : table of n boxes, or None
        y_pred : table of n boxes, default=None
            What ``predict(X)`` returned. Images that could not be read are left out. None draws
            only the true boxes.
        order : {"worst", "best", "random", "suspicious"} or sequence of int, default="worst"
            Which images come first: those with the lowest or the highest IoU; random ones; or
            those where the model confidently contradicts `y_true`, by (1 - IoU) times
            ``box_confidence`` (``class_confidence`` without it), where the IoU of a wrong class
            counts as 0. Or positions of rows, such as ``rank_label_issues(...)["row"]``.
        n_images : int, default=12
            Maximum number of images.
        n_columns : int, default=4
        random_state : int, RandomState instance or None, default=None
            Used by ``order="random"``.
        ax : matplotlib Axes, array of them or None, default=None
            A subplot, which the grid replaces; or one axes for each image. None creates a
            figure.

        Returns
        -------
        BoxGridDisplay

        Raises
        ------
        ValueError
            If `order` is invalid, or lengths differ.
        BoxError
            If `order` needs true and predicted boxes, or there are neither.
        """
        images = check_images(X).items
        for name, boxes in (("y_true", y_true), ("y_pred", y_pred)):
            if boxes is not None and len(boxes) != len(images):
                raise ValueError(
                    f"X and {name} differ in length: {len(images)} images and {len(boxes)} boxes."
                )
        rows = _order_rows(y_true, y_pred, order, random_state)[:n_images]
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
        true, predicted = _split(self.true), _split(self.predicted)
        for i, (panel, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            show_image(load_image(image), panel)
            labels = []
            class_confidence, box_confidence = get_confidences(self.predicted, i)
            if true is not None:
                draw_box(panel, true[0][i], None, TRUE_COLOR)
                labels.append((format_label("true", _get_name(true[1], i)), TRUE_COLOR))
            if predicted is not None:
                draw_box(panel, predicted[0][i], None, PREDICTED_COLOR, linestyle=PREDICTED_STYLE)
                label = format_label("predicted", _get_name(predicted[1], i), class_confidence)
                labels.append((label, PREDICTED_COLOR))
            title = format_iou(None if self.iou is None else self.iou[i], box_confidence)
            panel.set_title(f"row {self.rows[i]}   {title}".strip(), fontsize="small")
            _write_labels(panel, labels)
        return self


def compute_suspicion(y_true: BoxesLike, y_pred: BoxesLike) -> FloatArray:
    """How confidently predictions contradict the given boxes and classes, in 0..1.

    (1 - IoU) times the confidence of :func:`skbbox.metrics.compute_box_issue`; the IoU of a wrong
    class counts as 0. A model trained on the same rows reproduces their mistakes with confidence;
    use :func:`skbbox.rank_label_issues` for those.

    Parameters
    ----------
    y_true, y_pred : tables of n boxes

    Returns
    -------
    ndarray of shape (n,)
    """
    overlap = np.array(iou(y_true, y_pred), dtype=np.float64)
    true_names, predicted_names = as_class_names(y_true), as_class_names(y_pred)
    if true_names is not None and predicted_names is not None:
        overlap[true_names != predicted_names] = 0.0
    return compute_box_issue(overlap, y_pred)


def _order_rows(
    y_true: BoxesLike | None, y_pred: BoxesLike | None, order: Any, random_state: RandomStateLike
) -> IntArray:
    """Positions of rows in drawing order."""
    known = y_true if y_pred is None else y_pred
    if known is None:
        raise BoxError("There is no box to draw: pass y_true, y_pred or both.")
    errors, n = get_column(y_pred, "error"), len(known)
    if not isinstance(order, str):
        rows = np.asarray(order)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= n)).any():
            raise ValueError(
                f"order as a sequence must be positions of rows from 0 to {n - 1}. Received: "
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


def _split(boxes: BoxesLike | None) -> tuple[FloatArray, NDArray[np.object_] | None] | None:
    return None if boxes is None else (as_boxes(boxes), as_class_names(boxes))


def _get_name(names: NDArray[np.object_] | None, row: int) -> str | None:
    return None if names is None else shorten(names[row], MAX_NAME_LENGTH)


def _write_labels(ax: Axes, labels: list[tuple[str, str]]) -> None:
    for line, (label, color) in enumerate(labels):
        ax.annotate(
            label,
            xy=(0, 0),
            xycoords="axes fraction",
            # In points, so that lines do not overlap, whatever the height of the image.
            xytext=(2, -5 - 16 * line),
            textcoords="offset points",
            verticalalignment="top",
            fontsize="small",
            color="black",
            bbox={"boxstyle": "square,pad=0.2", "facecolor": color, "edgecolor": "none"},
        )
