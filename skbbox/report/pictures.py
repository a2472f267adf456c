"""Images small enough for all of them to be on one page, with their boxes drawn over them."""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..exceptions import ImageError
from ..images import load_image, upright_size
from ..markup import Markup, tag
from ..progress import progress_bar

if TYPE_CHECKING:
    from ..typing import FloatArray, ImageLike, IntArray
    from .results import Results

__all__ = ["kept", "n_worst_of", "pictures"]

#: Bytes of all pictures of a page together, in base64.
ALL_BYTES = 3_800_000

#: Lengths of the longer side that are tried, from the largest that is wanted.
SIDES = (512, 384, 320, 256, 208, 176, 144, 112, 88, 72, 56, 48)

#: Of JPEG; below 60 blocks show.
QUALITY = 70


def kept(iou: FloatArray, max_images: int) -> IntArray:
    """Which rows get a picture: all; or the worst, and as many at random of the others.

    Parameters
    ----------
    iou : ndarray of shape (n,)
    max_images : int

    Returns
    -------
    ndarray of shape (min(n, max_images),)
        From the lowest IoU to the highest. The same each time.
    """
    order = np.argsort(iou, kind="stable")
    if len(order) <= max_images:
        return order
    n_worst = n_worst_of(max_images)
    others = np.random.default_rng(0).choice(
        np.arange(n_worst, len(order)), max_images - n_worst, replace=False
    )
    return order[np.concatenate([np.arange(n_worst), np.sort(others)])]


def n_worst_of(max_images: int) -> int:
    """How many of those that are kept are the worst ones."""
    return (max_images + 1) // 2


def pictures(results: Results, positions: IntArray, verbose: int = 0) -> list[Markup]:
    """An SVG of each image with its true box and its predicted one.

    All of them stay within ``ALL_BYTES`` as long as there are not more than about 1,500; noise,
    which takes the most bytes, becomes smaller than what is smooth.
    """
    n_bytes = ALL_BYTES // max(len(positions), 1)
    drawn = []
    with progress_bar(len(positions), "pictures", verbose) as progress:
        for position in positions:
            drawn.append(_drawn(results, position, n_bytes))
            progress.update()
    return drawn


def _drawn(results: Results, position: int, n_bytes: int) -> Markup:
    try:
        data, (width, height) = _encoded(results.images[position], n_bytes)
    except ImageError as error:
        raise ImageError(f"Row {results.rows[position]}: {error}") from error
    return tag(
        "svg",
        tag("image", href=data, width=width, height=height),
        _box("true", results.true[position], width, height),
        _box("predicted", results.predicted[position], width, height),
        class_="picture",
        viewBox=f"0 0 {width} {height}",
        aria_hidden="true",
    )


def _encoded(image: ImageLike, n_bytes: int) -> tuple[str, tuple[int, int]]:
    """A JPEG as an address, of the largest side that stays below so many bytes."""
    picture = _loaded(image, SIDES[0])
    for side in SIDES:
        if side < max(picture.size):
            # Draws on what was decoded, so that each step is quick.
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, optimize=True)
        if file.tell() * 4 / 3 <= n_bytes:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", picture.size


def _loaded(image: Any, side: int) -> Image.Image:
    """The image as ``predict`` sees it, its longer side not above a number of pixels."""
    if isinstance(image, (str, os.PathLike)):
        width, height = upright_size(image)
        scale = min(1.0, side / max(width, height))
        # A large JPEG is decoded several times as fast where the size is asked for.
        size = max(1, round(scale * height)), max(1, round(scale * width))
        return Image.fromarray(load_image(image, size))
    picture = Image.fromarray(load_image(image))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _box(kind: str, box: FloatArray, width: int, height: int) -> Markup:
    left, right, top, bottom = box * (width, width, height, height)
    place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    place = {name: f"{value:.1f}" for name, value in place.items()}
    # The dark one below it makes the line stand out from any picture.
    return Markup(tag("rect", class_="edge", **place) + tag("rect", class_=kind, **place))
