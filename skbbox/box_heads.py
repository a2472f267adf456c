"""The box heads: from feature maps to the four edges of the box."""

import keras
import numpy as np
from keras import layers, ops

from .seeds import initializer

__all__ = ["BOX_HEADS", "FirstInput", "dense_box_head", "pooled_box_head", "spatial_box_head"]


def pooled_box_head(maps, rng):
    """The chapter's head: one convolution, pooled over the image, four linear numbers.

    Parameters
    ----------
    maps : list of KerasTensor of shape (n, height, width, channels)
        Feature maps, the coarsest last; this head and the dense one read that one alone.
    rng : numpy Generator
        Source of the seeds of the initial weights.

    Returns
    -------
    KerasTensor of shape (n, 4)
        The output of the layer ``bbox_prediction``.
    """
    x = layers.Conv2D(
        512, 3, padding="same", kernel_initializer=initializer(rng), name="bbox_conv"
    )(maps[-1])
    x = layers.BatchNormalization(name="bbox_bn")(x)
    x = layers.ReLU(name="bbox_relu")(x)
    x = layers.GlobalAveragePooling2D(name="bbox_pool")(x)
    return layers.Dense(4, kernel_initializer=initializer(rng), name="bbox_prediction")(x)


def dense_box_head(maps, rng):
    """Every position of the feature map has weights of its own, so the place is kept."""
    x = layers.Conv2D(
        64, 1, activation="relu", kernel_initializer=initializer(rng), name="bbox_conv"
    )(maps[-1])
    x = layers.Flatten(name="bbox_flatten")(x)
    x = layers.Dense(
        128, activation="relu", kernel_initializer=initializer(rng), name="bbox_dense"
    )(x)
    return layers.Dense(
        4, activation="sigmoid", kernel_initializer=initializer(rng), name="bbox_prediction"
    )(x)


def spatial_box_head(maps, rng):
    """Each edge is the mean of a distribution over the columns or rows of the fused maps.

    Integral regression: X. Sun et al., "Integral Human Pose Regression", ECCV 2018,
    arXiv:1711.08229. How sharp the distributions are tells how good the box is: X. Li
    et al., "Generalized Focal Loss V2", CVPR 2021, arXiv:2011.12885.
    """
    fused = _fused(maps, rng)
    columns, column_sharpness = _edges_along(fused, 2, 1, "x", rng)
    rows, row_sharpness = _edges_along(fused, 1, 2, "y", rng)
    box = layers.Concatenate(name="bbox_edges")([columns, rows])
    estimate = _iou_estimate(box, [column_sharpness, row_sharpness], rng)
    # The estimate is no output of the model, but part of it, and can be made an output.
    return FirstInput(name="bbox_prediction")([box, estimate])


BOX_HEADS = {"dense": dense_box_head, "pooled": pooled_box_head, "spatial": spatial_box_head}

#: Channels that each feature map is brought to before they are fused.
FUSED_CHANNELS = 64

#: Few steps must be enough for the statistics to settle; Keras's own momentum is 0.99.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable("skbbox")
class FirstInput(layers.Layer):
    """Gives its first input on; what the others come from stays part of the model."""

    def call(self, inputs):
        return inputs[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def _fused(maps, rng):
    """All maps at the size of the finest, side by side."""
    height, width = maps[0].shape[1:3]
    parts = []
    for number, x in enumerate(maps, start=1):
        x = layers.Conv2D(
            FUSED_CHANNELS,
            1,
            use_bias=False,
            kernel_initializer=initializer(rng),
            name=f"bbox_map{number}",
        )(x)
        if x.shape[1:3] != (height, width):
            x = layers.Resizing(height, width, name=f"bbox_resize{number}")(x)
        parts.append(x)
    x = layers.Concatenate(name="bbox_fuse")(parts) if len(parts) > 1 else parts[0]
    x = layers.BatchNormalization(momentum=MOMENTUM, name="bbox_bn")(x)
    return layers.ReLU(name="bbox_relu")(x)


def _edges_along(features, axis, over, name, rng):
    """The two edges along one axis, and how sharp their distributions are."""
    profile = ops.concatenate(
        [ops.mean(features, axis=over), ops.max(features, axis=over)], axis=-1
    )
    profile = layers.Conv1D(
        64,
        5,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer(rng),
        name=f"bbox_{name}_profile1",
    )(profile)
    profile = layers.BatchNormalization(momentum=MOMENTUM, name=f"bbox_{name}_bn")(profile)
    profile = layers.ReLU(name=f"bbox_{name}_relu")(profile)
    profile = layers.Conv1D(
        2,
        5,
        padding="same",
        kernel_initializer=initializer(rng),
        name=f"bbox_{name}_profile2",
    )(profile)
    distribution = layers.Softmax(axis=1, name=f"bbox_{name}_distribution")(profile)
    length = features.shape[axis]
    positions = np.linspace(0.0, 1.0, length, dtype=np.float32).reshape(1, length, 1)
    means = ops.sum(distribution * positions, axis=1)
    edges = ops.stack([ops.min(means, axis=-1), ops.max(means, axis=-1)], axis=-1)
    # The estimate must not change what it is an estimate of.
    distribution = ops.stop_gradient(distribution)
    offsets = ops.expand_dims(ops.stop_gradient(means), axis=1) - positions
    spread = ops.sqrt(ops.sum(distribution * ops.square(offsets), axis=1) + 1e-6)
    return edges, ops.concatenate([ops.max(distribution, axis=1), spread], axis=-1)


def _iou_estimate(box, sharpness, rng):
    """The IoU that the box is expected to have, in 0..1, and the box: shape (n, 5)."""
    box = ops.stop_gradient(box)
    size = ops.stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]], axis=-1)
    x = layers.Concatenate(name="bbox_sharpness")([*sharpness, size])
    x = layers.Dense(
        16, activation="relu", kernel_initializer=initializer(rng), name="bbox_iou_hidden"
    )(x)
    x = layers.Dense(
        1, activation="sigmoid", kernel_initializer=initializer(rng), name="bbox_iou_estimate"
    )(x)
    # With the box beside it, which its loss needs to know what the IoU was.
    return layers.Concatenate(name="bbox_iou")([x, box])
