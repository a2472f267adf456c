"""``predict_spread``: how uncertain a model is of each edge of its boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES
from ..boxes.tables import like

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, ImagesLike

# This module imports no Keras, because the estimator inherits from its class.

__all__ = ["Details", "SpreadMixin", "make_details", "normalize_probabilities"]


class Details(NamedTuple):
    """All that a localizer predicts about n images, from one call of its network.

    Attributes
    ----------
    table : DataFrame of n rows
        What ``predict`` returns.
    probabilities : ndarray of shape (n, n_classes), or None
        What ``predict_proba`` returns; None without classes.
    spread : ndarray of shape (n, 4), or None
        What ``predict_spread`` returns; None if the box head predicts no distributions.
    """

    table: pd.DataFrame
    probabilities: FloatArray | None
    spread: FloatArray | None


class SpreadMixin:
    """The method ``predict_spread`` of an estimator with networks."""

    def predict_spread(self, X: ImagesLike) -> pd.DataFrame:
        """Predict the standard deviation of each edge, from the spatial head's distribution.

        The larger it is, the less certain the model is of this edge. It is not a confidence
        interval; :class:`ConformalLocalizer` computes regions with a stated coverage from it.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; a polars DataFrame if X is polars
            ``x_min, x_max, y_min, y_max``: the standard deviations of these edges, as fractions of
            the width and height of the image. Missing for an unreadable image, see `on_bad_image`,
            and if no box was learned, but not if `presence` is below `presence_threshold`.

        Raises
        ------
        ValueError
            If `box_head` is not ``"spatial"``: other heads predict no distributions.
        """
        details = self._predict_details(X)
        if details.spread is None:
            localizer: Any = getattr(self, "estimator", self)
            raise ValueError(
                "predict_spread needs the distributions of the edges, which only "
                f"box_head='spatial' predicts. Received: box_head={localizer.box_head!r}."
            )
        spread = pd.DataFrame(details.spread, columns=COORDINATES, index=details.table.index)
        return like(spread, X)

    def _predict_details(
        self, X: ImagesLike, presence_threshold: float | None = None, with_edges: bool = True
    ) -> Details:
        """What ``predict``, ``predict_proba`` and ``predict_spread`` return, in one pass.

        `presence_threshold` replaces that of the estimator. There is no spread without
        `with_edges`.
        """
        fitted: Any = self._get_fitted()  # type: ignore[attr-defined]
        if presence_threshold is not None:
            fitted.presence_threshold = presence_threshold
        outputs, bad, images = fitted._run_network(
            X, n_looks=fitted._count_looks(), with_edges=with_edges
        )
        return make_details(fitted, outputs, bad, images.index)


def make_details(
    fitted: Any, outputs: dict[str, NDArray[Any]], bad: dict[int, str], index: pd.Index | None
) -> Details:
    """All predictions from the outputs of a network; parameters as for `make_predictions`."""
    from .predict import CLASS, SPREAD, make_predictions

    spread = outputs.pop(SPREAD, None)
    if spread is not None and not fitted._has_boxes:
        spread = np.full_like(spread, np.nan)
    probabilities = None
    if fitted.classes_ is not None:
        probabilities = normalize_probabilities(outputs[CLASS])
    return Details(make_predictions(fitted, outputs, bad, index), probabilities, spread)


def normalize_probabilities(probabilities: Any) -> FloatArray:
    """Probabilities of float32 or less as float64, with rows that sum to 1."""
    probabilities = probabilities.astype(np.float64)
    normalized: FloatArray = probabilities / probabilities.sum(axis=1, keepdims=True)
    return normalized
