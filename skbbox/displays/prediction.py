"""What a model reads the box of one image from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from ..boxes import as_class_names, read_table
from ..boxes.tables import as_pandas
from ..exceptions import BoxError, ImageError
from ..images import load_image, load_parts
from ..metrics import pair_rows
from ..windows import to_window
from .drawing import (
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_box,
    format_expected,
    format_label,
    get_confidences,
    make_axes,
    show_image,
    split_boxes_and_labels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray, ImageLike, Pixels
    from ..windows import Look

__all__ = ["PredictionDisplay"]

#: Width and height of a panel in inches, and the longest side of a drawn window in pixels.
PANEL = (4.6, 4.4)
LONGEST = 640

#: Opacity of the shade where the attention is least.
SHADE = 0.75

#: Height of the distributions, and their distance from the image, in sides of the image.
HEIGHT, GAP = 0.16, 0.02

#: Names of looks, by their number.
NAMES = ("first look, at the whole image", "second look, at the window")


class PredictionDisplay:
    """One image with the attention and the distributions from which its box is read.

    One panel for each look at the image. The image is darker where the model pays less attention.
    Along its borders are the distributions of the left and right, and of the top and bottom edge of
    the box, each scaled to the height of the highest. A narrow peak is a certain edge; a wide or a
    double one is not.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        What :func:`skbbox.images.load_image` takes.
    looks : sequence of Look
        One entry of what :meth:`skbbox.SingleBoxLocalizer.explain` returns.
    predicted : DataFrame of 1 row, default=None
        What ``predict`` returned, for the label.
    true : table of 1 box, default=None

    Attributes
    ----------
    iou : ndarray of shape (n_looks,) or None
        Of the box of each look; None without a true box.
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import PredictionDisplay, SingleBoxLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> from skbbox.network import small_convnet
    >>> X, y = make_shapes(32, image_size=32, random_state=0)
    >>> localizer = SingleBoxLocalizer(backbone=small_convnet, weights=None, image_size=32,
    ...                                epochs=2, random_state=0).fit(X, y)
    >>> display = PredictionDisplay.from_estimator(localizer, X[0], y[:1])
    >>> display.looks[0].attention.shape
    (4, 4)
    """

    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        image: ImageLike,
        looks: Sequence[Look],
        predicted: pd.DataFrame | None = None,
        true: BoxesLike | None = None,
    ) -> None:
        self.image, self.looks, self.predicted = image, looks, predicted
        self.true = None if true is None else read_table(true)
        self.iou: FloatArray | None = None
        if self.true is not None:
            ((box, _),) = split_boxes_and_labels(self.true)
            if not np.isnan(box).any():
                pairs = pair_rows([box] * len(looks), [look.box for look in looks])
                self.iou = pairs.iou

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: ImageLike,
        y: BoxesLike | None = None,
        *,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Explain and predict an image, and draw it.

        Parameters
        ----------
        estimator : fitted estimator
            With the methods ``explain`` and ``predict``, as
            :class:`skbbox.SingleBoxLocalizer` with ``box_head="spatial"``; of another estimator
            that contains one, pass that, such as ``search.best_estimator_`` or
            ``conformal.estimator_``.
        image : str, Path, ndarray or PIL image
            One image.
        y : table of 1 box, default=None
            The true box and, optionally, class. None draws only what is predicted.
        ax
            As for :meth:`from_predictions`.

        Returns
        -------
        PredictionDisplay

        Raises
        ------
        TypeError
            If the estimator has no ``explain``.
        ValueError
            If its box head has no distributions.
        ImageError
            If the image cannot be read.
        BoxError
            If y has not one row.
        """
        if not hasattr(estimator, "explain"):
            raise TypeError(
                "PredictionDisplay needs an estimator with the method explain: "
                "SingleBoxLocalizer, or the one in search.best_estimator_ or conformal.estimator_. "
                f"Received: {type(estimator).__name__}."
            )
        (looks,) = estimator.explain([image])
        predicted = as_pandas(estimator.predict([image]))
        return cls.from_predictions(image, looks, y, predicted, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        image: ImageLike,
        looks: Sequence[Look],
        y_true: BoxesLike | None = None,
        y_pred: pd.DataFrame | None = None,
        *,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Draw an existing explanation.

        Parameters
        ----------
        image : str, Path, ndarray or PIL image
            One image.
        looks : sequence of Look
            One entry of what :meth:`skbbox.SingleBoxLocalizer.explain` returned.
        y_true : table of 1 box, default=None
        y_pred : DataFrame of 1 row, default=None
            What ``predict`` returned: its class and confidences are in the label.
        ax : matplotlib Axes, array of them or None, default=None
            A subplot, which the panels replace; or one axes for each look. None creates a figure.

        Returns
        -------
        PredictionDisplay

        Raises
        ------
        ImageError
            If there is no look, because the image could not be read.
        BoxError
            If a table has not one row.
        """
        if not looks:
            raise ImageError("There is nothing to draw: the image could not be read.")
        for name, table in (("y_true", y_true), ("y_pred", y_pred)):
            if table is not None and (n := len(split_boxes_and_labels(table))) != 1:
                raise BoxError(f"{name} must have one row, of the one image. Received: {n} rows.")
        return cls(image, looks, y_pred, y_true).plot(ax=ax)

    def plot(self, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw a panel for each look.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_predictions`.

        Returns
        -------
        PredictionDisplay
        """
        n_looks = len(self.looks)
        self.axes_ = make_axes(ax, 1, n_looks, PANEL)[:n_looks]
        self.figure_ = self.axes_[0].figure
        for number, (panel, look) in enumerate(zip(self.axes_, self.looks, strict=True)):
            show_image(_load_window(self.image, look), panel)
            _shade(panel, look.attention)
            self._draw_boxes(panel, look, is_last=number == n_looks - 1)
            _draw_distributions(panel, look)
            title = NAMES[number]
            expected = self._get_confidences()[1] if number == n_looks - 1 else None
            if self.iou is not None:
                title += f"\nIoU {self.iou[number]:.2f}"
                title += "" if expected is None else f", expected {expected:.2f}"
            elif expected is not None:
                title += f"\n{format_expected(expected)}"
            panel.set_title(title, fontsize="medium")
        for panel, following in zip(self.axes_, self.looks[1:], strict=False):
            draw_box(panel, following.window, "window", "white", linestyle=":")
        return self

    def _draw_boxes(self, ax: Axes, look: Look, *, is_last: bool) -> None:
        if self.true is not None:
            ((box, name),) = split_boxes_and_labels(self.true)
            # A true box may be outside of the window.
            shown = to_window(box, look.window)
            if (shown[1::2] > shown[::2]).all():
                label = format_label("true", name) if is_last else None
                draw_box(ax, shown, label, TRUE_COLOR)
        names = None if self.predicted is None else as_class_names(self.predicted)
        name = None if names is None or pd.isna(names[0]) else str(names[0])
        label = format_label("predicted", name, self._get_confidences()[0]) if is_last else None
        draw_box(
            *(ax, to_window(look.box, look.window), label, PREDICTED_COLOR),
            linestyle=PREDICTED_STYLE,
            label_below=True,
        )

    def _get_confidences(self) -> tuple[float | None, float | None]:
        return (None, None) if self.predicted is None else get_confidences(self.predicted, 0)


def _load_window(image: ImageLike, look: Look) -> Pixels:
    """The part of an image that a look sees, at the image's ratio of width to height."""
    height, width = load_image(image).shape[:2]
    (x_min, x_max, y_min, y_max) = look.window
    sides = np.array([(y_max - y_min) * height, (x_max - x_min) * width])
    rows, columns = np.maximum(np.rint(sides * LONGEST / sides.max()), 1).astype(int)
    return load_parts(image, (int(rows), int(columns)), [look.window])[0]


def _shade(ax: Axes, attention: FloatArray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    shades = LinearSegmentedColormap.from_list("attention", [(0, 0, 0, SHADE), (0, 0, 0, 0)])
    scale = Normalize(attention.min(), attention.max())
    ax.imshow(*(attention, shades, scale), extent=(0, width, height, 0), interpolation="bilinear")
    ax.set(xlim=(0, width), ylim=(height, 0))
    greys = LinearSegmentedColormap.from_list("grey", [(1 - SHADE,) * 3, (1,) * 3])
    bar = ax.figure.colorbar(
        ScalarMappable(scale, greys), cax=ax.inset_axes((1.03, 0.15, 0.04, 0.7)), label="attention"
    )
    bar.ax.locator_params(nbins=4)


def _draw_distributions(ax: Axes, look: Look) -> None:
    """Curves below and to the left of the image, at the positions of its columns and rows."""
    below = ax.inset_axes((0, -GAP - HEIGHT, 1, HEIGHT))
    beside = ax.inset_axes((-GAP - HEIGHT, 0, HEIGHT, 1))
    box = to_window(look.box, look.window)
    for axis, distributions, edges in (
        (below, look.x_edges, box[:2]),
        (beside, look.y_edges, box[2:]),
    ):
        is_below = axis is below
        places = np.linspace(0, 1, len(distributions))
        fill = axis.fill_between if is_below else axis.fill_betweenx
        draw_line = axis.axvline if is_below else axis.axhline
        for values in (distributions / distributions.max()).T:
            fill(places, values, facecolor=PREDICTED_COLOR, edgecolor="black", alpha=0.75)
        for edge in edges:
            draw_line(edge, color="black", linestyle=PREDICTED_STYLE, linewidth=1)
        axis.set(xticks=[], yticks=[], frame_on=False)
    below.set(xlim=(0, 1), ylim=(1.05, 0), xlabel="left and right edge: probability")
    beside.set(ylim=(1, 0), xlim=(1.05, 0), ylabel="top and bottom edge: probability")
