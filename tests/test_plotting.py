"""The contents of the axes, in pixels and numbers worked out by hand."""

import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from skbbox.boxes import TARGET_COLUMNS
from skbbox.exceptions import BoxError, DataError
from skbbox.plotting import (
    PREDICTED_COLOR,
    TRUE_COLOR,
    combine_histories,
    plot_accuracy,
    plot_bbox_loss,
    plot_image,
    plot_iou,
    plot_loss,
    plot_prediction,
)

# 200 wide, 100 high.
IMAGE = np.full((100, 200, 3), 128, dtype=np.uint8)
HISTORY = {
    "loss": [3.0, 2.0, 1.0],
    "val_loss": [3.5, 2.5, 1.5],
    "bbox_prediction_loss": [0.3, 0.2, 0.1],
    "class_prediction_accuracy": [0.5, 0.7, 0.9],
    "val_class_prediction_accuracy": [0.4, 0.6, 0.8],
    "bbox_prediction_mean_iou": [0.2, 0.4, 0.6],
}
DRAWINGS = [plot_loss, plot_bbox_loss, plot_accuracy, plot_iou]


@pytest.fixture(autouse=True)
def no_show(monkeypatch):
    def show(*args, **kwargs):
        raise AssertionError("plt.show was called")

    monkeypatch.setattr(plt, "show", show)
    yield
    plt.close("all")


class Fixed:
    """An estimator that predicts the same row for every image."""

    def __init__(self, **row):
        self.row = row

    def predict(self, X):
        assert len(X) == 1
        return pd.DataFrame([self.row])


def bounds(ax):
    """Left, top, width and height of the rectangles."""
    return [patch.get_bbox().bounds for patch in ax.patches]


def labels(ax):
    return [text.get_text() for text in ax.texts]


# plot_image


def test_box_is_drawn_in_pixels():
    # x: 0.25 * 200 = 50 to 0.75 * 200 = 150; y: 0.5 * 100 = 50 to 0.75 * 100 = 75.
    ax = plot_image(IMAGE, (0.25, 0.75, 0.5, 0.75))
    assert bounds(ax) == [(50.0, 50.0, 100.0, 25.0)]


def test_whole_image_box_ends_at_the_edges_of_the_pixels():
    ax = plot_image(IMAGE, (0, 1, 0, 1))
    assert bounds(ax) == [(0.0, 0.0, 200.0, 100.0)]
    assert tuple(ax.images[0].get_extent()) == (0, 200, 100, 0)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 200), (100, 0))


TABLE = pd.DataFrame(
    [("cat", 0.25, 0.75, 0.5, 0.75), ("dog", 0.0, 0.5, 0.0, 1.0)],
    columns=list(TARGET_COLUMNS),
    index=[7, 3],
)


@pytest.mark.parametrize(
    "boxes",
    [
        TABLE,
        TABLE.to_records(index=False),
        [(0.25, 0.75, 0.5, 0.75, "cat"), (0.0, 0.5, 0.0, 1.0, "dog")],
        np.array([(0.25, 0.75, 0.5, 0.75, "cat"), (0.0, 0.5, 0.0, 1.0, "dog")], dtype=object),
        TABLE.to_numpy(),
    ],
    ids=["frame", "structured", "tuples", "object array", "class first"],
)
def test_several_boxes_in_every_form(boxes):
    ax = plot_image(IMAGE, boxes)
    assert bounds(ax) == [(50.0, 50.0, 100.0, 25.0), (0.0, 0.0, 100.0, 100.0)]
    assert labels(ax) == ["cat", "dog"]


@pytest.mark.parametrize(
    "box",
    [
        TABLE.iloc[0],
        TABLE.iloc[[0]],
        TABLE.to_records(index=False)[0],
        (0.25, 0.75, 0.5, 0.75, "cat"),
        [(0.25, 0.75, 0.5, 0.75, "cat")],
    ],
    ids=["row", "one-row frame", "structured row", "tuple", "list of one"],
)
def test_one_box_in_every_form(box):
    ax = plot_image(IMAGE, box)
    assert bounds(ax) == [(50.0, 50.0, 100.0, 25.0)]
    assert labels(ax) == ["cat"]


