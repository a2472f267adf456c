"""The box heads: from feature maps to the four edges of the box."""

import keras
import numpy as np
from keras import layers, ops

from ..losses import order_edges
from .seeds import draw_seed, get_full_precision_dtype, make_initializer

__all__ = [
    "BOX_HEADS",
    "EDGES",
    "IOU_ESTIMATE",
    "PROFILES",
    "OrderedBox",
    "dense_box_head",
    "pooled_box_head",
    "spatial_box_head",
]

#: Names of the layers that give the profiles of the finest map, along columns and rows.
PROFILES = ("features_columns", "features_rows")


#: Names of the layers of the spatial head whose outputs are trained beside the box: what its
#: IoU is expected to be, and the logits of the distributions of its edges.
IOU_ESTIMATE = "bbox_iou"
EDGES = ("bbox_x_edges", "bbox_y_edges")


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
        512, 3, padding="same", kernel_initializer=make_initializer(rng), name="bbox_conv"
    )(maps[-1])
    x = layers.BatchNormalization(name="bbox_bn")(x)
    x = layers.ReLU(name="bbox_relu")(x)
    x = layers.GlobalAveragePooling2D(name="bbox_pool")(x)
    return layers.Dense(
        4,
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name="bbox_prediction",
    )(x)


def dense_box_head(maps, rng):
    """Every position of the feature map has weights of its own, so the place is kept."""
    x = layers.Conv2D(
        64, 1, activation="relu", kernel_initializer=make_initializer(rng), name="bbox_conv"
    )(maps[-1])
    x = layers.Flatten(name="bbox_flatten")(x)
    x = layers.Dense(128, kernel_initializer=make_initializer(rng), name="bbox_dense")(x)
    # Without it a first large step can leave no unit above 0, and one box for all images; of
    # each image alone, as a batch may hold one.
    x = layers.LayerNormalization(name="bbox_norm")(x)
    x = layers.ReLU(name="bbox_relu")(x)
    return layers.Dense(
        4,
        activation="sigmoid",
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name="bbox_prediction",
    )(x)


def spatial_box_head(maps, rng):
    """Each edge is the mean of a distribution over the columns or rows of the maps.

    The last two maps are read at every position; of a third, finer one the profiles alone are
    used, which are small enough to be kept for every image.

    Integral regression: X. Sun et al., "Integral Human Pose Regression", ECCV 2018,
    arXiv:1711.08229. The distributions are trained beside the box, and how sharp they are
    tells how good it is: X. Li et al., "Generalized Focal Loss V2", CVPR 2021,
    arXiv:2011.12885.
    """
    size = maps[-2:][0].shape[1:3]
    if min(size) < 2:
        raise ValueError(
            "box_head='spatial' reads edges from a feature map of at least 2 x 2 positions; this "
            f"backbone gives {size}. Pass a larger image_size, or "
            "box_head='dense'."
        )
    attended = _attended(_reduced(maps[-2:], rng), maps[-1], rng)
    finer_columns, finer_rows = _finer_profiles(maps[0]) if len(maps) > 2 else (None, None)
    columns, column_sharpness = _edges([_profile(x, 1) for x in attended], finer_columns, "x", rng)
    rows, row_sharpness = _edges([_profile(x, 2) for x in attended], finer_rows, "y", rng)
    box = layers.Concatenate(dtype=get_full_precision_dtype(), name="bbox_edges")([columns, rows])
    estimate = _iou_estimate(box, [column_sharpness, row_sharpness], rng)
    # The estimate is no output of the model, but part of it, and can be made an output.
    return OrderedBox(dtype=get_full_precision_dtype(), name="bbox_prediction")([box, estimate])


BOX_HEADS = {"dense": dense_box_head, "pooled": pooled_box_head, "spatial": spatial_box_head}

#: Channels that each feature map is brought to.
MAP_CHANNELS = 64

#: Channels of a profile between its two convolutions, and of a finer one before them.
PROFILE_CHANNELS = 64

#: Share of the features that is left out in training, and of those of the query.
DROPOUT = 0.2
QUERY_DROPOUT = 0.3

