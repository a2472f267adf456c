"""Values of feature maps in one byte each, between the least and the largest of each map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RANGE_BYTES", "dequantize", "quantize"]

LEVELS = 255

#: Bytes of the range of a map: its least value and the size of a step, as float32.
RANGE_BYTES = 8


def quantize(values: NDArray[Any], parts: Sequence[slice]) -> NDArray[np.uint8]:
    """Round values to 256 levels for each map.

    The range of a map is that of its values in one view, so records do not depend on other images.
    Uniform affine quantisation: B. Jacob et al., CVPR 2018, arXiv:1712.05877, section 2.1.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float16 or float32
        One map after another.
    parts : sequence of slice
        The values of each map.

    Returns
    -------
    ndarray of shape (n_values + RANGE_BYTES * n_maps,), uint8
        The levels, then the range of each map.

    Examples
    --------
    >>> import numpy as np
    >>> from skbbox.features.quantization import dequantize, quantize
    >>> values = np.array([-1.0, 0.0, 1.55, 7.0, 7.0], np.float32)
    >>> parts = [slice(0, 3), slice(3, 5)]
    >>> quantized = quantize(values, parts)
    >>> quantized[:5]
    array([  0, 100, 255,   0,   0], dtype=uint8)
    >>> out = np.empty((1, 3), np.float32)
    >>> dequantize([quantized], parts, 0, out)
    >>> out
    array([[-1.  ,  0.  ,  1.55]], dtype=float32)
    """
    levels = np.empty(len(values), np.uint8)
    ranges = np.zeros((len(parts), 2), np.float32)
    # Values that are not finite make the range, and so all values of the map, NaN.
    with np.errstate(invalid="ignore"):
        for part, bounds in zip(parts, ranges, strict=True):
            exact = values[part].astype(np.float32)
            least = exact.min()
            exact -= least
            step = exact.max() / np.float32(LEVELS)
            bounds[:] = least, step
            # All values are equal where the step is 0.
            exact /= step or np.float32(1)
            levels[part] = np.rint(exact, out=exact)
    return np.concatenate([levels, ranges.view(np.uint8).ravel()])


def dequantize(
    quantized: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    parts: Sequence[slice],
    number: int,
    out: NDArray[Any],
) -> None:
    """Write the values of one map of several records to an array.

    Parameters
    ----------
    quantized : ndarray of shape (n, n_bytes), or sequence of its rows
        As returned by :func:`quantize`.
    parts : sequence of slice
        The values of each map.
    number : int
        Position of the map.
    out : ndarray of shape (n, n_values of the map), float32
    """
    rows = np.asarray(quantized)
    first = parts[-1].stop + RANGE_BYTES * number
    ranges = rows[:, first : first + RANGE_BYTES].copy().view(np.float32)
    with np.errstate(invalid="ignore"):
        np.multiply(rows[:, parts[number]], ranges[:, 1:], out=out)
        np.add(out, ranges[:, :1], out=out)