@pytest.mark.parametrize(
    "boxes",
    [
        (0.25, 0.75, 0.5, 0.75),
        np.array([[0.25, 0.75, 0.5, 0.75]]),
        (0.25, 0.75, 0.5, 0.75, None),
        TABLE.iloc[[0]].drop(columns="class_name"),
        TABLE.iloc[[0]].assign(class_name=None),
    ],
    ids=["tuple", "array", "label None", "no class_name", "class_name None"],
)
def test_box_without_label_has_no_text(boxes):
    ax = plot_image(IMAGE, boxes)
    assert len(ax.patches) == 1
    assert labels(ax) == []


def test_labelled_and_unlabelled_boxes_mix():
    ax = plot_image(IMAGE, [(0, 0.5, 0, 0.5, "cat"), (0.5, 1, 0.5, 1)])
    assert len(ax.patches) == 2
    assert labels(ax) == ["cat"]


def test_number_is_a_label_too():
    assert labels(plot_image(IMAGE, (0, 0.5, 0, 0.5, 3))) == ["3"]


def test_no_box_draws_the_image_alone():
    ax = plot_image(IMAGE, [])
    assert (len(ax.images), len(ax.patches), len(ax.texts)) == (1, 0, 0)


@pytest.mark.parametrize(
    "boxes",
    [
        (np.nan, np.nan, np.nan, np.nan),
        (None, None, None, None),
        pd.DataFrame([(None, *[np.nan] * 4)], columns=list(TARGET_COLUMNS)),
    ],
    ids=["NaN", "None", "row of an image without object"],
)
def test_image_without_object_is_labelled(boxes):
    ax = plot_image(IMAGE, boxes)
    assert (len(ax.images), len(ax.patches), labels(ax)) == (1, 0, ["no object"])


def test_class_without_a_box_is_in_a_corner():
    ax = plot_image(IMAGE, TABLE.assign(**dict.fromkeys(TARGET_COLUMNS[1:], np.nan)))
    assert (len(ax.patches), labels(ax)) == (0, ["cat (class only)\ndog (class only)"])


def test_missing_box_beside_another_one_is_left_out():
    ax = plot_image(IMAGE, [(0, 0.5, 0, 0.5, "cat"), (np.nan, np.nan, np.nan, np.nan)])
    assert (len(ax.patches), labels(ax)) == (1, ["cat"])


def test_box_beyond_the_image_is_drawn_unchanged():
    # A wrong annotation: 1.5 * 200 = 300.
    assert bounds(plot_image(IMAGE, (0.5, 1.5, 0, 1))) == [(100.0, 0.0, 200.0, 100.0)]


def test_box_in_pixels_raises():
    with pytest.raises(BoxError, match=r"Box 1 cannot be drawn.*Received: 20, 60, 10, 50"):
        plot_image(IMAGE, [(0, 1, 0, 1), (20, 60, 10, 50)])


def test_box_with_one_missing_coordinate_raises():
    with pytest.raises(BoxError, match="Received: 0, nan, 0, 1"):
        plot_image(IMAGE, (0, np.nan, 0, 1))


@pytest.mark.parametrize("kind", ["path", "str", "array", "PIL"])
def test_image_in_every_form(kind, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "image.png")
    image = {
        "path": tmp_path / "image.png",
        "str": str(tmp_path / "image.png"),
        "array": IMAGE,
        "PIL": Image.fromarray(IMAGE),
    }[kind]
    ax = plot_image(image, [])
    np.testing.assert_array_equal(ax.images[0].get_array(), IMAGE)


def test_image_has_no_ticks():
    ax = plot_image(IMAGE, [])
    assert list(ax.get_xticks()) == []
    assert list(ax.get_yticks()) == []


