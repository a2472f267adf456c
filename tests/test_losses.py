"""Box losses and the IoU metric, against values worked out by hand and independent formulas."""

import functools

import keras
import numpy as np
import pytest

from skbbox import MeanIoU, iou
from skbbox.losses import (
    BOX_LOSSES,
    get_box_loss,
    iou_estimate_loss,
    x_edges_loss,
    y_edges_loss,
)

pytestmark = pytest.mark.backend


def gradient(loss, true, predicted):
    """Gradient of a loss by the predicted boxes or logits; keras.ops has no such function."""
    true, x = (keras.ops.convert_to_tensor(np.float32(values)) for values in (true, predicted))
    return np.array(make_gradient(loss)(x, true))


@functools.cache
def make_gradient(loss):
    """A function of predicted and true values, compiled once for each loss."""

    def total(x, true):
        return keras.ops.sum(loss(true, x))

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(jax.grad(total))
    if keras.backend.backend() == "torch":
        import torch

        return lambda x, true: torch.func.grad(total)(x, true).detach()
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def compute(x, true):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = total(x, true)
        return tape.gradient(value, x)

    return compute


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
    metric = keras.saving.deserialize_keras_object(config)
    assert (type(metric), metric.name) == (MeanIoU, "overlap")
    metric.update_state([[0, 1, 0, 1.0]], [[0, 0.5, 0, 0.4]])
    assert float(metric.result()) == pytest.approx(0.2)


