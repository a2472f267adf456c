"""The box heads: from feature maps to the four edges of the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from ..losses import order_edges
from .feature_maps import reduce_axis
from .graph import synchronized
from .seeds import draw_seed, get_full_precision_dtype, make_initializer

if TYPE_CHECKING:
    from ..typing import FloatArray, Tensor
    from .feature_maps import FeatureMaps

__all__ = [
    "ATTENTION",
    "BOX_HEADS",
    "DROPOUT",
    "EDGES",
    "IOU_ESTIMATE",
    "ChannelDropout",
    "OrderedBox",
    "ProfileConvolution",
    "get_explainer",
    "normalize",
]

#: Names of the layers of the spatial head whose outputs are trained as well as the box: the
#: expected IoU of the box, and the logits of the distributions of its edges.
IOU_ESTIMATE = "bbox_iou"
EDGES = ("bbox_x_edges", "bbox_y_edges")

#: Name of the attention as an output of what :func:`get_explainer` returns.
ATTENTION = "bbox_attention"

#: Channels to which each feature map is reduced.
MAP_CHANNELS = 64

#: Channels of a profile between its two convolutions, and of a finer one before them.
PROFILE_CHANNELS = 64

#: Dropout rates of the features, and of the features from which the query is computed.
DROPOUT = 0.15
QUERY_DROPOUT = 0.3

#: The statistics must settle within few steps; Keras's default momentum is 0.99.
MOMENTUM = 0.9


class BoxOutput(NamedTuple):
    """What a box head returns.

    Attributes
    ----------
    box : KerasTensor of shape (n, 4)
        The output of the layer ``bbox_prediction``.
    edges : (KerasTensor, KerasTensor) or None
        Distributions of both edges along x and along y, of shape (n, length, 2), at positions from
        0 to 1; None for heads that predict only the box.
    """

    box: Tensor
    edges: tuple[Tensor, Tensor] | None = None


def build_pooled_head(features: FeatureMaps, rng: np.random.Generator) -> BoxOutput:
    """The chapter's head: one convolution, pooled over the image, four linear numbers.

    Parameters
    ----------
    features : FeatureMaps
        This head and the dense one use only the coarsest map.
    rng : numpy Generator
        Source of the seeds of the initial weights.

    Returns
    -------
    BoxOutput
    """
    x = layers.Conv2D(
        512, 3, padding="same", kernel_initializer=make_initializer(rng), name="bbox_conv"
    )(features.maps[-1])
    x = layers.BatchNormalization(name="bbox_bn")(x)
    x = layers.ReLU(name="bbox_relu")(x)
    x = layers.GlobalAveragePooling2D(name="bbox_pool")(x)
    box = layers.Dense(
        4,
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name="bbox_prediction",
    )(x)
    return BoxOutput(box)


def build_dense_head(features: FeatureMaps, rng: np.random.Generator) -> BoxOutput:
    """Dense layers on the flattened map: each position has its own weights, which keeps location.

    Parameters and result as for :func:`build_pooled_head`.
    """
    x = layers.Conv2D(
        64, 1, activation="relu", kernel_initializer=make_initializer(rng), name="bbox_conv"
    )(features.maps[-1])
    x = layers.Flatten(name="bbox_flatten")(x)
    x = layers.Dense(128, kernel_initializer=make_initializer(rng), name="bbox_dense")(x)
    # Without it, a large first step can leave no unit above 0, and so one box for all images.
    # It normalises each image alone, because a batch may contain only one.
    x = layers.LayerNormalization(name="bbox_norm")(x)
    x = layers.ReLU(name="bbox_relu")(x)
    box = layers.Dense(
        4,
        activation="sigmoid",
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name="bbox_prediction",
    )(x)
    return BoxOutput(box)


def build_spatial_head(features: FeatureMaps, rng: np.random.Generator) -> BoxOutput:
    """Each edge is the mean of a distribution over the columns or rows of the maps.

    Parameters and result as for :func:`build_pooled_head`.

    Integral regression: X. Sun et al., "Integral Human Pose Regression", ECCV 2018,
    arXiv:1711.08229. The distributions are trained as well as the box, and their sharpness
    predicts its quality: X. Li et al., "Generalized Focal Loss V2", CVPR 2021,
    arXiv:2011.12885.
    """
    size = features.maps[0].shape[1:3]
    if min(size) < 2:
        raise ValueError(
            "box_head='spatial' needs a feature map of at least 2 x 2 positions; this backbone "
            f"outputs {size}. Pass a larger image_size, or box_head='dense'."
        )
    attended = _attend(_reduce_channels(features.maps, rng), features.maps[-1], rng)
    finer_columns, finer_rows = features.profiles or (None, None)
    columns, column_sharpness, x_edges = _predict_edges(
        [reduce_axis(x, 1) for x in attended], finer_columns, "x", rng
    )
    rows, row_sharpness, y_edges = _predict_edges(
        [reduce_axis(x, 2) for x in attended], finer_rows, "y", rng
    )
    box = layers.Concatenate(dtype=get_full_precision_dtype(), name="bbox_edges")([columns, rows])
    estimate = _estimate_iou(box, [column_sharpness, row_sharpness], rng)
    # As an input, the estimate is part of the model, and `add_outputs` can make it an output.
    box = OrderedBox(dtype=get_full_precision_dtype(), name="bbox_prediction")([box, estimate])
    return BoxOutput(box, (x_edges, y_edges))


BOX_HEADS: dict[str, Callable[[FeatureMaps, np.random.Generator], BoxOutput]] = {
    "dense": build_dense_head,
    "pooled": build_pooled_head,
    "spatial": build_spatial_head,
}


@synchronized
def get_explainer(model: keras.Model) -> keras.Model | None:
    """The part of a model from pixels to its box and what the spatial head reads it from.

    Returns
    -------
    keras.Model or None
        Its outputs are ``bbox_prediction``, the logits of ``EDGES``, and ``ATTENTION``, of shape
        (n, height, width, 1), in 0..1. None for another box head.
    """
    names = {layer.name for layer in model.layers}
    if not names.issuperset(EDGES):
        return None
    # In files of earlier versions as in new models, the attention has no name of its own.
    finest = model.get_layer("bbox_map1_relu").output
    sigmoids = {id(step.output): step.output for step in model.operations if _is_sigmoid(step)}
    factors = [
        sigmoids[id(factor)]
        for step in model.operations
        for inputs in [keras.tree.flatten(step.input)]
        if any(x is finest for x in inputs)
        for factor in inputs
        if id(factor) in sigmoids
    ]
    attention = layers.Identity(name=ATTENTION)(factors[0])
    outputs = [model.get_layer(name).output for name in ("bbox_prediction", *EDGES)]
    return keras.Model(model.input, [*outputs, attention])


@keras.saving.register_keras_serializable("skbbox")
class OrderedBox(layers.Layer):
    """The first input, a box, with its edges in order; other inputs stay part of the model.

    In training, edges are not ordered, so that each distribution has one edge to learn.
    """

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        return inputs[0] if training else order_edges(inputs[0])

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        return input_shape[0]


@keras.saving.register_keras_serializable("skbbox")
class ChannelDropout(layers.Dropout):
    """Dropout of complete channels, as SpatialDropout1D and 2D, by a single multiplication.

    Those take 1.2 to 1.3 times as long on a CPU: see ``benchmarks/layers.py``.
    """

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        # One for each channel of each image.
        ones = ops.ones_like(inputs[(slice(None), *[slice(1)] * (len(inputs.shape) - 2))])
        return inputs * super().call(ones, training=True)


@keras.saving.register_keras_serializable("skbbox")
class ProfileConvolution(layers.Layer):
    """A convolution of stride 1 along profiles that are concatenated along channels.

    Profiles shorter than the last are stretched to its length by their nearest positions. Each
    profile is one matrix product at its own length. With Conv1D, a training step of the heads takes
    1.04 to 1.05 times as long on a CPU: see ``benchmarks/layers.py``.

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
        self,
        filters: int,
        kernel_size: int,
        use_bias: bool = True,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.use_bias = filters, kernel_size, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def build(self, input_shape: Sequence[Any]) -> None:
        shape = (self.kernel_size, sum(shape[-1] for shape in input_shape), self.filters)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[-1][:-1], self.filters)

    def call(self, profiles: Sequence[Tensor]) -> Tensor:
        # PyTorch gives sizes as tensors while it is traced.
        length = int(profiles[-1].shape[1])
        width, channels, filters = map(int, self.kernel.shape)
        kernel = ops.transpose(self.kernel, (1, 0, 2))
        kernel = ops.reshape(kernel, (channels, width * filters))
        total, first = 0, 0
        for profile in profiles:
            last = first + profile.shape[-1]
            total += self._convolve(profile, kernel[first:last], length)
            first = last
        return total if self.bias is None else total + self.bias

    def _convolve(self, profile: Tensor, kernel: Tensor, length: int) -> Tensor:
        old, channels = map(int, profile.shape[1:])
        # The product of each position with each offset of the kernel, then their sums.
        parts = ops.matmul(ops.reshape(profile, (-1, channels)), kernel)
        parts = ops.reshape(parts, (-1, old * self.kernel_size, self.filters))
        neighbours = _select_neighbours(old, length, self.kernel_size)
        return ops.matmul(ops.cast(neighbours, parts.dtype), parts)


