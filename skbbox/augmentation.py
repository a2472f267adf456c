"""Augmentation: random changes to an image and its box."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance

from .windows import draw_window, to_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .typing import Augment, FloatArray, Pixels

__all__ = [
    "AUGMENTATIONS",
    "View",
    "augment_window",
    "flip",
    "get_augmentation",
    "make_views",
    "mirror",
    "standard",
]

#: Ranges of :func:`standard`.
ZOOM = (0.6, 1.25)
STRETCH = (0.85, 1.18)
# Small angles: unless the object is a rectangle, the box around the rotated box is too wide, the
# more so the larger the angle.
DEGREES = (-3.0, 3.0)
BRIGHTNESS = (0.7, 1.3)
CONTRAST = (0.7, 1.3)

#: Fill colour outside the image, in 0..255: the middle, which most preprocessing maps to 0.
OUTSIDE = (127, 127, 127)


def flip(image: Pixels, box: FloatArray, rng: np.random.Generator) -> tuple[Pixels, FloatArray]:
    """Mirror an image and its box ``x_min, x_max, y_min, y_max`` with probability 0.5.

    Left and right are swapped.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        Normalised.
    rng : numpy Generator

    Returns
    -------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        New arrays, or the arguments if the image is not mirrored.
    """
    if rng.random() < 0.5:
        return image, box
    return mirror(image, box)


def standard(image: Pixels, box: FloatArray, rng: np.random.Generator) -> tuple[Pixels, FloatArray]:
    """Change an image and its box ``x_min, x_max, y_min, y_max`` in several ways at random.

    Mirrors, rotates, crops or shrinks, shifts and stretches the image, and changes its
    brightness and contrast. The complete object stays in the image. Its new box is the
    smallest upright box around the rotated box, which fits a rectangle exactly and is
    slightly wide for other objects.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        Normalised.
    rng : numpy Generator

    Returns
    -------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
    """
    image, box = flip(image, box, rng)
    height, width = image.shape[:2]
    angle = math.radians(rng.uniform(*DEGREES))
    rotated = _rotate_box(box, angle, width, height)
    zoom = math.exp(rng.uniform(*np.log(ZOOM)))
    stretch = math.exp(rng.uniform(*np.log(STRETCH)) / 2)
    left, right = _draw_window(rotated[0], rotated[1], zoom * stretch, rng)
    top, bottom = _draw_window(rotated[2], rotated[3], zoom / stretch, rng)
    box = np.array(
        [
            (rotated[0] - left) / (right - left),
            (rotated[1] - left) / (right - left),
            (rotated[2] - top) / (bottom - top),
            (rotated[3] - top) / (bottom - top),
        ]
    )
    changed = Image.fromarray(image).transform(
        (width, height),
        Image.Transform.AFFINE,
        _compute_affine_coefficients(angle, (left, right, top, bottom), width, height),
        Image.Resampling.BILINEAR,
        fillcolor=OUTSIDE,
    )
    return _change_colours(changed, rng), np.clip(box, 0.0, 1.0)


AUGMENTATIONS: dict[str, Augment] = {"flip": flip, "standard": standard}


def get_augmentation(augment: str | Augment | None) -> Augment | None:
    """Look up an augmentation by name; callables and None are returned unchanged."""
    if augment is None or callable(augment):
        return augment
    if augment not in AUGMENTATIONS:
        raise ValueError(
            f"augment must be None, one of {list(AUGMENTATIONS)} or a callable "
            f"(image, box, rng). Received: {augment!r}."
        )
    return AUGMENTATIONS[augment]


@dataclass(frozen=True)
class View:
    """One of the fixed views of an image, whose features can be kept.

    A view depends only on image and box, so an image has the same views in each fit.

    Attributes
    ----------
    kind : {"image", "mirror", "standard", "window", "part", "mirrored part"}
        The image, its mirror image, a result of :func:`standard`, a random window around the
        box, the part of the image inside the box, or the mirror image of this part.
    number : int, default=0
        Tells random views of one kind apart.
    augment : str or None, default=None
        What further changes a window, as in :func:`make_views`.
    """

    kind: str
    number: int = 0
    augment: str | None = None

    def draw_window(self, box: FloatArray) -> FloatArray | None:
        """The part of the image that the view shows, or None for all of it."""
        if self.kind == "window":
            return draw_window(box, self._make_rng(box))
        return box if self.kind in ("part", "mirrored part") else None

    def __call__(
        self, image: Pixels, box: FloatArray, window: FloatArray | None = None
    ) -> tuple[Pixels, FloatArray]:
        """The pixels of the view, and the box in it.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), uint8
            The image, or the part of it that `window` shows.
        box : ndarray of shape (4,)
            In the image: ``x_min, x_max, y_min, y_max``, normalised.
        window : ndarray of shape (4,), default=None
            As returned by :meth:`draw_window`.
        """
        if self.kind == "mirror":
            return mirror(image, box)
        if self.kind == "standard":
            return standard(image, box, self._make_rng(image, box))
        if self.kind == "image":
            return image, box
        assert window is not None
        box = to_window(box, window)
        if self.kind == "mirrored part":
            return mirror(image, box)
        return augment_window(image, box, get_augmentation(self.augment), self._make_rng(image))

    def _make_rng(self, *arrays: NDArray[Any]) -> np.random.Generator:
        sums = [zlib.crc32(np.ascontiguousarray(array).data) for array in arrays]
        return np.random.default_rng([self.number, *sums])


def make_views(augment: str | None, n_views: int, n_windows: int = 0) -> list[View]:
    """Make a fixed set of views of an image.

    Parameters
    ----------
    augment : {"flip", "standard"} or None
        None gives the image only, ``"flip"`` also its mirror image, and
        ``"standard"`` also ``n_views - 2`` results of :func:`standard`.
    n_views : int
        The largest number of views that are no windows.
    n_windows : int, default=0
        Number of windows around the box, which are changed by the same augmentation.

    Returns
    -------
    list of View
    """
    views = [View("image")]
    if augment is not None and n_views > 1:
        views.append(View("mirror"))
    if augment == "standard":
        views += [View("standard", number) for number in range(2, n_views)]
    if n_windows:
        # Repeated views are computed once, and keep the share of windows.
        views = [views[number % len(views)] for number in range(n_views)]
    return [*views, *(View("window", number, augment) for number in range(n_windows))]


def augment_window(
    image: Pixels, box: FloatArray, augment: Augment | None, rng: np.random.Generator
) -> tuple[Pixels, FloatArray]:
    """Change a window of an image and its box.

    A random window is already cropped, shifted and stretched, so :func:`standard` only mirrors it
    and changes its colours. Other augmentations change it like any image.
    """
    if augment is not standard:
        return (image, box) if augment is None else augment(image, box, rng)
    image, box = flip(image, box, rng)
    return _change_colours(Image.fromarray(np.ascontiguousarray(image)), rng), box


def mirror(image: Pixels, box: FloatArray) -> tuple[Pixels, FloatArray]:
    """Swap left and right in an image and its box ``x_min, x_max, y_min, y_max``."""
    return image[:, ::-1], np.array([1 - box[1], 1 - box[0], box[2], box[3]])


def _change_colours(image: Image.Image, rng: np.random.Generator) -> Pixels:
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(*BRIGHTNESS))
    return np.asarray(ImageEnhance.Contrast(image).enhance(rng.uniform(*CONTRAST)))


def _rotate_box(box: FloatArray, angle: float, width: int, height: int) -> FloatArray:
    """Smallest upright box around a box that is rotated about the centre of the image."""
    x, y = np.meshgrid(box[:2] - 0.5, box[2:] - 0.5)
    # In pixels, because rotating normalised coordinates would shear the box.
    x, y = x * width, y * height
    rotated_x = (math.cos(angle) * x - math.sin(angle) * y) / width + 0.5
    rotated_y = (math.sin(angle) * x + math.cos(angle) * y) / height + 0.5
    return np.array([rotated_x.min(), rotated_x.max(), rotated_y.min(), rotated_y.max()])


def _draw_window(
    low: float, high: float, length: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Draw the place of a window along an axis: about `length` long, and around `low` to `high`."""
    length = max(length, high - low)
    # A window shorter than the image lies inside it, a longer one around it.
    first = max(high - length, min(0.0, 1 - length))
    last = min(low, max(0.0, 1 - length))
    if first > last:
        # The rotated object crosses the border of the image.
        first, last = high - length, low
    # If the object fills the window, rounding may leave first slightly above last.
    start = rng.uniform(min(first, last), last)
    return start, start + length


def _compute_affine_coefficients(
    angle: float, window: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, ...]:
    """Coefficients of Pillow's affine transform, which maps output pixels to input pixels."""
    left, right, top, bottom = window
    cosine, sine = math.cos(angle), math.sin(angle)
    # An output pixel p lies at scale * p + shift, in pixels from the centre of the rotated image.
    scale_x, scale_y = right - left, bottom - top
    shift_x, shift_y = (left - 0.5) * width, (top - 0.5) * height
    return (
        cosine * scale_x,
        sine * scale_y,
        cosine * shift_x + sine * shift_y + width / 2,
        -sine * scale_x,
        cosine * scale_y,
        -sine * shift_x + cosine * shift_y + height / 2,
    )
