"""The two-head network: a backbone, a neck, a class head and a box head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers

from .backbones import add_finer_maps, build_backbone, split_last_stage
from .box_heads import BOX_HEADS, DROPOUT, ChannelDropout, normalize
from .class_head import ClassHead
from .feature_maps import FeatureMaps, make_features, make_profiles
from .graph import unfreeze
from .preprocessing import get_preprocessing, make_preprocessing_layer
from .presence_head import add_presence_head
from .seeds import draw_seed, make_initializer, preserve_random_state

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..typing import PathLikeStr, Tensor
    from .preprocessing import Preprocess

__all__ = ["build_network", "get_frozen"]


def build_network(
    *,
    backbone: str | keras.Model | Callable[..., keras.Model],
    weights: PathLikeStr | None,
    frozen: str,
    alpha: float,
    preprocessing: str | Preprocess | None,
    image_size: tuple[int, int],
    neck: int,
    box_head: str,
    n_classes: int | None,
    dropout: float,
    l2: float,
    rng: np.random.Generator,
    has_presence: bool = False,
) -> keras.Model:
    """Build the two-head model.

    Parameters
    ----------
    backbone, weights, frozen, alpha, preprocessing, image_size, box_head, dropout, l2
        As for :class:`SingleBoxLocalizer`; `image_size` as (height, width).
    neck : int
        Channels of the neck; 0 leaves it out, and the class is read from the whole image.
    n_classes : int or None
        None leaves out the class head.
    rng : numpy Generator
        Source of every layer's seed.
    has_presence : bool, default=False
        Whether there is a presence head.

    Returns
    -------
    keras.Model
        From pixels in 0..255 to ``[class_prediction, bbox_prediction, object_presence]``.
    """
    if box_head not in BOX_HEADS:
        raise ValueError(f"box_head must be one of {list(BOX_HEADS)}. Received: {box_head!r}.")
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Images are (height, width, channels) here, but Keras is set to build networks for "
            "(channels, height, width); call keras.config.set_image_data_format('channels_last') "
            f"before fit. Received: {keras.config.image_data_format()!r}."
        )
    with preserve_random_state():
        extractor, preprocess = build_backbone(backbone, weights, alpha, image_size, rng)
        _check_feature_map(extractor, image_size)
        if box_head == "spatial":
            extractor = add_finer_maps(extractor, image_size)
        pixels = keras.Input((*image_size, 3), name="image")
        if preprocessing != "auto":
            preprocess = get_preprocessing(preprocessing)
        prepared = make_preprocessing_layer(preprocess, image_size)(pixels)
        frozen = get_frozen(weights, frozen)
        if frozen == "early":
            features = _compute_features_in_stages(extractor, prepared, image_size)
        else:
            extractor.trainable = frozen == "none"
            if weights is None:
                maps = extractor(prepared)
            else:
                if frozen == "none":
                    unfreeze(extractor)
                # BatchNorm must not update the statistics of given weights (keras#9965).
                maps = extractor(prepared, training=False)
            maps = maps if isinstance(maps, list) else [maps]
            features = make_features(pixels, maps, is_projected=frozen == "all")
        if neck:
            features.maps[-1] = _build_neck(features.maps[-1], neck, rng)
        class_head = None if n_classes is None else ClassHead(n_classes, dropout, l2, rng)
        box, edges = BOX_HEADS[box_head](features, rng)
        outputs = [box]
        if class_head:
            outputs.insert(0, class_head(features.maps, edges if neck else None))
        if has_presence:
            # Last, so that the seeds of the other heads do not depend on it.
            outputs.append(add_presence_head(features.maps, edges if neck else None, rng))
        return keras.Model(pixels, outputs, name="single_box_localizer")


def get_frozen(weights: PathLikeStr | None, frozen: str) -> str:
    """The part of the backbone that is frozen: "all", "early" or "none"; new weights never are."""
    return "none" if weights is None else frozen


def _check_feature_map(backbone: keras.Model, image_size: tuple[int, int]) -> None:
    shape = backbone.compute_output_shape((None, *image_size, 3))
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            f"The backbone {backbone.name} must output one feature map of shape (n, height, "
            f"width, channels): leave out its pooling and top. Received: {shape}."
        )
    if 0 in shape[1:3]:
        raise ValueError(
            f"image_size={image_size} leaves no feature map of the backbone {backbone.name}; "
            "pass a larger one."
        )


def _compute_features_in_stages(
    extractor: keras.Model, prepared: Tensor, image_size: tuple[int, int]
) -> FeatureMaps:
    """The features of a backbone whose last stage is trained, and so is not one of them."""
    early, last_stage = split_last_stage(extractor, image_size)
    *finest, fine = keras.tree.flatten(early(prepared, training=False))
    # It keeps its channels: the last stage needs all of them.
    fine = layers.Identity(name="features_fine")(fine)
    coarsest = layers.Identity(name="features")(last_stage(fine, training=False))
    # The heads get as many maps as those of a frozen backbone.
    maps = [fine, coarsest][-len(extractor.outputs) :]
    return FeatureMaps(maps, make_profiles(finest[0]) if finest else ())


def _build_neck(features: Tensor, channels: int, rng: np.random.Generator) -> Tensor:
    """A trained map that both heads share, so that each loss also trains the other's features."""
    x = ChannelDropout(DROPOUT, seed=draw_seed(rng), name="neck_dropout")(features)
    # The same as a 1x1 convolution, whose gradient takes longer.
    x = layers.Dense(
        channels, use_bias=False, kernel_initializer=make_initializer(rng), name="neck"
    )(x)
    return normalize(x, "neck")
