"""Decode images and run batches ahead of their use."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import joblib
import numpy as np

from ..images import load_row
from ..progress import progress_bar

__all__ = ["decode_images", "find_unreadable_images"]

#: Decoding threads; Pillow leaves Python's lock while it decodes and resizes.
N_THREADS = min(joblib.cpu_count(), 8)


#: Batches of images that are decoded ahead of their use, and those that are computed at a time.
AHEAD = 2


def decode_images(items, image_size, verbose=0):
    """All images in one uint8 array of shape (n_images, height, width, 3)."""
    pixels = np.empty((len(items), *image_size, 3), dtype=np.uint8)
    with progress_bar(len(items), "decoding", verbose) as progress:
        for row, image in enumerate(load_images(items, image_size, N_THREADS)):
            pixels[row] = image
            progress.update()
    return pixels


def find_unreadable_images(items, image_size, verbose=0):
    """What is wrong with the images that cannot be read: dict by row."""
    bad = {}
    with progress_bar(len(items), "checking", verbose) as progress:
        for _ in load_images(items, image_size, N_THREADS, bad):
            progress.update()
    return dict(sorted(bad.items()))


def load_images(items, image_size, n_ahead, bad=None):
    with ThreadPoolExecutor(N_THREADS) as pool:
        yield from map_ahead(
            pool, lambda row: load_row(items, row, image_size, bad), range(len(items)), n_ahead
        )


def map_batches(pool, function, values, batch_size):
    """What a function gives for each batch; one is made ready while another is computed."""
    batches = iter(lambda: list(islice(values, batch_size)), [])
    return map_ahead(pool, function, batches, AHEAD)


def map_ahead(pool, function, values, n_ahead):
    """What a function gives for each value, made by threads so many ahead of its use."""
    values, running = iter(values), deque()
    for value in islice(values, n_ahead):
        running.append(pool.submit(function, value))
    while running:
        result = running.popleft().result()
        running.extend(pool.submit(function, value) for value in islice(values, 1))
        yield result
