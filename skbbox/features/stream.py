"""``predict_iter``: predictions for a stream of images, such as those of a camera."""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections import namedtuple
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from ..boxes.tables import describe_type
from ..exceptions import ImageError, SkbboxWarning
from ..inputs import check_images

if TYPE_CHECKING:
    from ..typing import ImageLike, ImagesLike

# This module imports no Keras, because the estimator inherits from its class.

__all__ = ["StreamMixin"]

#: Types that hold all images at once; others are streams if they are iterable.
COLLECTIONS = (list, tuple, np.ndarray, pd.Series, pd.DataFrame, str, os.PathLike, Image.Image)


class StreamMixin:
    """The method ``predict_iter`` of an estimator with ``predict``."""

    def predict_iter(
        self,
        images: ImagesLike | Iterable[ImageLike] | queue.Queue[Any],
        *,
        batch_size: int | None = None,
    ) -> Iterator[Any]:
        """Predict the class and box of each image of a stream, one after the other.

        Images are taken from the stream while others are predicted. Each call of the network
        predicts all images that are waiting. A row is therefore yielded soon after its image even
        if the next image takes long, and a fast stream is predicted in batches.

        Parameters
        ----------
        images : iterable of images, or queue
            A generator or another iterable of paths, uint8 arrays or PIL images, which may be
            endless; a ``queue.Queue``, or another object with ``get``, in which None marks the
            end; or images as for :meth:`predict`. A thread takes the images. It copies arrays, so
            the stream may reuse their memory.
        batch_size : int, default=None
            Maximum number of images in one call of the network, and of images that wait for it.
            None means `batch_size` of the estimator. 1 gives the shortest delay.

        Yields
        ------
        namedtuple ``Prediction``
            The columns of :meth:`predict` as fields, in the order of the images. Missing text is
            None, missing numbers are NaN. ``pandas.DataFrame(rows)`` makes a table.

        Raises
        ------
        ImageError
            If an image cannot be read and `on_bad_image` is ``"raise"``, after the rows before
            it; names its row, counted from 0. If an item is not an image.
        NotFittedError
            If the estimator is not fitted.
        Exception
            What the stream itself raises, after the rows before it.

        Warns
        -----
        SkbboxWarning
            With ``on_bad_image="warn"``, for each image that cannot be read.

        Notes
        -----
        About twice `batch_size` images are in memory, and no features are stored. Later changes
        of the estimator have no effect on a stream that has begun. Results equal those of
        :meth:`predict` except for rounding.

        Examples
        --------
        >>> from skbbox import SingleBoxLocalizer
        >>> from skbbox.datasets import make_shapes
        >>> from skbbox.network import small_convnet
        >>> X, y = make_shapes(32, image_size=32, random_state=0)
        >>> localizer = SingleBoxLocalizer(backbone=small_convnet, weights=None, image_size=32,
        ...                                epochs=2, random_state=0).fit(X, y)
        >>> camera = (frame for frame in X)
        >>> for row in localizer.predict_iter(camera):
        ...     if row.box_confidence > 0.9:
        ...         print(row.class_name, row.x_min, row.x_max)
        """
        fitted: Any = self._get_fitted()  # type: ignore[attr-defined]
        if batch_size is None:
            batch_size = fitted.batch_size
        if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(
                f"batch_size must be an integer of at least 1, or None. Received: {batch_size!r}."
            )
        return _predict_stream(fitted, _iterate(images), int(batch_size))


def _iterate(images: Any) -> Iterator[Any]:
    if isinstance(images, COLLECTIONS) or hasattr(images, "__dataframe__"):
        return iter(check_images(images).items)
    if isinstance(images, Iterable):
        return iter(images)
    if hasattr(images, "get"):
        return _drain(images)
    raise ImageError(
        "images must be an iterable of images, such as a generator or a list, or a queue. "
        f"Received: {describe_type(images)}."
    )


