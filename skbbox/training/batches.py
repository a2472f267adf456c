"""Batches for Keras: images decoded on the way, or arrays that are there already."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from ..augmentation import AUGMENTATIONS, get_augmentation
from ..exceptions import BoxError
from ..images import load_row
from ..inputs import check_images, check_targets, encode_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from ..typing import Augment, IntArray

__all__ = ["BoundingBoxGenerator", "FeatureBatches", "ModelBatches", "choose_last_batch"]

LAST_BATCH = ("keep", "drop", "pad")

#: Batches that are made ready while the one before them trains.
AHEAD = 2


def choose_last_batch(n_rows, batch_size):
    """What becomes of the last batch of an epoch of training: "keep" or "pad".

    JAX compiles a training step for each size of a batch anew, for seconds, on a graphics card
    for more than ten; and the folds of a search differ in the size of their last batch.
    """
    return "pad" if keras.backend.backend() == "jax" and n_rows > batch_size else "keep"


class Batches(keras.utils.PyDataset):
    """Rows in batches, in an order that depends on the seed and the epoch alone.

    Parameters
    ----------
    rows : ndarray of int
        The rows to draw from.
    batch_size : int
    shuffle : bool
        Whether each epoch has an order of its own.
    last_batch : {"keep", "drop", "pad"}
        What becomes of a last batch that is not full: it stays short, is left
        out, or is filled with the first rows of the epoch, which then count twice.
    seed : int
    **workers
        ``workers, use_multiprocessing, max_queue_size`` of ``keras.utils.PyDataset``.
    """

    def __init__(self, rows, batch_size, shuffle, last_batch, seed, **workers):
        super().__init__(**workers)
        if not (isinstance(batch_size, (int, np.integer)) and batch_size >= 1):
            raise ValueError(f"batch_size must be a positive integer. Received: {batch_size!r}.")
        if last_batch not in LAST_BATCH:
            raise ValueError(
                f"last_batch must be one of {list(LAST_BATCH)}. Received: {last_batch!r}."
            )
        if last_batch == "drop" and len(rows) < batch_size:
            raise ValueError(
                f"last_batch='drop' leaves nothing of {len(rows)} rows in batches of {batch_size}."
            )
        self.rows, self.batch_size = rows, int(batch_size)
        self.shuffle, self.last_batch, self.seed = shuffle, last_batch, seed
        self.epoch = 0
        self._drawn = None, None

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + (rest > 0 and self.last_batch != "drop")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            raise IndexError(f"Batch {index} of {len(self)}.")
        return self.batch(self.epoch, index)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch, which has an order of its own."""
        self.epoch += 1

    def batch(self, epoch, index):
        """A batch of any epoch, the same each time."""
        order = self._order(epoch)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.last_batch == "pad":
            rows = np.concatenate([rows, np.resize(order, self.batch_size - len(rows))])
        return self.load(rows, epoch)

    def load(self, rows, epoch):
        """What the batch of these rows holds in this epoch."""
        raise NotImplementedError

    def _order(self, epoch):
        if not self.shuffle:
            return self.rows
        drawn, order = self._drawn
        if drawn != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._drawn = epoch, order
        return order


class FeatureBatches(Batches):
    """Batches of kept feature maps; the views of an image take turns from epoch to epoch.

    Parameters
    ----------
    features : Features
    codes : ndarray of shape (n_rows,), or None
        Class codes; None leaves classes out.
    sample_weight : ndarray, tuple of ndarray, or None
        Weights for each output.
    rows, batch_size, shuffle, last_batch, seed
        As for :class:`Batches`; without `shuffle` the first view is taken.
    """

    def __init__(
        self, features, codes, sample_weight, *, rows, batch_size, shuffle, seed, last_batch="keep"
    ):
        self.features, self.boxes = features, features.boxes.astype(np.float32)
        self.codes, self.sample_weight = codes, sample_weight
        n_rows, n_views = self.boxes.shape[:2]
        self.first_view = np.random.default_rng(seed).integers(n_views, size=n_rows)
        super().__init__(rows, batch_size, shuffle, last_batch, seed)

    def load(self, rows, epoch):
        view = np.zeros(len(rows), dtype=int)
        if self.shuffle:
            view = (self.first_view[rows] + epoch) % self.boxes.shape[1]
        maps = self.features.maps(rows, view)
        targets = self.boxes[rows, view]
        if self.codes is not None:
            targets = (self.codes[rows], targets)
        if self.sample_weight is None:
            return maps, targets
        return maps, targets, keras.tree.map_structure(lambda w: w[rows], self.sample_weight)


