"""Memory that serves one large array after another, as new memory takes long to be had."""

import numpy as np

__all__ = ["BufferPool"]

#: TensorFlow takes an array as it is, without a copy, where it begins at a multiple of so many
#: bytes.
ALIGNMENT = 64


class BufferPool:
    """Arrays whose memory serves the next of their size once nobody holds them or a part of them.

    The system clears each page that it hands out, which takes several times as long as
    filling it with what is at hand.

    Examples
    --------
    >>> from skbbox.reused import ReusedMemory
    >>> memory = ReusedMemory()
    >>> array = memory.empty((2, 3), "float16")
    >>> place, part = array.ctypes.data, array[1:]
    >>> del array
    >>> memory.empty((2, 3), "float16").ctypes.data == place
    False
    >>> del part
    >>> memory.empty((2, 3), "float16").ctypes.data == place
    True
    """

    def __init__(self):
        self._free = {}

    def empty(self, shape, dtype):
        """A new array with whatever values: ndarray."""
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
    """What arrays hold as their base; it gives their memory back when the last of them goes."""

    def __init__(self, values, memory, free):
        self.__array_interface__ = values.__array_interface__
        self.memory, self.free = memory, free

    def __del__(self):
        self.free.append(self.memory)
