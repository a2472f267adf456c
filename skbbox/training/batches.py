"""Batches for Keras: of decoded images, or of kept features."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from ..augmentation import AUGMENTATIONS, augment_window, get_augmentation
from ..exceptions import BoxError
from ..images import load_row
from ..inputs import check_images, check_sample_weight, check_targets
from ..network.presence_head import PRESENCE
from ..windows import draw_window, to_window
from .labels import make_labels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from ..features.maps import Features, RecomputedFeatures
    from ..typing import Augment, FloatArray, IntArray, Pixels
    from .labels import Labels

__all__ = [
    "Batches",
    "BoundingBoxGenerator",
    "FeatureBatches",
    "ModelBatches",
    "choose_last_batch",
]

LAST_BATCH = ("keep", "drop", "pad")

#: Outputs with a target of their own, in the order of a batch; that of all others is the box.
TARGETS = ("class_prediction", "bbox_prediction", PRESENCE)

#: Share of windows among the images of a training with two looks.
WINDOWS = 0.5

#: Batches that a thread prepares while the one before them trains.
AHEAD = 2


def choose_last_batch(n_rows: int, batch_size: int) -> Literal["keep", "pad"]:
    """How to treat the last batch of a training epoch.

    JAX compiles a training step for each batch size, which takes seconds, and more than ten on a
    graphics card; the folds of a search differ in the size of their last batch.
    """
    return "pad" if keras.backend.backend() == "jax" and n_rows > batch_size else "keep"


class Batches(keras.utils.PyDataset):
    """Rows in batches, in an order that depends on seed and epoch only.

    Parameters
    ----------
    rows : ndarray of int
        The rows to draw from.
    batch_size : int
    shuffle : bool
        Whether each epoch has a new order.
    last_batch : {"keep", "drop", "pad"}
        How to treat an incomplete last batch: keep it, leave it out, or fill it with the first
        rows of the epoch, which then count twice.
    seed : int
    **workers
        ``workers, use_multiprocessing, max_queue_size`` of ``keras.utils.PyDataset``.

    Attributes
    ----------
    error : Exception or None
        The error that stopped the last batch; Keras hides its type.
    """

    def __init__(
        self,
        rows: IntArray,
        batch_size: int,
        shuffle: bool,
        last_batch: str,
        seed: int,
        **workers: Any,
    ) -> None:
        super().__init__(**workers)
        if not (isinstance(batch_size, (int, np.integer)) and batch_size >= 1):
            raise ValueError(f"batch_size must be a positive integer. Received: {batch_size!r}.")
        if last_batch not in LAST_BATCH:
            raise ValueError(
                f"last_batch must be one of {list(LAST_BATCH)}. Received: {last_batch!r}."
            )
        if last_batch == "drop" and len(rows) < batch_size:
            raise ValueError(
                f"last_batch='drop' leaves no batch: there are {len(rows)} rows and batch_size is "
                f"{batch_size}."
            )
        self.rows, self.batch_size = rows, int(batch_size)
        self.shuffle, self.last_batch, self.seed = shuffle, last_batch, seed
        self.epoch = 0
        self.error: Exception | None = None
        self._order: tuple[int | None, IntArray] = None, rows

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + (rest > 0 and self.last_batch != "drop")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            raise IndexError(f"Batch {index} of {len(self)}.")
        return self.get_batch(self.epoch, index)

    def on_epoch_end(self) -> None:
        """Advance to the next epoch, which has a new order."""
        self.epoch += 1

    def get_batch(self, epoch: int, index: int) -> tuple[Any, ...]:
        """A batch of any epoch; the same one each time."""
        order = self._get_order(epoch)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.last_batch == "pad":
            rows = np.concatenate([rows, np.resize(order, self.batch_size - len(rows))])
        try:
            return self.load(rows, epoch)
        except Exception as error:
            self.error = error
            raise

    def load(self, rows: IntArray, epoch: int) -> tuple[Any, ...]:
        """Inputs and targets of some rows in an epoch."""
        raise NotImplementedError

    def _get_order(self, epoch: int) -> IntArray:
        if not self.shuffle:
            return self.rows
        drawn, order = self._order
        if drawn != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._order = epoch, order
        return order


class FeatureBatches(Batches):
    """Batches of kept feature maps; epochs take the views of an image in turn.

    Parameters
    ----------
    features : Features or RecomputedFeatures
    labels : Labels
    rows, batch_size, shuffle, last_batch, seed
        As for :class:`Batches`; without `shuffle` the first view is taken.
    """

    def __init__(
        self,
        features: Features | RecomputedFeatures,
        labels: Labels,
        *,
        rows: IntArray,
        batch_size: int,
        shuffle: bool,
        seed: int,
        last_batch: str = "keep",
    ) -> None:
        self.features, self.labels = features, labels
        rng = np.random.default_rng(seed)
        self.first_view = rng.integers(features.n_views, size=(len(features),))
        super().__init__(rows, batch_size, shuffle, last_batch, seed)

    def load(self, rows: IntArray, epoch: int) -> tuple[Any, ...]:
        views: Any = np.zeros(len(rows), dtype=int)
        if self.shuffle:
            views = (self.first_view[rows] + epoch) % self.features.n_views
        maps, boxes = self.features.load(rows, views)
        return self.labels.make_batch(maps, rows, boxes)


class ModelBatches(keras.utils.PyDataset):
    """Batches with a target for each output of a model.

    Parameters
    ----------
    batches : Batches
    outputs : sequence of str
        Names of the outputs of the model.
    endless : bool
        Whether epochs follow each other without an end, for a ``fit`` with ``steps_per_epoch``.
        Keras makes new iterators for each epoch of a finite dataset, which on few images takes
        longer than the epoch itself.
    first : int, default=0
        The first batch, counted from the start of the first epoch.
    """

    def __init__(
        self, batches: Batches, outputs: Sequence[str], endless: bool, first: int = 0
    ) -> None:
        super().__init__()
        self.batches: Batches | None = batches
        self.outputs, self.endless, self.first = list(outputs), endless, first
        self.n_batches = len(batches)
        self._thread = ThreadPoolExecutor(1)
        self._pending: dict[int, Future[tuple[Any, ...]]] = {}

    def close(self) -> None:
        """Release the batches, because TensorFlow may hold this dataset."""
        self._thread.shutdown(cancel_futures=True)
        self._pending.clear()
        self.batches = None

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch, or None, Keras's sign of an endless dataset."""
        return None if self.endless else self.n_batches

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """A batch; a thread prepares the next ones meanwhile."""
        end = index + 1 + AHEAD
        for number in range(index, end if self.endless else min(end, self.n_batches)):
            if number not in self._pending:
                self._pending[number] = self._thread.submit(self.make_batch, number)
        return self._pending.pop(index).result()

    def make_batch(self, index: int) -> tuple[Any, ...]:
        """A batch; nothing is prepared meanwhile."""
        assert self.batches is not None
        epoch, number = divmod(self.first + index, self.n_batches)
        inputs, *rest = self.batches.get_batch(epoch, number)
        if len(self.outputs) > 1:
            rest = [self._spread(values) for values in rest]
        return inputs, *rest

    def for_backend(self, datasets: dict[Any, Any]) -> Any:
        """The dataset to pass to ``fit``.

        From a PyDataset Keras makes a TensorFlow dataset that is tuned while it runs. At its end
        TensorFlow waits for the tuner's next round, whose intervals double: up to the length of
        the fit itself. So on TensorFlow an untuned dataset is made here.

        TensorFlow never releases the graphs of a dataset, so those with one signature share it.

        Parameters
        ----------
        datasets : dict
            The datasets made for one network so far; only one fit may use them at a time.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        signature = keras.tree.map_structure(
            lambda values: tf.TensorSpec((None, *values.shape[1:]), values.dtype),
            self.make_batch(0),
        )
        length = tf.data.INFINITE_CARDINALITY if self.endless else self.n_batches
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

    def _stream(self) -> Iterator[tuple[Any, ...]]:
        numbers = itertools.count() if self.endless else range(self.n_batches)
        return (self.make_batch(number) for number in numbers)

    def _spread(self, values: Any) -> tuple[Any, ...]:
        """The value for each output, of those for class, box and presence."""
        parts = iter(values if isinstance(values, tuple) else (values,))
        known = {name: next(parts) for name in TARGETS if name in self.outputs}
        return tuple(known.get(name, known["bbox_prediction"]) for name in self.outputs)


class BoundingBoxGenerator(Batches):
    """Batches of decoded images with their classes and boxes, for ``fit`` of a Keras model.

    Parameters
    ----------
    boxes : DataFrame
        A column ``image`` (paths, arrays or PIL images) and the columns of
        ``TARGET_COLUMNS``, as returned by :func:`read_annotations`; boxes are
        normalised. Without ``class_name``, the targets are only boxes. Class and box may be
        missing, as in ``fit``. Batches then also have sample weights and, if an image has no
        object, a third target, the presence of an object.
    image_height, image_width : int
        Size in pixels to which images are stretched.
    batch_size : int
    shuffle : bool
        Whether each epoch has a new order.
    augment : {"flip", "standard"}, callable or None, default=None
        Random changes of image and box, new in each epoch; ``"flip"`` mirrors half of the
        images, ``"standard"`` is :func:`skbbox.augmentation.standard`. A callable takes
        ``(image, box, rng)`` and returns ``(image, box)``.
    last_batch : {"keep", "drop", "pad"}, default="keep"
        How to treat an incomplete last batch: keep it, leave it out, or fill it with
        the first rows of the epoch, which then count twice.
    n_looks : int, default=1
        With 2, half of the rows of a batch are random windows around the box, decoded from the
        original image, to train a second look.
    classes : sequence, default=None
        Class names in the order of their indices; None means the sorted names in `boxes`.
    sample_weight : array-like of shape (n,), default=None
        Weight of each row.
    labels : Labels, default=None
        Targets and weights of the outputs, instead of `classes` and `sample_weight`.
    rows : ndarray of int, default=None
        Positions of the rows of `boxes` to use; None means all rows.
    random_state : int, default=None
        Seed of order and augmentation; None means a random seed.
    **workers
        ``workers, use_multiprocessing, max_queue_size`` of ``keras.utils.PyDataset``.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
    error : Exception or None
        The error that stopped the last batch; Keras hides its type.

    Raises
    ------
    BoxError
        If a box is invalid.
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
        n_looks: int = 1,
        classes: Sequence[Any] | NDArray[Any] | None = None,
        sample_weight: ArrayLike | None = None,
        labels: Labels | None = None,
        rows: IntArray | None = None,
        random_state: int | None = None,
        **workers: Any,
    ) -> None:
        self.images = check_images(boxes)
        targets = check_targets(boxes, len(self.images))
        self.image_size, self.n_looks = (image_height, image_width), n_looks
        self.augment = get_augmentation(augment)
        is_uint8 = self.augment is None or self.augment in AUGMENTATIONS.values()
        self.dtype = np.uint8 if is_uint8 else np.float32
        weights = check_sample_weight(sample_weight, len(self.images), self.images.index)
        self.labels = labels or make_labels(targets, classes, sample_weight=weights)
        self.classes = self.labels.classes
        seed: Any = np.random.SeedSequence().entropy if random_state is None else int(random_state)
        rows = np.arange(len(self.images)) if rows is None else rows
        super().__init__(rows, batch_size, shuffle, last_batch, seed, **workers)

    def load(self, rows: IntArray, epoch: int) -> tuple[Any, ...]:
        loaded = [self._load_row(row, epoch) for row in rows]
        images = np.stack([image for image, _ in loaded])
        return self.labels.make_batch(images, rows, np.array([box for _, box in loaded]))

    def _load_row(self, row: int, epoch: int) -> tuple[Pixels, FloatArray]:
        box, window = self.labels.boxes[row], None
        rng = np.random.default_rng([self.seed, epoch, row])
        if self.n_looks > 1 and rng.random() < WINDOWS:
            window = draw_window(box, rng)
            box = to_window(box, window)
        (image,) = load_row(self.images.items, row, self.image_size, [window])
        if self.augment is None:
            return image, box
        # Copies, so that an in-place change does not reach the next epoch.
        image, box = image.copy(), box.copy()
        if window is None:
            changed, changed_box = self.augment(image, box, rng)
        else:
            changed, changed_box = augment_window(image, box, self.augment, rng)
        if np.shape(changed) != image.shape or np.shape(changed_box) != (4,):
            raise ValueError(
                f"augment must return an image of shape {image.shape} and a box of shape (4,). "
                f"Received for row {row}: {np.shape(changed)} and {np.shape(changed_box)}."
            )
        if not np.isfinite(changed_box).all():
            raise BoxError(f"Row {row}: augment returned the box {changed_box}.")
        # All batches need one dtype, whatever augment returns.
        return np.asarray(changed, self.dtype), changed_box
