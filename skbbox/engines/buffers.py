"""Memory that serves one large array after another, because new memory is slow to get."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ALIGNMENT", "BufferPool"]

#: TensorFlow uses an array without a copy if its address is a multiple of this, in bytes.
ALIGNMENT = 64


class BufferPool:
    """Arrays whose memory is reused once no array or view of it is left.

    The operating system clears each new page, which takes several times as long as filling
    existing memory.

    Examples
    --------
    >>> from skbbox.engines.buffers import BufferPool
    >>> pool = BufferPool()
    >>> array = pool.empty((2, 3), "float16")
    >>> address, view = array.ctypes.data, array[1:]
    >>> del array
    >>> pool.empty((2, 3), "float16").ctypes.data == address
    False
    >>> del view
    >>> pool.empty((2, 3), "float16").ctypes.data == address
    True
    """

    def __init__(self) -> None:
        self._free: dict[int, list[npt.NDArray[np.uint8]]] = {}

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A new array with arbitrary values."""
        dtype = np.dtype(dtype)
        n_bytes = dtype.itemsize * int(np.prod(shape))
        free = self._free.setdefault(n_bytes, [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
        first = -memory.ctypes.data % ALIGNMENT
        values = memory[first : first + n_bytes].view(dtype).reshape(shape)
        return np.asarray(_LentBuffer(values, memory, free))


class _LentBuffer:
    """The base of an array and its views; returns their memory when the last is deleted."""

    def __init__(
        self,
        values: npt.NDArray[Any],
        memory: npt.NDArray[np.uint8],
        free: list[npt.NDArray[np.uint8]],
    ) -> None:
        self.__array_interface__ = values.__array_interface__
        self.memory, self.free = memory, free

    def __del__(self) -> None:
        self.free.append(self.memory)
