"""Fits with real photographs and ImageNet weights, which need SKBBOX_SHARED."""

import numpy as np
import pytest

from skbbox import (
    TUTORIAL_PARAMS,
    DummyLocalizer,
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    one_box_per_image,
)
from skbbox.datasets import load_annotated_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*left out:skbbox.exceptions.SkbboxWarning"),
]


@pytest.fixture
def imagenet_weights(shared):
    from skbbox.network.applications import KERAS_MODELS

    return KERAS_MODELS / "mobilenet_7_5_224_tf_no_top.h5"


@pytest.fixture
def microcontrollers(shared):
    boxes = load_annotated_folder(shared / "datasets" / "microcontrollers")
    return one_box_per_image(boxes, keep="only")


def test_the_median_box_has_the_score_that_the_page_of_the_data_set_states(microcontrollers):
    # SOURCE.md of the data set: mean IoU 0.373, share at IoU >= 0.5 0.233.
    mean_iou, iou_50 = DummyLocalizer().fit(*microcontrollers).score(*microcontrollers)
    assert mean_iou == pytest.approx(0.373, abs=5e-4)
    assert iou_50 == pytest.approx(0.233, abs=5e-4)


def test_imagenet_features_beat_the_median_box_on_few_photographs(
    microcontrollers, imagenet_weights
):
    X, y = microcontrollers
    folds = StratifiedGroupBoxKFold(3, shuffle=True, random_state=0)
    train, test = next(folds.split(X, y, groups=y["group"]))
    localizer = SingleBoxLocalizer(image_size=128, random_state=0)
    localizer.fit(X.iloc[train], y.iloc[train])
    baseline = DummyLocalizer().fit(X.iloc[train], y.iloc[train])
    score = localizer.score(X.iloc[test], y.iloc[test])
    assert score > baseline.score(X.iloc[test], y.iloc[test]) + 0.05


def test_the_projection_keeps_most_of_what_varies_in_photographs_it_has_not_seen(
    microcontrollers, imagenet_weights
):
    import keras

    from skbbox.images import load_image
    from skbbox.network.building import build_network
    from skbbox.network.feature_maps import compute_kernels

    model = build_network(
        backbone="mobilenet",
        weights="imagenet",
        frozen="none",
        alpha=0.75,
        preprocessing="auto",
        image_size=(128, 128),
        neck=0,
        box_head="spatial",
        n_classes=2,
        dropout=0.7,
        l2=0.01,
        rng=np.random.default_rng(0),
    )
    wide = keras.Model(model.input, model.get_layer("features_fine").output)
    (kernel,) = compute_kernels(wide)
    images = np.stack([load_image(path, (128, 128)) for path in microcontrollers[0][::3]])
    features = wide.predict_on_batch(images).reshape(-1, 384)
    features = features - features.mean(axis=0)
    kept = np.square(features @ kernel).sum() / np.square(features).sum()
    assert kept > 0.9


def test_one_weight_file_serves_128_and_160_pixels(imagenet_weights):
    import keras

    from skbbox.network.building import build_network

    kernels = []
    for side in (128, 160):
        model = build_network(
            backbone="mobilenet",
            weights="imagenet",
            frozen="all",
            alpha=0.75,
            preprocessing="auto",
            image_size=(side, side),
            neck=0,
            box_head=TUTORIAL_PARAMS["box_head"],
            n_classes=2,
            dropout=0.7,
            l2=0.01,
            rng=np.random.default_rng(0),
        )
        kernels.append(model.get_layer("mobilenet_0.75_224").get_weights()[0])
        keras.backend.clear_session()
    assert np.array_equal(*kernels)


def test_weights_from_a_path_equal_those_that_keras_finds(imagenet_weights, microcontrollers):
    X, _ = microcontrollers
    rows = microcontrollers[1].iloc[:8]
    embeddings = [
        SingleBoxLocalizer(image_size=64, epochs=1, weights=weights, random_state=0)
        .fit(X.iloc[:8], rows)
        .embed(X.iloc[:8])
        for weights in ("imagenet", imagenet_weights)
    ]
    assert np.array_equal(*embeddings)
