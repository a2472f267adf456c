"""Checks that read the image files: missing, damaged and identical images, and tiny boxes."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import ImageError
from ..files import as_path
from ..images import load_image
from .near_duplicates import (
    HASH_BITS,
    MAX_DIFFERENT_BITS,
    count_different_bits,
    hash_image,
)
from .table import BoxTable, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_images", "find_unreadable_rows"]


def check_images(table: BoxTable, parts: list[Any] | None, min_side: float) -> list[Problem]:
    """Problems of the image files, each at the first row of the image, and tiny boxes."""
    problems: list[Problem] = []
    image_by_digest: dict[bytes, str] = {}
    hashes: dict[str, NDArray[np.uint64]] = {}
    rows_by_image = table.group_by_image(range(len(table.images)))
    for image, rows in rows_by_image.items():
        try:
            pixels = load_image(as_path(image))
        except ImageError as error:
            problems.append(Problem(rows[0], _get_kind(image), str(error)))
            continue
        with as_path(image).open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").digest()
        if digest in image_by_digest:
            other = image_by_digest[digest]
            in_parts = parts is not None and parts[rows[0]] != parts[rows_by_image[other][0]]
            where = ", in another part of the split" if in_parts else ""
            problems.append(Problem(rows[0], "identical images", f"the same as {other}{where}"))
        else:
            image_by_digest[digest] = image
            if parts is not None:
                hashes[image] = hash_image(pixels)
        height, width = pixels.shape[:2]
        for row in rows:
            if table.is_valid[row] and not table.in_pixels[row]:
                x_min, x_max, y_min, y_max = table.values[row]
                sides = (x_max - x_min) * width, (y_max - y_min) * height
                if min(sides) < min_side:
                    detail = f"{sides[0]:.1f} x {sides[1]:.1f} pixels"
                    problems.append(Problem(row, "tiny box", detail))
    if parts is not None:
        part_by_image = {image: str(parts[rows_by_image[image][0]]) for image in hashes}
        problems += [
            Problem(rows_by_image[image][0], "near-identical images", detail)
            for image, detail in _find_near_identical(hashes, part_by_image)
        ]
    return problems


def find_unreadable_rows(table: BoxTable) -> list[Problem]:
    """A problem for each row whose image is missing or damaged."""
    problems = []
    reasons: dict[str, str | None] = {}
    for row, image in enumerate(table.images):
        if image not in reasons:
            try:
                load_image(as_path(image))
                reasons[image] = None
            except ImageError as error:
                reasons[image] = str(error)
        reason = reasons[image]
        if reason is not None:
            problems.append(Problem(row, _get_kind(image), reason))
    return problems


def _get_kind(image: str) -> str:
    return "unreadable image" if os.path.exists(as_path(image)) else "missing image"


def _find_near_identical(
    hashes: dict[str, NDArray[np.uint64]], part_by_image: dict[str, str]
) -> list[tuple[str, str]]:
    """Images that look like an earlier one of another part, and the details."""
    images = list(hashes)
    values = np.array(list(hashes.values()))
    parts = np.array([part_by_image[image] for image in images])
    found = []
    for number, image in enumerate(images):
        others = np.flatnonzero(parts[:number] != parts[number])
        if others.size:
            n_different = count_different_bits(values[number], values[others])
            nearest = int(n_different.argmin())
            if n_different[nearest] <= MAX_DIFFERENT_BITS:
                other = others[nearest]
                detail = (
                    f"{n_different[nearest]} of {HASH_BITS} bits differ from {images[other]} "
                    f"in {parts[other]!r}"
                )
                found.append((image, detail))
    return found
