"""An image among training images, and those that are most similar to it for the model."""

from __future__ import annotations

import math
from collections import Counter
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.utils import _safe_indexing

from ..boxes import as_class_names, find_boxes, read_table
from ..boxes.tables import as_pandas
from ..exceptions import ImageError
from ..images import load_image
from ..inputs import check_images
from ..metrics import NO_OBJECT
from ..templates import shorten
from .drawing import (
    PREDICTED_COLOR,
    PREDICTED_STYLE,
    TRUE_COLOR,
    draw_box,
    format_label,
    get_confidences,
    show_image,
    split_boxes_and_labels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, FloatArray, ImageLike, ImagesLike, IntArray

__all__ = ["EmbeddingDisplay"]

#: Colours of M. Okabe and K. Ito, "Color universal design" (2008), and the markers that each of
#: them has in turn.
COLORS = ("#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#0072B2", "#E69F00")
MARKERS = ("o", "s", "^")

#: Classes with a colour of their own; the others are grey.
MAX_CLASSES = len(COLORS) * len(MARKERS)
OTHER_COLOR = "#999999"

#: Pictures in a row, and width of the figure and height of the map and of a row in inches.
N_COLUMNS = 3
WIDTH, MAP_HEIGHT, ROW_HEIGHT = 7.0, 4.6, 2.5

MAX_NAME_LENGTH = 24


class EmbeddingDisplay:
    """An image among training images: a map of all, and its nearest neighbours.

    The map shows the first two principal components of the embeddings of the training images,
    coloured by class. The star is the image; numbers are its nearest neighbours, by the Euclidean
    distance of the complete embeddings, and stand next to their pictures. A point that is near the
    star on the map may be far away in other directions.

    Create one with :meth:`from_estimator` or :meth:`from_embeddings`.

    Parameters
    ----------
    X : list of n images
        The training images, as :func:`skbbox.images.load_image` takes them.
    y : table of n boxes
        What they show, optionally with ``class_name``.
    embeddings : ndarray of shape (n, n_features)
        Of the training images. Images with NaN are left out.
    image : str, Path, ndarray or PIL image
    embedding : ndarray of shape (n_features,)
        Of the image.
    predicted : DataFrame of 1 row, default=None
        What ``predict`` returned for the image.
    n_neighbors : int, default=5

    Attributes
    ----------
    rows : ndarray of shape (n_readable,)
        Positions in X of the images on the map.
    coordinates : ndarray of shape (n_readable, 2)
        Their principal components.
    location : ndarray of shape (2,)
        Those of the image.
    explained_variance_ratio : ndarray of shape (2,)
        The share of the variance that each component explains, in 0..1.
    neighbors : ndarray of shape (n_neighbors,)
        Positions in X of the nearest neighbours, the nearest first.
    distances : ndarray of shape (n_neighbors,)
    ax_ : matplotlib Axes
        The map.
    axes_ : ndarray of matplotlib Axes
        The image, then its neighbours.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skbbox import EmbeddingDisplay
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(5, image_size=32, random_state=0)
    >>> embeddings = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    >>> display = EmbeddingDisplay.from_embeddings(X[:4], y[:4], embeddings, X[4], [3.0, 0.0],
    ...                                            n_neighbors=2)
    >>> display.neighbors, display.distances
    (array([1, 0]), array([1., 3.]))
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self,
        X: Sequence[Any],
        y: BoxesLike,
        embeddings: FloatArray,
        image: ImageLike,
        embedding: FloatArray,
        predicted: pd.DataFrame | None = None,
        *,
        n_neighbors: int = 5,
    ) -> None:
        self.X, self.y, self.embeddings = X, read_table(y), embeddings
        self.image, self.embedding, self.predicted = image, embedding, predicted
        self.rows = np.flatnonzero(np.isfinite(embeddings).all(axis=1))
        known = embeddings[self.rows]
        components = PCA(2, svd_solver="full").fit(known)
        self.coordinates = components.transform(known)
        (self.location,) = components.transform(embedding[None])
        self.explained_variance_ratio: FloatArray = components.explained_variance_ratio_
        distances = np.linalg.norm(known - embedding, axis=1)
        nearest = np.argsort(distances, kind="stable")[:n_neighbors]
        self.neighbors: IntArray = self.rows[nearest]
        self.distances: FloatArray = distances[nearest]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ImagesLike,
        y: BoxesLike,
        image: ImageLike,
        *,
        n_neighbors: int = 5,
        ax: Axes | None = None,
    ) -> Self:
        """Embed the training images and the image, predict the image, and draw.

        Parameters
        ----------
        estimator : fitted estimator
            With the methods ``embed`` and ``predict``, as :class:`skbbox.SingleBoxLocalizer`.
        X : images of length n
            The training images.
        y : table of n boxes
        image : str, Path, ndarray or PIL image
            One image, preferably not one of X.
        n_neighbors, ax
            As for :meth:`from_embeddings`.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        TypeError
            If the estimator has no ``embed``.
        ImageError
            If an image cannot be read.
        """
        if not hasattr(estimator, "embed"):
            raise TypeError(
                "EmbeddingDisplay needs an estimator with the method embed: SingleBoxLocalizer, or "
                "the one in search.best_estimator_ or conformal.estimator_. "
                f"Received: {type(estimator).__name__}."
            )
        return cls.from_embeddings(
            *(X, y, estimator.embed(X), image, estimator.embed([image])[0]),
            y_pred=as_pandas(estimator.predict([image])),
            n_neighbors=n_neighbors,
            ax=ax,
        )

    @classmethod
    def from_embeddings(
        cls,
        X: ImagesLike,
        y: BoxesLike,
        embeddings: ArrayLike,
        image: ImageLike,
        embedding: ArrayLike,
        *,
        y_pred: pd.DataFrame | None = None,
        n_neighbors: int = 5,
        ax: Axes | None = None,
    ) -> Self:
        """Draw existing embeddings, of any model.

        Parameters
        ----------
        X : images of length n
            The training images.
        y : table of n boxes
            What they show, optionally with ``class_name``.
        embeddings : array-like of shape (n, n_features)
            At least 2 features, and 2 images without NaN.
        image : str, Path, ndarray or PIL image
            One image.
        embedding : array-like of shape (n_features,)
            Of the image.
        y_pred : DataFrame of 1 row, default=None
            What ``predict`` returned for the image, to draw.
        n_neighbors : int, default=5
            Number of neighbours to draw; fewer if there are fewer images.
        ax : matplotlib Axes, default=None
            A subplot, which map and pictures replace. None creates a figure.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ImageError
            If the embedding of the image is NaN, because it could not be read.
        ValueError
            If lengths differ, there are fewer than 2 features or images to draw, or `n_neighbors`
            is not an integer of at least 1.
        """
        images = check_images(X).items
        known, own = np.asarray(embeddings, dtype=float), np.asarray(embedding, dtype=float)
        _check_lengths(len(images), len(split_boxes_and_labels(y)), known, own)
        if not isinstance(n_neighbors, Integral) or n_neighbors < 1:
            raise ValueError(
                f"n_neighbors must be an integer of at least 1. Received: {n_neighbors!r}."
            )
        return cls(images, y, known, image, own, y_pred, n_neighbors=n_neighbors).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the map and the pictures.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            A subplot, which map and pictures replace. None creates a figure.

        Returns
        -------
        EmbeddingDisplay
        """
        n_panels = 1 + len(self.neighbors)
        self.ax_, self.axes_ = _make_axes(ax, n_panels)
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self._draw_map()
        self._draw_image(self.axes_[0])
        for number, panel in enumerate(self.axes_[1:], start=1):
            row, distance = self.neighbors[number - 1], self.distances[number - 1]
            show_image(load_image(self.X[row]), panel)
            ((box, name),) = split_boxes_and_labels(_safe_indexing(self.y, [row]))
            if not np.isnan(box).any():
                draw_box(panel, box, None, TRUE_COLOR)
            text = f"{number}: distance {distance:.3g}\n"
            _set_title(panel, text + _name_row(name, box))
        return self

    def _draw_map(self) -> None:
        groups = _group_rows(self.y)[self.rows]
        near: Any = groups[np.searchsorted(self.rows, self.neighbors)]
        styles = _choose_styles(groups, near)
        x, y = self.coordinates.T
        for group, style in styles.items():
            others = [other for other in styles if other is not None]
            is_member = groups == group if group is not None else ~np.isin(groups, others)
            name = "other classes" if group is None else shorten(group, MAX_NAME_LENGTH)
            label = f"{name} ({is_member.sum():,})"
            self.ax_.scatter(
                x[is_member], y[is_member], s=22, alpha=0.7, linewidth=0, label=label, **style
            )
        places = self.coordinates[np.searchsorted(self.rows, self.neighbors)]
        self.ax_.scatter(
            places[:, 0], places[:, 1], s=46, facecolor="none", edgecolor="black", linewidth=1
        )
        for number, place in enumerate(places, start=1):
            self.ax_.annotate(
                str(number),
                place,
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="small",
                zorder=5,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "lw": 0},
            )
        self.ax_.scatter(
            self.location[0],
            self.location[1],
            s=180,
            marker="*",
            facecolor="yellow",
            edgecolor="black",
            zorder=4,
            label="the image",
        )
        x_label, y_label = (
            f"principal component {number} ({100 * share:.0f} % of the variance)"
            for number, share in enumerate(self.explained_variance_ratio, start=1)
        )
        self.ax_.set(xlabel=x_label, ylabel=y_label)
        self.ax_.grid(alpha=0.3)
        self.ax_.set_axisbelow(True)
        self.ax_.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize="small"
        )

    def _draw_image(self, ax: Axes) -> None:
        show_image(load_image(self.image), ax)
        text = "\N{BLACK STAR} the image"
        if self.predicted is not None:
            ((box, name),) = split_boxes_and_labels(self.predicted)
            if not np.isnan(box).any():
                draw_box(ax, box, None, PREDICTED_COLOR, linestyle=PREDICTED_STYLE)
            confidence = get_confidences(self.predicted, 0)[0]
            short = None if name is None else shorten(name, MAX_NAME_LENGTH)
            text += "\n" + format_label(
                "predicted", short, confidence, has_box=not np.isnan(box).any()
            )
        _set_title(ax, text)


