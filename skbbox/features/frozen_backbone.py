"""The features of a frozen backbone, computed once and kept."""

import functools
import hashlib
import itertools
import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..augmentation import make_views as views_of
from ..engines.buffers import BufferPool
from ..engines.registry import get_engine, has_accelerator
from ..engines.runners import get_runner
from ..images import load_row
from ..network.graph import digest_model
from ..progress import progress_bar
from .digests import digest_image
from .predict import graph_size
from .prefetch import AHEAD, N_THREADS, map_ahead, map_batches
from .store import KEY_SIZE, FileStore, MemoryStore, Record

__all__ = ["Features", "FrozenBackbone", "forget_features"]

#: Views of images that are looked for, computed and kept at a time.
BLOCK = 512


#: Of more images, and more than were learnt from, no features are looked for.
WITHOUT_FEATURES = 5000


#: Features are kept in half the bytes where that changes them by less, as a share of the largest.
PRECISION = 1e-3


def _quarter_of_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, ValueError, OSError):  # Not on Windows.
        return 2 * 2**30


#: Features that are kept in a process, for all its fits together, take up to so many bytes.
KEPT_BYTES = _quarter_of_memory()


#: Those of a ``predict``, so that one of many images takes no more memory than one of few.
PREDICTED_BYTES = 2**29


_kept = MemoryStore(KEPT_BYTES)


def forget_features():
    """Let go of the features that this process keeps in memory."""
    _kept.clear()


