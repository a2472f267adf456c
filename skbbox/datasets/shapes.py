"""Drawn pictures with exact boxes, for examples and tests."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.utils import check_random_state

from ..boxes import TARGET_COLUMNS
from .outlines import (
    OUTLINES,
    arc,
    blend_over,
    choose_contrasting_colour,
    deform,
    draw_length,
    find_tight_box,
    measure_coverage,
    place,
    place_object,
)
from .photographs import draw_on_photograph, load_photographs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import RandomState
    from numpy.typing import NDArray

    from ..typing import FloatArray, RandomStateLike

__all__ = ["make_shapes"]

#: Smallest side in pixels at which the shape of the smallest objects is still visible.
SMALLEST_SIDE = 16
#: Distance in RGB between object and background: visible, but not glaring.
CONTRAST = 90.0


def make_shapes(
    n_samples: int = 200,
    image_size: int | tuple[int, int] = 96,
    n_classes: int = 4,
    random_state: RandomStateLike = None,
    background: Literal["drawn", "photo"] = "drawn",
) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Draw pictures of one geometric object each, with exact boxes.

    The object is drawn on a textured background with much smaller clutter, or, solid
    and with a shadow, on a part of a photograph. Its position, size (0.3 to 0.8 of the
    image's shorter side), aspect ratio, rotation (up to 20 degrees), colours and
    pattern are random. On photographs, the hue varies around that of the class.

    Parameters
    ----------
    n_samples : int, default=200
        Number of pictures.
    image_size : int or (int, int), default=96
        Side of square pictures, or height and width, in pixels; at least 16.
    n_classes : int, default=4
        From 1 to 8. The classes are the first `n_classes` of disc, square, triangle,
        star, cross, ring, heart, crescent. Their numbers of pictures differ by at
        most one, and their order is random.
    random_state : int, RandomState instance or None, default=None
        The same int gives the same pictures; another `n_samples` gives different ones.
    background : {"drawn", "photo"}, default="drawn"
        "photo" draws on parts of the two photographs that scikit-learn contains, which
        are mirrored at random and have random colours; choose an `image_size` of 128
        or more. Other versions of Pillow may read the photographs slightly differently.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width, 3), uint8
        RGB in 0..255.
    y : DataFrame of shape (n_samples, 5)
        Columns ``class_name, x_min, x_max, y_min, y_max``; coordinates normalised,
        half-open, float64. The box is the tightest box around the pixels of which
        the object covers at least half.

    Raises
    ------
    ValueError
        If a number is not an integer in its range, or `background` is unknown.

    Notes
    -----
    The photographs are ``china.jpg`` by danielbuechele and ``flower.jpg`` by vultilion,
    licensed under CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/). If you
    publish pictures with ``background="photo"``, name both authors; see
    :func:`sklearn.datasets.load_sample_images`.

    Examples
    --------
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(n_samples=8, random_state=0)
    >>> X.shape
    (8, 96, 96, 3)
    >>> sorted(y["class_name"].unique())
    ['disc', 'square', 'star', 'triangle']
    """
    _check_integer("n_samples", n_samples, 1)
    _check_integer("n_classes", n_classes, 1, len(OUTLINES))
    height, width = _get_height_and_width(image_size)
    if background not in ("drawn", "photo"):
        raise ValueError(
            f"background must be 'drawn' or 'photo'. Received: background={background!r}."
        )
    photographs = load_photographs() if background == "photo" else None
    rng = check_random_state(random_state)

    class_names = np.array(list(OUTLINES)[:n_classes], dtype=object)
    class_names = class_names[np.arange(n_samples) % n_classes]
    rng.shuffle(class_names)

    X = np.empty((n_samples, height, width, 3), dtype=np.uint8)
    boxes = []
    for row, class_name in enumerate(class_names):
        if photographs is None:
            X[row], coverage = _draw_picture(rng, OUTLINES[class_name], height, width)
        else:
            X[row], coverage = draw_on_photograph(rng, photographs, class_name, height, width)
        boxes.append(find_tight_box(coverage))
    y = pd.DataFrame(boxes, columns=list(TARGET_COLUMNS[1:]), dtype=np.float64)
    y.insert(0, TARGET_COLUMNS[0], class_names)
    return X, y


def _check_integer(name: str, value: Any, lowest: int, highest: int | None = None) -> None:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < lowest or (highest is not None and value > highest):
        limits = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
        raise ValueError(f"{name} must be an integer {limits}. Received: {name}={value!r}.")


def _get_height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    sides = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(sides) != 2:
        raise ValueError(
            "image_size must be an integer or a pair (height, width). "
            f"Received: image_size={image_size!r}."
        )
    for side in sides:
        _check_integer("image_size", side, SMALLEST_SIDE)
    height, width = sides
    return height, width


