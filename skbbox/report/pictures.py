"""Pictures small enough for all of them to fit on one page, and which images get one."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..exceptions import ImageError
from ..images import load_image, upright_size
from ..progress import progress_bar

if TYPE_CHECKING:
    from ..typing import FloatArray, ImageLike, IntArray
    from .results import Results

__all__ = ["Picture", "count_worst", "make_pictures", "select_rows"]

#: Bytes of all pictures of a page together, in base64.
ALL_BYTES = 3_800_000

#: Lengths of the longer side to try, largest first.
SIDES = (512, 384, 320, 256, 208, 176, 144, 112, 88, 72, 56, 48)

#: JPEG quality; below 60 its blocks become visible.
QUALITY = 70


@dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes
    ----------
    url : str
        The JPEG as a ``data:`` URL.
    width, height : int
    boxes : dict of str to dict
        Attributes of a ``<rect>``, in pixels, for the ``true`` and the ``predicted`` box, if the
        row has it.
    """

    url: str
    width: int
    height: int
    boxes: dict[str, dict[str, str]]


def select_rows(iou: FloatArray, max_images: int) -> IntArray:
    """Which rows get a picture: all, or the worst and as many of the others at random.

    Parameters
    ----------
    iou : ndarray of shape (n,)
        NaN in rows without one, which come last.
    max_images : int

    Returns
    -------
    ndarray of shape (min(n, max_images),)
        From the lowest IoU to the highest; the same on each call.
    """
    order = np.argsort(iou, kind="stable")
    if len(order) <= max_images:
        return order
    n_worst = count_worst(max_images)
    others = np.random.default_rng(0).choice(
        np.arange(n_worst, len(order)), max_images - n_worst, replace=False
    )
    return order[np.concatenate([np.arange(n_worst), np.sort(others)])]


def count_worst(max_images: int) -> int:
    """How many of the selected rows are those with the lowest IoU."""
    return (max_images + 1) // 2


def make_pictures(results: Results, positions: IntArray, verbose: int = 0) -> list[Picture]:
    """Small copies of images, with their true and predicted boxes.

    Together they take at most ``ALL_BYTES``, for up to about 1,500 pictures. The less an image
    can be compressed, the smaller its picture.
    """
    n_bytes = ALL_BYTES // max(len(positions), 1)
    pictures = []
    with progress_bar(len(positions), "pictures", verbose) as progress:
        for position in positions:
            pictures.append(_make_picture(results, position, n_bytes))
            progress.update()
    return pictures


def _make_picture(results: Results, position: int, n_bytes: int) -> Picture:
    try:
        url, (width, height) = _encode_jpeg(results.images[position], n_bytes)
    except ImageError as error:
        raise ImageError(f"Row {results.rows[position]}: {error}") from error
    boxes = {"true": results.pairs.true[position], "predicted": results.pairs.predicted[position]}
    rectangles = {
        kind: _to_rectangle(box, width, height)
        for kind, box in boxes.items()
        if not np.isnan(box).any()
    }
    return Picture(url, width, height, rectangles)


def _encode_jpeg(image: ImageLike, n_bytes: int) -> tuple[str, tuple[int, int]]:
    """The largest JPEG of at most `n_bytes` in base64, as a ``data:`` URL, and its size."""
    picture = _load_small(image, SIDES[0])
    for side in SIDES:
        if side < max(picture.size):
            # Shrinking the last, smaller picture is faster than starting from the image.
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, optimize=True)
        if file.tell() * 4 / 3 <= n_bytes:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", picture.size


def _load_small(image: ImageLike, side: int) -> Image.Image:
    """The image as ``predict`` loads it, its longer side at most `side` pixels."""
    if isinstance(image, (str, os.PathLike)):
        width, height = upright_size(image)
        scale = min(1.0, side / max(width, height))
        # With a size, load_image decodes a large JPEG several times as fast.
        size = max(1, round(scale * height)), max(1, round(scale * width))
        return Image.fromarray(load_image(image, size))
    picture = Image.fromarray(load_image(image))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _to_rectangle(box: FloatArray, width: int, height: int) -> dict[str, str]:
    left, right, top, bottom = box * (width, width, height, height)
    place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {name: f"{value:.1f}" for name, value in place.items()}
