"""The Keras metric against the NumPy measure and against values worked out by hand."""

import keras
import numpy as np
import pytest

from skbbox import MeanIoU, iou
from skbbox.losses import get_box_loss


def test_mean_iou_of_the_chapters_boxes():
    metric = MeanIoU()
    metric.update_state([[0.2, 0.7, 0.3, 0.6]], [[0.4, 0.6, 0.2, 0.5]])
    assert float(metric.result()) == pytest.approx(0.23529411764705882, abs=1e-6)


def test_mean_iou_agrees_with_numpy_on_random_boxes():
    corners = np.random.default_rng(0).random((2, 500, 2, 2))
    a, b = np.sort(corners, axis=3).reshape(2, 500, 4)
    metric = MeanIoU()
    metric.update_state(a, b)
    assert float(metric.result()) == pytest.approx(iou(a, b).mean(), abs=1e-6)


def test_mean_iou_averages_over_batches_of_different_length():
    metric = MeanIoU()
    metric.update_state([[0, 1, 0, 1.0]] * 3, [[0, 1, 0, 1.0]] * 3)
    metric.update_state([[0, 1, 0, 1.0]], [[0, 0.5, 0, 0.4]])
    assert float(metric.result()) == pytest.approx((3 + 0.2) / 4)


@pytest.mark.parametrize(
    "predicted", [[0.8, 0.2, 0.1, 0.9], [0.5, 0.5, 0.5, 0.5], [2.0, 3.0, 2.0, 3.0]]
)
def test_an_inverted_empty_or_disjoint_prediction_has_no_iou(predicted):
    metric = MeanIoU()
    metric.update_state([[0.0, 1.0, 0.0, 1.0]], [predicted])
    assert float(metric.result()) == 0.0


def test_two_empty_boxes_have_no_iou():
    metric = MeanIoU()
    metric.update_state([[0.5, 0.5, 0.5, 0.5]], [[0.5, 0.5, 0.5, 0.5]])
    assert float(metric.result()) == 0.0


def test_mean_iou_survives_keras_serialisation():
    config = keras.saving.serialize_keras_object(MeanIoU(name="overlap"))
    assert keras.saving.deserialize_keras_object(config).name == "overlap"


def test_a_custom_loss_is_taken_as_it_is():
    def loss(y_true, y_pred):
        return y_pred

    assert get_box_loss(loss) is loss


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \['mse'\].*Received: 'iou'"):
        get_box_loss("iou")