def _draw_picture(
    random_state: RandomState, outline: FloatArray, height: int, width: int
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Draw one picture; also the share of each pixel that its object covers."""
    canvas, background = _draw_background(random_state, height, width)
    length = draw_length(random_state, height, width)
    _add_clutter(random_state, canvas, background, length)

    outline = place_object(random_state, outline, length, height, width)
    colour = _draw_colour(random_state, background, CONTRAST)
    # Farther from the background, so that the pattern never reduces the contrast.
    shade = np.clip(colour + 0.4 * (colour - background.mean(axis=0)), 0, 255)
    coverage, window = measure_coverage(outline, height, width)
    pattern = _choose(random_state, (_plain, _gradient, _stripes))(random_state, *coverage.shape)
    blend_over(canvas[window], coverage, _mix(pattern, colour, shade))

    canvas += random_state.randint(-6, 7, size=canvas.shape)
    everywhere = np.zeros((height, width))
    everywhere[window] = coverage
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), everywhere


def _draw_background(
    random_state: RandomState, height: int, width: int
) -> tuple[FloatArray, FloatArray]:
    """Make a textured canvas; also its two colours."""
    first = random_state.uniform(30, 225, size=3)
    direction = random_state.normal(size=3)
    step = random_state.uniform(30, 80) * direction / np.linalg.norm(direction)
    colours = np.clip([first, first + step], 0, 255)
    texture = _choose(random_state, (_gradient, _clouds, _stripes, _checks))
    return _mix(texture(random_state, height, width), *colours), colours


def _add_clutter(
    random_state: RandomState, canvas: FloatArray, background: FloatArray, object_length: float
) -> None:
    height, width = canvas.shape[:2]
    largest = min(0.35 * object_length, 0.12 * min(height, width))
    for _ in range(random_state.randint(3, 11)):
        outline = _choose(random_state, (_dot, _line, _blob))(random_state)
        length = random_state.uniform(0.4, 1.0) * largest
        outline = place(random_state, outline, length, height, width)
        coverage, window = measure_coverage(outline, height, width)
        colour = _draw_colour(random_state, background, 0.6 * CONTRAST)
        blend_over(canvas[window], coverage, colour)


def _draw_colour(random_state: RandomState, background: FloatArray, distance: float) -> FloatArray:
    candidates = random_state.uniform(15, 240, size=(16, 3))
    return choose_contrasting_colour(candidates, background, distance)


def _choose(
    random_state: RandomState, options: Sequence[Callable[..., FloatArray]]
) -> Callable[..., FloatArray]:
    return options[random_state.randint(len(options))]


def _mix(weight: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    return first + weight[..., None] * (second - first)


# Patterns: weights of shape (height, width) in 0..1 between a first and a second colour.


def _plain(random_state: RandomState, height: int, width: int) -> FloatArray:
    return np.zeros((height, width))


def _gradient(random_state: RandomState, height: int, width: int) -> FloatArray:
    along = _ramp(random_state.uniform(0, 2 * np.pi), height, width)
    return (along - along.min()) / max(np.ptp(along), 1e-9)


def _stripes(random_state: RandomState, height: int, width: int) -> FloatArray:
    along = _ramp(random_state.uniform(0, 2 * np.pi), height, width)
    return _waves(random_state, along)


def _checks(random_state: RandomState, height: int, width: int) -> FloatArray:
    angle = random_state.uniform(0, np.pi / 2)
    first = _waves(random_state, _ramp(angle, height, width))
    second = _waves(random_state, _ramp(angle + np.pi / 2, height, width))
    return first + second - 2 * first * second


def _clouds(random_state: RandomState, height: int, width: int) -> FloatArray:
    cells = random_state.randint(3, 8)
    coarse = random_state.randint(0, 256, size=(cells, cells)).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth) / 255


def _ramp(angle: float, height: int, width: int) -> FloatArray:
    """Distance along a direction, in units of the longer side."""
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return (np.cos(angle) * columns + np.sin(angle) * rows) / max(height, width)


def _waves(random_state: RandomState, along: FloatArray) -> FloatArray:
    phase = random_state.uniform(0, 2 * np.pi)
    waves = np.sin(2 * np.pi * random_state.uniform(2, 6) * along + phase)
    return np.clip(0.5 + 1.5 * waves, 0, 1)


# Clutter: outlines at any scale, as x, y in arrays of shape (n_corners, 2).


def _dot(random_state: RandomState) -> FloatArray:
    return arc(1.0, 0, 360)


def _line(random_state: RandomState) -> FloatArray:
    thickness = random_state.uniform(0.1, 0.25)
    return deform(OUTLINES["square"], 1 / thickness, random_state.uniform(0, np.pi))


def _blob(random_state: RandomState) -> FloatArray:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    waves = np.array([2, 3])[:, None] * angles + random_state.uniform(0, 2 * np.pi, size=(2, 1))
    radii = 1 + 0.13 * np.sin(waves).sum(axis=0)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
