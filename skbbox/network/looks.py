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

__all__ = ["Crop", "look"]


def look(network: keras.Model, pixels: Tensor, n_looks: int) -> dict[str, Tensor]:
    """Outputs by name of a network after one or two looks, as ``predict`` combines them.

    Parameters
    ----------
    network : keras.Model
        From pixels in 0..255 to ``bbox_prediction`` and other outputs.
    pixels : KerasTensor of shape (n, height, width, 3)
    n_looks : {1, 2}

    Returns
    -------
    dict of str to KerasTensor
        Boxes are in image coordinates, within 0..1 and with their edges in order.
    """
    first = _call(network, pixels)
    if n_looks == 1:
        return first
    windows = Windows(name="windows")(first["bbox_prediction"])
    second = _call(network, Crop(name="crop")([pixels, windows]))
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
class Crop(layers.Layer):
    """Stretches windows of images to the size of the images, as Pillow's bilinear resize does.

    It consists of matrix products, which every runtime has.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        pixels, windows = inputs
        _, height, width, channels = pixels.shape
        pixels = ops.cast(pixels, windows.dtype)
        # Columns first. Pillow rounds after each axis.
        rows = ops.reshape(ops.transpose(pixels, (0, 2, 1, 3)), (-1, width, height * channels))
        rows = ops.round(ops.matmul(_weight_pixels(windows[:, :2], width), rows))
        rows = ops.transpose(ops.reshape(rows, (-1, width, height, channels)), (0, 2, 1, 3))
        rows = ops.reshape(rows, (-1, height, width * channels))
        rows = ops.round(ops.matmul(_weight_pixels(windows[:, 2:], height), rows))
        return ops.reshape(rows, (-1, height, width, channels))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        return input_shape[0]


def _weight_pixels(edges: Tensor, length: int) -> Tensor:
    """The share of each old pixel in each new one along an axis: a triangle, as wide as two pixels.

    Returns
    -------
    tensor of shape (n, length, length)
    """
    positions = ops.arange(length, dtype=edges.dtype) + 0.5
    start = edges[:, :1] * length
    scale = edges[:, 1:] - edges[:, :1]
    centres = start + scale * positions[None]
    # A window is at most as large as the image, so that no new pixel covers several old ones.
    shares = ops.maximum(1 - ops.abs(positions - centres[..., None]), 0.0)
    return shares / ops.sum(shares, axis=-1, keepdims=True)


def _call(network: keras.Model, pixels: Tensor) -> dict[str, Tensor]:
    parts = keras.tree.flatten(network(pixels))
    outputs = dict(zip(network.output_names, parts, strict=True))
    box = ops.clip(outputs["bbox_prediction"], 0.0, 1.0)
    outputs["bbox_prediction"] = OrderedBox()([box])
    return outputs
