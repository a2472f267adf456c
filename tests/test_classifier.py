"""Estimators from a trained classifier."""

import keras
import numpy as np
import pytest
from keras import layers

from skbbox import SingleBoxLocalizer
from skbbox.exceptions import WeightsError
from skbbox.network import small_convnet
from skbbox.network.classifier import split_classifier


def sequential():
    return keras.Sequential(
        [
            small_convnet((32, 32, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(4),
            layers.Activation("softmax"),
        ]
    )


def functional():
    pixels = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(small_convnet((32, 32, 3))(pixels))
    return keras.Model(pixels, layers.Dense(4, activation="softmax", use_bias=False)(x))


def pooled_backbone():
    backbone = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, pooling="avg", weights=None
    )
    return keras.Sequential([backbone, layers.Dense(4), layers.Softmax()])


def trained(build, images=None):
    """The classifier with weights that give its classes clearly different probabilities.

    The mean logits over `images` are 0, so that no class is the most probable for all of them.
    """
    model = build()
    model.build((None, 32, 32, 3))
    dense = next(layer for layer in reversed(model.layers) if isinstance(layer, layers.Dense))
    rng = np.random.default_rng(0)
    kernel, *bias = [rng.normal(size=w.shape) * 3 for w in dense.get_weights()]
    if images is not None:
        extractor = split_classifier(model)[0]
        mean = extractor.predict_on_batch(images.astype("float32")).mean(axis=(0, 1, 2))
        kernel -= np.outer(mean, mean @ kernel) / (mean @ mean)
        bias = [np.zeros_like(b) for b in bias]
    dense.set_weights([kernel, *bias])
    return model


def cast_and_rescaled():
    """A layer with the name of one in the backbone, noise, and a cast after the softmax."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(0.5, name="rescaling"),
            small_convnet((32, 32, 3)),
            layers.GlobalAveragePooling2D(),
            layers.GaussianDropout(0.3),
            layers.Dense(4, activation="softmax"),
            layers.Activation("linear", dtype="float32"),
        ]
    )


def softmax_operation():
    pixels = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(small_convnet((32, 32, 3))(pixels))
    return keras.Model(pixels, keras.ops.softmax(layers.Dense(4)(x)))


CLASSIFIERS = [sequential, functional, pooled_backbone, cast_and_rescaled, softmax_operation]


@pytest.mark.parametrize("build", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["model", "x.keras", "x.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_the_parts_together_are_the_classifier(build, kind, tmp_path, shapes):
    model = trained(build)
    classifier = model
    if kind != "model":
        classifier = tmp_path / kind
        model.save(classifier)
    extractor, kernel, bias = split_classifier(classifier)
    images = shapes[0].astype("float32")
    logits = extractor.predict_on_batch(images).mean(axis=(1, 2)) @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities, model.predict_on_batch(images), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ([layers.Flatten(), layers.Dense(4, activation="softmax")], "Flatten"),
        ([layers.GlobalMaxPooling2D(), layers.Dense(4, activation="softmax")], "GlobalMaxPool"),
        ([layers.GlobalAveragePooling2D(), layers.Dense(4, activation="sigmoid")], "sigmoid"),
        ([layers.GlobalAveragePooling2D(), layers.Dense(8), layers.Dense(4)], "Dense"),
        ([layers.GlobalAveragePooling2D()], "in place of Dense"),
        (
            [layers.GlobalAveragePooling2D(keepdims=True), layers.Dense(4, activation="softmax")],
            "in place of the pooling",
        ),
        (
            [
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, activation="softmax"),
                layers.Softmax(),
            ],
            "softmax and softmax",
        ),
        ([layers.GlobalAveragePooling2D(), layers.Dense(1)], "one unit, which has no softmax"),
    ],
)
def test_a_classifier_with_other_layers_is_refused(head, named):
    model = keras.Sequential([small_convnet((32, 32, 3)), *head])
    with pytest.raises(ValueError, match=named):
        split_classifier(model)


def test_a_classifier_of_two_outputs_is_refused():
    backbone = small_convnet((32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, [layers.Dense(4)(pooled), layers.Dense(3)(pooled)])
    with pytest.raises(ValueError, match="with 2 outputs"):
        split_classifier(model)


def test_a_classifier_that_was_never_built_is_refused():
    model = keras.Sequential(
        [layers.Conv2D(8, 3), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )
    with pytest.raises(ValueError, match="does not know the shape of its images"):
        split_classifier(model)


def test_a_path_may_begin_with_a_tilde(tmp_path, monkeypatch):
    model = trained(sequential)
    model.save(tmp_path / "x.keras")
    monkeypatch.setenv("HOME", str(tmp_path))
    _, kernel, _ = split_classifier("~/x.keras")
    assert np.array_equal(kernel, model.get_weights()[-2])


def test_a_file_without_a_model_is_named(tmp_path):
    path = tmp_path / "x.keras"
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"x\.keras cannot be read as a Keras model"):
        split_classifier(path)
    with pytest.raises(WeightsError, match="not a file"):
        split_classifier(tmp_path / "absent.keras")


def measured():
    """A classifier with an adapted Normalization."""
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)) * [0.1, 0.5, 1])
    backbone = keras.Sequential(
        [keras.Input((32, 32, 3)), normalization, layers.Conv2D(8, 3, 8, activation="relu")]
    )
    return keras.Sequential([backbone, layers.GlobalAveragePooling2D(), layers.Dense(4)])


def compiled():
    """A classifier with a custom loss, as has the model inside it."""
    model = sequential()
    for part in (model.layers[0], model):
        part.compile(loss=lambda y_true, y_pred: keras.ops.mean(y_pred))
    return model


def assert_same_classes(predicted, names, probabilities):
    """Equal, except where two classes are almost equally probable: features are float16."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    clear = first - second > 1e-4
    assert clear.mean() > 0.8
    assert (predicted == names[probabilities.argmax(axis=1)])[clear].all()


@pytest.mark.parametrize("build", [sequential, functional, measured, compiled])
def test_class_accuracy_before_training_is_the_classifiers_own(build, shapes):
    X, y = shapes
    model = trained(build, X)
    names = np.unique(y["class_name"])
    localizer = SingleBoxLocalizer.from_classifier(
        model, image_size=32, epochs=0, preprocessing=None, random_state=0
    ).fit(X, y)
    own = model.predict(X.astype("float32"), verbose=0)
    assert_same_classes(localizer.predict(X)["class_name"], names, own)
    assert len(set(own.argmax(axis=1))) > 1


def test_classes_in_another_order_are_sorted_with_their_weights(shapes):
    X, y = shapes
    model = trained(sequential)
    names = np.unique(y["class_name"])[[2, 0, 3, 1]]
    localizer = SingleBoxLocalizer.from_classifier(
        model, classifier_classes=names, image_size=32, epochs=0, preprocessing=None
    ).fit(X, y)
    own = model.predict(X.astype("float32"), verbose=0)
    assert list(localizer.classes_) == sorted(names)
    assert_same_classes(localizer.predict(X)["class_name"], names, own)


def test_other_classes_than_the_classifiers_are_refused(shapes):
    X, y = shapes
    three = y["class_name"].replace("star", "disc")
    localizer = SingleBoxLocalizer.from_classifier(trained(sequential), image_size=32)
    with pytest.raises(ValueError, match=r"classifier has 4 classes.*classifier_classes"):
        localizer.fit(X, y.assign(class_name=three))


def rescaled_mobilenet():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.RandomFlip("horizontal", seed=0),
            layers.Rescaling(1 / 127.5, offset=-1),
            keras.applications.MobileNet(
                input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None
            ),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def prepared_mobilenet():
    pixels = keras.Input((32, 32, 3))
    augmented = keras.Sequential([layers.RandomFlip("horizontal", seed=0)])(pixels)
    backbone = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    x = backbone(keras.applications.mobilenet.preprocess_input(augmented))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(4, activation="softmax")(x))