#: Few steps must be enough for the statistics to settle; Keras's own momentum is 0.99.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable("skbbox")
class OrderedBox(layers.Layer):
    """The box, its first input, with edges in order; what the others come from stays in the model.

    In training edges are left as they are, so that each distribution has one edge to learn.
    """

    def call(self, inputs, training=False):
        return inputs[0] if training else order_edges(inputs[0])

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("skbbox")
class ChannelDropout(layers.Dropout):
    """Dropout of whole channels, as the layers SpatialDropout1D and 2D do, in one product.

    Their own way takes twice as long on a processor.
    """

    def call(self, inputs, training=False):
        if not training:
            return inputs
        # One for each channel of each image.
        ones = ops.ones_like(inputs[(slice(None), *[slice(1)] * (len(inputs.shape) - 2))])
        return inputs * super().call(ones, training=True)


@keras.saving.register_keras_serializable("skbbox")
class ProfileConvolution(layers.Layer):
    """A convolution of stride 1 along profiles that lie side by side.

    Profiles shorter than the last are stretched to its length, each new position like the
    nearest old one. One product of matrices for each, at its own length: the gradient of
    Conv1D takes about three times as long on a processor, for profiles of a few dozen
    positions and hundreds of channels.

    Parameters
    ----------
    filters, kernel_size : int
    use_bias : bool, default=True
    kernel_initializer : str or keras.initializers.Initializer, default="glorot_uniform"
    **kwargs
        As for ``keras.layers.Layer``. It is called with a list of tensors of shape
        (n, length, channels) and returns one of shape (n, length of the last, filters).
    """

    def __init__(
        self, filters, kernel_size, use_bias=True, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.use_bias = filters, kernel_size, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def build(self, input_shape):
        shape = (self.kernel_size, sum(shape[-1] for shape in input_shape), self.filters)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")

    def compute_output_shape(self, input_shape):
        return (*input_shape[-1][:-1], self.filters)

    def call(self, profiles):
        # PyTorch gives sizes as tensors while it is traced.
        length = int(profiles[-1].shape[1])
        total, first = 0, 0
        for profile in profiles:
            last = first + profile.shape[-1]
            total += self._convolved(profile, self.kernel[:, first:last], length)
            first = last
        return total if self.bias is None else total + self.bias

    def _convolved(self, profile, kernel, length):
        width, channels, filters = map(int, kernel.shape)
        old = int(profile.shape[1])
        kernel = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (channels, width * filters))
        # What each position gives to each of its neighbours, and then where that goes.
        parts = ops.matmul(ops.reshape(profile, (-1, channels)), kernel)
        parts = ops.reshape(parts, (-1, old * width, filters))
        return ops.matmul(ops.cast(_neighbours(old, length, width), parts.dtype), parts)


def _neighbours(old, length, width):
    """For each new position, which offsets of which old positions add up to it.

    Position i takes from its neighbour i + k - (width - 1) // 2 at offset k.

    Returns
    -------
    ndarray of shape (length, old * width)
        Of 0 and 1.
    """
    positions, offsets = np.arange(length)[:, None], np.arange(width)
    neighbours = positions + offsets - (width - 1) // 2
    inside = (neighbours >= 0) & (neighbours < length)
    # Position i of the new ones has its middle at (i + 1/2) / length.
    nearest = (2 * neighbours + 1) * old // (2 * length)
    result = np.zeros((length, old, width))
    result[positions, nearest.clip(0, old - 1), offsets] = inside
    return result.reshape(length, old * width)


def _reduced(maps, rng):
    """Each map with fewer channels, at its own size."""
    reduced = []
    for number, x in enumerate(maps, start=1):
        # Whole channels, as neighbours tell what one position held.
        x = ChannelDropout(DROPOUT, seed=draw_seed(rng), name=f"bbox_map{number}_dropout")(x)
        # At each position, as a 1x1 convolution does, whose gradient takes longer.
        x = layers.Dense(
            MAP_CHANNELS,
            use_bias=False,
            kernel_initializer=make_initializer(rng),
            name=f"bbox_map{number}",
        )(x)
        reduced.append(_normalized(x, f"bbox_map{number}"))
    return reduced


