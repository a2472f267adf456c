"""Sources of batches: decoded images, or kept features of a frozen backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..augmentation import make_views
from ..features.prefetch import decode_images
from ..inputs import make_table
from .batches import BoundingBoxGenerator, FeatureBatches, choose_last_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from ..augmentation import View
    from ..features.frozen_backbone import FrozenBackbone
    from ..features.maps import Features, RecomputedFeatures
    from ..typing import Augment, IntArray
    from .batches import Batches
    from .plan import FitPlan

__all__ = ["BatchSource", "FeatureSource", "ImageSource"]

#: Decoded training images are kept in memory up to this many bytes; beyond it they are decoded
#: again in each epoch.
DECODED_BYTES = 2**30

#: Views whose features are kept: of all images together, and the least and most per image.
TOTAL_VIEWS = 4000
VIEWS_PER_IMAGE = (2, 20)

#: If the least number makes more views than this in total, only one view of each kind is kept: of
#: the image as a whole and, with two looks, of its windows.
MANY_VIEWS = 200_000


class BatchSource(Protocol):
    """Source of the batches of a stage.

    Attributes
    ----------
    gives_features : bool
        Whether batches hold features, not images.
    """

    gives_features: bool

    def make_batches(self, plan: FitPlan, seed: int) -> tuple[Batches, Batches | None]:
        """Batches of the training rows and, where there are any, of the validation rows."""


class FeatureSource:
    """Batches of the features of a frozen backbone.

    Parameters
    ----------
    backbone : FrozenBackbone
    augment : {"flip", "standard"} or None
    n_looks : int
        With 2, half of the views are windows around the box.
    epochs : int
        An epoch takes one view of each image, so no more windows than that are computed.
    batch_size : int
    verbose : bool or int
    """

    gives_features = True

    def __init__(
        self,
        backbone: FrozenBackbone,
        augment: str | None,
        n_looks: int,
        epochs: int,
        batch_size: int,
        verbose: bool | int,
    ) -> None:
        self.backbone, self.augment = backbone, augment
        self.n_looks, self.epochs = n_looks, epochs
        self.batch_size, self.verbose = batch_size, verbose

    def make_batches(self, plan: FitPlan, seed: int) -> tuple[Batches, Batches | None]:
        """Batches of the training rows and, where there are any, of the validation rows."""
        n_views, n_windows = _count_views(len(plan.images), self.n_looks, self.epochs)
        views = make_views(self.augment, n_views, n_windows)
        features = self._get_features(plan, views)

        def make(rows: IntArray, shuffle: bool, **options: Any) -> Batches:
            return FeatureBatches(
                features,
                plan.labels,
                rows=rows,
                batch_size=self.batch_size,
                shuffle=shuffle,
                seed=seed,
                **options,
            )

        return _make_split(make, plan, self.batch_size)

    def _get_features(self, plan: FitPlan, views: Sequence[View]) -> Features | RecomputedFeatures:
        backbone, items, boxes = self.backbone, plan.images.items, plan.labels.boxes
        n_views = len(items) * len(views)
        if backbone.can_keep(n_views):
            return backbone.compute_features(items, boxes, views, self.verbose)
        if self.verbose:
            print(
                f"The features of {n_views} views take {backbone.count_bytes(n_views) / 1e9:.1f} "
                f"GB, and {backbone.get_disk_bytes() / 1e9:.1f} GB of the disk may be used, so "
                "they are computed again in each epoch."
            )
        return backbone.recompute_features(items, boxes, views)


class ImageSource:
    """Batches of decoded images; they are decoded once if they fit into memory.

    Parameters
    ----------
    image_size : (int, int)
    augment : {"flip", "standard"}, callable or None
        For the training rows.
    n_looks : int
        With 2, half of the training images are windows around the box.
    batch_size : int
    verbose : bool or int
    """

    gives_features = False

    def __init__(
        self,
        image_size: tuple[int, int],
        augment: str | Augment | None,
        n_looks: int,
        batch_size: int,
        verbose: bool | int,
    ) -> None:
        self.image_size, self.augment, self.n_looks = image_size, augment, n_looks
        self.batch_size, self.verbose = batch_size, verbose
        self._table: pd.DataFrame | None = None

    def make_batches(self, plan: FitPlan, seed: int) -> tuple[Batches, Batches | None]:
        """Batches of the training rows and, where there are any, of the validation rows."""
        # Stages of a fit share it.
        self._table = table = self._decode(plan) if self._table is None else self._table

        def make(rows: IntArray, shuffle: bool, **options: Any) -> Batches:
            return BoundingBoxGenerator(
                table,
                *self.image_size,
                self.batch_size,
                shuffle,
                augment=self.augment if shuffle else None,
                n_looks=self.n_looks if shuffle else 1,
                labels=plan.labels,
                rows=rows,
                random_state=seed,
                **options,
            )

        return _make_split(make, plan, self.batch_size)

    def _decode(self, plan: FitPlan) -> pd.DataFrame:
        items, (height, width) = plan.images.items, self.image_size
        # Windows show pixels of the original image that the decoded one lacks.
        if self.n_looks == 1 and len(items) * height * width * 3 <= DECODED_BYTES:
            items = list(decode_images(items, self.image_size, self.verbose))
        return make_table(items, plan.targets)


def _count_views(n_images: int, n_looks: int, epochs: int) -> tuple[int, int]:
    """Numbers of views of each image as a whole, and of its windows."""
    least, most = VIEWS_PER_IMAGE
    n_views = int(np.clip(TOTAL_VIEWS // n_images, least * n_looks, most))
    if n_views * n_images > MANY_VIEWS:
        n_views = n_looks
    if n_looks == 1:
        return n_views, 0
    n_views = max(2, min(n_views, epochs))
    return n_views - n_views // 2, n_views // 2


def _make_split(
    make: Callable[..., Batches], plan: FitPlan, batch_size: int
) -> tuple[Batches, Batches | None]:
    last_batch = choose_last_batch(len(plan.train_rows), batch_size)
    training = make(plan.train_rows, shuffle=True, last_batch=last_batch)
    if plan.validation_rows is None:
        return training, None
    return training, make(plan.validation_rows, shuffle=False)
