"""Feature maps of several views of each image: kept, or computed again for each batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.buffers import BufferPool
from .prefetch import AHEAD, N_THREADS
from .quantization import RANGE_BYTES, dequantize

if TYPE_CHECKING:
    import tempfile

    from numpy.typing import DTypeLike, NDArray

    from ..typing import FloatArray, IntArray
    from .record_files import FileRecord
    from .store import Record

    Maps = NDArray[Any] | tuple[NDArray[Any], ...]
    View = tuple[int, int]
    ComputeRecords = Callable[
        [Mapping[View, View], ThreadPoolExecutor, ThreadPoolExecutor],
        tuple[dict[View, Record], dict[View, str]],
    ]

__all__ = ["Features", "RecomputedFeatures", "split_values"]


def split_values(shapes: Sequence[tuple[int, ...]]) -> list[slice]:
    """Where the values of each map are in a record."""
    ends = [0, *itertools.accumulate(map(math.prod, shapes))]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class _Stack:
    """Stacks records as maps; quantised ones as float32.

    Parameters
    ----------
    shapes : list of tuple of int
        The shape of each map.
    dtype : dtype
        Of the records.
    """

    def __init__(self, shapes: list[tuple[int, ...]], dtype: DTypeLike) -> None:
        self.shapes, self._parts = shapes, split_values(shapes)
        self._is_quantized = dtype == np.uint8
        self.dtype = np.float32 if self._is_quantized else dtype
        self._buffers = BufferPool()

    def __call__(self, records: Sequence[Record | FileRecord]) -> Maps:
        maps = []
        stored = self._read(records)
        for number, (part, shape) in enumerate(zip(self._parts, self.shapes, strict=True)):
            values = self._buffers.empty((len(records), part.stop - part.start), self.dtype)
            if self._is_quantized:
                dequantize(stored, self._parts, number, values)
            else:
                np.stack([row[part] for row in stored], out=values)
            maps.append(values.reshape(len(records), *shape))
        return tuple(maps) if len(maps) > 1 else maps[0]

    def _read(self, records: Sequence[Record | FileRecord]) -> list[NDArray[Any]] | NDArray[Any]:
        if not self._is_quantized:
            return [record.values for record in records]
        n_values = self._parts[-1].stop + RANGE_BYTES * len(self._parts)
        rows = self._buffers.empty((len(records), n_values), np.uint8)
        for row, record in zip(rows, records, strict=True):
            record.read_into(row)
        return rows


class Features:
    """Feature maps of several views of each image; they stay where they are stored.

    Parameters
    ----------
    records : list of list of Record
        One for each view of each row.
    boxes : ndarray of shape (n_rows, 4)
        The box in the first view, the unchanged image.
    shapes : list of tuple of int
        The shape of each map.
    bad : dict of int to str, default=None
        Rows of unreadable images, whose features mean nothing, and why.
    folder : tempfile.TemporaryDirectory, default=None
        Holds the records, and is deleted with this object.

    Attributes
    ----------
    n_views : int
    """

    def __init__(
        self,
        records: list[list[Record | FileRecord]],
        boxes: FloatArray,
        shapes: list[tuple[int, ...]],
        bad: dict[int, str] | None = None,
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.records, self.n_views, self._folder = records, len(records[0]), folder
        self.bad = bad or {}
        self._boxes = np.array([[record.box for record in row] for row in records])
        self._boxes[:, 0] = boxes
        dtypes = {record.dtype for row in records for record in row}
        self._stack = _Stack(shapes, np.result_type(*dtypes))

    def __len__(self) -> int:
        return len(self.records)

    def load(
        self, rows: Sequence[int] | IntArray, views: Sequence[int] | IntArray
    ) -> tuple[Maps, FloatArray]:
        """The maps of one view of each of some rows, as the heads take them, and the boxes.

        Parameters
        ----------
        rows, views : sequence of int, of length n

        Returns
        -------
        maps : ndarray or tuple of ndarray of shape (n, ...)
            One for each map; no tuple if there is only one.
        boxes : ndarray of shape (n, 4), float64
            The box in each view: ``x_min, x_max, y_min, y_max``, normalised.
        """
        records = [self.records[row][view] for row, view in zip(rows, views, strict=True)]
        return self._stack(records), self._boxes[rows, views]


class RecomputedFeatures:
    """The same, of images whose features are too large to keep.

    Parameters
    ----------
    compute : callable
        From a dict whose values are pairs of row and view, and two pools of threads, to the
        record of each key and the errors of unreadable images.
    boxes : ndarray of shape (n_rows, 4)
    n_views : int
    shapes : list of tuple of int
        The shape of each map.
    """

    def __init__(
        self,
        compute: ComputeRecords,
        boxes: FloatArray,
        n_views: int,
        shapes: list[tuple[int, ...]],
    ) -> None:
        self.boxes, self.n_views = boxes, n_views
        self._compute, self._stack = compute, _Stack(shapes, np.uint8)
        self._pools = ThreadPoolExecutor(N_THREADS), ThreadPoolExecutor(AHEAD)

    def __len__(self) -> int:
        return len(self.boxes)

    def load(
        self, rows: Sequence[int] | IntArray, views: Sequence[int] | IntArray
    ) -> tuple[Maps, FloatArray]:
        """As for :class:`Features`."""
        pairs = list(zip(map(int, rows), map(int, views), strict=True))
        records, _ = self._compute({pair: pair for pair in pairs}, *self._pools)
        return self._stack([records[pair] for pair in pairs]), np.array(
            [records[pair].box for pair in pairs]
        )
