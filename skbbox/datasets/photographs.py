"""Pictures of solid objects, with light and shadow, on crops of photographs."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import distance_transform_edt, gaussian_filter
from sklearn.datasets import load_sample_image

from .outlines import (
    OUTLINES,
    blend_over,
    choose_contrasting_colour,
    draw_length,
    measure_coverage,
    place_object,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import RandomState
    from numpy.typing import NDArray

    from ..typing import FloatArray

#: The photographs of scikit-learn, by danielbuechele and vultilion, licensed under CC BY 2.0.
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
#: Distance in RGB between an object and the colours of its background.
CONTRAST = 100.0
#: Usual hues, from 0 to 1; they vary by about HUE_SPREAD.
HUES = {
    "disc": 0.60,
    "square": 0.13,
    "triangle": 0.83,
    "star": 0.35,
    "cross": 0.48,
    "ring": 0.73,
    "heart": 0.97,
    "crescent": 0.22,
}
HUE_SPREAD = 0.08
#: Weights of red, green and blue in the brightness of a colour (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


def load_photographs() -> list[Image.Image]:
    """Read the photographs."""
    return [Image.fromarray(load_sample_image(name)) for name in PHOTOGRAPHS]


def draw_on_photograph(
    random_state: RandomState,
    photographs: Sequence[Image.Image],
    class_name: str,
    height: int,
    width: int,
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Draw one picture; also the share of each pixel that its object covers."""
    crop = _crop(random_state, photographs, height, width)
    canvas = _jitter(random_state, crop)
    length = draw_length(random_state, height, width)
    outline = place_object(random_state, OUTLINES[class_name], length, height, width)
    part, window = measure_coverage(outline, height, width)
    coverage = np.zeros((height, width))
    coverage[window] = part
    light = _draw_light(random_state)
    _cast_shadow(random_state, canvas, coverage, light, length)
    colour = _draw_colour(random_state, canvas, HUES[class_name])
    material = colour * _draw_grain(random_state, photographs, part.shape)[..., None]
    blend_over(canvas[window], part, _light_up(material, part, light, length))
    canvas += random_state.randint(-4, 5, size=canvas.shape)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), coverage


def _crop(
    random_state: RandomState, photographs: Sequence[Image.Image], height: int, width: int
) -> Image.Image:
    """Draw a part of a photograph, of random size and place, mirrored in half of the cases."""
    photograph = photographs[random_state.randint(len(photographs))]
    largest = min(photograph.width / width, photograph.height / height)
    scale = random_state.uniform(0.35, 1.0) * largest
    left, top = random_state.uniform(0, 1, size=2) * (
        photograph.width - scale * width,
        photograph.height - scale * height,
    )
    box = (left, top, left + scale * width, top + scale * height)
    crop = photograph.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return ImageOps.mirror(crop) if random_state.randint(2) else crop


def _jitter(random_state: RandomState, crop: Image.Image) -> FloatArray:
    """Change the colours of a picture: gain of each channel, contrast and brightness."""
    canvas = np.asarray(crop) * np.exp(random_state.normal(0, 0.12, size=3))
    middle = canvas.mean()
    contrast, brightness = random_state.uniform(0.6, 1.1), random_state.uniform(0.75, 1.2)
    return np.clip(brightness * (middle + contrast * (canvas - middle)), 0, 255)


def _draw_light(random_state: RandomState) -> FloatArray:
    """Draw the direction to the light, which comes from above: a unit vector x, y, z."""
    angle = np.deg2rad(random_state.uniform(-150, -30))
    height = np.deg2rad(random_state.uniform(35, 60))
    along = np.cos(height)
    return np.array([along * np.cos(angle), along * np.sin(angle), np.sin(height)])


def _cast_shadow(
    random_state: RandomState,
    canvas: FloatArray,
    coverage: FloatArray,
    light: FloatArray,
    length: float,
) -> None:
    """Darken the canvas where the object keeps the light off."""
    blurred = gaussian_filter(coverage, 0.05 * length)
    columns, rows = np.rint(-0.09 * length * light[:2]).astype(int)
    height, width = coverage.shape
    shadow = np.zeros_like(coverage)
    shadow[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = (
        blurred[max(-rows, 0) : height - max(rows, 0), max(-columns, 0) : width - max(columns, 0)]
    )
    canvas *= 1 - random_state.uniform(0.4, 0.65) * shadow[..., None]


def _draw_colour(random_state: RandomState, canvas: FloatArray, hue: float) -> FloatArray:
    """Draw a colour of about this hue that differs from the canvas."""
    thirds = Image.fromarray(canvas.astype(np.uint8)).resize((3, 3), Image.Resampling.BOX)
    hues = random_state.normal(hue, HUE_SPREAD, size=16) % 1
    saturations, values = random_state.uniform((0.5, 0.45), (0.95, 0.95), size=(16, 2)).T
    colours = zip(hues, saturations, values, strict=True)
    candidates = 255 * np.array([hsv_to_rgb(*colour) for colour in colours])
    background = np.asarray(thirds, dtype=np.float64).reshape(-1, 3)
    return choose_contrasting_colour(candidates, background, CONTRAST)


def _draw_grain(
    random_state: RandomState, photographs: Sequence[Image.Image], shape: tuple[int, ...]
) -> FloatArray:
    """Brightness over a surface: about 1, with the grain of a photograph."""
    grain = np.asarray(_crop(random_state, photographs, *shape)) @ LUMA / 255
    return 1 + random_state.uniform(0, 0.35) * (grain - grain.mean())


def _light_up(
    colours: FloatArray, coverage: FloatArray, light: FloatArray, length: float
) -> FloatArray:
    """Shade a surface whose edge is round, by the reflection model of Phong (1975)."""
    inside = np.pad(coverage >= 0.5, 1)
    radius = 0.22 * length
    depth = np.clip(distance_transform_edt(inside) / radius, 0, 1)
    surface = gaussian_filter(radius * np.sqrt(1 - (1 - depth) ** 2), 0.02 * length)
    slope_y, slope_x = np.gradient(surface)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(surface)], axis=-1)[1:-1, 1:-1]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    facing = np.clip(normals @ light, 0, None)
    reflected = np.clip(2 * facing * normals[..., 2] - light[2], 0, None)
    return (0.45 + 0.75 * facing)[..., None] * colours + 110 * reflected[..., None] ** 24
