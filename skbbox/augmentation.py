"""Changes to an image that take its box along."""

from __future__ import annotations

import functools
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance

if TYPE_CHECKING:
    from collections.abc import Callable

    from .typing import Augment, FloatArray, Pixels

__all__ = ["AUGMENTATIONS", "flip", "get_augmentation", "make_views", "mirror", "standard"]

#: Ranges of :func:`standard`.
ZOOM = (0.6, 1.25)
STRETCH = (0.85, 1.18)
# The box around a turned object that is no rectangle is wide by about the angle: little of it.
DEGREES = (-3.0, 3.0)
BRIGHTNESS = (0.7, 1.3)
CONTRAST = (0.7, 1.3)

#: What lies outside the image, in 0..255: the middle, which most preprocessing maps to 0.
OUTSIDE = (127, 127, 127)


def flip(image: Pixels, box: FloatArray, rng: np.random.Generator) -> tuple[Pixels, FloatArray]:
    """Mirror the image left to right, every second time.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        ``x_min, x_max, y_min, y_max``, normalised.
    rng : numpy Generator

    Returns
    -------
    image, box
        New arrays, or the ones given.
    """
    if rng.random() < 0.5:
        return image, box
    return mirror(image, box)


def standard(image: Pixels, box: FloatArray, rng: np.random.Generator) -> tuple[Pixels, FloatArray]:
    """Turn, crop or shrink, shift, stretch, mirror, and change brightness and contrast.

    The whole object stays in the image. Its box becomes the smallest upright one
    around the turned box, which is the object's own for a rectangle and a little
    wide for others.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        ``x_min, x_max, y_min, y_max``, normalised.
    rng : numpy Generator

    Returns
    -------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
    """
    image, box = flip(image, box, rng)
    height, width = image.shape[:2]
    angle = math.radians(rng.uniform(*DEGREES))
    turned = _turned_box(box, angle, width, height)
    zoom = math.exp(rng.uniform(*np.log(ZOOM)))
    stretch = math.exp(rng.uniform(*np.log(STRETCH)) / 2)
    left, right = _window(turned[0], turned[1], zoom * stretch, rng)
    top, bottom = _window(turned[2], turned[3], zoom / stretch, rng)
    box = np.array(
        [
            (turned[0] - left) / (right - left),
            (turned[1] - left) / (right - left),
            (turned[2] - top) / (bottom - top),
            (turned[3] - top) / (bottom - top),
        ]
    )
    picture = Image.fromarray(image).transform(
        (width, height),
        Image.Transform.AFFINE,
        _from_output_to_input(angle, (left, right, top, bottom), width, height),
        Image.Resampling.BILINEAR,
        fillcolor=OUTSIDE,
    )
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(*BRIGHTNESS))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(*CONTRAST))
    return np.asarray(picture), np.clip(box, 0.0, 1.0)


AUGMENTATIONS: dict[str, Augment] = {"flip": flip, "standard": standard}


def get_augmentation(augment: str | Augment | None) -> Augment | None:
    """The function of a name, the callable that was given, or None."""
    if augment is None or callable(augment):
        return augment
    if augment not in AUGMENTATIONS:
        raise ValueError(
            f"augment must be None, one of {list(AUGMENTATIONS)} or a callable "
            f"(image, box, rng). Received: {augment!r}."
        )
    return AUGMENTATIONS[augment]


def make_views(
    augment: str | None, n_views: int
) -> list[Callable[[Pixels, FloatArray], tuple[Pixels, FloatArray]]]:
    """A fixed set of views of an image, whose features can be kept.

    Parameters
    ----------
    augment : {"flip", "standard"} or None
        None gives the image alone, ``"flip"`` its mirror image too, and
        ``"standard"`` also ``n_views - 2`` results of :func:`standard`.
    n_views : int
        At least 2; used by ``"standard"`` alone.

    Returns
    -------
    list of callable
        Each takes ``(image, box)`` and returns ``(image, box)``. What it does follows
        from image and box alone, so the same image has the same views in each fit.
    """
    if augment is None:
        return [_plain]
    number = range(2, n_views if augment == "standard" else 2)
    return [_plain, mirror, *(functools.partial(_standard_view, number=i) for i in number)]


def mirror(image: Pixels, box: FloatArray) -> tuple[Pixels, FloatArray]:
    """The image and its box, left for right."""
    return image[:, ::-1], np.array([1 - box[1], 1 - box[0], box[2], box[3]])


def _plain(image: Pixels, box: FloatArray) -> tuple[Pixels, FloatArray]:
    return image, box


def _standard_view(image: Pixels, box: FloatArray, number: int) -> tuple[Pixels, FloatArray]:
    seed = [number, zlib.crc32(np.ascontiguousarray(image).data), zlib.crc32(box.tobytes())]
    return standard(image, box, np.random.default_rng(seed))


def _turned_box(box: FloatArray, angle: float, width: int, height: int) -> FloatArray:
    """The upright box around a box that is turned about the middle of the image."""
    x, y = np.meshgrid(box[:2] - 0.5, box[2:] - 0.5)
    # In pixels, as turning a stretched image would shear it.
    x, y = x * width, y * height
    turned_x = (math.cos(angle) * x - math.sin(angle) * y) / width + 0.5
    turned_y = (math.sin(angle) * x + math.cos(angle) * y) / height + 0.5
    return np.array([turned_x.min(), turned_x.max(), turned_y.min(), turned_y.max()])


def _window(
    low: float, high: float, length: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Where a window of about this length lies along an axis, with `low` to `high` inside."""
    length = max(length, high - low)
    # Within the image where the window is shorter than it, around it where it is longer.
    first = max(high - length, min(0.0, 1 - length))
    last = min(low, max(0.0, 1 - length))
    if first > last:
        # A turned object that reaches over the image's border.
        first, last = high - length, low
    # Rounding may leave first a hair above last where the object fills the window.
    start = rng.uniform(min(first, last), last)
    return start, start + length


def _from_output_to_input(
    angle: float, window: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, ...]:
    """Coefficients of Pillow's affine transform, which asks where a pixel comes from."""
    left, right, top, bottom = window
    cosine, sine = math.cos(angle), math.sin(angle)
    # A pixel of the output, in pixels of the turned image from its middle: scale * p + shift.
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
