"""Training stages: what they leave behind."""

import gc
import weakref

import keras
import numpy as np
import pytest

from skbbox.features.maps import Features
from skbbox.features.store import Record
from skbbox.inputs import Targets
from skbbox.training.batches import FeatureBatches, ModelBatches
from skbbox.training.compilation import make_optimizer
from skbbox.training.labels import make_labels
from skbbox.training.plan import TrainingSpec
from skbbox.training.sources import _count_views
from skbbox.training.trainer import train

pytestmark = pytest.mark.backend


def two_batches():
    box = np.full(4, 0.5)
    records = [[Record(np.ones(3, np.float32), box)] for _ in range(8)]
    return FeatureBatches(
        Features(records, np.tile(box, (8, 1)), [(3,)]),
        make_labels(Targets(np.tile(box, (8, 1)), None)),
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
    dataset = ModelBatches(two_batches(), ["bbox_prediction"], endless).for_backend({})
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == length


def backbone_and_head():
    image = keras.Input((2,))
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="inner")])
    return keras.Model(image, keras.layers.Dense(1, name="outer")(backbone(image)))


def moves_of_one_step(optimizer_type):
    """How far each kernel moves, of a backbone at a tenth of the rate of 0.5 and of a head."""
    model = backbone_and_head()
    optimizer = make_optimizer(model, optimizer_type, {"learning_rate": 0.5}, 0.1)
    model.compile(optimizer, "mse")
    before = model.get_weights()
    model.fit(np.ones((1, 2)), np.full((1, 1), 100.0), verbose=0)
    return [abs(new - old) for old, new in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize(
    "optimizer_type", [keras.optimizers.Adam, type(keras.optimizers.get("adam"))]
)
def test_the_first_step_of_adam_moves_each_weight_by_its_rate(optimizer_type):
    # Adam's first step is the rate times the sign of the gradient.
    inner, _, outer, _ = moves_of_one_step(optimizer_type)
    assert np.allclose(inner, 0.05, rtol=1e-4)
    assert np.allclose(outer, 0.5, rtol=1e-4)


def test_a_backbone_with_rate_0_has_no_weight_decay():
    model = backbone_and_head()
    config = {"learning_rate": 0.5, "weight_decay": 0.1}
    model.compile(make_optimizer(model, keras.optimizers.AdamW, config, 0.0), "mse")
    before = model.layers[1].get_weights()
    model.fit(np.ones((1, 2)), np.full((1, 1), 100.0), verbose=0)
    assert all(map(np.array_equal, before, model.layers[1].get_weights()))


def test_an_optimizer_of_two_rates_is_saved_as_one_of_its_own_class(tmp_path):
    model = backbone_and_head()
    model.compile(make_optimizer(model, keras.optimizers.Adam, {"learning_rate": 0.5}, 0.1), "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert type(loaded) is type(keras.optimizers.Adam())


@pytest.mark.parametrize(
    ("n_images", "n_looks", "epochs", "expected"),
    [
        (100, 1, 300, (20, 0)),
        (100, 2, 300, (10, 10)),
        (5000, 1, 8, (2, 0)),
        (5000, 2, 12, (2, 2)),
        # At most 200,000 views in total.
        (50_000, 2, 10, (2, 2)),
        (100_000, 2, 10, (1, 1)),
        # An epoch takes one view of each image.
        (5000, 2, 2, (1, 1)),
        (100, 2, 5, (3, 2)),
        (100, 2, 1, (1, 1)),
    ],
)
def test_half_of_the_views_are_windows(n_images, n_looks, epochs, expected):
    assert _count_views(n_images, n_looks, epochs) == expected
