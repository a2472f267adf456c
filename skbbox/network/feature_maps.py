"""The features of an image: feature maps, of which the finer ones have fewer channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import threadpoolctl
from keras import layers, ops

from ..images import load_parts
from .graph import FEATURES, digest_model, synchronized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, Pixels, Tensor

__all__ = ["FeatureMaps", "compute_kernels", "make_features", "make_profiles", "reduce_axis"]

#: Finer maps are projected on half of their channels, and no fewer than this.
LEAST_CHANNELS = 128

#: Parts of photographs on which the projections are computed, and how many at a time.
N_PARTS = 64
PARTS_TOGETHER = 16

#: Height of a part, from these pixels to the height of the photograph.
LEAST_HEIGHT = 64

#: Kernels of the projections by the digest of their network, in the order of use.
_kernels: dict[bytes, list[NDArray[np.float32] | None]] = {}
N_KERNELS = 8


class FeatureMaps(NamedTuple):
    """The features that the heads read.

    Attributes
    ----------
    maps : list of KerasTensor of shape (n, height, width, channels)
        One or two maps, the coarsest last.
    profiles : tuple of KerasTensor of shape (n, length, channels)
        Of a third, finer map along columns and along rows; empty without such a map. Profiles are
        small enough to be stored for every image.
    """

    maps: list[Tensor]
    profiles: tuple[Tensor, ...]


def make_features(pixels: Tensor, maps: Sequence[Tensor], is_projected: bool) -> FeatureMaps:
    """Name the outputs of a backbone as features.

    Parameters
    ----------
    pixels : KerasTensor
        The input from which the maps are computed.
    maps : sequence of KerasTensor of shape (n, height, width, channels)
        Up to three, the coarsest last.
    is_projected : bool
        Whether profiles and the finer of the last two maps get fewer channels. The coarsest map
        keeps all of them, because the class is read from it.

    Notes
    -----
    The projections are principal components of the features of two photographs that are part of
    scikit-learn. So they depend on the backbone and on the image size alone: not on the images of
    a fit, on its folds or on its labels.
    """
    *finer, coarsest = maps
    wide = [*_reduce_axes(finer[0]), finer[1]] if len(finer) > 1 else finer
    is_projected = is_projected and any(_count_components(x.shape[-1]) < x.shape[-1] for x in wide)
    kernels = compute_kernels(keras.Model(pixels, wide)) if is_projected else [None] * len(wide)
    *names, name = FEATURES[-1 - len(wide) :]
    projected = [_project(*parts) for parts in zip(wide, kernels, names, strict=True)]
    coarsest = layers.Identity(name=name)(coarsest)
    return FeatureMaps([*projected[-1:], coarsest], tuple(projected[:-1]))


def make_profiles(finest: Tensor) -> tuple[Tensor, ...]:
    """Profiles of a map with all its channels, named as features."""
    named = zip(_reduce_axes(finest), FEATURES, strict=False)
    return tuple(layers.Identity(name=name)(x) for x, name in named)


def _reduce_axes(finest: Tensor) -> list[Tensor]:
    return [reduce_axis(finest, axis) for axis in (1, 2)]


def reduce_axis(features: Tensor, axis: int) -> Tensor:
    """A profile: mean and maximum over one axis, of shape (n, length, 2 * channels)."""
    return ops.concatenate([ops.mean(features, axis=axis), ops.max(features, axis=axis)], axis=-1)


def _project(x: Tensor, kernel: NDArray[np.float32] | None, name: str) -> Tensor:
    if kernel is None:
        return layers.Identity(name=name)(x)
    layer = layers.Dense(kernel.shape[1], use_bias=False, trainable=False, name=name)
    projected = layer(x)
    layer.set_weights([kernel])
    return projected


@synchronized
def compute_kernels(model: keras.Model) -> list[NDArray[np.float32] | None]:
    """A projection for each output of a model; both profiles have the same one.

    Returns
    -------
    list of ndarray of shape (channels, fewer channels) or None
        With orthonormal columns; None for an output that has few channels.
    """
    key = digest_model(model)
    kernels = _kernels.pop(key, None)
    if kernels is None:
        values = _compute_outputs(model)
        profiles, finer = values[:-1], values[-1]
        # The number of threads changes the last digits.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            kernels = [_compute_components(np.concatenate(profiles))] * 2 if profiles else []
            kernels += [_compute_components(finer)]
    _kernels[key] = kernels
    while len(_kernels) > N_KERNELS:
        del _kernels[next(iter(_kernels))]
    return kernels


def _compute_outputs(model: keras.Model) -> list[FloatArray]:
    """The outputs for the parts of photographs, a row for each position."""
    parts = _cut_photographs(tuple(model.input_shape[1:3]))
    outputs = [
        # Called directly: compiling it takes longer than running it.
        keras.tree.flatten(model(parts[first : first + PARTS_TOGETHER], training=False))
        for first in range(0, len(parts), PARTS_TOGETHER)
    ]
    return [
        np.concatenate([ops.convert_to_numpy(ops.cast(x, "float32")) for x in values])
        .reshape(-1, values[0].shape[-1])
        .astype(np.float64)
        for values in zip(*outputs, strict=True)
    ]


def _count_components(n_channels: int) -> int:
    return max(n_channels // 2, min(n_channels, LEAST_CHANNELS))


def _compute_components(values: FloatArray) -> NDArray[np.float32] | None:
    """Principal components of rows, or None if no fewer components than columns are kept."""
    n_components = _count_components(values.shape[1])
    if n_components == values.shape[1]:
        return None
    centred = values - values.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)
    return components[:, : -n_components - 1 : -1].astype(np.float32)


def _cut_photographs(image_size: tuple[int, int]) -> Pixels:
    """Parts of two photographs in several sizes, mirrored and with exchanged colours."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    photographs = load_sample_images().images
    parts = []
    for number in range(N_PARTS):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        part_height = np.exp(rng.uniform(np.log(LEAST_HEIGHT), np.log(height)))
        part_width = min(part_height * rng.uniform(0.7, 1.4), width)
        left, top = rng.uniform(0, width - part_width), rng.uniform(0, height - part_height)
        window = np.array([left, left + part_width, top, top + part_height])
        window /= [width, width, height, height]
        (part,) = load_parts(photograph, image_size, [window])
        if rng.random() < 0.5:
            part = part[:, ::-1]
        parts.append(part[..., rng.permutation(3)])
    return np.stack(parts)