def _check_lengths(n_images: int, n_boxes: int, embeddings: FloatArray, own: FloatArray) -> None:
    if embeddings.ndim != 2 or own.shape != embeddings.shape[1:]:
        raise ValueError(
            "embeddings must have shape (n, n_features), and embedding shape (n_features,). "
            f"Received: {embeddings.shape} and {own.shape}."
        )
    if not n_images == n_boxes == len(embeddings):
        raise ValueError(
            f"X, y and embeddings differ in length: {n_images}, {n_boxes} and {len(embeddings)}."
        )
    if np.isnan(own).any():
        raise ImageError("There is nothing to draw: the image could not be read.")
    n_readable = int(np.isfinite(embeddings).all(axis=1).sum())
    if min(n_readable, embeddings.shape[1]) < 2:
        raise ValueError(
            "The map needs at least 2 images that can be read, and 2 features. Received: "
            f"{n_readable} and {embeddings.shape[1]}."
        )


def _make_axes(ax: Axes | None, n_panels: int) -> tuple[Axes, NDArray[Any]]:
    """The axes of the map, and of each picture below it."""
    n_rows = math.ceil(n_panels / N_COLUMNS)
    heights = [MAP_HEIGHT, *[ROW_HEIGHT] * n_rows]
    figure: Any
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        grid: Any = figure.add_gridspec(1 + n_rows, N_COLUMNS, height_ratios=heights)
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                "ax is divided into panels, so it must be a subplot: pass what plt.subplots or "
                "figure.add_subplot returns."
            )
        ax.set_axis_off()
        figure = ax.figure
        grid = place.subgridspec(1 + n_rows, N_COLUMNS, height_ratios=heights)
    panels = [
        figure.add_subplot(grid[1 + number // N_COLUMNS, number % N_COLUMNS])
        for number in range(n_panels)
    ]
    return figure.add_subplot(grid[0, :]), np.array(panels, dtype=object)


def _group_rows(y: Any) -> NDArray[Any]:
    """What each row is coloured by: its class, or what it has instead."""
    names = as_class_names(y)
    boxes = np.array([box for box, _ in split_boxes_and_labels(y)])
    groups = np.where(find_boxes(boxes), "box only", NO_OBJECT).astype(object)
    if names is not None:
        is_named = ~pd.isna(pd.Series(names)).to_numpy()
        groups[is_named] = [str(name) for name in np.asarray(names, dtype=object)[is_named]]
    return groups


def _choose_styles(groups: NDArray[Any], near: NDArray[Any]) -> dict[str | None, dict[str, Any]]:
    """Colour and marker of each group, by name; None stands for all other groups.

    Groups of neighbours come before others, larger ones before smaller ones.
    """
    counts = Counter(groups.tolist())
    order = sorted(counts, key=lambda group: (group not in near, -counts[group], group))
    shown = order if len(order) <= MAX_CLASSES else order[: MAX_CLASSES - 1]
    styles: dict[str | None, dict[str, Any]] = {}
    if len(shown) < len(order):
        # First, so that the others are drawn over it.
        styles[None] = {"color": OTHER_COLOR, "marker": "."}
    for number, group in enumerate(sorted(shown)):
        styles[group] = {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[number // len(COLORS)],
        }
    return styles


def _name_row(name: str | None, box: FloatArray) -> str:
    has_box = not np.isnan(box).any()
    return format_label(
        "true", None if name is None else shorten(name, MAX_NAME_LENGTH), has_box=has_box
    )


def _set_title(ax: Axes, text: str) -> None:
    ax.set_title(text, fontsize="small", loc="left")
