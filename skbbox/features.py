"""Running a network over images batch by batch, and the features of a frozen backbone."""

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from sklearn.utils.validation import check_memory

from .images import load_image, load_row

__all__ = ["decoded_images", "frozen_features", "predict_images"]

#: Decoding threads; Pillow leaves Python's lock while it decodes and resizes.
N_THREADS = min(os.cpu_count() or 1, 8)


def predict_images(model, items, image_size, batch_size, verbose=0):
    """Outputs of a model for images of any number, decoded while the model computes.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    items : list
        What :func:`load_image` takes.
    image_size : (int, int)
        Height and width.
    batch_size : int
    verbose : {0, 1}, default=0
        1 shows a progress bar.

    Returns
    -------
    list of ndarray
        One array of shape (n_images, ...) for each output of the model.

    Raises
    ------
    ImageError
        If an image cannot be read; names the row.
    """
    progress = keras.utils.Progbar(len(items), verbose=verbose)
    batches = []
    # Compiling a graph takes longer than running two batches without one.
    run = model.predict_on_batch if len(items) > 2 * batch_size else _without_graph(model)
    for pixels in _batches(items, image_size, batch_size):
        # Batches of one size, so that one graph serves them all.
        short = batches and len(pixels) < batch_size
        padded = np.resize(pixels, (batch_size, *pixels.shape[1:])) if short else pixels
        outputs = keras.tree.flatten(run(padded))
        batches.append([output[: len(pixels)] for output in outputs])
        progress.add(len(pixels))
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def decoded_images(items, image_size, batch_size, verbose=0):
    """All images in one uint8 array of shape (n_images, height, width, 3)."""
    progress = keras.utils.Progbar(len(items), verbose=verbose)
    pixels = np.empty((len(items), *image_size, 3), dtype=np.uint8)
    start = 0
    for batch in _batches(items, image_size, batch_size):
        pixels[start : start + len(batch)] = batch
        start += len(batch)
        progress.add(len(batch))
    return pixels


def frozen_features(extractor, items, image_size, batch_size, memory=None, verbose=0):
    """Feature maps of images under a backbone that is not trained.

    Parameters
    ----------
    extractor : keras.Model
        From pixels to one feature map.
    items, image_size, batch_size, verbose
        As for :func:`predict_images`.
    memory : str, Path, joblib.Memory or None, default=None
        Where features are kept between calls, by the content of the images and
        of the backbone.

    Returns
    -------
    ndarray of shape (n_images, height, width, channels), float32
    """

    def run():
        return predict_images(extractor, items, image_size, batch_size, verbose)[0]

    if memory is None:
        return run()
    if isinstance(memory, Path):
        memory = str(memory)
    remembered = check_memory(memory).cache(_features_of, ignore=["run"])
    contents = [_content(item) for item in items]
    return remembered(contents, _identity(extractor), tuple(image_size), run=run)


def _features_of(contents, backbone, image_size, run):
    """What joblib files the features under: everything but the function that computes them."""
    return run()


def _without_graph(model):
    return lambda pixels: keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(pixels, training=False)
    )


def _batches(items, image_size, batch_size):
    """Decoded batches, one of them being prepared while another is used."""
    starts = range(0, len(items), batch_size)
    with ThreadPoolExecutor(N_THREADS) as pool:
        ahead = deque()
        for start in starts:
            rows = range(start, min(start + batch_size, len(items)))
            ahead.append([pool.submit(load_row, items, row, image_size) for row in rows])
            if len(ahead) > 1:
                yield np.stack([future.result() for future in ahead.popleft()])
        while ahead:
            yield np.stack([future.result() for future in ahead.popleft()])


def _content(item):
    """Digest of what an image shows, not of where it lies."""
    if isinstance(item, (str, os.PathLike)):
        return hashlib.blake2b(Path(item).read_bytes(), digest_size=16).hexdigest()
    pixels = np.ascontiguousarray(load_image(item))
    return hashlib.blake2b(
        pixels.tobytes() + str(pixels.shape).encode(), digest_size=16
    ).hexdigest()


def _identity(extractor):
    digest = hashlib.blake2b(extractor.to_json().encode(), digest_size=16)
    for weights in extractor.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()
