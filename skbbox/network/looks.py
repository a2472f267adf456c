"""All looks in one network, for runtimes without skbbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from ..windows import from_window, place_windows
from .box_heads import OrderedBox
from .presence_head import PRESENCE

if TYPE_CHECKING:
    from ..typing import Tensor

__all__ = ["look"]

#: The window that shows a complete image.
WHOLE = ((0.0, 1.0, 0.0, 1.0),)

#: Pillow computes with weights of pixels that are multiples of its inverse.
PRECISION = 2.0**22


def look(network: keras.Model, pixels: Tensor, n_looks: int) -> dict[str, Tensor]:
    """Outputs by name of a network after one or two looks, as ``predict`` combines them.

    Parameters
    ----------
    network : keras.Model
        From pixels in 0..255 to ``bbox_prediction`` and other outputs.
    pixels : KerasTensor of shape (n, height, width, 3)
        Of the network's size or, where height and width are None, of any size.
    n_looks : {1, 2}

    Returns
    -------
    dict of str to KerasTensor
        Boxes are in image coordinates, within 0..1 and with their edges in order.
    """
    size = network.input_shape[1:3]
    if pixels.shape[1:3] == size:
        first = _call(network, ops.cast(pixels, "float32"))
    else:
        whole = ops.array(WHOLE, "float32")
        first = _call(network, Stretch(*size, name="resize")([pixels, whole]))
    if n_looks == 1:
        return first
    windows = Windows(name="windows")(first["bbox_prediction"])
    second = _call(network, Stretch(*size, name="crop")([pixels, windows]))
    second["bbox_prediction"] = from_window(second["bbox_prediction"], windows, ops)
    if "class_prediction" in second:
        second["class_prediction"] = (first["class_prediction"] + second["class_prediction"]) / 2
    if PRESENCE in second:
        second[PRESENCE] = first[PRESENCE]
    return second


@keras.saving.register_keras_serializable("skbbox")
class Windows(layers.Layer):
    """Places the windows of the second look; a layer, because the number of images is not known."""

    def call(self, boxes: Tensor) -> Tensor:
        return place_windows(boxes, ops)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable("skbbox")
class Stretch(layers.Layer):
    """Stretches windows of images to a size, as Pillow's bilinear resize does.

    It consists of matrix products, which every runtime has, one for each axis. Pillow rounds after
    each, so their order counts: since version 13 it is that of ``ImagingResampleInner`` in its
    ``Resample.c``, columns first except in images that shrink most in height.

    Parameters
    ----------
    height, width : int
        Size of the result.
    **kwargs
        As for ``keras.layers.Layer``. It is called with images as uint8 of shape (n, old height,
        old width, channels) and windows of shape (n, 4) or (1, 4).
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.height, self.width = height, width

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        pixels, windows = inputs
        # PyTorch gives sizes as tensors while it is traced.
        old_height, old_width, channels = (
            size if known is None else int(known)
            for size, known in zip(ops.shape(pixels)[1:], pixels.shape[1:], strict=True)
        )
        lost_rows, lost_columns = old_height - self.height, old_width - self.width
        is_tall = (lost_rows > 0) & (lost_rows > 2 * lost_columns)
        # Both products are the same for all images, along axes that are swapped where needed.
        x_edges, y_edges = windows[:, :2], windows[:, 2:]
        old1, old2 = _choose(is_tall, (old_height, old_width), (old_width, old_height))
        new1, new2 = _choose(is_tall, (self.height, self.width), (self.width, self.height))
        edges1, edges2 = _choose(is_tall, (y_edges, x_edges), (x_edges, y_edges))
        x = ops.cast(_swap(pixels, is_tall, swapped=False), windows.dtype)
        x = ops.reshape(x, (-1, old1, old2 * channels))
        x = _round(ops.matmul(_weight_pixels(edges1, old1, new1), x))
        x = ops.transpose(ops.reshape(x, (-1, new1, old2, channels)), (0, 2, 1, 3))
        x = ops.reshape(x, (-1, old2, new1 * channels))
        x = _round(ops.matmul(_weight_pixels(edges2, old2, new2), x))
        x = _swap(ops.reshape(x, (-1, new2, new1, channels)), is_tall, swapped=True)
        return ops.reshape(x, (-1, self.height, self.width, channels))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        (n, _, _, channels), _ = input_shape
        return n, self.height, self.width, channels


def _choose(condition: Any, yes: Sequence[Any], no: Sequence[Any]) -> Sequence[Any]:
    """One of two sequences; `condition` is a bool, or a tensor if the size of images is open."""
    if isinstance(condition, bool):
        return yes if condition else no
    return [ops.where(condition, *pair) for pair in zip(yes, no, strict=True)]


def _swap(x: Tensor, condition: Any, swapped: bool) -> Tensor:
    """Images with their height and width swapped where the condition equals `swapped`."""
    if isinstance(condition, bool):
        return ops.transpose(x, (0, 2, 1, 3)) if condition == swapped else x
    _, height, width, channels = ops.shape(x)
    kept, turned = ((height, width), (width, 1)), ((width, height), (1, width))
    (length1, length2), (step1, step2) = (
        _choose(condition, *(pair if swapped else pair[::-1]))
        for pair in zip(turned, kept, strict=True)
    )
    rows = ops.arange(length1)[:, None] * step1 + ops.arange(length2) * step2
    flat = ops.reshape(x, (-1, height * width, channels))
    return ops.reshape(
        ops.take(flat, ops.reshape(rows, (-1,)), axis=1), (-1, length1, length2, channels)
    )


def _weight_pixels(edges: Tensor, old: Any, new: int) -> Tensor:
    """The share of each old pixel in each new one along an axis.

    A triangle around the centre of the new pixel, which ends at those of its neighbours and is at
    least two old pixels wide: ``precompute_coeffs`` in Pillow's ``Resample.c``.

    Parameters
    ----------
    edges : tensor of shape (n, 2)
        First and last edge of the window, normalised.
    old, new : int or scalar tensor
        Number of pixels of the image and of the result.

    Returns
    -------
    tensor of shape (n, new, old)
    """
    old_length, new_length = ops.cast(old, edges.dtype), ops.cast(new, edges.dtype)
    starts, sides = edges[:, :1] * old_length, (edges[:, 1:] - edges[:, :1]) * old_length
    # In this unit all is exact for a complete image, but TFLite stores constants as float16.
    unit = 1.0 if isinstance(old, int) else 2 * new_length
    steps = sides / new_length if isinstance(old, int) else 2 * sides
    centres = starts * unit + steps * (ops.cast(ops.arange(new), edges.dtype) + 0.5)[None]
    positions = (ops.cast(ops.arange(old), edges.dtype) + 0.5) * unit
    distances = ops.abs(positions - centres[..., None])
    radii = ops.maximum(steps, unit)
    shares = ops.maximum(1 - distances / radii[..., None], 0.0)
    shares = shares / ops.sum(shares, axis=-1, keepdims=True)
    return shares if isinstance(old, int) else _round(shares * PRECISION) / PRECISION


def _round(x: Tensor) -> Tensor:
    """Round half up, as Pillow does; ``ops.round`` rounds half to even."""
    return ops.floor(x + 0.5)


def _call(network: keras.Model, pixels: Tensor) -> dict[str, Tensor]:
    parts = keras.tree.flatten(network(pixels))
    outputs = dict(zip(network.output_names, parts, strict=True))
    box = ops.clip(outputs["bbox_prediction"], 0.0, 1.0)
    outputs["bbox_prediction"] = OrderedBox()([box])
    return outputs
