"""Functions that several test modules call; fixtures are in ``conftest.py``."""

import hashlib
import json
import zipfile
from contextlib import contextmanager

import numpy as np


def small_localizer(**changes):
    """An unfitted estimator that is fast to fit: two epochs of a small network from scratch."""
    # Not at the top: Keras reads KERAS_HOME on import, and conftest.py sets it later.
    from skbbox import SingleBoxLocalizer
    from skbbox.network import small_convnet

    parameters = {
        "backbone": small_convnet,
        "weights": None,
        "image_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "random_state": 0,
    }
    return SingleBoxLocalizer(**(parameters | changes))


def predicted_numbers(localizer, images):
    """Boxes, their confidences, and the probability of each class: a row for each image.

    Ways to compute that differ by rounding agree in these numbers. They need not agree in the class
    of an image for which two classes are equally probable.
    """
    from skbbox.boxes import COORDINATES

    boxes = localizer.predict(images).filter([*COORDINATES, "box_confidence"])
    return np.column_stack([boxes, localizer.predict_proba(images)])


def members(path):
    """The content of each member of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents, compression=zipfile.ZIP_STORED):
    """Write a zip archive; returns its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def with_checksums(contents):
    """The members with matching checksums, as an attacker would write them."""
    others = {name: content for name, content in contents.items() if name != "checksums.json"}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in others.items()}
    return others | {"checksums.json": json.dumps(sums).encode()}


@contextmanager
def full_disk(n_bytes=10):
    """Let no file of this process grow beyond a few bytes, as on a disk that is full."""
    import resource  # Not on Windows.

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