def _select_neighbours(old: int, length: int, width: int) -> FloatArray:
    """The old positions and kernel offsets that add up to each new position.

    Position i sums the neighbours i + k - (width - 1) // 2 over all offsets k.

    Returns
    -------
    ndarray of shape (length, old * width)
        Of 0 and 1.
    """
    positions, offsets = np.arange(length)[:, None], np.arange(width)
    neighbours = positions + offsets - (width - 1) // 2
    inside = (neighbours >= 0) & (neighbours < length)
    # The centre of new position i is at (i + 1/2) / length.
    nearest = (2 * neighbours + 1) * old // (2 * length)
    result = np.zeros((length, old, width))
    result[positions, nearest.clip(0, old - 1), offsets] = inside
    return result.reshape(length, old * width)


def _is_sigmoid(step: keras.Operation) -> bool:
    return type(step).__name__ == "Sigmoid"


def _reduce_channels(maps: list[Tensor], rng: np.random.Generator) -> list[Tensor]:
    """Each map with fewer channels, at its own size."""
    reduced = []
    for number, x in enumerate(maps, start=1):
        # Complete channels, because neighbours would reveal a dropped position.
        x = ChannelDropout(DROPOUT, seed=draw_seed(rng), name=f"bbox_map{number}_dropout")(x)
        # The same as a 1x1 convolution, whose gradient takes longer.
        x = layers.Dense(
            MAP_CHANNELS,
            use_bias=False,
            kernel_initializer=make_initializer(rng),
            name=f"bbox_map{number}",
        )(x)
        reduced.append(normalize(x, f"bbox_map{number}"))
    return reduced