def _drain(images: Any) -> Iterator[Any]:
    # Not `iter(images.get, None)`, which compares arrays with None element by element.
    while (image := images.get()) is not None:
        yield image


def _predict_stream(fitted: Any, images: Iterator[Any], batch_size: int) -> Iterator[Any]:
    """Yield a row for each image; `fitted` is a copy of the estimator, which this changes."""
    on_bad_image = fitted.on_bad_image
    # Errors are raised or reported here, where the position in the stream is known. Features of a
    # frozen backbone are not kept, because frames do not come again.
    fitted.on_bad_image, fitted.verbose, fitted._is_frozen = "skip", 0, False
    waiting = _WaitingImages(images, batch_size)
    n_done = 0
    try:
        while batch := waiting.take():
            for row, image in enumerate(batch, start=n_done):
                if isinstance(image, _Failure):
                    raise image.error
                if image is _END:
                    return
                if not isinstance(image, (str, os.PathLike, np.ndarray, Image.Image)):
                    raise ImageError(
                        f"Row {row} of the stream is not an image: expected a path, a uint8 array "
                        f"or a PIL image. Received: {image!r}."
                    )
            for error, prediction in _predict_rows(fitted, batch, on_bad_image):
                if error is not None and on_bad_image == "raise":
                    raise ImageError(f"Row {n_done}: {error}")
                if error is not None and on_bad_image == "warn":
                    warnings.warn(
                        f"Row {n_done} cannot be read: {error}", SkbboxWarning, stacklevel=2
                    )
                n_done += 1
                yield prediction
    finally:
        waiting.stop()


def _predict_rows(
    fitted: Any, batch: list[Any], on_bad_image: str
) -> Iterator[tuple[str | None, Any]]:
    """Yield why an image cannot be read, or None, and its row."""
    table = fitted.predict(batch)
    # Missing values differ between text columns that pandas stores in different ways.
    columns = {
        name: [None if pd.isna(value) else value for value in column]
        if column.dtype.kind not in "biuf"
        else column.tolist()
        for name, column in table.items()
    }
    errors = columns["error"]
    if on_bad_image == "raise":
        del columns["error"]
    prediction = namedtuple("Prediction", list(columns))  # type: ignore[misc]
    yield from zip(errors, map(prediction._make, zip(*columns.values(), strict=True)), strict=True)


class _Failure:
    """An exception of the stream, in the place of an image."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


#: The end of the stream, in the place of an image.
_END = object()


class _WaitingImages:
    """Images that a thread takes from a stream, as many as there is room for."""

    def __init__(self, images: Iterator[Any], n_most: int) -> None:
        self._images, self._n_most = images, n_most
        self._queue: queue.Queue[Any] = queue.Queue(n_most)
        self._is_stopped = threading.Event()
        self._ending: Any = None
        # A daemon, as it may wait for an image that never comes.
        threading.Thread(target=self._read, name="skbbox-stream", daemon=True).start()

    def take(self) -> list[Any]:
        """The images that are waiting, at least one; or alone what ends the stream."""
        if self._ending is not None:
            return [self._ending]
        batch = [self._queue.get()]
        while len(batch) < self._n_most and not self._ends(batch[-1]):
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        if len(batch) > 1 and self._ends(batch[-1]):
            # The images before it come first.
            self._ending = batch.pop()
        return batch

    def stop(self) -> None:
        """Let the thread end once the stream returns its next image."""
        self._is_stopped.set()
        # The thread may wait for room.
        while not self._queue.empty():
            self._queue.get_nowait()

    def _ends(self, image: Any) -> bool:
        return image is _END or isinstance(image, _Failure)

    def _read(self) -> None:
        try:
            for image in self._images:
                if self._is_stopped.is_set():
                    return
                self._queue.put(image.copy() if isinstance(image, np.ndarray) else image)
                if self._is_stopped.is_set():
                    return
            self._queue.put(_END)
        except BaseException as error:  # Raised again by the thread that predicts.
            self._queue.put(_Failure(error))
