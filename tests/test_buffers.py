"""Memory that is used again."""

import keras
import numpy as np
import pytest

from skbbox.engines.buffers import ALIGNMENT, BufferPool
from skbbox.features.frozen_backbone import Features
from skbbox.features.store import Record
from skbbox.training.batches import FeatureBatches, ModelBatches


def places(arrays):
    return [array.ctypes.data for array in arrays]


def test_arrays_that_are_held_have_memory_of_their_own():
    memory = BufferPool()
    arrays = [memory.empty((5, 3), "float32") for _ in range(4)]
    for number, array in enumerate(arrays):
        array[...] = number
    assert [set(array.ravel().tolist()) for array in arrays] == [{0}, {1}, {2}, {3}]


def test_memory_is_used_again_by_arrays_of_as_many_bytes():
    memory = BufferPool()
    first = places([memory.empty((4, 6), "float32")])
    assert places([memory.empty((8, 6), "float16")]) == first
    assert places([memory.empty((8, 7), "float16")]) != first


def test_a_part_of_an_array_keeps_its_memory():
    memory = BufferPool()
    part = memory.empty((4, 6), "float32").reshape(2, 12)[1:, ::2]
    part[...] = 7
    memory.empty((4, 6), "float32")[...] = 8
    assert (part == 7).all()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_arrays_begin_where_they_need_no_copy(dtype):
    memory = BufferPool()
    arrays = [memory.empty((3, 5), dtype) for _ in range(5)]
    assert {place % ALIGNMENT for place in places(arrays)} == {0}
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_batches_that_a_backend_holds_stay_as_they_are():
    values = np.random.default_rng(0).random((40, 24), "float32")
    boxes = np.tile([0.2, 0.6, 0.1, 0.5], (40, 1))
    records = [[Record(*pair)] for pair in zip(values, boxes, strict=True)]
    features = Features(records, boxes, [(2, 3, 2), (4, 3)])
    batches = FeatureBatches(
        features, None, None, rows=np.arange(40), batch_size=8, shuffle=False, seed=0
    )
    held = [inputs for inputs, _ in ModelBatches(batches, 1, endless=False).for_backend({})]
    coarse, fine = (np.concatenate(maps) for maps in zip(*held, strict=True))
    assert np.array_equal(coarse.reshape(40, 12), values[:, :12])
    assert np.array_equal(fine.reshape(40, 12), values[:, 12:])


def test_it_outlives_the_one_that_gave_it():
    array = BufferPool().empty(3, "float64")
    array[...] = 1, 2, 3
    assert array.tolist() == [1, 2, 3]
    assert keras.ops.convert_to_numpy(keras.ops.sum(array)) == 6