def test_a_custom_loss_is_returned_unchanged():
    def loss(y_true, y_pred):
        return y_pred

    assert get_box_loss(loss) is loss


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \['mse', 'l1'.*Received: 'iou'"):
        get_box_loss("iou")


# The true box is 0.2..0.6 by 0.2..0.6, of area 0.16; edges are x_min, x_max, y_min, y_max.
TRUE = [0.2, 0.6, 0.2, 0.6]
# Intersection 0.2 * 0.4 = 0.08, union 0.24, IoU 1/3; enclosing box 0.6 by 0.4, equal to the
# union; centres 0.2 apart, diagonal squared 0.36 + 0.16 = 0.52; shapes equal.
OVERLAPPING = [0.4, 0.8, 0.2, 0.6]
# Union 0.16, IoU 0.25; enclosing box the true one; same centre and shape.
NESTED = [0.3, 0.5, 0.3, 0.5]
# No intersection, union 0.04 + 0.16 = 0.2; enclosing box 0.8 by 0.8 = 0.64; centres
# (0.4, 0.4) and (0.9, 0.9), 0.5 apart squared, twice; diagonal squared 2 * 0.8**2 = 1.28.
DISJOINT = [0.8, 1.0, 0.8, 1.0]
# 0.4 wide and 0.2 high within the true box: IoU 0.08 / 0.16 = 0.5, same centre.
FLAT = [0.2, 0.6, 0.3, 0.5]
# ciou of FLAT: v = 4 / pi^2 * (arctan(1) - arctan(2))^2, a = v / (0.5 + v).
V = 4 / np.pi**2 * (np.pi / 4 - np.arctan(2)) ** 2


@pytest.mark.parametrize(
    ("name", "predicted", "expected"),
    [
        ("mse", TRUE, 0),
        ("mse", OVERLAPPING, (0.04 + 0.04) / 4),
        # Every edge is 0.1 off.
        ("mse", NESTED, 0.01),
        # Edges are 0.6, 0.4, 0.6 and 0.4 off.
        ("mse", DISJOINT, 2 * (0.36 + 0.16) / 4),
        ("l1", TRUE, 0),
        ("l1", OVERLAPPING, (0.2 + 0.2) / 4),
        ("l1", NESTED, 0.1),
        ("l1", DISJOINT, 2 * (0.6 + 0.4) / 4),
        ("huber", TRUE, 0),
        # 0.1 * (0.2 - 0.1 / 2) for two of four edges.
        ("huber", OVERLAPPING, 2 * 0.015 / 4),
        # 0.05 ** 2 / 2 for each of four edges.
        ("huber", [0.25, 0.65, 0.25, 0.65], 0.00125),
        # 0.1 ** 2 / 2, where the square meets the line.
        ("huber", NESTED, 0.005),
        # 0.1 * (0.6 - 0.05) and 0.1 * (0.4 - 0.05), twice each.
        ("huber", DISJOINT, 2 * (0.055 + 0.035) / 4),
        ("giou", TRUE, 0),
        ("giou", OVERLAPPING, 1 - 1 / 3),
        ("giou", NESTED, 1 - 1 / 4),
        ("giou", DISJOINT, 1 + (0.64 - 0.2) / 0.64),
        ("diou", TRUE, 0),
        ("diou", OVERLAPPING, 1 - 1 / 3 + 0.04 / 0.52),
        ("diou", NESTED, 1 - 1 / 4),
        ("diou", DISJOINT, 1 + 0.5 / 1.28),
        ("ciou", TRUE, 0),
        # All are squares: their shapes are equal, and the values are those of diou.
        ("ciou", OVERLAPPING, 1 - 1 / 3 + 0.04 / 0.52),
        ("ciou", NESTED, 1 - 1 / 4),
        ("ciou", DISJOINT, 1 + 0.5 / 1.28),
        ("ciou", FLAT, 0.5 + V * V / (0.5 + V)),
        ("giou_l1", TRUE, 0),
        ("giou_l1", OVERLAPPING, 1 - 1 / 3 + 2 * 0.1),
        ("giou_l1", NESTED, 1 - 1 / 4 + 2 * 0.1),
        ("giou_l1", DISJOINT, 1 + (0.64 - 0.2) / 0.64 + 2 * 0.5),
    ],
)
def test_losses_have_the_values_worked_out_by_hand(name, predicted, expected):
    loss = get_box_loss(name)(np.float32([TRUE]), np.float32([predicted]))
    assert np.allclose(loss, [expected], atol=2e-6)


def independent(name, true, predicted):
    """The formulas of the papers for one pair, in float64, corner by corner."""
    errors = np.abs(true - predicted)
    if name == "mse":
        return (errors**2).mean()
    if name == "l1":
        return errors.mean()
    if name == "huber":
        return np.where(errors < 0.1, errors**2 / 2, 0.1 * (errors - 0.05)).mean()
    if name == "giou_l1":
        return independent("giou", true, predicted) + 2 * errors.mean()
    (l1, r1, t1, b1), (l2, r2, t2, b2) = true, predicted
    overlap = max(min(r1, r2) - max(l1, l2), 0) * max(min(b1, b2) - max(t1, t2), 0)
    union = (r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - overlap
    iou = overlap / union
    width, height = max(r1, r2) - min(l1, l2), max(b1, b2) - min(t1, t2)
    if name == "giou":
        return 1 - (iou - (width * height - union) / (width * height))
    distance = ((l1 + r1) / 2 - (l2 + r2) / 2) ** 2 + ((t1 + b1) / 2 - (t2 + b2) / 2) ** 2
    diou = iou - distance / (width**2 + height**2)
    if name == "diou":
        return 1 - diou
    v = 4 / np.pi**2 * (np.arctan((r1 - l1) / (b1 - t1)) - np.arctan((r2 - l2) / (b2 - t2))) ** 2
    return 1 - diou + v * v / (1 - iou + v)


@pytest.mark.parametrize("name", list(BOX_LOSSES))
def test_losses_agree_with_an_independent_computation(name):
    edges = np.random.default_rng(0).random((2, 500, 2, 2))
    boxes = np.sort(edges.swapaxes(2, 3), axis=3).reshape(2, 500, 4)
    boxes += [0, 0.01, 0, 0.01]
    expected = [independent(name, *pair) for pair in zip(*boxes, strict=True)]
    loss = get_box_loss(name)(*boxes.astype(np.float32))
    assert loss.shape == (500,)
    assert np.allclose(loss, expected, atol=1e-5)


@pytest.mark.parametrize("name", list(BOX_LOSSES))
@pytest.mark.parametrize("side", [0.5, 0.05, 0.005, 0.001])
def test_equal_boxes_have_no_loss_however_small(name, side):
    box = np.float32([[0.3, 0.3 + side, 0.4, 0.4 + side]])
    assert np.allclose(get_box_loss(name)(box, box), 0, atol=1e-6)


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
def test_an_inverted_prediction_has_the_loss_of_its_ordered_box(name):
    loss = get_box_loss(name)
    inverted = loss(np.float32([TRUE]), np.float32([[0.8, 0.4, 0.6, 0.2]]))
    assert np.allclose(inverted, loss(np.float32([TRUE]), np.float32([OVERLAPPING])))


@pytest.mark.parametrize("predicted", [FLAT, [0.3, 0.5, 0.2, 0.6]], ids=["flat", "narrow"])
def test_ciou_counts_a_difference_in_shape_that_diou_ignores(predicted):
    # Both have the centre of the true box, and an IoU of 0.5.
    pair = np.float32([TRUE]), np.float32([predicted])
    assert float(get_box_loss("diou")(*pair)[0]) == pytest.approx(0.5, abs=1e-5)
    expected = 0.5 + V * V / (0.5 + V)
    assert float(get_box_loss("ciou")(*pair)[0]) == pytest.approx(expected, abs=1e-5)


def test_the_trade_off_of_ciou_has_no_gradient():
    # With `a` constant, the gradient of ciou minus that of diou is a * dv, and
    # dv / dw = 8 / pi^2 * (arctan(0.4 / 0.2) - arctan(1)) * h / (w^2 + h^2) for w = 0.4, h = 0.2.
    gradients = [gradient(get_box_loss(name), [TRUE], [FLAT])[0, 1] for name in ("diou", "ciou")]
    dv = 8 / np.pi**2 * (np.arctan(2) - np.pi / 4) * 0.2 / (0.4**2 + 0.2**2)
    assert gradients[1] - gradients[0] == pytest.approx(V / (0.5 + V) * dv, rel=1e-3)


@pytest.mark.parametrize("name", list(BOX_LOSSES))
@pytest.mark.parametrize(
    "predicted",
    [
        TRUE,
        NESTED,
        [0.1, 0.9, 0.1, 0.9],
        DISJOINT,
        [0.6, 0.2, 0.6, 0.2],
        [0.3, 0.3, 0.3, 0.3],
        [0.9, 0.9, 0.1, 0.5],
    ],
    ids=["equal", "inside", "around", "disjoint", "inverted", "a point", "a line"],
)
@pytest.mark.parametrize("true", [TRUE, [0.3, 0.3, 0.3, 0.3]], ids=["box", "point"])
def test_gradients_are_finite(name, true, predicted):
    loss = get_box_loss(name)
    assert np.isfinite(loss(np.float32([true]), np.float32([predicted]))).all()
    assert np.isfinite(gradient(loss, [true], [predicted])).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BOX_LOSSES))