def test_color_is_that_of_box_and_label():
    ax = plot_image(IMAGE, (0, 1, 0, 1, "cat"), color="red")
    assert ax.patches[0].get_edgecolor() == to_rgba("red")
    assert ax.texts[0].get_bbox_patch().get_facecolor() == to_rgba("red")


@pytest.mark.parametrize(
    "box",
    [
        (0, 1, 0, 1),
        (0.9, 1, 0.9, 1),
        (0, 0.1, 0, 0.1),
        (-0.2, 1.2, -0.2, 1.2),
        (0.4, 0.6, 0.4, 0.6),
    ],
)
def test_label_stays_inside_the_image(box):
    ax = plot_image(IMAGE, (*box, "golden_retriever"))
    ax.figure.canvas.draw()
    label, image = ax.texts[0].get_bbox_patch().get_window_extent(), ax.get_window_extent()
    # One screen pixel for the line around the label.
    assert image.x0 - 1 <= label.x0 and label.x1 <= image.x1 + 1
    assert image.y0 - 1 <= label.y0 and label.y1 <= image.y1 + 1


def test_label_is_above_the_box_if_it_fits():
    ax = plot_image(IMAGE, (0.25, 0.75, 0.5, 0.75, "cat"))
    assert ax.texts[0].get_verticalalignment() == "bottom"
    assert 45 < ax.texts[0].get_position()[1] < 50


def test_label_of_a_box_at_the_top_is_inside_it():
    ax = plot_image(IMAGE, (0.25, 0.75, 0, 0.75, "cat"))
    assert ax.texts[0].get_verticalalignment() == "top"
    assert 0 < ax.texts[0].get_position()[1] < 5


# plot_prediction


def test_true_and_predicted_boxes_have_their_colours_and_labels():
    estimator = Fixed(
        class_name="cat",
        x_min=0.0,
        x_max=0.5,
        y_min=0.0,
        y_max=1.0,
        class_confidence=0.934,
        box_confidence=0.771,
    )
    ax = plot_prediction(estimator, IMAGE, (0, 1, 0, 1, "dog"))
    assert bounds(ax) == [(0.0, 0.0, 200.0, 100.0), (0.0, 0.0, 100.0, 100.0)]
    assert [patch.get_edgecolor() for patch in ax.patches] == [
        to_rgba(TRUE_COLOR),
        to_rgba(PREDICTED_COLOR),
    ]
    assert labels(ax) == ["true: dog", "predicted: cat 0.93"]
    assert ax.get_title() == "IoU 0.50, expected 0.77"


@pytest.mark.parametrize(
    "true",
    [
        (0, 1, 0, 1),
        pd.Series([0, 1, 0, 1], index=TARGET_COLUMNS[1:]),
        TABLE.iloc[[1]].assign(x_max=1.0),
    ],
    ids=["tuple", "row", "one-row frame"],
)
def test_title_is_the_iou(true):
    # The left half of the image against all of it.
    ax = plot_prediction(Fixed(x_min=0.0, x_max=0.5, y_min=0.0, y_max=1.0), IMAGE, true)
    assert ax.get_title() == "IoU 0.50"


def test_without_true_box_there_is_no_iou():
    ax = plot_prediction(Fixed(x_min=0.0, x_max=0.5, y_min=0.0, y_max=1.0), IMAGE)
    assert len(ax.patches) == 1
    assert ax.get_title() == ""


NOTHING = {"class_name": None} | dict.fromkeys(TARGET_COLUMNS[1:], np.nan)
HALF = {"class_name": "cat", "x_min": 0.0, "x_max": 0.5, "y_min": 0.0, "y_max": 1.0}


