"""Training stages: what they leave behind."""

import gc
import weakref

import keras
import numpy as np
import pytest

from skbbox.features.frozen_backbone import Features
from skbbox.features.store import Record
from skbbox.training.batches import FeatureBatches, ModelBatches
from skbbox.training.plan import TrainingSpec
from skbbox.training.trainer import train


def two_batches():
    box = np.full(4, 0.5)
    records = [[Record(np.ones(3, np.float32), box)] for _ in range(8)]
    return FeatureBatches(
        Features(records, np.tile(box, (8, 1)), [(3,)]),
        None,
        None,
        rows=np.arange(8),
        batch_size=4,
        shuffle=True,
        seed=0,
    )


def train_on(batches, validation=None, callbacks=()):
    features = keras.Input((3,))
    model = keras.Model(features, keras.layers.Dense(4, name="bbox_prediction")(features))
    train(
        model,
        batches,
        validation,
        TrainingSpec("adam", None, "mse", 1.0, 1.0, learning_rate_schedule="cosine"),
        epochs=2,
        callbacks=list(callbacks),
        is_trained=False,
    )


class FullDisk(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise OSError("no space left")


def test_error_of_a_callback_is_raised_as_it_is():
    with pytest.raises(OSError, match=r"^no space left$"):
        train_on(two_batches(), callbacks=[FullDisk()])


@pytest.mark.parametrize("validates", [False, True])
def test_features_are_let_go_after_training(validates):
    batches = two_batches()
    train_on(batches, batches if validates else None)
    kept = weakref.ref(batches)
    del batches
    gc.collect()
    assert kept() is None


@pytest.mark.usefixtures("tensorflow_only")
@pytest.mark.parametrize(("endless", "length"), [(True, -1), (False, 2)])
def test_tensorflow_does_not_tune_the_dataset(endless, length):
    dataset = ModelBatches(two_batches(), 1, endless).for_backend({})
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == length