@pytest.mark.parametrize("start", [DISJOINT, [0.9, 0.1, 0.9, 0.1]], ids=["disjoint", "inverted"])
def test_each_loss_converges_to_the_box(name, start):
    predicted = keras.Variable([start], dtype="float32")
    optimizer = keras.optimizers.Adam(0.02)
    for _ in range(120):
        slope = gradient(get_box_loss(name), [TRUE], predicted.numpy())
        optimizer.apply([keras.ops.convert_to_tensor(slope)], [predicted])
    ordered = np.sort(predicted.numpy().reshape(2, 2), axis=1).ravel()
    assert iou(TRUE, ordered.astype(float)) > 0.9


def test_the_loss_of_an_estimate_is_its_divergence_from_the_iou():
    # A box of which half is predicted: the IoU is 1/2.
    true, half = np.float32([[0.0, 1.0, 0.0, 1.0]]), [0.0, 0.5, 0.0, 1.0]
    right = iou_estimate_loss(true, np.float32([[0.5, *half]]))
    low = iou_estimate_loss(true, np.float32([[0.2, *half]]))
    assert float(right[0]) == pytest.approx(0.0, abs=1e-6)
    # 1/2 ln(0.5 / 0.2) + 1/2 ln(0.5 / 0.8)
    assert float(low[0]) == pytest.approx(0.2231436, abs=1e-5)


#: Logits of two edges at the positions 0, 1/4, 1/2, 3/4 and 1.
PROBABILITIES = np.array([[0.1, 0.2, 0.4, 0.2, 0.1], [0.05, 0.05, 0.1, 0.2, 0.6]])
LOGITS = np.log(PROBABILITIES).T[None]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        # Each on a position: the logarithms of 0.2 and 0.6.
        ((0.25, 1.0), -(np.log(0.2) + np.log(0.6)) / 2),
        # 3/8 lies half way between 0.2 and 0.4; 13/16 a quarter of the way from 0.2 to 0.6.
        (
            (0.375, 0.8125),
            -((0.5 * np.log(0.2) + 0.5 * np.log(0.4)) + (0.75 * np.log(0.2) + 0.25 * np.log(0.6)))
            / 2,
        ),
        ((0.0, 0.5), -(np.log(0.1) + np.log(0.1)) / 2),
    ],
)
def test_losses_of_edges_have_the_values_worked_out_by_hand(edges, expected):
    other = (0.1, 0.9)
    x = x_edges_loss(np.float32([[*edges, *other]]), np.float32(LOGITS))
    y = y_edges_loss(np.float32([[*other, *edges]]), np.float32(LOGITS))
    assert float(x[0]) == pytest.approx(expected, abs=1e-6)
    assert float(y[0]) == pytest.approx(expected, abs=1e-6)


def test_gradients_of_edges_are_finite_and_lead_to_them_from_far_away():
    logits = [[[200.0, 0.0], [0.0, 0.0], [0.0, 200.0]]]
    slope = gradient(x_edges_loss, [[1.0, 1.0, 0.0, 1.0]], logits)
    assert np.isfinite(slope).all()
    # x_min is at 1 and was predicted at 0; x_max is right, and has no gradient.
    assert slope[0, :, 0].tolist() == pytest.approx([0.5, 0.0, -0.5])
    assert slope[0, :, 1].tolist() == pytest.approx([0.0, 0.0, 0.0])
