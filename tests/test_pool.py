"""Networks that are reused by one fit after another."""

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from helpers import small_localizer
from keras import layers

from skbbox.boxes import COORDINATES
from skbbox.network import pool
from skbbox.network.graph import LAST_STAGE
from skbbox.network.pool import borrow_model


def network(units=3, name=None, seed=None):
    inputs = keras.Input((2,))
    x = layers.Dropout(0.5, seed=seed)(inputs)
    return keras.Model(inputs, layers.Dense(units, name=name or "dense")(x))


@pytest.fixture
def empty_pool(monkeypatch):
    monkeypatch.setattr(pool, "_idle", type(pool._idle)())


def lent(given, settings="test", **options):
    with borrow_model(given, settings, **options) as (model, _):
        return model


@pytest.mark.usefixtures("empty_pool")
def test_equal_layers_share_a_network_despite_other_weights_names_and_seeds():
    assert lent(network(seed=1)) is lent(network(seed=2))


@pytest.mark.usefixtures("empty_pool")
@pytest.mark.parametrize(
    "other",
    [
        lambda: lent(network(units=4)),
        lambda: lent(network(name="other")),
        lambda: lent(network(), "another use"),
        lambda: lent(network(), shared=False),
    ],
    ids=["layers", "names of outputs", "settings", "not shared"],
)
def test_different_networks_are_not_shared(other):
    assert lent(network()) is not other()


@pytest.mark.usefixtures("empty_pool")
def test_a_borrowed_network_computes_the_same_as_the_original():
    for seed in (0, 1):
        original = network(seed=seed)
        ones = np.ones((4, 2), np.float32)
        with borrow_model(original, "test") as (model, _):
            # With dropout, which depends on the seeds.
            outputs = keras.ops.convert_to_numpy(model(ones, training=True))
        expected = keras.ops.convert_to_numpy(original(ones, training=True))
        assert np.array_equal(outputs, expected)


@pytest.mark.usefixtures("empty_pool")
def test_a_borrowed_network_does_not_change_the_original():
    original, ones = network(), np.ones((4, 2), np.float32)
    with borrow_model(original, "test") as (model, _):
        expected = model.predict_on_batch(ones)
        model.set_weights([weights + 1 for weights in model.get_weights()])
    assert np.array_equal(original.predict_on_batch(ones), expected)


@pytest.mark.usefixtures("empty_pool")
def test_two_borrowers_at_a_time_have_different_networks():
    with (
        borrow_model(network(), "test") as (first, _),
        borrow_model(network(), "test") as (second, _),
    ):
        assert first is not second


@pytest.mark.usefixtures("empty_pool")
def test_a_network_is_not_lent_again_after_an_error():
    with pytest.raises(KeyError), borrow_model(network(), "test") as (failed, _):
        raise KeyError
    assert lent(network()) is not failed


@pytest.mark.usefixtures("empty_pool")
def test_the_number_of_idle_networks_is_bounded():
    for units in range(1, pool.N_IDLE + 3):
        lent(network(units))
    assert sum(map(len, pool._idle.values())) == pool.N_IDLE


@pytest.mark.usefixtures("empty_pool")
def test_a_borrowed_network_does_not_count_as_idle():
    # The borrowed kind is the oldest, and has no idle network to evict when there are too many.
    lent(network(units=100))
    with borrow_model(network(units=100), "test"):
        for units in range(1, pool.N_IDLE + 3):
            lent(network(units))
    assert sum(map(len, pool._idle.values())) == pool.N_IDLE


@pytest.mark.usefixtures("empty_pool")
@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Lambda(lambda x: x * 2),
        lambda: layers.Normalization(mean=0.0, variance=1.0),
        lambda: type("Own", (layers.Dense,), {})(2),
    ],
    ids=["function", "measured", "custom class"],
)
def test_opaque_layers_are_not_shared(layer):
    inputs = keras.Input((2,))
    first, second = (keras.Model(inputs, layer()(inputs)) for _ in range(2))
    assert lent(first) is not lent(second)


