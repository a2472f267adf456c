"""Decode images and run batches in threads, ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import joblib
import numpy as np

from ..images import load_row, try_load_row
from ..progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, ImageLike, Pixels

__all__ = [
    "AHEAD",
    "N_THREADS",
    "decode_images",
    "find_unreadable_images",
    "get_loader",
    "load_images",
    "map_ahead",
    "map_batches",
]

#: Decoding threads; Pillow releases Python's lock while it decodes and resizes.
N_THREADS = min(joblib.cpu_count(), 8)

#: Batches of images that are decoded ahead of their use, and batches computed at a time.
AHEAD = 2

Value = TypeVar("Value")
Result = TypeVar("Result")


def decode_images(
    items: Sequence[ImageLike], image_size: tuple[int, int], verbose: bool | int = 0
) -> NDArray[np.uint8]:
    """All images in one uint8 array of shape (n_images, height, width, 3)."""
    pixels = np.empty((len(items), *image_size, 3), dtype=np.uint8)
    with progress_bar(len(items), "decoding", verbose) as progress:
        for row, (image, _) in enumerate(load_images(items, image_size, N_THREADS)):
            pixels[row] = image
            progress.update()
    return pixels


def find_unreadable_images(
    items: Sequence[ImageLike], image_size: tuple[int, int], verbose: bool | int = 0
) -> dict[int, str]:
    """Rows of the images that cannot be read, and why."""
    bad = {}
    with progress_bar(len(items), "checking", verbose) as progress:
        images = load_images(items, image_size, N_THREADS, skip_bad=True)
        for row, (_, error) in enumerate(images):
            if error is not None:
                bad[row] = error
            progress.update()
    return bad


def load_images(
    items: Sequence[ImageLike],
    image_size: tuple[int, int],
    n_ahead: int,
    skip_bad: bool = False,
    windows: FloatArray | None = None,
    mirrored: bool = False,
) -> Iterator[tuple[Pixels, str | None]]:
    """Pixels of each image, and why it cannot be read or None.

    Parameters
    ----------
    items : sequence
        Anything :func:`load_image` takes.
    image_size : (int, int)
        Height and width in pixels.
    n_ahead : int
        Number of images to decode ahead of their use.
    skip_bad : bool, default=False
        Whether an unreadable image is black; otherwise it raises an ImageError.
    windows : ndarray of shape (n_images, 4), default=None
        The part of each image to load; None loads all of it.
    mirrored : bool, default=False
        Whether left and right are swapped in what is loaded.
    """
    load = get_loader(items, image_size, skip_bad)

    def load_part(row: int) -> tuple[Pixels, str | None]:
        (pixels,), error = load(row, [None if windows is None else windows[row]])
        return pixels[:, ::-1] if mirrored else pixels, error

    if len(items) == 1:  # A thread would take longer to start than many an image to decode.
        yield load_part(0)
        return
    with ThreadPoolExecutor(N_THREADS) as pool:
        yield from map_ahead(pool, load_part, range(len(items)), n_ahead)


def get_loader(
    items: Sequence[ImageLike], image_size: tuple[int, int] | None, skip_bad: bool
) -> Callable[[int, Sequence[FloatArray | None]], tuple[list[Pixels], str | None]]:
    """A function from a row and windows to their pixels, and why it cannot be read or None."""
    if skip_bad:
        return lambda row, windows: try_load_row(items, row, image_size, windows)
    return lambda row, windows: (load_row(items, row, image_size, windows), None)


def map_batches(
    pool: ThreadPoolExecutor,
    function: Callable[[list[Value]], Result],
    values: Iterator[Value],
    batch_size: int,
    n_values: int | None = None,
) -> Iterator[Result]:
    """Results of a function for each batch of values; one is prepared while another runs.

    A single batch, if the number of values is known, needs no thread.
    """
    batches = iter(lambda: list(islice(values, batch_size)), [])
    if n_values is not None and n_values <= batch_size:
        return map(function, batches)
    return map_ahead(pool, function, batches, AHEAD)


def map_ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Value], Result],
    values: Iterable[Value],
    n_ahead: int,
) -> Iterator[Result]:
    """Results of a function for each value, computed by threads `n_ahead` ahead of their use."""
    values = iter(values)
    running: deque[Future[Result]] = deque()
    for value in islice(values, n_ahead):
        running.append(pool.submit(function, value))
    while running:
        result = running.popleft().result()
        running.extend(pool.submit(function, value) for value in islice(values, 1))
        yield result
