"""Masks of Label Studio's brush, as lists of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .nodes import shorten_repr
from .shapes import bound_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .nodes import Node
    from .record import Box

__all__ = ["bound_brush"]

#: Values of each pixel: red, green, blue and alpha, which is above 0 where the brush was.
N_CHANNELS = 4


def bound_brush(rle: Node, size: tuple[float, float]) -> Box | None:
    """Bounding box in pixels of a mask, or None if it is empty.

    Parameters
    ----------
    rle : Node
        List of bytes. Bits, the highest first: 32 for the number of values, 5 for the bits of a
        value minus 1, four times 4 for the bits of a length minus 1; then blocks. A block is a bit
        that tells whether its value is stored once, 2 bits that choose one of the four sizes,
        its length minus 1, and its value or values.
    size : (float, float)
        Width and height of the image.

    References
    ----------
    .. [1] K. Schmidt, "rle-pack", https://github.com/thi-ng/umbrella, packages/rle-pack.
    .. [2] Label Studio, ``label_studio_converter/brush.py``,
       https://github.com/HumanSignal/label-studio-converter.
    """
    values = [node.value for node in rle.as_list()]
    if not all(type(value) is int and 0 <= value < 256 for value in values):
        rle.fail("expected a list of bytes, that is, of integers in 0..255.")
    width, height = size
    try:
        n_values, runs = _decode(bytes(values))
        if n_values != width * height * N_CHANNELS:
            rle.fail(
                f"the mask has {n_values} values. Expected {N_CHANNELS} for each of {width:g} x "
                f"{height:g} pixels."
            )
        # Alpha is the last value of a pixel: it is in a run that contains the end of the pixel.
        pixels = ((start // N_CHANNELS, end // N_CHANNELS) for start, end in runs)
        return bound_runs(((start, end) for start, end in pixels if start < end), int(width))
    except IndexError:
        rle.fail(f"the mask is cut off. Received: {shorten_repr(values[-10:])} at its end.")


def _decode(data: bytes) -> tuple[int, Iterator[tuple[int, int]]]:
    """Number of values, and start and end of each run of values above 0."""
    bits = "".join(map("{:08b}".format, data))
    position = 0

    def read(n: int) -> int:
        nonlocal position
        position += n
        if position > len(bits):
            raise IndexError
        return int(bits[position - n : position], 2)

    n_values, word_size = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]

    def iter_runs() -> Iterator[tuple[int, int]]:
        start = 0
        while start < n_values:
            is_constant = read(1)
            end = min(start + 1 + read(sizes[read(2)]), n_values)
            if is_constant:
                if read(word_size):
                    yield start, end
            else:
                for number in range(start, end):
                    if read(word_size):
                        yield number, number + 1
            start = end

    return n_values, iter_runs()