@pytest.mark.parametrize("build", [rescaled_mobilenet, prepared_mobilenet])
def test_a_classifier_with_preprocessing_receives_unchanged_pixels(build, shapes, tmp_path):
    X, y = shapes
    model = trained(build)
    model.save(tmp_path / "classifier.keras")
    localizer = SingleBoxLocalizer.from_classifier(
        tmp_path / "classifier.keras", image_size=32, epochs=0, box_head="dense"
    ).fit(X, y)
    expected = model.predict_on_batch(X.astype("float32"))
    assert np.allclose(localizer.predict_proba(X), expected, atol=1e-5)


def test_a_mobilenet_without_preprocessing_receives_that_of_mobilenet(shapes):
    X, y = shapes
    backbone = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    model = keras.Sequential(
        [backbone, layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")]
    )
    localizer = SingleBoxLocalizer.from_classifier(
        model, image_size=32, epochs=0, box_head="dense"
    ).fit(X, y)
    expected = model.predict_on_batch(X / np.float32(127.5) - 1)
    assert np.allclose(localizer.predict_proba(X), expected, atol=1e-5)


def test_weights_together_with_a_classifier_are_refused(shapes):
    localizer = SingleBoxLocalizer.from_classifier(sequential(), weights=None, image_size=32)
    with pytest.raises(ValueError, match="A classifier brings its own weights"):
        localizer.fit(*shapes)
