"""The features of a frozen backbone, computed once and kept."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..augmentation import View
from ..engines.registry import get_engine, has_accelerator
from ..engines.runners import get_graph_size, get_runner, has_runner
from ..network.fitted import ModelState, WatchedModel
from ..progress import progress_bar
from .digests import digest_image
from .maps import Features, RecomputedFeatures, split_values
from .prefetch import AHEAD, N_THREADS, get_loader, load_images, map_ahead, map_batches
from .quantization import RANGE_BYTES, quantize
from .record_files import FileRecord
from .store import (
    KEY_SIZE,
    FileStore,
    MemoryStore,
    Record,
    get_folder_bytes,
    get_free_bytes,
)

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..typing import FloatArray, ImageLike, Pixels

__all__ = ["FrozenBackbone", "forget_features"]

#: Views of images that are looked up, computed and stored at a time.
BLOCK = 512

#: For more images than this, and more than the fit had, ``predict`` uses no features.
WITHOUT_FEATURES = 5000

#: Features for `predict` are stored as float16 if that changes them by less, relative to the
#: largest.
PRECISION = 1e-3


def _get_quarter_of_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, ValueError, OSError):  # Windows.
        return 2 * 2**30


#: Bytes of the features kept in a process, for all its fits together.
KEPT_BYTES = _get_quarter_of_memory()

#: Features of one fit take at most this share of the free disk and, in temporary files, this many
#: bytes; if they need more, none are kept.
DISK_SHARE = 0.5
DISK_BYTES = 20 * 10**9

#: Bytes of the features kept for one ``predict``; if they need more, none are kept.
PREDICTED_BYTES = 2**29

_kept = MemoryStore(KEPT_BYTES)

Key = TypeVar("Key")


def forget_features() -> None:
    """Free the features that this process keeps in memory."""
    _kept.clear()


class FrozenBackbone:
    """The frozen part of a network, and its features of images seen before.

    Features are stored under a digest of what an image shows and of the backbone's weights and
    layers: in this process, or in a folder that processes share.

    Parameters
    ----------
    extractor : keras.Model or WatchedModel
        From pixels in 0..255 to feature maps of shape (height, width, channels) and profiles of
        shape (length, channels).
    batch_size : int
        Number of images computed at a time.
    memory : str, Path, joblib.Memory or None, default=None
        The folder. None keeps features in memory, up to ``KEPT_BYTES``; what a fit needs beyond
        that is stored in temporary files until it ends.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="keras"
        What runs the extractor.
    """

    def __init__(
        self,
        extractor: keras.Model | WatchedModel,
        batch_size: int,
        memory: Any = None,
        engine: str = "keras",
    ) -> None:
        # The location of a joblib.Memory that stores nothing is None.
        folder = getattr(memory, "location", memory)
        if not isinstance(folder, (str, os.PathLike, type(None))):
            raise ValueError(
                f"memory must be a folder, a joblib.Memory or None. Received: {memory!r}."
            )
        self.folder = folder if folder is None else os.path.expanduser(folder)
        is_watched = isinstance(extractor, WatchedModel)
        self._watched = extractor if is_watched else WatchedModel(extractor)
        self.extractor, self.batch_size, self.engine = self._watched.model, batch_size, engine
        self.image_size: tuple[int, int] = tuple(self.extractor.input_shape[1:3])
        self.shapes: list[tuple[int, ...]] = [
            tuple(output.shape[1:]) for output in self.extractor.outputs
        ]

    @functools.cached_property
    def state(self) -> ModelState:
        """The extractor with its weights, which are read once."""
        return self._watched.state

    @property
    def identity(self) -> bytes:
        """Digest of architecture and weights."""
        return self.state.identity

    @functools.cached_property
    def engine_name(self) -> str:
        """The engine that is used; features differ by its rounding."""
        return get_engine(self.engine)

    def is_faster(self, n_images: int, n_trained: int) -> bool:
        """Whether predicting from features is faster than running the complete network.

        In a search, the images to predict are training images of other folds, which are larger.
        On a CPU, Keras is slower with the complete network, which runs each BatchNorm as a separate
        step.
        """
        is_slow = self.engine_name == "keras" and not has_accelerator()
        return is_slow or n_images <= max(WITHOUT_FEATURES, n_trained)

    @property
    def is_prepared(self) -> bool:
        """Whether another engine than Keras is ready to compute features."""
        return self.engine_name != "keras" and has_runner(self.state, self.engine, "float16")

    def prepare(self) -> None:
        """Convert the extractor for the engine, which takes seconds."""
        get_runner(self.extractor, self.identity, self.engine, "float16")

    def compute_features(
        self,
        items: Sequence[ImageLike],
        boxes: FloatArray,
        views: Sequence[View],
        verbose: bool | int = 0,
    ) -> Features:
        """Features of several views of each image, in one byte for each value.

        Parameters
        ----------
        items : sequence
            Anything :func:`load_image` takes.
        boxes : ndarray of shape (n_images, 4)
            ``x_min, x_max, y_min, y_max``, normalised.
        views : list of View
            As returned by :func:`augmentation.make_views`.
        verbose : bool or int, default=0
            Whether to show a progress bar.

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
        if self.folder is None and self.count_bytes(len(items) * len(views)) > KEPT_BYTES:
            folder = tempfile.TemporaryDirectory(prefix="skbbox-", ignore_cleanup_errors=True)
        store = FileStore(folder.name) if folder else self._get_store()
        job = _Job(items, boxes, views, store, is_quantized=True)
        blocks = list(self._iter_blocks(job, verbose))
        records = [row for block, _ in blocks for row in block]
        return Features(records, boxes, self.shapes, folder=folder)

    def recompute_features(
        self, items: Sequence[ImageLike], boxes: FloatArray, views: Sequence[View]
    ) -> RecomputedFeatures:
        """The same features, of which none are kept: each batch computes its own.

        Parameters and errors are those of :meth:`compute_features`; errors are raised by the batch.
        """
        job = _Job(items, boxes, views, MemoryStore(0), keeps=False, is_quantized=True)
        return RecomputedFeatures(
            functools.partial(self._compute, job), boxes, len(views), self.shapes
        )

    def can_keep(self, n_views: int) -> bool:
        """Whether the features of this many views fit into memory or on the disk."""
        n_bytes = self.count_bytes(n_views)
        if self.folder is None:
            return n_bytes <= max(KEPT_BYTES, self.get_disk_bytes())
        # What is there already may be what this fit needs.
        return n_bytes <= self.get_disk_bytes() + get_folder_bytes(self.folder)

    def get_disk_bytes(self) -> float:
        """The most bytes that the features of one fit may take on the disk."""
        if self.folder is None:
            return min(DISK_BYTES, DISK_SHARE * get_free_bytes(tempfile.gettempdir()))
        return DISK_SHARE * get_free_bytes(self.folder)

    def compute_blocks(
        self,
        items: Sequence[ImageLike],
        verbose: bool | int = 0,
        skip_bad: bool = False,
        windows: FloatArray | None = None,
        mirrored: bool = False,
    ) -> Iterator[Features]:
        """Features of each image without augmentation, a block of images at a time.

        They are not quantised, and stored if all of them take no more than ``PREDICTED_BYTES``.
        Those of a single image are not stored either: looking for them, and starting threads,
        would take long compared with computing them.

        With `skip_bad`, ``Features.bad`` lists the unreadable images; otherwise they raise an
        ImageError. With `windows`, of shape (n_images, 4), they are those of a part of each image,
        and not stored, as each fit has other windows. With `mirrored`, left and right are swapped
        in what is shown.
        """
        if len(items) == 1:
            return iter([self._compute_one(items, skip_bad, windows, mirrored)])
        fits = 2 * self.count_bytes(len(items)) <= min(PREDICTED_BYTES, KEPT_BYTES)
        store: MemoryStore | FileStore
        if windows is None:
            view, store = View("mirror" if mirrored else "image"), self._get_store()
            boxes = np.full((len(items), 4), np.nan)
        else:
            # An empty store of its own: processes that share a folder need not wait for each other.
            view = View("mirrored part" if mirrored else "part")
            boxes, store = windows, MemoryStore(0)
        job = _Job(items, boxes, [view], store, fits, skip_bad)
        # Not a loop: its variable would hold a block while the next one is computed.
        return map(
            lambda block: Features(block[0], boxes[: len(block[0])], self.shapes, bad=block[1]),
            self._iter_blocks(job, verbose),
        )

    def count_bytes(self, n_views: int) -> int:
        """Bytes of the features of this many views of a fit."""
        n_values = sum(int(np.prod(shape)) for shape in self.shapes)
        return n_views * (n_values + RANGE_BYTES * len(self.shapes))

    def _get_store(self) -> MemoryStore | FileStore:
        return _kept if self.folder is None else _open_file_store(os.path.abspath(self.folder))

    def _iter_blocks(
        self, job: _Job, verbose: bool | int
    ) -> Iterator[tuple[list[list[Record | FileRecord]], dict[int, str]]]:
        """Records of each row's views, and the block's unreadable rows, block by block.

        Nothing here holds a block, so that its memory is free before the next one is computed.
        """
        n_views = len(job.views)
        n_rows = max(1, BLOCK // n_views)
        with (
            progress_bar(len(job.items) * n_views, "features", verbose) as progress,
            ThreadPoolExecutor(N_THREADS) as decoding,
            ThreadPoolExecutor(AHEAD) as computing,
        ):
            for start in range(0, len(job.items), n_rows):
                rows = range(start, min(start + n_rows, len(job.items)))
                yield self._compute_block(job, rows, decoding, computing)
                progress.update(len(rows) * n_views)

    def _compute_block(
        self,
        job: _Job,
        rows: range,
        decoding: ThreadPoolExecutor,
        computing: ThreadPoolExecutor,
    ) -> tuple[list[list[Record | FileRecord]], dict[int, str]]:
        found = decoding.map(lambda row: digest_image(job.items, row, job.skip_bad), rows)
        digests, errors = zip(*found, strict=True)
        bad = {row: error for row, error in zip(rows, errors, strict=True) if error is not None}
        numbers = range(len(job.views))
        keys = {
            (row, number): self._make_key(job, digest, job.views[number], job.boxes[row])
            for row, digest in zip(rows, digests, strict=True)
            for number in numbers
        }
        with job.store.exclusive():
            records: dict[bytes, Record | FileRecord] = {**job.store.find(keys.values())}
            missing: dict[bytes, tuple[int, int]] = {}
            for view, key in keys.items():
                if key not in records:
                    missing.setdefault(key, view)
            if missing:
                failed = {key: bad[row] for key, (row, _) in missing.items() if row in bad}
                computed, unread = self._compute(job, missing, decoding, computing)
                failed = unread | failed
                for (row, _), key in keys.items():
                    if key in failed:
                        bad.setdefault(row, failed[key])
                # The placeholder for an unreadable image must not be stored.
                records |= {key: computed.pop(key) for key in failed}
                records |= job.store.add(computed) if job.keeps else computed
        block = [[records[keys[row, number]] for number in numbers] for row in rows]
        return block, {row - rows.start: bad[row] for row in sorted(bad)}

    def _make_key(self, job: _Job, digest: bytes, view: View, box: FloatArray) -> bytes:
        # The image itself does not depend on a box.
        shown = b"" if view.kind == "image" else box.tobytes()
        settings = repr((self.engine_name, self.image_size, view, job.is_quantized)).encode()
        parts = (self.identity, digest, settings, shown)
        return hashlib.blake2b(b"".join(parts), digest_size=KEY_SIZE).digest()

    def _compute(
        self,
        job: _Job,
        missing: Mapping[Key, tuple[int, int]],
        decoding: ThreadPoolExecutor,
        computing: ThreadPoolExecutor,
    ) -> tuple[dict[Key, Record], dict[Key, str]]:
        """Records of the keys of `missing`, a dict to row and view; and the errors of some."""
        numbers: dict[int, list[int]] = {}
        for row, number in missing.values():
            numbers.setdefault(row, []).append(number)
        load_row = get_loader(job.items, self.image_size, job.skip_bad)

        def load(row: int) -> list[tuple[Pixels, FloatArray, str | None]]:
            views, box = [job.views[number] for number in numbers[row]], job.boxes[row]
            windows = [view.draw_window(box) for view in views]
            parts, error = load_row(row, windows)
            return [
                (*view(part, box, window), error)
                for view, part, window in zip(views, parts, windows, strict=True)
            ]

        size = get_graph_size(self.batch_size, len(missing))
        parts = split_values(self.shapes)

        def pack(row: NDArray[Any]) -> NDArray[Any]:
            return quantize(row, parts) if job.is_quantized else row.copy()

        def compute(
            batch: list[tuple[Pixels, FloatArray, str | None]],
        ) -> list[tuple[Record, str | None]]:
            values = self._run([pixels for pixels, _, _ in batch], size)
            return [
                (Record(pack(row), np.array(box, dtype=np.float64)), error)
                for row, (_, box, error) in zip(values, batch, strict=True)
            ]

        n_rows = max(N_THREADS, AHEAD * self.batch_size // len(job.views))
        views = itertools.chain.from_iterable(map_ahead(decoding, load, numbers, n_rows))
        batches = map_batches(computing, compute, views, self.batch_size)
        records, errors = {}, {}
        for key, (record, error) in zip(
            missing, itertools.chain.from_iterable(batches), strict=True
        ):
            records[key] = record
            if error is not None:
                errors[key] = error
        return records, errors

    def _compute_one(
        self,
        items: Sequence[ImageLike],
        skip_bad: bool,
        windows: FloatArray | None,
        mirrored: bool,
    ) -> Features:
        """The features of a single image as a block of :meth:`compute_blocks`."""
        ((pixels, error),) = load_images(items, self.image_size, 1, skip_bad, windows, mirrored)
        box = np.full(4, np.nan) if windows is None else windows[0]
        (values,) = self._run([pixels], get_graph_size(self.batch_size, 1))
        bad = {} if error is None else {0: error}
        return Features([[Record(values, box)]], box[None], self.shapes, bad)

    def _run(self, images: list[Pixels], size: int) -> Sequence[NDArray[Any]]:
        """All features of each image, as float16 if that is precise enough."""
        make_runner = functools.partial(get_runner, self.extractor, self.identity, self.engine)
        values: Any
        (values,) = make_runner("float16")(images, size)
        fits = [_fits_float16(row) for row in values]
        if all(fits):
            return values
        (exact,) = make_runner("float32")(images, size)
        # Zeros are equal in both.
        return [
            half if is_equal or not full.any() else full
            for is_equal, half, full in zip(fits, values, exact, strict=True)
        ]


@dataclass(frozen=True)
class _Job:
    """The images whose features are computed, and where these are stored."""

    items: Sequence[ImageLike]
    boxes: FloatArray
    views: Sequence[View]
    store: MemoryStore | FileStore
    keeps: bool = True
    skip_bad: bool = False
    is_quantized: bool = False


def _fits_float16(values: NDArray[np.float16]) -> bool:
    """Whether float16 changes values by less than ``PRECISION``, relative to the largest.

    float16 keeps values up to 65,504 to 11 binary digits, and changes those near 0 by 2**-25.
    """
    # As integers without the sign, which NumPy compares faster; NaN is above all numbers.
    largest = float((values.view(np.uint16) & 0x7FFF).max().view(np.float16))
    return PRECISION * largest >= 2**-25 and largest < 65504


@functools.lru_cache
def _open_file_store(folder: str) -> FileStore:
    return FileStore(folder)
