"""``explain``, and the displays of one image: numbers worked out by hand, and reviewed pictures."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer

from skbbox import DummyLocalizer, EmbeddingDisplay, PredictionDisplay, SingleBoxLocalizer
from skbbox.boxes import COORDINATES, TARGET_COLUMNS
from skbbox.datasets import make_shapes
from skbbox.exceptions import BoxError, ImageError
from skbbox.network import small_convnet
from skbbox.windows import Look, place_windows

BOX = list(COORDINATES)
WHOLE = np.array([0.0, 1.0, 0.0, 1.0])

# Pixels of text differ a little between builds of FreeType.
picture = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", tolerance=8, savefig_kwargs={"dpi": 60}, style="default"
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def peak(place, length=9):
    """A distribution around a place, which is its mean."""
    weights = np.zeros(length)
    weights[place - 1 : place + 2] = 0.25, 0.5, 0.25
    return weights


@pytest.fixture
def looks():
    """The left half of the height; then, in a window of half the image, a box of its middle."""
    edges = np.stack([peak(2), peak(6)], axis=1)
    attention = np.linspace(0.2, 0.8, 16).reshape(4, 4)
    window = np.array([0.0, 1.0, 0.0, 0.5])
    return (
        Look(WHOLE, np.array([0.0, 0.5, 0.0, 1.0]), attention, edges, edges),
        Look(window, np.array([0.25, 0.75, 0.125, 0.375]), attention, edges, edges),
    )


TRUE = pd.DataFrame([("cat", 0.0, 1.0, 0.0, 1.0)], columns=TARGET_COLUMNS)
PREDICTED = pd.DataFrame(
    [("dog", 0.25, 0.75, 0.125, 0.375, 0.9, 0.3)],
    columns=[*TARGET_COLUMNS, "class_confidence", "box_confidence"],
)
GREY = np.full((40, 60, 3), 128, np.uint8)


# explain


def test_last_look_has_the_box_of_predict(fitted, shapes):
    X = shapes[0][:3]
    boxes = [looks[-1].box for looks in fitted.explain(X)]
    np.testing.assert_array_equal(boxes, fitted.predict(X)[BOX])


def test_each_edge_is_the_mean_of_its_distribution(fitted, shapes):
    for look in fitted.explain(shapes[0][:2])[0]:
        start, end = look.window[::2], look.window[1::2]
        for axis, edges in enumerate((look.x_edges, look.y_edges)):
            means = np.linspace(0, 1, len(edges)) @ edges
            expected = start[axis] + means * (end[axis] - start[axis])
            np.testing.assert_allclose(look.box[2 * axis : 2 * axis + 2], expected, atol=1e-6)


def test_second_look_is_at_the_window_around_the_first_box(fitted, shapes):
    ((first, second),) = fitted.explain(shapes[0][:1])
    np.testing.assert_array_equal(first.window, WHOLE)
    np.testing.assert_array_equal(second.window, place_windows(first.box[None])[0])


def test_spread_is_the_standard_deviation_of_the_distributions(fitted, shapes):
    (looks,) = fitted.explain(shapes[0][:1])
    edges, side = looks[-1].x_edges, looks[-1].window[1] - looks[-1].window[0]
    places = np.linspace(0, 1, len(edges))[:, None]
    variance = (edges * (places - (edges * places).sum(axis=0)) ** 2).sum(axis=0)
    spread = fitted.predict_spread(shapes[0][:1])[BOX[:2]].to_numpy()[0]
    np.testing.assert_allclose(spread, side * np.sqrt(variance), rtol=1e-5)


def test_attention_is_the_sigmoid_of_the_similarity_to_the_query(fitted, shapes):
    import keras
    from scipy.special import expit

    pixels = shapes[0][:1]
    layers = [layer for layer in ("bbox_map1_relu", "bbox_map2_relu", "bbox_query")]
    known = {layer.name for layer in fitted.model_.layers}
    outputs = [fitted.model_.get_layer(name).output for name in layers if name in known]
    *maps, query = keras.Model(fitted.model_.input, outputs).predict(pixels, verbose=0)
    assert len({features.shape for features in maps}) == len(maps) == 1
    expected = expit((maps[0] * query[:, None, None]).sum(axis=-1) / query.shape[1] ** 0.5)
    ((first, _),) = fitted.explain(pixels)
    np.testing.assert_allclose(first.attention, expected[0], rtol=1e-5)


def test_loaded_estimator_explains_the_same(fitted, shapes, tmp_path):
    fitted.save(tmp_path / "model.skbbox")
    loaded = SingleBoxLocalizer.load(
        tmp_path / "model.skbbox", custom_objects={"small_convnet": small_convnet}
    )
    ((first, _),), ((again, _),) = (each.explain(shapes[0][:1]) for each in (fitted, loaded))
    np.testing.assert_array_equal(first.attention, again.attention)


def test_unreadable_image_has_no_looks(shapes, tmp_path):
    X, y = shapes
    localizer = small_localizer(epochs=1, n_looks=1, on_bad_image="skip").fit(X[:16], y[:16])
    explained = localizer.explain([X[0], tmp_path / "absent.jpg"])
    assert [len(looks) for looks in explained] == [1, 0]


def test_other_box_heads_have_nothing_to_explain(shapes):
    X, y = shapes
    localizer = small_localizer(epochs=1, box_head="dense").fit(X[:16], y[:16])
    with pytest.raises(ValueError, match=r"only box_head='spatial' has\. Received: .*'dense'"):
        localizer.explain(X[:1])


# PredictionDisplay


def test_prediction_has_the_iou_of_each_look(looks):
    display = PredictionDisplay.from_predictions(GREY, looks, TRUE)
    np.testing.assert_allclose(display.iou, [0.5, 0.125])


def test_prediction_labels_class_confidence_and_expected_iou(looks):
    first, second = PredictionDisplay.from_predictions(GREY, looks, TRUE, PREDICTED).axes_
    assert [text.get_text() for text in first.texts] == ["window"]
    assert [text.get_text() for text in second.texts] == ["true: cat", "predicted: dog 0.90"]
    assert second.get_title().endswith("\nIoU 0.12, expected 0.30")


def test_boxes_of_the_second_look_are_drawn_in_its_window(looks):
    display = PredictionDisplay.from_predictions(GREY, looks)
    # 60 x 20 pixels of the image, enlarged to a width of 640.
    panel = display.axes_[1]
    assert (panel.get_xlim(), panel.get_ylim()) == ((0, 640), (213, 0))
    (box,) = panel.patches
    np.testing.assert_allclose(box.get_bbox().extents, [160, 213 / 4, 480, 213 * 3 / 4])


def test_true_box_outside_of_the_window_is_not_drawn(looks):
    below = TRUE.assign(y_min=0.6)
    panel = PredictionDisplay.from_predictions(GREY, looks, below).axes_[1]
    assert [text.get_text() for text in panel.texts] == ["predicted"]


def test_prediction_of_an_estimator_uses_given_axes(fitted, shapes):
    X, y = shapes
    _, axes = plt.subplots(1, 2)
    display = PredictionDisplay.from_estimator(fitted, X[0], y[:1], ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.predicted["class_name"].item() in axes[1].texts[1].get_text()


def test_prediction_needs_an_estimator_that_explains(shapes):
    X, y = shapes
    with pytest.raises(TypeError, match=r"method explain: .* Received: DummyLocalizer"):
        PredictionDisplay.from_estimator(DummyLocalizer().fit(X, y), X[0])


def test_prediction_is_of_one_image(looks):
    with pytest.raises(BoxError, match=r"y_true must have one row, .* Received: 2"):
        PredictionDisplay.from_predictions(GREY, looks, pd.concat([TRUE, TRUE]))


def test_image_without_looks_could_not_be_read():
    with pytest.raises(ImageError, match="could not be read"):
        PredictionDisplay.from_predictions(GREY, ())


@picture
def test_picture_of_a_prediction(looks):
    (image,), _ = make_shapes(1, image_size=64, random_state=0)
    return PredictionDisplay.from_predictions(image, looks, TRUE, PREDICTED).figure_


# EmbeddingDisplay

EMBEDDINGS = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0], [np.nan, np.nan]])
NAMES = ["cat", "dog", "dog", None, "cat"]
TRAINED = pd.DataFrame(
    {"class_name": NAMES, "x_min": 0.0, "x_max": 0.5, "y_min": 0.0, "y_max": 1.0}
)
IMAGES = [GREY] * 5


def embedded(own, **options):
    return EmbeddingDisplay.from_embeddings(IMAGES, TRAINED, EMBEDDINGS, GREY, own, **options)


def test_neighbours_are_the_nearest_first():
    display = embedded([1.0, 0.0], n_neighbors=3)
    assert display.neighbors.tolist() == [0, 1, 3]
    np.testing.assert_allclose(display.distances, [1, 3, 10**0.5])


def test_map_has_the_principal_components_of_readable_images():
    display = embedded([2.0, 1.5])
    assert display.rows.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(np.abs(display.coordinates), [[2, 1.5]] * 4)
    np.testing.assert_allclose(display.location, [0, 0], atol=1e-12)
    np.testing.assert_allclose(display.explained_variance_ratio, [0.64, 0.36])


def test_map_has_a_colour_for_each_class():
    labels = embedded([1.0, 0.0]).ax_.get_legend_handles_labels()[1]
    assert labels == ["box only (1)", "cat (1)", "dog (2)", "the image"]


def test_classes_without_a_colour_are_grey():
    names = [f"class {number:02}" for number in range(20)]
    y = TRAINED.iloc[[0] * 20].assign(class_name=names)
    embeddings = np.random.default_rng(0).random((20, 3))
    display = EmbeddingDisplay.from_embeddings(
        [GREY] * 20, y, embeddings, GREY, embeddings[19], n_neighbors=1
    )
    labels = display.ax_.get_legend_handles_labels()[1]
    # The class of the nearest image, the last, has a colour.
    assert (labels[0], labels[-2]) == ("other classes (3)", "class 19 (1)")


def test_pictures_show_boxes_classes_and_distances():
    display = embedded([1.0, 0.0], y_pred=PREDICTED, n_neighbors=2)
    titles = [panel.get_title(loc="left") for panel in display.axes_]
    assert titles[0].endswith("the image\npredicted: dog 0.90")
    assert titles[1:] == ["1: distance 1\ntrue: cat", "2: distance 3\ntrue: dog"]
    assert display.axes_[1].patches[0].get_bbox().extents.tolist() == [0, 0, 30, 40]


def test_embedding_of_an_estimator_finds_the_image_itself(fitted, shapes):
    X, y = shapes
    display = EmbeddingDisplay.from_estimator(fitted, X, y, X[7], n_neighbors=2)
    assert display.neighbors[0] == 7
    assert display.distances[0] == pytest.approx(0, abs=1e-5)


def test_embedding_replaces_a_subplot():
    figure, (left, _) = plt.subplots(1, 2)
    display = embedded([1.0, 0.0], ax=left)
    assert display.figure_ is figure
    assert display.ax_ in figure.axes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": [1.0]}, r"Received: \(5, 2\) and \(1,\)"),
        ({"embeddings": EMBEDDINGS[:4]}, "differ in length: 5, 5 and 4"),
        ({"embeddings": EMBEDDINGS[:, :1], "embedding": [1.0]}, "2 features. Received: 4 and 1"),
        ({"n_neighbors": 0}, "n_neighbors must be an integer of at least 1. Received: 0"),
    ],
)
def test_embeddings_that_cannot_be_drawn_raise(changes, message):
    arguments = {
        "X": IMAGES,
        "y": TRAINED,
        "embeddings": EMBEDDINGS,
        "image": GREY,
        "embedding": [1.0, 0.0],
    }
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(**(arguments | changes))


def test_image_without_an_embedding_could_not_be_read():
    with pytest.raises(ImageError, match="could not be read"):
        embedded([np.nan, np.nan])


def test_embedding_needs_an_estimator_that_embeds(shapes):
    X, y = shapes
    with pytest.raises(TypeError, match=r"method embed: .* Received: DummyLocalizer"):
        EmbeddingDisplay.from_estimator(DummyLocalizer().fit(X, y), X, y, X[0])


@picture
def test_picture_of_an_embedding():
    X, y = make_shapes(30, image_size=48, random_state=0)
    embeddings = np.random.default_rng(0).normal(size=(30, 4))
    return EmbeddingDisplay.from_embeddings(
        *(X[:29], y[:29], embeddings[:29], X[29], embeddings[29]), y_pred=PREDICTED
    ).figure_
