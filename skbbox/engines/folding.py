"""Fold BatchNorm layers into the convolutions before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from ..network.graph import set_weights, synchronized, without_compile_config
from ..network.seeds import preserve_random_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..typing import Tensor

__all__ = ["fold_batch_norm"]


@synchronized
def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy for prediction only, with each BatchNorm folded into the convolution before it.

    In prediction, BatchNorm is a product and a sum for each channel, which the weights of the
    convolution can include: B. Jacob et al., "Quantization and Training of Neural Networks for
    Efficient Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877, section 3.2.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    keras.Model
        Outputs the same as the model, except for the rounding of float32. A subclassed model,
        whose layers are not known, is returned unchanged.
    """
    if getattr(model, "inputs", None) is None:
        return model
    pairs = {}
    for norm in model.layers:
        convolution = _find_convolution(norm)
        if convolution is not None and not _is_output(model, convolution):
            pairs[convolution.name] = convolution, norm
    norms = {norm.name for _, norm in pairs.values()}

    def copy_layer(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, keras.Model):
            return fold_batch_norm(layer)
        # Custom layers may not support copying; both models can use the same one.
        if isinstance(layer, layers.Lambda) or not type(layer).__module__.startswith("keras."):
            return layer
        config = layer.get_config()
        if layer.name in pairs:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call_layer(layer: layers.Layer, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return x if layer.name in norms else layer(x, *args, **kwargs)

    with preserve_random_state():
        copy = keras.models.clone_model(
            without_compile_config(model), clone_function=copy_layer, call_function=call_layer
        )
    for layer in model.layers:
        if layer.name in pairs:
            copy.get_layer(layer.name).set_weights(_fold_weights(*pairs[layer.name]))
        elif layer.weights and layer.name not in norms and not isinstance(layer, keras.Model):
            set_weights(copy.get_layer(layer.name), layer.get_weights())
    return copy


def _find_convolution(norm: layers.Layer) -> layers.Layer | None:
    """The convolution whose output is used only by this BatchNorm, or None."""
    if not isinstance(norm, layers.BatchNormalization) or norm.axis not in (-1, 3):
        return None
    convolution = norm._inbound_nodes[0].input_tensors[0]._keras_history.operation
    if type(convolution) not in (layers.Conv2D, layers.DepthwiseConv2D):
        return None
    calls = (norm._inbound_nodes, convolution._inbound_nodes, convolution._outbound_nodes)
    alone = all(len(nodes) == 1 for nodes in calls)
    linear = convolution.activation is keras.activations.linear
    return convolution if alone and linear else None


def _is_output(model: keras.Model, layer: layers.Layer) -> bool:
    return any(tensor._keras_history.operation is layer for tensor in model.outputs)


def _fold_weights(
    convolution: layers.Layer, norm: layers.BatchNormalization
) -> list[npt.NDArray[Any]]:
    """Kernel and bias of a convolution that includes the BatchNorm after it."""
    kernel, *bias = convolution.get_weights()
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = (bias[0] if bias else 0) - mean
    bias = shift * factor + (np.asarray(norm.beta) if norm.center else 0)
    # The last axis of a kernel counts its outputs; of a depthwise kernel, the last two axes do.
    depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    return [kernel * (factor.reshape(kernel.shape[2:]) if depthwise else factor), bias]
