"""Images that show nearly the same, found with a hash of what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import load_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import ImageLike, IntArray

__all__ = [
    "HASH_BITS",
    "MAX_DIFFERENT_BITS",
    "count_different_bits",
    "group_near_duplicates",
    "hash_image",
]

#: Side of the reduced image that is hashed, and bits of the hash.
HASH_SIDE = 12
HASH_BITS = HASH_SIDE**2
#: Near-duplicates differ in at most this many bits.
MAX_DIFFERENT_BITS = 10


def hash_image(image: ImageLike) -> NDArray[np.uint64]:
    """Difference hash: for each pixel of the reduced image, whether the next one is brighter.

    It hardly changes if an image is resized, compressed or made brighter.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        As for :func:`load_image`. A large JPEG is decoded at a reduced size.

    Returns
    -------
    ndarray of shape (3,), uint64
        The bits of the hash, and zeros.

    Raises
    ------
    ImageError
        If the image cannot be read.

    References
    ----------
    .. [1] N. Krawetz, "Kind of like that", The Hacker Factor Blog, 2013 (difference hash).
    """
    small = load_image(image, size=(HASH_SIDE, HASH_SIDE + 1)).astype(np.int64).sum(axis=2)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return np.concatenate([bits, np.zeros(-len(bits) % 8, np.uint8)]).view(np.uint64)


def count_different_bits(value: NDArray[np.uint64], others: NDArray[np.uint64]) -> IntArray:
    """Number of bits, out of ``HASH_BITS``, in which a hash differs from each of several."""
    return np.bitwise_count(others ^ value).sum(axis=1, dtype=np.intp)


def group_near_duplicates(hashes: Sequence[NDArray[np.uint64]]) -> IntArray:
    """Put near-duplicates into one group, and those of each of them.

    Parameters
    ----------
    hashes : sequence of n arrays
        As :func:`hash_image` returns them.

    Returns
    -------
    ndarray of shape (n,), int
        A number for each image, equal for images of a group: the position of its first image.
    """
    values = np.array(hashes)
    groups = np.arange(len(hashes))
    for number, value in enumerate(values):
        near = count_different_bits(value, values[:number]) <= MAX_DIFFERENT_BITS
        if near.any():
            # The image may join groups that were separate before.
            joined = np.unique(groups[:number][near])
            groups[number] = joined[0]
            groups[np.isin(groups, joined)] = joined[0]
    return groups