class Unnamed(layers.Layer):
    """A layer that cannot be copied, because it has no config."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.mark.slow
def test_a_layer_that_cannot_be_copied_is_trained_and_predicts(shapes):
    def backbone(input_shape):
        pixels = keras.Input(input_shape)
        x = Unnamed(lambda x: x / 255)(pixels)
        return keras.Model(pixels, layers.Conv2D(4, 8, strides=8)(x))

    localizer = small_localizer(backbone=backbone, weights="imagenet", epochs=0, fine_tune_epochs=1)
    boxes = localizer.fit(*shapes).predict(shapes[0])[list(COORDINATES)]
    assert len(localizer.history_["loss"]) == 1
    assert boxes.shape == (len(shapes[0]), 4)
    assert boxes.nunique().min() > 1


def assert_equal_fits(first, second):
    assert first.history_ == second.history_
    pairs = zip(first.model_.get_weights(), second.model_.get_weights(), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


#: With a callback, a fit trains its own network.
OWN = {"callbacks": [keras.callbacks.Callback]}


@pytest.mark.slow
def test_a_fit_after_others_equals_one_with_its_own_network(shapes, frozen_backbone):
    X, y = shapes
    frozen = {"backbone": frozen_backbone, "weights": "imagenet"}
    for changes in (
        {"box_loss_weight": 7.0, "random_state": 5},
        {"learning_rate": 0.5, "class_loss_weight": 0.0},
        {"epochs": 3, "validation_fraction": 0.25, "fine_tune_epochs": 1},
    ):
        small_localizer(**frozen, **changes).fit(X, y)
    assert_equal_fits(
        small_localizer(**frozen).fit(X, y), small_localizer(**frozen, **OWN).fit(X, y)
    )


@pytest.mark.slow
def test_a_fit_from_scratch_equals_one_with_its_own_network(shapes):
    small_localizer(random_state=5).fit(*shapes)
    assert_equal_fits(small_localizer().fit(*shapes), small_localizer(**OWN).fit(*shapes))


@pytest.mark.slow
@pytest.mark.usefixtures("empty_pool")
def test_loss_weights_learning_rates_and_lengths_share_a_compiled_network(shapes, frozen_backbone):
    X, y = shapes
    for changes in (
        {},
        {"box_loss_weight": 3.0, "class_loss_weight": 0.5},
        {"class_weight": "balanced"},
        {"learning_rate": 0.01, "epochs": 3},
        {"learning_rate_schedule": "constant"},
    ):
        rows = slice(0, 48 if changes else 40)
        small_localizer(backbone=frozen_backbone, weights="imagenet", **changes).fit(
            X[rows], y[rows]
        )
    # With class weights there is a third input, for which Keras compiles a second graph.
    assert sum(map(len, pool._idle.values())) == 1


@pytest.mark.slow
def test_learning_rates_of_the_backbone_are_not_shared_between_fits(shapes, frozen_backbone):
    options = {"backbone": frozen_backbone, "weights": "imagenet", "frozen": "early", "epochs": 1}
    before = frozen_backbone.get_layer("conv5").get_weights()[0]
    for rate in (0, 1e-4, 0):
        localizer = small_localizer(**options, backbone_learning_rate=rate).fit(*shapes)
        after = localizer.model_.get_layer(LAST_STAGE).get_layer("conv5").get_weights()[0]
        assert np.array_equal(before, after) == (rate == 0)


def test_a_custom_loss_is_not_shared_between_fits(shapes):
    factor = 1.0

    def loss(y_true, y_pred):
        return factor * keras.losses.mean_absolute_error(y_true, y_pred)

    def first_loss():
        localizer = small_localizer(box_loss=loss, epochs=1, box_head="dense")
        return localizer.fit(*shapes).history_["bbox_prediction_loss"][0]

    before = first_loss()
    factor = 100.0
    assert first_loss() > 50 * before


@pytest.mark.slow
def test_fits_in_threads_equal_sequential_fits(shapes):
    barrier = threading.Barrier(2)

    def fit(weight):
        barrier.wait()
        return small_localizer(box_loss_weight=weight).fit(*shapes)

    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(fit, (1.0, 5.0)))
    for localizer, weight in zip(together, (1.0, 5.0), strict=True):
        assert_equal_fits(localizer, small_localizer(box_loss_weight=weight).fit(*shapes))


THIRTY_FITS = """
    import gc
    import psutil
    from helpers import small_localizer
    from skbbox.datasets import make_shapes

    X, y = make_shapes(48, image_size=32, random_state=0)
    resident = []
    for number in range(30):
        localizer = small_localizer(epochs=1, box_loss_weight=1.0 + number)
        localizer.fit(X, y).score(X, y)
        gc.collect()
        resident.append(psutil.Process().memory_info().rss / 2**20)
    print((resident[-1] - resident[3]) / (len(resident) - 4))
"""


# Trained from scratch; benchmarks/soak.py measures fits with a frozen backbone.
@pytest.mark.slow
def test_memory_grows_by_less_than_a_mebibyte_a_fit(request):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(THIRTY_FITS)],
        cwd=request.path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout.split()[-1]) <= 1
