"""Confusion matrix of true and predicted classes, with images without an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..metrics import count_confusions, pair_rows
from ..templates import shorten
from .drawing import create_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
    from numpy.typing import NDArray

    from ..typing import BoxesLike, ImagesLike, IntArray, Localizer, TargetsLike

__all__ = ["ConfusionMatrixDisplay"]

#: Width of a cell, and of the labels and the colour bar together, in inches.
CELL, MARGIN = 0.42, 2.6
#: More classes have no numbers in their cells, which would be too small to read.
N_WRITTEN = 40
#: Longer names would leave no space for the matrix.
MAX_NAME_LENGTH = 24
#: From this share on, the colour of a cell needs white text.
DARK_FROM = 0.55


class ConfusionMatrixDisplay:
    """Number of images of each true and predicted class, with the images without an object.

    Rows are true classes and columns predicted ones. The colour is the share of the row. A last row
    and column ``no object`` appear if an image has no object or none is predicted: false alarms are
    in the row, missed objects in the column. Rows of y with a box only are left out.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n, n), int
        Numbers of images; rows are true.
    display_labels : sequence of str
        Names of the rows and columns.
    name : str, default=None
        Name of the model, for the title.
    n_unknown : int, default=0
        Number of rows that are left out because their class is unknown, for the title.

    Attributes
    ----------
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n, n) of matplotlib Text, or None
        The numbers; None in cells of 0. None if there are more than 40 classes.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import ConfusionMatrixDisplay, TARGET_COLUMNS
    >>> cat, dog = ("cat", 0.0, 0.5, 0.0, 1.0), ("dog", 0.0, 0.5, 0.0, 1.0)
    >>> empty = (None, None, None, None, None)
    >>> y_true = pd.DataFrame([cat, cat, dog, empty], columns=TARGET_COLUMNS)
    >>> y_pred = pd.DataFrame([cat, dog, empty, empty], columns=TARGET_COLUMNS)
    >>> display = ConfusionMatrixDisplay.from_predictions(y_true, y_pred)
    >>> display.display_labels
    ['cat', 'dog', 'no object']
    >>> display.confusion_matrix
    array([[1, 1, 0],
           [0, 0, 1],
           [0, 0, 1]])
    """

    im_: AxesImage
    text_: NDArray[Any] | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        confusion_matrix: IntArray,
        display_labels: Sequence[str],
        *,
        name: str | None = None,
        n_unknown: int = 0,
    ) -> None:
        self.confusion_matrix, self.display_labels = confusion_matrix, display_labels
        self.name, self.n_unknown = name, n_unknown

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Predict images and draw their confusion matrix.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes with a class
        name, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        ConfusionMatrixDisplay
        """
        return cls.from_predictions(y, estimator.predict(X), name=name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the confusion matrix of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes with a class
            Rows with neither class nor box are images without an object.
        y_pred : table of n boxes with a class
            What ``predict`` returned. Images that could not be read are left out.
        name : str, default=None
            Name of the model, for the title.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure that is large enough for the classes.

        Returns
        -------
        ConfusionMatrixDisplay

        Raises
        ------
        BoxError
            If a table has no classes, or a row of `y_pred` has a box and no class.
        """
        confusion = count_confusions(pair_rows(y_true, y_pred))
        labels = confusion.label([shorten(name, MAX_NAME_LENGTH) for name in confusion.names])
        display = cls(confusion.to_matrix(), labels, name=name, n_unknown=confusion.n_unknown)
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            As for :meth:`from_predictions`.

        Returns
        -------
        ConfusionMatrixDisplay
        """
        n = len(self.display_labels)
        side = CELL * min(n, N_WRITTEN) + MARGIN
        self.ax_ = create_axes((side, side - 0.4)) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        shares = self.confusion_matrix / self.confusion_matrix.sum(axis=1, keepdims=True).clip(1)
        self.im_ = self.ax_.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        self.text_ = self._write_numbers(shares) if n <= N_WRITTEN else None
        size = "medium" if n <= 12 else "small"
        # Names of more than a few classes would overlap.
        rotation = 90 if sum(map(len, self.display_labels)) > 30 else 0
        self.ax_.set_xticks(np.arange(n), self.display_labels, rotation=rotation, fontsize=size)
        self.ax_.set_yticks(np.arange(n), self.display_labels, fontsize=size)
        self.ax_.set(xlabel="predicted class", ylabel="true class")
        # fraction and pad are such that the bar is as high as a square matrix.
        bar = self.figure_.colorbar(self.im_, ax=self.ax_, fraction=0.046, pad=0.04)
        bar.set_label("share of the true class")
        left_out = f"{self.n_unknown:,} with a box only left out" if self.n_unknown else None
        if title := "\n".join(filter(None, [self.name, left_out])):
            self.ax_.set_title(title, fontsize="medium")
        return self

    def _write_numbers(self, shares: NDArray[np.float64]) -> NDArray[Any]:
        texts: NDArray[Any] = np.full(shares.shape, None, dtype=object)
        for row, column in zip(*np.nonzero(self.confusion_matrix), strict=True):
            texts[row, column] = self._write_number(row, column, shares[row, column])
        return texts

    def _write_number(self, row: int, column: int, share: float) -> Text:
        return self.ax_.text(
            column,
            row,
            f"{self.confusion_matrix[row, column]:,}",
            horizontalalignment="center",
            verticalalignment="center",
            color="white" if share >= DARK_FROM else "black",
        )