def _attended(maps, coarsest, rng):
    """The maps, strong where a position is like the picture as a whole, and that likeness.

    Scaled dot product: A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.

    Returns
    -------
    list of KerasTensor of shape (n, height, width, channels)
        The coarsest first.
    """
    channels = sum(x.shape[-1] for x in maps)
    query = layers.GlobalAveragePooling2D(name="bbox_query_pool")(coarsest)
    query = layers.Dropout(QUERY_DROPOUT, seed=draw_seed(rng), name="bbox_query_dropout")(query)
    query = layers.Dense(channels, kernel_initializer=make_initializer(rng), name="bbox_query")(
        query
    )
    likeness, first = 0, 0
    for number, x in enumerate(maps, start=1):
        last = first + x.shape[-1]
        part = ops.sum(x * query[:, None, None, first:last], axis=-1, keepdims=True)
        likeness += _resized(part / channels**0.5, maps[0], f"bbox_likeness{number}")
        first = last
    attended = [
        x * ops.sigmoid(_resized(likeness, x, f"bbox_attention{number}"))
        for number, x in enumerate(maps, start=1)
    ]
    return [*attended[::-1], likeness]


def _resized(x, to, name):
    """A map at the height and width of another."""
    size = to.shape[1:3]
    return x if x.shape[1:3] == size else layers.Resizing(*size, name=name)(x)


def _finer_profiles(finest):
    """Profiles along both axes, as features of the image that no weights are in."""
    return [
        layers.Identity(name=name)(_profile(finest, over))
        for name, over in zip(PROFILES, (1, 2), strict=True)
    ]


def _profile(features, over):
    """Mean and greatest value over one axis: (n, length, 2 * channels)."""
    return ops.concatenate([ops.mean(features, axis=over), ops.max(features, axis=over)], axis=-1)


def _edges(profiles, finer, name, rng):
    """The two edges along one axis, and how sharp their distributions are."""
    if finer is not None:
        finer = ChannelDropout(DROPOUT, seed=draw_seed(rng), name=f"bbox_{name}_finer_dropout")(
            finer
        )
        profiles = [*profiles, _convolved([finer], 1, f"bbox_{name}_finer", rng)]
    profile = _convolved(profiles, 5, f"bbox_{name}_profile1", rng)
    profile = layers.Dropout(DROPOUT, seed=draw_seed(rng), name=f"bbox_{name}_dropout")(profile)
    profile = ProfileConvolution(
        2,
        5,
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name=f"bbox_{name}_edges",
    )([profile])
    distribution = layers.Softmax(
        axis=1, dtype=get_full_precision_dtype(), name=f"bbox_{name}_distribution"
    )(profile)
    length = distribution.shape[1]
    positions = np.linspace(0.0, 1.0, length, dtype=np.float32).reshape(1, length, 1)
    edges = ops.sum(distribution * positions, axis=1)
    # The estimate must not change what it is an estimate of.
    distribution = ops.stop_gradient(distribution)
    offsets = ops.expand_dims(ops.stop_gradient(edges), axis=1) - positions
    spread = ops.sqrt(ops.sum(distribution * ops.square(offsets), axis=1) + 1e-6)
    return edges, ops.concatenate([ops.max(distribution, axis=1), spread], axis=-1)


def _convolved(profiles, width, name, rng):
    x = ProfileConvolution(
        PROFILE_CHANNELS,
        width,
        use_bias=False,
        kernel_initializer=make_initializer(rng),
        name=name,
    )(profiles)
    return _normalized(x, name)


def _normalized(x, name):
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _iou_estimate(box, sharpness, rng):
    """The IoU that the box is expected to have, in 0..1, and the box: shape (n, 5)."""
    box = ops.stop_gradient(box)
    size = ops.stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]], axis=-1)
    dtype = get_full_precision_dtype()
    x = layers.Concatenate(dtype=dtype, name="bbox_sharpness")([*sharpness, size])
    for units, activation, name in ((16, "relu", "hidden"), (1, "sigmoid", "estimate")):
        x = layers.Dense(
            units,
            activation=activation,
            kernel_initializer=make_initializer(rng),
            dtype=dtype,
            name=f"bbox_iou_{name}",
        )(x)
    # With the box beside it, which its loss needs to know what the IoU was.
    return layers.Concatenate(dtype=dtype, name="bbox_iou")([x, box])