@pytest.mark.parametrize(
    ("predicted", "true", "names", "title"),
    [
        (HALF, [np.nan] * 4, ["true: no object", "predicted: cat"], "false alarm"),
        (
            NOTHING | {"presence": 0.25},
            (0, 1, 0, 1, "cat"),
            ["true: cat", "predicted: no object"],
            "missed, presence 0.25",
        ),
        (
            NOTHING | {"presence": 0.25},
            [np.nan] * 4,
            ["true: no object", "predicted: no object"],
            "presence 0.25",
        ),
        (NOTHING | {"presence": 0.25}, None, ["predicted: no object"], "presence 0.25"),
        (
            HALF | {"box_confidence": 0.5},
            TABLE.iloc[[0]].assign(**dict.fromkeys(TARGET_COLUMNS[1:], np.nan)),
            ["true: cat (class only)", "predicted: cat"],
            "expected IoU 0.50",
        ),
    ],
    ids=["false alarm", "missed", "right", "no true row", "class only"],
)
def test_missing_objects_and_labels_are_named(predicted, true, names, title):
    ax = plot_prediction(Fixed(**predicted), IMAGE, true)
    assert (labels(ax), ax.get_title()) == (names, title)


@pytest.mark.parametrize(
    "columns, label, title",
    [
        ({}, "predicted", ""),
        ({"class_name": "cat"}, "predicted: cat", ""),
        ({"class_name": "cat", "class_confidence": 0.5}, "predicted: cat 0.50", ""),
        (
            {"class_name": "cat", "class_confidence": 0.5, "box_confidence": 0.25},
            "predicted: cat 0.50",
            "expected IoU 0.25",
        ),
        ({"box_confidence": 0.25}, "predicted", "expected IoU 0.25"),
        (
            {"class_name": "cat", "class_confidence": np.nan, "box_confidence": np.nan},
            "predicted: cat",
            "",
        ),
    ],
)
def test_confidence_of_the_class_is_in_the_label_and_that_of_the_box_in_the_title(
    columns, label, title
):
    ax = plot_prediction(Fixed(x_min=0.0, x_max=0.5, y_min=0.0, y_max=1.0, **columns), IMAGE)
    assert (labels(ax), ax.get_title()) == ([label], title)


def test_labels_of_equal_boxes_do_not_overlap():
    box = {"x_min": 0.3, "x_max": 0.7, "y_min": 0.0, "y_max": 1.0}
    estimator = Fixed(class_name="cat", class_confidence=0.9, box_confidence=0.7, **box)
    ax = plot_prediction(estimator, IMAGE, (0.3, 0.7, 0, 1, "cat"))
    ax.figure.canvas.draw()
    true, predicted = (text.get_bbox_patch().get_window_extent() for text in ax.texts)
    assert not true.overlaps(predicted)


def test_several_true_boxes_raise():
    with pytest.raises(BoxError, match=r"one true box\. Received 2 boxes"):
        plot_prediction(Fixed(x_min=0.0, x_max=0.5, y_min=0.0, y_max=1.0), IMAGE, TABLE)


# curves


class Fitted:
    history_ = HISTORY


class KerasHistory:
    history = HISTORY


@pytest.mark.parametrize(
    "history", [HISTORY, Fitted(), KerasHistory()], ids=["dict", "estimator", "Keras"]
)
def test_history_in_every_form(history):
    training, validation = plot_loss(history).lines
    np.testing.assert_array_equal(training.get_xydata(), [(1, 3), (2, 2), (3, 1)])
    np.testing.assert_array_equal(validation.get_xydata(), [(1, 3.5), (2, 2.5), (3, 1.5)])


def test_training_is_solid_and_validation_dashed():
    ax = plot_loss(HISTORY)
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]


def test_without_validation_there_is_one_curve():
    (line,) = plot_bbox_loss(HISTORY).lines
    assert list(line.get_ydata()) == [0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    "draw, key, name",
    [
        (plot_loss, "loss", "loss"),
        (plot_bbox_loss, "bbox_prediction_loss", "box loss"),
        (plot_accuracy, "class_prediction_accuracy", "accuracy"),
        (plot_iou, "bbox_prediction_mean_iou", "mean IoU"),
    ],
)
def test_each_function_plots_its_curve(draw, key, name):
    ax = draw(HISTORY)
    assert list(ax.lines[0].get_ydata()) == HISTORY[key]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", name)