def _attend(maps: list[Tensor], coarsest: Tensor, rng: np.random.Generator) -> list[Tensor]:
    """Weight each position of the maps by its similarity to a summary of the image.

    Scaled dot product: A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.

    Returns
    -------
    list of KerasTensor of shape (n, height, width, channels)
        The weighted maps, the coarsest first, and the attention logits.
    """
    channels = sum(x.shape[-1] for x in maps)
    query = layers.GlobalAveragePooling2D(name="bbox_query_pool")(coarsest)
    query = layers.Dropout(QUERY_DROPOUT, seed=draw_seed(rng), name="bbox_query_dropout")(query)
    query = layers.Dense(channels, kernel_initializer=make_initializer(rng), name="bbox_query")(
        query
    )
    attention_logits, first = 0, 0
    for number, x in enumerate(maps, start=1):
        last = first + x.shape[-1]
        logits = ops.sum(x * query[:, None, None, first:last], axis=-1, keepdims=True)
        # Layer names are stored in files of earlier versions.
        name = f"bbox_likeness{number}"
        attention_logits += _resize_like(logits / channels**0.5, maps[0], name)
        first = last
    attended = [
        x * ops.sigmoid(_resize_like(attention_logits, x, f"bbox_attention{number}"))
        for number, x in enumerate(maps, start=1)
    ]
    return [*attended[::-1], attention_logits]


def _resize_like(x: Tensor, other: Tensor, name: str) -> Tensor:
    """A map at the height and width of another."""
    size = other.shape[1:3]
    return x if x.shape[1:3] == size else layers.Resizing(*size, name=name)(x)


def _predict_edges(
    profiles: list[Tensor], finer: Tensor | None, name: str, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The two edges along one axis, the sharpness of their distributions, and these."""
    if finer is not None:
        finer = ChannelDropout(DROPOUT, seed=draw_seed(rng), name=f"bbox_{name}_finer_dropout")(
            finer
        )
        profiles = [*profiles, _convolve_profiles([finer], 1, f"bbox_{name}_finer", rng)]
    profile = _convolve_profiles(profiles, 5, f"bbox_{name}_profile1", rng)
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
    # Training the IoU estimate must not change the box.
    fixed = ops.stop_gradient(distribution)
    offsets = ops.expand_dims(ops.stop_gradient(edges), axis=1) - positions
    spread = ops.sqrt(ops.sum(fixed * ops.square(offsets), axis=1) + 1e-6)
    sharpness = ops.concatenate([ops.max(fixed, axis=1), spread], axis=-1)
    return edges, sharpness, distribution


def _convolve_profiles(
    profiles: list[Tensor], width: int, name: str, rng: np.random.Generator
) -> Tensor:
    x = ProfileConvolution(
        PROFILE_CHANNELS,
        width,
        use_bias=False,
        kernel_initializer=make_initializer(rng),
        name=name,
    )(profiles)
    return normalize(x, name)


def normalize(x: Tensor, name: str) -> Tensor:
    """Batch normalisation and ReLU, in layers whose names begin with `name`."""
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _estimate_iou(box: Tensor, sharpness: list[Tensor], rng: np.random.Generator) -> Tensor:
    """The expected IoU of the box, in 0..1, and the box: shape (n, 5)."""
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
    # The loss of the estimate needs the box, to compute its IoU.
    return layers.Concatenate(dtype=dtype, name="bbox_iou")([x, box])
