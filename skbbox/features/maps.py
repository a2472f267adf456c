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

if TYPE_CHECKING:
    import tempfile

    from numpy.typing import DTypeLike, NDArray

    from ..typing import FloatArray, IntArray
    from .store import Record

    Maps = NDArray[Any] | tuple[NDArray[Any], ...]
    View = tuple[int, int]
    ComputeRecords = Callable[
        [Mapping[View, View], ThreadPoolExecutor, ThreadPoolExecutor],
        tuple[dict[View, Record], dict[View, str]],
    ]

__all__ = ["Features", "RecomputedFeatures"]


class _Stack:
    """Stacks records as maps.

    Parameters
    ----------
    shapes : list of tuple of int
        The shape of each map.
    dtype : dtype
    """

    def __init__(self, shapes: list[tuple[int, ...]], dtype: DTypeLike) -> None:
        self.shapes, self.dtype = shapes, dtype
        ends = [0, *itertools.accumulate(map(math.prod, shapes))]
        self._parts = [slice(*pair) for pair in itertools.pairwise(ends)]
        self._buffers = BufferPool()

    def __call__(self, records: Sequence[Record]) -> Maps:
        maps = []
        for part, shape in zip(self._parts, self.shapes, strict=True):
            values = self._buffers.empty((len(records), part.stop - part.start), self.dtype)
            np.stack([record.values[part] for record in records], out=values)
            maps.append(values.reshape(len(records), *shape))
        return tuple(maps) if len(maps) > 1 else maps[0]


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
        records: list[list[Record]],
        boxes: FloatArray,
        shapes: list[tuple[int, ...]],
        bad: dict[int, str] | None = None,
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.records, self.n_views, self._folder = records, len(records[0]), folder
        self.bad = bad or {}
        self._boxes = np.array([[record.box for record in row] for row in records])
        self._boxes[:, 0] = boxes
        dtypes = {record.values.dtype for row in records for record in row}
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
        # All batches need one dtype, whether or not half precision is enough for their images.
        self._compute, self._stack = compute, _Stack(shapes, np.float32)
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
