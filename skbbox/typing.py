"""Type aliases for annotations; docstrings describe shapes and values."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame, IntoSeries

__all__ = [
    "Augment",
    "BoxLike",
    "BoxLoss",
    "BoxesLike",
    "FloatArray",
    "HistoryLike",
    "ImageLike",
    "ImagesLike",
    "IntArray",
    "Localizer",
    "PathLikeStr",
    "Pixels",
    "RandomStateLike",
    "Sizes",
    "Split",
    "TargetsLike",
    "Tensor",
]

#: A path, as text or ``pathlib.Path``.
PathLikeStr: TypeAlias = str | PathLike[str]

#: One image: a path, pixels as uint8, or a PIL image.
ImageLike: TypeAlias = PathLikeStr | npt.NDArray[Any] | Image.Image

#: The ``X`` of ``fit`` and ``predict``.
ImagesLike: TypeAlias = (
    "Sequence[ImageLike] | pd.Series[Any] | pd.DataFrame | npt.NDArray[Any] "
    "| IntoFrame | IntoSeries"
)

#: One box as ``x_min, x_max, y_min, y_max``, optionally with a label as fifth entry.
BoxLike: TypeAlias = Sequence[float | str]

#: One box or a table of boxes, as accepted by the measures.
BoxesLike: TypeAlias = (
    "BoxLike | Sequence[BoxLike] | Sequence[npt.NDArray[Any]] "
    "| npt.NDArray[Any] | pd.DataFrame | pd.Series[Any] | IntoFrame"
)

#: The ``y`` of ``fit`` and ``score``: a table with named columns or a structured array.
TargetsLike: TypeAlias = "pd.DataFrame | npt.NDArray[np.void] | IntoFrame"

#: Coordinates, measures and weights.
FloatArray: TypeAlias = npt.NDArray[np.float64]

#: Positions of rows.
IntArray: TypeAlias = npt.NDArray[np.intp]

#: Positions of the training rows and the test rows.
Split: TypeAlias = tuple[IntArray, IntArray]

#: An image of shape (height, width, 3): uint8, or the dtype that an ``augment`` callable returns.
Pixels: TypeAlias = npt.NDArray[Any]

#: Width and height of images in pixels, by name.
Sizes: TypeAlias = Mapping[str, tuple[int, int]]

#: A seed, a RandomState instance, or None.
RandomStateLike: TypeAlias = int | np.random.RandomState | None

#: An augmentation: ``(image, box, rng)`` to ``(image, box)``.
Augment: TypeAlias = Callable[[Pixels, FloatArray, np.random.Generator], tuple[Pixels, FloatArray]]

#: A tensor of the current Keras backend; Keras has no common type for them.
Tensor: TypeAlias = Any

#: A box loss: ``(y_true, y_pred)`` of shape (n, 4) to losses of shape (n,).
BoxLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

#: A dict of curves by name, or a fitted estimator or Keras History with such a dict.
HistoryLike: TypeAlias = Mapping[str, Sequence[float]] | Any


class Localizer(Protocol):
    """Any object with a ``predict`` like that of :class:`skbbox.SingleBoxLocalizer`."""

    def predict(self, X: ImagesLike, /) -> pd.DataFrame: ...
