"""Statistics of the boxes of a data set or of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing

from ..boxes import as_boxes, as_class_names, read_table
from ..exceptions import BoxError
from ..metrics import pair_rows
from .drawing import (
    PREDICTED_COLOR,
    TRUE_COLOR,
    describe_kinds,
    format_count_axis,
    make_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray, ImagesLike, Localizer, TargetsLike

__all__ = ["BoxStatisticsDisplay"]

#: Width and height of a panel in inches.
PANEL = (4.2, 3.2)
#: Colours of the first and the second table of boxes.
COLORS = (TRUE_COLOR, PREDICTED_COLOR)
#: This many most frequent classes have a bar each; the others share one.
N_CLASSES = 20
#: Bins of the share of an image, and of the ratio of the sides as a power of 2.
AREA_BINS = np.linspace(0, 1, 21).tolist()
RATIO_BINS = np.linspace(-4, 4, 33).tolist()


class BoxStatisticsDisplay:
    """Sizes, shapes and positions of boxes, and the number of boxes of each class.

    Create one with :meth:`from_boxes`, :meth:`from_predictions` or :meth:`from_estimator`.

    Parameters
    ----------
    boxes : dict of str to table of boxes
        One or two tables, by their name in the legend, such as ``true`` and ``predicted``.

    Attributes
    ----------
    axes_ : ndarray of 4 matplotlib Axes
        Share of the image, width to height, centres, and classes; without classes, the last
        shows widths and heights.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import BoxStatisticsDisplay
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(20, image_size=32, random_state=0)
    >>> display = BoxStatisticsDisplay.from_boxes(y)
    >>> [ax.get_xlabel() for ax in display.axes_[:2]]
    ['share of the image that the box covers', 'width : height, in shares of the image']
    """

    axes_: NDArray[Any]
    figure_: Figure

    def __init__(self, boxes: dict[str, BoxesLike]) -> None:
        self.boxes = boxes

    @classmethod
    def from_boxes(cls, boxes: BoxesLike, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw statistics of boxes.

        Parameters
        ----------
        boxes : table of boxes
            As :func:`skbbox.read_annotations` returns it, or the y of ``fit``. Rows without a box
            only count in the panel of classes, if they have one; a title states how many rows of
            each kind there are.
        ax : matplotlib Axes, array of them or None, default=None
            A subplot, which the panels replace; or an axes for each of the four. None creates a
            figure.

        Returns
        -------
        BoxStatisticsDisplay

        Raises
        ------
        BoxError
            If there is no box, or one has no width or height.
        """
        return cls({"boxes": read_table(boxes)}).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: BoxesLike, y_pred: BoxesLike, *, ax: Axes | NDArray[Any] | None = None
    ) -> Self:
        """Draw true and predicted boxes, for what the model does not dare to predict.

        Parameters
        ----------
        y_true : table of n boxes
        y_pred : table of n boxes
            What ``predict`` returned. Images that could not be read are left out.
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_boxes`.

        Returns
        -------
        BoxStatisticsDisplay
        """
        tables = {"true": read_table(y_true), "predicted": read_table(y_pred)}
        rows = pair_rows(y_true, y_pred).rows
        return cls({name: _safe_indexing(table, rows) for name, table in tables.items()}).plot(
            ax=ax
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Predict images and draw true and predicted boxes.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_boxes`.

        Returns
        -------
        BoxStatisticsDisplay
        """
        return cls.from_predictions(y, estimator.predict(X), ax=ax)

    def plot(self, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the four panels.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_boxes`.

        Returns
        -------
        BoxStatisticsDisplay
        """
        sides = {name: _measure_boxes(name, boxes) for name, boxes in self.boxes.items()}
        panels = make_axes(ax, 2, 2, PANEL)
        self.axes_, self.figure_ = panels[:4], panels[0].figure
        area, ratio, centre, last = self.axes_
        # The axis spans at least 1:2 to 2:1, so that a narrow peak looks narrow.
        farthest = 1.25
        for (name, (x, y, width, height)), color in zip(sides.items(), COLORS, strict=False):
            _draw_histogram(area, width * height, AREA_BINS, name, color)
            power = np.log2(width / height).clip(RATIO_BINS[0], RATIO_BINS[-1])
            widest = np.abs(power).max(initial=0) + RATIO_BINS[1] - RATIO_BINS[0]
            farthest = max(farthest, widest)
            _draw_histogram(ratio, power, RATIO_BINS, name, color)
            _draw_points(centre, x, y, color)
        area.set(xlabel="share of the image that the box covers", ylabel="boxes", xlim=(0, 1))
        ratio.set(xlabel="width : height, in shares of the image", ylabel="boxes")
        powers = np.arange(-4, 5)
        ratio.set_xticks(powers, [f"1:{2**-p}" if p < 0 else f"{2**p}:1" for p in powers])
        ratio.set_xlim(-farthest, farthest)
        _show_unit_square(centre, "centre from the left", "centre from the top")
        centre.invert_yaxis()
        self._draw_classes(last, sides)
        kinds = {name: describe_kinds(boxes) for name, boxes in self.boxes.items()}
        if len(sides) > 1:
            area.legend()
            kinds = {name: f"{name}: {text}" for name, text in kinds.items() if text}
        if title := "\n".join(kinds.values()):
            area.set_title(title, fontsize="small")
        return self

    def _draw_classes(self, ax: Axes, sides: dict[str, FloatArray]) -> None:
        names = {name: as_class_names(boxes) for name, boxes in self.boxes.items()}
        is_without = any(classes is None for classes in names.values())
        if is_without or all(pd.Series(classes).isna().all() for classes in names.values()):
            for (_, _, width, height), color in zip(sides.values(), COLORS, strict=False):
                _draw_points(ax, width, height, color)
            _show_unit_square(ax, "width", "height")
            return
        counts = pd.DataFrame(
            {name: pd.Series(classes).value_counts() for name, classes in names.items()}
        ).fillna(0)
        counts = counts.sort_values(next(iter(names)), ascending=False, kind="stable")
        rest = counts.iloc[N_CLASSES:]
        counts = counts.iloc[:N_CLASSES]
        labels = [str(name) for name in counts.index]
        if len(rest):
            labels.append(f"{len(rest)} more")
            counts = pd.concat([counts, rest.sum().to_frame().T])
        height = 0.8 / len(names)
        places = np.arange(len(counts))
        for i, (name, color) in enumerate(zip(names, COLORS, strict=False)):
            ax.barh(places + i * height, counts[name], height, color=color, label=name)
        size = "small" if len(counts) <= 12 else "x-small"
        ax.set_yticks(places + (len(names) - 1) * height / 2, labels, fontsize=size)
        ax.invert_yaxis()
        has_class_only = any(
            (np.isnan(as_boxes(boxes)[:, 0]) & ~pd.isna(names[name])).any()
            for name, boxes in self.boxes.items()
        )
        ax.set(xlabel="rows of each class" if has_class_only else "boxes of each class")
        format_count_axis(ax.xaxis)


def _measure_boxes(name: str, boxes: BoxesLike) -> FloatArray:
    """Centre x and y, width and height, of shape (4, n_boxes)."""
    coordinates = as_boxes(boxes)
    coordinates = coordinates[~np.isnan(coordinates).any(axis=1)]
    if not len(coordinates) and name != "predicted":
        raise BoxError("There is no box to draw: no row has coordinates.")
    x_min, x_max, y_min, y_max = coordinates.T
    empty = np.flatnonzero((x_max <= x_min) | (y_max <= y_min))
    if empty.size and name != "predicted":
        raise BoxError(
            f"{empty.size} boxes have no width or height and cannot be drawn; "
            "clean_annotations removes them."
        )
    # A model may predict no box, or one without width or height.
    width, height = np.maximum(x_max - x_min, 1e-3), np.maximum(y_max - y_min, 1e-3)
    return np.stack([(x_min + x_max) / 2, (y_min + y_max) / 2, width, height])


def _draw_histogram(ax: Axes, values: FloatArray, bins: list[float], name: str, color: str) -> None:
    if name == "predicted":
        # An outline, so that the true boxes stay visible behind it.
        ax.hist(values, bins, histtype="step", color=color, linewidth=2, label=name)
    else:
        ax.hist(values, bins, color=color, edgecolor="white", linewidth=0.5, label=name)
    format_count_axis(ax.yaxis)


def _draw_points(ax: Axes, x: FloatArray, y: FloatArray, color: str) -> None:
    # More points are drawn fainter, so that dense regions stand out.
    alpha = float(np.clip(60 / max(len(x), 1), 0.1, 0.7))
    ax.scatter(x, y, s=12, color=color, alpha=alpha, linewidth=0)


def _show_unit_square(ax: Axes, x_label: str, y_label: str) -> None:
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=x_label, ylabel=y_label)
