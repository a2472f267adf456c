"""Running a network over images batch by batch, and the features of a frozen backbone."""

import hashlib
import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from sklearn.utils.validation import check_memory

from .engines import folded
from .images import load_image, load_row

__all__ = ["decoded_images", "frozen_features", "predict_images"]

#: Decoding threads; Pillow leaves Python's lock while it decodes and resizes.
N_THREADS = min(os.cpu_count() or 1, 8)

#: From so many images on, folding a network takes less time than it saves.
MANY_IMAGES = 1000


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
    return _outputs(
        model, lambda row: load_row(items, row, image_size)[None], len(items), batch_size, verbose
    )


def decoded_images(items, image_size, batch_size, verbose=0):
    """All images in one uint8 array of shape (n_images, height, width, 3)."""
    progress = keras.utils.Progbar(len(items), verbose=verbose)
    pixels = np.empty((len(items), *image_size, 3), dtype=np.uint8)
    start = 0
    for batch in _batches(
        lambda row: load_row(items, row, image_size)[None], len(items), batch_size
    ):
        pixels[start : start + len(batch)] = batch
        start += len(batch)
        progress.add(len(batch))
    return pixels


def frozen_features(extractor, items, boxes, views, image_size, batch_size, memory=None, verbose=0):
    """Feature maps of several views of each image under a backbone that is not trained.

    Parameters
    ----------
    extractor : keras.Model
        From pixels to feature maps.
    items, image_size, batch_size, verbose
        As for :func:`predict_images`.
    boxes : ndarray of shape (n_images, 4)
    views : list of callable
        What :func:`augmentation.views` gives.
    memory : str, Path, joblib.Memory or None, default=None
        Where features are kept between calls, by the content of the images, their
        boxes, the views and the backbone.

    Returns
    -------
    maps : list of ndarray of shape (n_images, n_views, ...), float32
        Maps of (height, width, channels), and profiles of (length, channels).
    boxes : ndarray of shape (n_images, n_views, 4), float64
        The box in each view.
    """

    def run():
        view_boxes = np.empty((len(items), len(views), 4))

        def load(row):
            image = load_row(items, row, image_size)
            seen = [view(image, boxes[row]) for view in views]
            view_boxes[row] = [box for _, box in seen]
            return np.stack([pixels for pixels, _ in seen])

        many = len(items) * len(views) >= MANY_IMAGES
        network = folded(extractor) if many else extractor
        maps = _outputs(network, load, len(items), batch_size, verbose, n_views=len(views))
        return [x.reshape(*view_boxes.shape[:2], *x.shape[1:]) for x in maps], view_boxes

    if memory is None:
        return run()
    if isinstance(memory, Path):
        memory = str(memory)
    remembered = check_memory(memory).cache(_features_of, ignore=["run"])
    contents = [_content(item) for item in items]
    # One view is the image itself, whatever its box.
    shown = boxes if len(views) > 1 else None
    maps, view_boxes = remembered(
        contents, shown, len(views), _identity(extractor), tuple(image_size), run=run
    )
    return maps, boxes[:, None] if len(views) == 1 else view_boxes


def _features_of(contents, boxes, n_views, backbone, image_size, run):
    """What joblib files the features under: everything but the function that computes them."""
    return run()


def _outputs(model, load, n_rows, batch_size, verbose, n_views=1):
    """Outputs of a model for all rows, each `n_views` images that a call of `load` gives."""
    n = n_rows * n_views
    rows_at_once = max(1, batch_size // n_views)
    batch_size = rows_at_once * n_views
    progress = keras.utils.Progbar(n, verbose=verbose)
    # Compiling a graph takes longer than running two batches without one.
    run = model.predict_on_batch if n > 2 * batch_size else _without_graph(model)
    outputs, start = None, 0
    for pixels in _batches(load, n_rows, rows_at_once):
        # Batches of one size, so that one graph serves them all.
        short = start and len(pixels) < batch_size
        padded = np.resize(pixels, (batch_size, *pixels.shape[1:])) if short else pixels
        batch = keras.tree.flatten(run(padded))
        if outputs is None:
            outputs = [np.empty((n, *part.shape[1:]), part.dtype) for part in batch]
        for output, part in zip(outputs, batch, strict=True):
            output[start : start + len(pixels)] = part[: len(pixels)]
        start += len(pixels)
        progress.add(len(pixels))
    return outputs


def _without_graph(model):
    return lambda pixels: keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(pixels, training=False)
    )


def _batches(load, n_rows, rows_at_once):
    """The images of some rows at a time, being prepared while those before them are used."""
    with ThreadPoolExecutor(N_THREADS) as pool:
        ahead = deque()
        for start in range(0, n_rows, rows_at_once):
            rows = range(start, min(start + rows_at_once, n_rows))
            ahead.append([pool.submit(load, row) for row in rows])
            if len(ahead) > 1:
                yield np.concatenate([future.result() for future in ahead.popleft()])
        while ahead:
            yield np.concatenate([future.result() for future in ahead.popleft()])


def _content(item):
    """Digest of what an image shows, not of where it lies."""
    if isinstance(item, (str, os.PathLike)):
        return hashlib.blake2b(Path(item).read_bytes(), digest_size=16).hexdigest()
    pixels = np.ascontiguousarray(load_image(item))
    return hashlib.blake2b(
        pixels.tobytes() + str(pixels.shape).encode(), digest_size=16
    ).hexdigest()


def _identity(extractor):
    digest = hashlib.blake2b(_without_names(extractor.to_json()).encode(), digest_size=16)
    for weights in extractor.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()


def _without_names(config):
    """An architecture with its layers numbered as they come; Keras numbers all of a process."""
    names = dict.fromkeys(re.findall(r'"name": "([^"]*)", "inbound_nodes"', config))
    number = {name: f"#{i}" for i, name in enumerate(names)}
    return re.sub(r'"([^"]*)"', lambda found: f'"{number.get(found[1], found[1])}"', config)
