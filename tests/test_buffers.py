"""Reused memory."""

import keras
import numpy as np
import pytest

from skbbox.engines.buffers import ALIGNMENT, BufferPool
from skbbox.features.maps import Features
from skbbox.features.store import Record
from skbbox.inputs import Targets
from skbbox.training.batches import FeatureBatches, ModelBatches
from skbbox.training.labels import make_labels


def addresses(arrays):
    return [array.ctypes.data for array in arrays]


def test_arrays_in_use_have_their_own_memory():
    pool = BufferPool()
    arrays = [pool.empty((5, 3), "float32") for _ in range(4)]
    for number, array in enumerate(arrays):
        array[...] = number
    assert [set(array.ravel().tolist()) for array in arrays] == [{0}, {1}, {2}, {3}]


def test_memory_is_reused_by_arrays_of_equally_many_bytes():
    pool = BufferPool()
    first = addresses([pool.empty((4, 6), "float32")])
    assert addresses([pool.empty((8, 6), "float16")]) == first
    assert addresses([pool.empty((8, 7), "float16")]) != first


def test_a_view_of_an_array_keeps_its_memory():
    pool = BufferPool()
    view = pool.empty((4, 6), "float32").reshape(2, 12)[1:, ::2]
    view[...] = 7
    pool.empty((4, 6), "float32")[...] = 8
    assert (view == 7).all()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_arrays_are_aligned(dtype):
    pool = BufferPool()
    arrays = [pool.empty((3, 5), dtype) for _ in range(5)]
    assert {address % ALIGNMENT for address in addresses(arrays)} == {0}
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_batches_in_use_by_a_backend_do_not_change():
    values = np.random.default_rng(0).random((40, 24), "float32")
    boxes = np.tile([0.2, 0.6, 0.1, 0.5], (40, 1))
    records = [[Record(*pair)] for pair in zip(values, boxes, strict=True)]
    features = Features(records, boxes, [(2, 3, 2), (4, 3)])
    batches = FeatureBatches(
        features,
        make_labels(Targets(boxes, None)),
        rows=np.arange(40),
        batch_size=8,
        shuffle=False,
        seed=0,
    )
    dataset = ModelBatches(batches, ["bbox_prediction"], endless=False).for_backend({})
    held = [inputs for inputs, _ in dataset]
    coarse, fine = (np.concatenate(maps) for maps in zip(*held, strict=True))
    assert np.array_equal(coarse.reshape(40, 12), values[:, :12])
    assert np.array_equal(fine.reshape(40, 12), values[:, 12:])


def test_an_array_outlives_its_pool():
    array = BufferPool().empty(3, "float64")
    array[...] = 1, 2, 3
    assert array.tolist() == [1, 2, 3]
    assert keras.ops.convert_to_numpy(keras.ops.sum(array)) == 6