class ModelBatches(keras.utils.PyDataset):
    """Batches with a target for each output of a model.

    Parameters
    ----------
    batches : Batches
    n_boxes : int
        Of how many outputs the box is the target.
    endless : bool
        Whether one epoch follows another, for a ``fit`` that is told the steps of an epoch.
        Keras makes new iterators for each epoch of a finite dataset, and on few images
        that takes longer than the epoch itself.
    first : int, default=0
        The batch to begin with, counted from the first of the first epoch.
    """

    def __init__(self, batches, n_boxes, endless, first=0):
        super().__init__()
        self.batches, self.n_boxes, self.endless, self.first = batches, n_boxes, endless, first
        self._thread, self._coming = ThreadPoolExecutor(1), {}

    def close(self):
        """Let go of the batches, for what may hold on to this dataset."""
        self._thread.shutdown(cancel_futures=True)
        self._coming.clear()
        self.batches = None

    @property
    def num_batches(self):
        """Batches of an epoch, or None, which is how Keras knows a dataset without an end."""
        return None if self.endless else len(self.batches)

    def __getitem__(self, index):
        """A batch; a thread makes those that follow while it trains."""
        end = index + 1 + AHEAD
        for number in range(index, end if self.endless else min(end, len(self.batches))):
            if number not in self._coming:
                self._coming[number] = self._thread.submit(self._made, number)
        return self._coming.pop(index).result()

    def _made(self, index):
        inputs, *rest = self.batches.batch(*divmod(self.first + index, len(self.batches)))
        if self.n_boxes > 1:
            rest = [self._repeated(values) for values in rest]
        return inputs, *rest

    def for_backend(self, datasets):
        """What ``fit`` is to be given.

        Of a PyDataset Keras makes a dataset of TensorFlow that is tuned while it runs. At its
        end TensorFlow waits until the tuner looks at it again, which it does after times that
        double: up to the length of the fit itself. So on TensorFlow it is made here, untuned.

        TensorFlow never lets go of the graphs of a dataset, so those of one kind share it.

        Parameters
        ----------
        datasets : dict
            Those that were made for one network, which no two fits use at a time.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        signature = keras.tree.map_structure(
            lambda values: tf.TensorSpec((None, *values.shape[1:]), values.dtype), self._made(0)
        )
        length = tf.data.INFINITE_CARDINALITY if self.endless else self.num_batches
        key = repr(signature), length
        if key not in datasets:
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = tf.data.Dataset.from_generator(
                lambda: datasets[key][1]._stream(), output_signature=signature
            )
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
            datasets[key] = dataset.prefetch(AHEAD).with_options(options), self
        dataset, _ = datasets[key]
        datasets[key] = dataset, self
        return dataset

    def _stream(self):
        numbers = itertools.count() if self.endless else range(self.num_batches)
        return (self._made(number) for number in numbers)

    def _repeated(self, values):
        values = values if isinstance(values, tuple) else (values,)
        return *values, *[values[-1]] * (self.n_boxes - 1)


class BoundingBoxGenerator(Batches):
    """Batches of decoded images with their classes and boxes, for ``fit`` of a Keras model.

    Parameters
    ----------
    boxes : DataFrame
        A column ``image`` (paths, arrays or PIL images) and the columns of
        ``TARGET_COLUMNS``, as :func:`read_annotations` returns them; boxes
        normalised. Without ``class_name`` the targets are boxes alone.
    image_height, image_width : int
        Size in pixels that images are stretched to.
    batch_size : int
    shuffle : bool
        Whether each epoch has an order of its own.
    augment : {"flip", "standard"}, callable or None, default=None
        Change to image and box, new in each epoch; ``"flip"`` mirrors every second
        image, ``"standard"`` is :func:`skbbox.augmentation.standard`. A callable takes
        ``(image, box, rng)`` and returns ``(image, box)``.
    last_batch : {"keep", "drop", "pad"}, default="keep"
        What becomes of a last batch that is not full: it stays short, is left
        out, or is filled with the first rows of the epoch, which then count twice.
    classes : sequence, default=None
        Class names in the order of their codes; None takes the sorted names in `boxes`.
    sample_weight : tuple of arrays, default=None
        Weights for each output of the model, which are then part of each batch.
    rows : ndarray of int, default=None
        Positions of the rows of `boxes` to draw from; None takes all.
    random_state : int, default=None
        Seed of order and augmentation; None draws one.
    **workers
        ``workers, use_multiprocessing, max_queue_size`` of ``keras.utils.PyDataset``.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
    error : Exception or None
        What stopped the last batch, for a caller behind Keras, which hides its type.

    Raises
    ------
    BoxError
        If a row has no box, or one that cannot be.
    ImageError
        From a batch, if one of its images cannot be read; names the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import BoundingBoxGenerator
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(10, image_size=32, random_state=0)
    >>> boxes = y.assign(image=list(X))
    >>> generator = BoundingBoxGenerator(boxes, 32, 32, batch_size=4, shuffle=False)
    >>> images, (y_class, y_bbox) = next(iter(generator))
    >>> len(generator), images.shape, y_class.shape, y_bbox.shape
    (3, (4, 32, 32, 3), (4,), (4, 4))
    """

    def __init__(
        self,
        boxes: pd.DataFrame,
        image_height: int,
        image_width: int,
        batch_size: int,
        shuffle: bool,
        augment: str | Augment | None = None,
        last_batch: Literal["keep", "drop", "pad"] = "keep",
        *,
        classes: Sequence[Any] | NDArray[Any] | None = None,
        sample_weight: Any = None,
        rows: IntArray | None = None,
        random_state: int | None = None,
        **workers: Any,
    ) -> None:
        self.images = check_images(boxes)
        targets = check_targets(boxes, len(self.images))
        self.image_size = (image_height, image_width)
        self.augment = get_augmentation(augment)
        known = self.augment is None or self.augment in AUGMENTATIONS.values()
        self.dtype = np.uint8 if known else np.float32
        self.y_bbox = targets.boxes
        self.classes, self.y_class = encode_classes(targets.class_names, classes)
        self.sample_weight = sample_weight
        self.error = None
        seed = np.random.SeedSequence().entropy if random_state is None else int(random_state)
        rows = np.arange(len(self.images)) if rows is None else rows
        super().__init__(rows, batch_size, shuffle, last_batch, seed, **workers)

    def load(self, rows, epoch):
        try:
            loaded = [self._load_row(row, epoch) for row in rows]
        except Exception as error:
            self.error = error
            raise
        images = np.stack([image for image, _ in loaded])
        y_bbox = np.array([box for _, box in loaded], dtype=np.float32)
        targets = y_bbox if self.classes is None else (self.y_class[rows], y_bbox)
        if self.sample_weight is None:
            return images, targets
        return images, targets, keras.tree.map_structure(lambda w: w[rows], self.sample_weight)

    def _load_row(self, row, epoch):
        image, box = load_row(self.images.items, row, self.image_size), self.y_bbox[row]
        if self.augment is None:
            return image, box
        rng = np.random.default_rng([self.seed, epoch, row])
        # Copies, as what it changes in place must not reach the next epoch.
        changed, changed_box = self.augment(image.copy(), box.copy(), rng)
        if np.shape(changed) != image.shape or np.shape(changed_box) != (4,):
            raise ValueError(
                f"augment must return an image of shape {image.shape} and a box of shape (4,). "
                f"Received for row {row}: {np.shape(changed)} and {np.shape(changed_box)}."
            )
        if not np.isfinite(changed_box).all():
            raise BoxError(f"Row {row}: augment returned the box {changed_box}.")
        # Batches are of one type, whatever it returned for the first image.
        return np.asarray(changed, self.dtype), changed_box