class FrozenBackbone:
    """The part of a network that is not trained any more, and what it gave for images before.

    Features are kept by what an image shows and by the weights and layers of the backbone:
    in this process, or in a folder that processes share.

    Parameters
    ----------
    extractor : keras.Model
        From pixels in 0..255 to feature maps of (height, width, channels) and profiles of
        (length, channels).
    batch_size : int
        Images to compute at a time.
    memory : str, Path, joblib.Memory or None, default=None
        The folder. None keeps them in memory, up to ``KEPT_BYTES``; what a fit needs
        beyond that lies in files of its own until it ends.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="keras"
        What runs the extractor.
    """

    def __init__(self, extractor, batch_size, memory=None, engine="keras"):
        # joblib's knows its folder, which is None if it keeps nothing.
        self.folder = getattr(memory, "location", memory)
        if not isinstance(self.folder, (str, os.PathLike, type(None))):
            raise ValueError(
                f"memory must be a folder, a joblib.Memory or None. Received: {memory!r}."
            )
        self.extractor, self.batch_size, self.engine = extractor, batch_size, engine
        self.image_size = tuple(extractor.input_shape[1:3])
        self.shapes = [tuple(output.shape[1:]) for output in extractor.outputs]

    @functools.cached_property
    def identity(self):
        """Digest of architecture and weights."""
        return digest_model(self.extractor)

    @functools.cached_property
    def engine_name(self):
        """The engine that is used; its rounding is that of the features."""
        return get_engine(self.engine)

    def serves(self, n_images, n_learnt):
        """Whether to predict so many images from features; else the whole network is faster.

        In a search, images that are predicted are learnt from in other folds, which are larger.
        Keras is slower with the whole on a processor, as BatchNorm is a step of its own there.
        """
        is_slow = self.engine_name == "keras" and not has_accelerator()
        return is_slow or n_images <= max(WITHOUT_FEATURES, n_learnt)

    def features(self, items, boxes, views, verbose=0):
        """Features of several views of each image.

        Parameters
        ----------
        items : list
            What :func:`load_image` takes.
        boxes : ndarray of shape (n_images, 4)
        views : list of callable
            What :func:`augmentation.views` gives.
        verbose : {0, 1}, default=0
            1 shows a progress bar.

        Returns
        -------
        Features

        Raises
        ------
        ImageError
            If an image cannot be read; names the row.
        FeatureStoreError
            If the folder cannot be written to.
        """
        folder = None
        if self.folder is None and self._n_bytes(len(items) * len(views)) > KEPT_BYTES:
            folder = tempfile.TemporaryDirectory(prefix="skbbox-", ignore_cleanup_errors=True)
        store = FileStore(folder.name) if folder else self._store()
        blocks = self._blocks(items, boxes, views, store, verbose)
        return Features([row for block in blocks for row in block], boxes, self.shapes, folder)

    def feature_blocks(self, items, verbose=0, bad=None):
        """Features of each image as it is, a block of images at a time: iterator of Features.

        They are kept if all of them take no more than ``PREDICTED_BYTES``. What is wrong with
        an image is put into `bad`, a dict by row, if there is one.
        """
        keeps = self._n_bytes(len(items)) <= min(PREDICTED_BYTES, KEPT_BYTES)
        boxes = np.full((len(items), 4), np.nan)
        blocks = self._blocks(items, boxes, views_of(None, 1), self._store(), verbose, keeps, bad)
        # No loop, whose name would hold a block while the next one is computed.
        return map(lambda block: Features(block, boxes[: len(block)], self.shapes), blocks)

    def _n_bytes(self, n_views):
        return 2 * n_views * sum(int(np.prod(shape)) for shape in self.shapes)

    def _store(self):
        return _kept if self.folder is None else _open_file_store(os.path.abspath(self.folder))

    def _blocks(self, items, boxes, views, store, verbose, keeps=True, bad=None):
        """Lists of the records of each row's views, block by block.

        Nothing here holds a block, so that it can be let go of before the next one is computed.
        """
        rows_at_once = max(1, BLOCK // len(views))
        with (
            progress_bar(len(items) * len(views), "features", verbose) as progress,
            ThreadPoolExecutor(N_THREADS) as pool,
            ThreadPoolExecutor(AHEAD) as computing,
        ):
            for start in range(0, len(items), rows_at_once):
                rows = range(start, min(start + rows_at_once, len(items)))
                threads = pool, computing
                yield self._block(items, boxes, views, rows, store, keeps, threads, bad)
                progress.update(len(rows) * len(views))

    def _block(self, items, boxes, views, rows, store, keeps, threads, bad):
        contents = threads[0].map(lambda row: digest_image(items, row, bad), rows)
        keys = {
            (row, number): self._key(content, number, boxes[row])
            for row, content in zip(rows, contents, strict=True)
            for number in range(len(views))
        }
        with store.exclusive():
            records = store.find(keys.values())
            missing = {}
            for at, key in keys.items():
                if key not in records:
                    missing.setdefault(key, at)
            if missing:
                computed = self._computed(items, boxes, views, missing, bad, *threads)
                if bad:
                    for (row, _), key in keys.items():
                        if key in missing and missing[key][0] in bad:
                            bad.setdefault(row, bad[missing[key][0]])
                            # Of a black image, which nobody is to find under this key.
                            records[key] = computed.pop(key, None) or records[key]
                records |= store.add(computed) if keeps else computed
        return [[records[keys[row, number]] for number in range(len(views))] for row in rows]

    def _key(self, content, number, box):
        # The image as it is does not depend on a box, so predict can find it.
        shown = box.tobytes() if number else b""
        seen = repr((self.engine_name, self.image_size, number)).encode()
        parts = (self.identity, content, seen, shown)
        return hashlib.blake2b(b"".join(parts), digest_size=KEY_SIZE).digest()

    def _computed(self, items, boxes, views, missing, bad, pool, computing):
        """Records of the keys of `missing`, whose values are row and number of a view.

        The threads of `pool` decode, those of `computing` compute.
        """
        numbers = {}
        for row, number in missing.values():
            numbers.setdefault(row, []).append(number)

        def load(row):
            image = load_row(items, row, self.image_size, bad)
            return [views[number](image, boxes[row]) for number in numbers[row]]

        ready = functools.partial(get_runner, self.extractor, self.identity, self.engine)
        run = ready("float16")
        size = graph_size(self.batch_size, len(missing))

        def compute(batch):
            images = [pixels for pixels, _ in batch]
            (values,) = run(images, size)
            faithful = [_fits_float16(row) for row in values]
            if not all(faithful):
                (exact,) = ready("float32")(images, size)
                # Zeros are the same in both.
                values = [
                    half if same or not whole.any() else whole
                    for same, half, whole in zip(faithful, values, exact, strict=True)
                ]
            return [
                Record(row.copy(), np.array(box, dtype=np.float64))
                for row, (_, box) in zip(values, batch, strict=True)
            ]

        n_rows = max(N_THREADS, AHEAD * self.batch_size // len(views))
        seen = itertools.chain.from_iterable(map_ahead(pool, load, numbers, n_rows))
        keys, records = iter(missing), {}
        for computed in map_batches(computing, compute, seen, self.batch_size):
            records.update((next(keys), record) for record in computed)
        return records


class Features:
    """Feature maps of several views of each image, which lie where they are kept.

    Parameters
    ----------
    records : list of list of Record
        One for each view of each row.
    boxes : ndarray of shape (n_rows, 4)
        The box in the first view, which is the image as it is.
    shapes : list of tuple of int
        The shape of each map.
    folder : tempfile.TemporaryDirectory, default=None
        Where the records lie, if that is to go with them.

    Attributes
    ----------
    boxes : ndarray of shape (n_rows, n_views, 4), float64
        The box in each view.
    """

    def __init__(self, records, boxes, shapes, folder=None):
        self.records, self.shapes, self._folder = records, shapes, folder
        self.boxes = np.array([[record.box for record in row] for row in records])
        self.boxes[:, 0] = boxes
        self.dtype = np.result_type(*{record.values.dtype for row in records for record in row})
        ends = [0, *itertools.accumulate(map(math.prod, shapes))]
        self._parts = [slice(*pair) for pair in itertools.pairwise(ends)]
        self._memory = BufferPool()

    def __len__(self):
        return len(self.records)

    def maps(self, rows, views):
        """The maps of a view of each of some rows, as the heads take them.

        Parameters
        ----------
        rows, views : sequence of int, of length n

        Returns
        -------
        tuple of ndarray of shape (n, ...), or the one of a single map
        """
        pairs = zip(rows, views, strict=True)
        records = [self.records[row][view].values for row, view in pairs]
        maps = []
        for part, shape in zip(self._parts, self.shapes, strict=True):
            values = self._memory.empty((len(records), part.stop - part.start), self.dtype)
            np.stack([record[part] for record in records], out=values)
            maps.append(values.reshape(len(records), *shape))
        return tuple(maps) if len(maps) > 1 else maps[0]


def _fits_float16(values):
    """Whether values are the same in float16 but for ``PRECISION``, as a share of the largest.

    float16 keeps values up to 65,504 to 11 binary digits, and changes those near 0 by 2**-25.
    """
    # Without the sign; NumPy is slow with the values themselves. What is no number is above all.
    largest = float((values.view(np.uint16) & 0x7FFF).max().view(np.float16))
    return PRECISION * largest >= 2**-25 and largest < 65504


@functools.lru_cache
def _open_file_store(folder):
    return FileStore(folder)