@pytest.mark.parametrize("draw", [plot_accuracy, plot_iou])
def test_shares_have_an_axis_from_0_to_1(draw):
    lower, upper = draw(HISTORY).get_ylim()
    assert lower == 0
    assert upper == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("n_epochs", [1, 2, 5])
def test_ticks_are_integers(n_epochs):
    ax = plot_loss({"loss": [1.0] * n_epochs})
    ax.figure.canvas.draw()
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_epochs_without_a_value_stay_on_the_axis():
    ax = plot_bbox_loss({"bbox_prediction_loss": [np.nan, np.nan, 0.5, 0.4]})
    assert ax.get_xlim()[0] <= 1
    assert ax.get_ylim()[0] > 0.3


def test_missing_curve_names_the_keys_there_are():
    with pytest.raises(DataError, match=r"no 'bbox_prediction_mean_iou'\. Its keys: \['loss'\]"):
        plot_iou({"loss": [1.0]})


def test_missing_accuracy_of_a_box_only_model_is_explained():
    with pytest.raises(DataError, match="a model without classes has no accuracy"):
        plot_accuracy({"loss": [1.0], "bbox_prediction_loss": [1.0]})


@pytest.mark.parametrize("draw", DRAWINGS)
def test_failed_drawing_leaves_no_figure_behind(draw):
    with pytest.raises(DataError):
        draw({})
    assert plt.get_fignums() == []


def test_history_of_unknown_type_raises():
    with pytest.raises(TypeError, match="Received: Fixed"):
        plot_loss(Fixed())


# axes


@pytest.mark.parametrize("draw", DRAWINGS)
def test_curves_are_drawn_on_the_given_axes(draw):
    _, (_, ax) = plt.subplots(1, 2)
    assert draw(HISTORY, ax=ax) is ax


@pytest.mark.parametrize("draw", DRAWINGS)
def test_each_curve_has_its_own_figure(draw):
    assert draw(HISTORY).figure is not draw(HISTORY).figure


def test_pictures_are_drawn_on_the_given_axes():
    _, (left, right) = plt.subplots(1, 2)
    estimator = Fixed(x_min=0.0, x_max=0.5, y_min=0.0, y_max=1.0)
    assert plot_image(IMAGE, [], ax=left) is left
    assert plot_prediction(estimator, IMAGE, ax=right) is right


# combine_histories


def test_histories_are_concatenated():
    combined = combine_histories([{"loss": [3.0, 2.0]}, KerasHistory(), {"loss": np.array([0.5])}])
    assert combined["loss"] == [3.0, 2.0, 3.0, 2.0, 1.0, 0.5]


def test_epochs_that_lack_a_key_are_nan():
    combined = combine_histories(
        [{"loss": [3.0, 2.0]}, {"loss": [1.0], "val_loss": [1.5]}, {"loss": [0.5]}]
    )
    np.testing.assert_array_equal(combined["val_loss"], [np.nan, np.nan, 1.5, np.nan])


def test_single_history_instead_of_a_list_raises():
    with pytest.raises(TypeError, match=r"pass \[history\]"):
        combine_histories({"loss": [1.0]})


def test_curves_of_different_lengths_raise_with_their_lengths():
    with pytest.raises(ValueError, match=r"one value for each epoch.*'loss': 2, 'val_loss': 1"):
        combine_histories([{"loss": [2.0, 1.0], "val_loss": [1.5]}])


def test_combining_does_not_change_the_histories():
    first = {"loss": [3.0]}
    combine_histories([first, {"loss": [2.0]}])["loss"].append(0.0)
    assert first == {"loss": [3.0]}


def test_importing_the_module_does_not_import_pyplot():
    code = "import sys, skbbox.plotting; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
