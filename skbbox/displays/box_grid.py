"""Grid of images with their true and predicted boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, check_random_state

from ..boxes import as_boxes, as_class_names, read_table
from ..boxes.tables import as_pandas
from ..exceptions import BoxError
from ..images import load_image
from ..inputs import check_images
from ..metrics import pair_rows
from ..templates import shorten
from .drawing import (
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_box,
    format_expected,
    format_label,
    format_result,
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

    from ..metrics import Pairs
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
#: Of names that are followed by "(class only)".
SHORT_NAME_LENGTH = 8


class BoxGridDisplay:
    """Images with their true and predicted box, class, confidence and IoU.

    Labels name what is missing: ``no object``, ``class only`` or ``box only``. Titles name false
    alarms and missed objects.

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
        In 0..1, as :func:`skbbox.mean_iou` counts it: an image without an object has 1 if none is
        predicted, else 0, and a missed object has 0. NaN for a row with a class only. None without
        true or predicted boxes.
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
        predicted, true = _read_optional(predicted), _read_optional(true)
        self.predicted, self.true = predicted, true
        self.iou: FloatArray | None = None
        self._pairs: Pairs | None = None
        if true is not None and predicted is not None:
            self._pairs = pair_rows(true, predicted)
            self.iou = np.full(self._pairs.n_rows, np.nan)
            self.iou[self._pairs.rows] = self._pairs.iou

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
            counts as 0, and the confidence of a false alarm or a missed object is that in the
            presence. Or positions of rows, such as ``rank_label_issues(...)["row"]``.

            Rows with a class only have no IoU and come last with ``"worst"`` and ``"best"``, wrong
            classes first with ``"worst"``, right ones with ``"best"``.
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
        true, predicted = _read_optional(y_true), _read_optional(y_pred)
        for name, boxes in (("y_true", true), ("y_pred", predicted)):
            if boxes is not None and len(boxes) != len(images):
                raise ValueError(
                    f"X and {name} differ in length: {len(images)} images and {len(boxes)} boxes."
                )
        rows = _order_rows(true, predicted, order, random_state)[:n_images]
        return cls(
            [images[row] for row in rows],
            rows,
            None if predicted is None else _safe_indexing(predicted, rows),
            None if true is None else _safe_indexing(true, rows),
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
        for i, (panel, image) in enumerate(zip(self.axes_, self.images, strict=True)):
            show_image(load_image(image), panel)
            labels = []
            class_confidence, box_confidence = get_confidences(self.predicted, i)
            if self.true is not None:
                label = _draw_row(panel, "true", self.true, i, TRUE_COLOR)
                labels.append((label, TRUE_COLOR))
            if self.predicted is not None:
                label = _draw_row(
                    panel,
                    "predicted",
                    self.predicted,
                    i,
                    PREDICTED_COLOR,
                    class_confidence,
                    linestyle=PREDICTED_STYLE,
                )
                labels.append((label, PREDICTED_COLOR))
            title = self._format_title(i, box_confidence)
            panel.set_title(f"row {self.rows[i]}   {title}".strip(), fontsize="small")
            _write_labels(panel, labels)
        return self

    def _format_title(self, i: int, box_confidence: float | None) -> str:
        if self._pairs is None:
            presence = get_column(self.predicted, "presence")
            return format_expected(box_confidence, None if presence is None else presence[i])
        # Without the rows of unreadable images.
        place = np.flatnonzero(self._pairs.rows == i)
        return format_result(self._pairs, place[0], box_confidence) if place.size else ""


def compute_suspicion(y_true: BoxesLike, y_pred: BoxesLike) -> FloatArray:
    """How confidently predictions contradict the given boxes and classes, in 0..1.

    (1 - IoU) times ``box_confidence``, or ``class_confidence`` without it; the IoU of a wrong class
    counts as 0. Of a row with a class only, a wrong class counts as 0, a right one as 1, and the
    confidence is that of the class. The confidence of a false alarm is its ``presence``, that of a
    missed object 1 - ``presence``. Where a confidence does not exist, it is 1.

    A model trained on the same rows reproduces their mistakes with confidence; use
    :func:`skbbox.rank_label_issues` for those.

    Parameters
    ----------
    y_true, y_pred : tables of n boxes
        Without images that could not be read.

    Returns
    -------
    ndarray of shape (n,)
    """
    pairs = pair_rows(y_true, y_pred)
    overlap = np.where(pairs.has_iou, pairs.iou, pairs.is_right_class)
    overlap[pairs.is_right_class == 0] = 0.0
    of_class, of_box = (
        _get_numbers(y_pred, name, len(pairs)) for name in ("class_confidence", "box_confidence")
    )
    # The class of a missing box decides; no predicted box has no confidence either.
    of_object = np.where(pairs.has_iou & ~np.isnan(of_box), of_box, of_class)
    confidence = np.where(np.isnan(of_object), 1.0, of_object)
    if pairs.presence is not None:
        confidence = np.where(pairs.is_false_alarm, pairs.presence, confidence)
        confidence = np.where(pairs.is_detected, confidence, 1 - pairs.presence)
    # Without classes to compare, a row with a class only contradicts nothing.
    return np.where(np.isnan(overlap), 0.0, 1 - overlap) * confidence


def _order_rows(y_true: Any, y_pred: Any, order: Any, random_state: RandomStateLike) -> IntArray:
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
        return readable[np.argsort(-compute_suspicion(y_true, y_pred), kind="stable")]
    pairs = pair_rows(y_true, y_pred)
    sign = 1 if order == "worst" else -1
    by_class = np.where(pairs.has_iou, 0, sign * pairs.is_right_class)
    # The last key counts first; NaN comes last.
    return readable[np.lexsort((by_class, sign * pairs.iou))]


def _read_optional(boxes: BoxesLike | None) -> Any:
    return None if boxes is None else read_table(boxes)


def _get_numbers(table: Any, name: str, n: int) -> FloatArray:
    """A column of numbers; NaN where it is missing."""
    column = get_column(as_pandas(table), name)
    return np.full(n, np.nan) if column is None else column.astype(np.float64)


def _draw_row(
    ax: Axes,
    owner: str,
    table: Any,
    i: int,
    color: str,
    class_confidence: float | None = None,
    **options: Any,
) -> str:
    """Draw the box of a row, if it has one, and return the label of the row."""
    errors = get_column(table, "error")
    if errors is not None and not pd.isna(errors[i]):
        return f"{owner}: image not read"
    box, names = as_boxes(table)[i], as_class_names(table)
    has_box = not np.isnan(box).any()
    if has_box:
        draw_box(ax, box, None, color, **options)
    if names is None or pd.isna(names[i]):
        is_box_only = has_box and names is not None
        return format_label(owner, "box only" if is_box_only else None, has_box=has_box)
    name = shorten(names[i], MAX_NAME_LENGTH if has_box else SHORT_NAME_LENGTH)
    return format_label(owner, name, class_confidence, has_box=has_box)


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
