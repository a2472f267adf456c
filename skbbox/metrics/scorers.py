"""The score of an estimator, and scorers for scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sklearn.metrics import make_scorer
from sklearn.utils.metadata_routing import MetadataRequest

from ..boxes.tables import as_pandas
from ..inputs import check_images, check_sample_weight, check_targets, warn_of_unseen_classes
from ..templates import render
from .measures import (
    average_iou,
    average_iou_at,
    average_localized,
    class_accuracy,
    iou_at,
    localization_accuracy,
    mean_iou,
    presence_auc,
)
from .pairs import pair_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike

    from ..typing import BoxesLike, ImagesLike, Localizer, TargetsLike

__all__ = [
    "IoUScore",
    "box_scorer",
    "class_scorer",
    "iou_50_scorer",
    "localization_scorer",
    "mean_iou_scorer",
    "presence_scorer",
    "score_estimator",
]

#: Least IoU of a box that counts as found, the default of :func:`iou_at`.
THRESHOLD = 0.5


class IoUScore(float):
    """Mean IoU of a set of predictions, together with the share of IoU >= 0.5.

    It is a float and can be used wherever a score is expected. Arithmetic on it gives
    a plain float.

    Parameters
    ----------
    mean_iou : float
        In 0..1; the value of the float.
    iou_50 : float
        Share of predictions with an IoU of at least 0.5, in 0..1.

    Examples
    --------
    >>> from skbbox import IoUScore
    >>> score = IoUScore(0.6, iou_50=0.75)
    >>> mean_iou, iou_50 = score
    >>> score, score.mean_iou, iou_50
    (IoUScore(mean_iou=0.600, iou_50=0.750), 0.6, 0.75)
    """

    iou_50: float

    def __new__(cls, mean_iou: float, iou_50: float) -> Self:
        score = super().__new__(cls, mean_iou)
        score.iou_50 = float(iou_50)
        return score

    @property
    def mean_iou(self) -> float:
        """The mean IoU as a plain float."""
        return float(self)

    def __iter__(self) -> Iterator[float]:
        return iter((self.mean_iou, self.iou_50))

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        # pickle would otherwise call __new__ with the float alone.
        return (self.mean_iou, self.iou_50)

    def __repr__(self) -> str:
        return f"IoUScore(mean_iou={self.mean_iou:.3f}, iou_50={self.iou_50:.3f})"

    def _repr_html_(self) -> str:
        measures = {"mean IoU": self.mean_iou, "share with IoU ≥ 0.5": self.iou_50}
        return render("iou_score.html", measures=measures)

    @classmethod
    def from_boxes(
        cls, y_true: BoxesLike, y_pred: BoxesLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Score paired boxes given as ``x_min, x_max, y_min, y_max``.

        Parameters
        ----------
        y_true, y_pred : table of boxes
            As for :func:`skbbox.mean_iou`.
        sample_weight : array-like of shape (n_boxes,), default=None

        Returns
        -------
        IoUScore
        """
        pairs = pair_rows(y_true, y_pred)
        return cls(
            average_iou(pairs, sample_weight), average_iou_at(pairs, THRESHOLD, sample_weight)
        )


#: Scorer for ``scoring=``: mean IoU.
mean_iou_scorer: Callable[..., float] = make_scorer(mean_iou)
#: Scorer for ``scoring=``: share of predictions with IoU >= 0.5.
iou_50_scorer: Callable[..., float] = make_scorer(iou_at)
#: Scorer for ``scoring=``: share of predictions with the right class and IoU >= 0.5.
localization_scorer: Callable[..., float] = make_scorer(localization_accuracy)
#: Scorer for ``scoring=``: share of rows with a class whose predicted class is right.
class_scorer: Callable[..., float] = make_scorer(class_accuracy)
#: Scorer for ``scoring=``: area under the ROC curve of ``presence``.
presence_scorer: Callable[..., float] = make_scorer(presence_auc)


def score_estimator(
    estimator: Any, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None
) -> IoUScore:
    """The score of what a fitted estimator predicts; warns of classes that it has not learned."""
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    weights = check_sample_weight(sample_weight, len(images), images.index)
    warn_of_unseen_classes(targets, getattr(estimator, "classes_", None))
    return IoUScore.from_boxes(targets.to_table(), as_pandas(estimator.predict(X)), weights)


class _BoxScorer:
    """All measures from one call of ``predict``, for ``scoring=`` with several metrics.

    In a search, name the measure that selects the best candidate: ``refit="mean_iou"``. With
    metadata routing, ``box_scorer.set_score_request(sample_weight=True)`` receives weights.
    """

    def __init__(self, requested: bool | str | None = None) -> None:
        self.requested = requested

    def set_score_request(self, *, sample_weight: bool | str | None) -> _BoxScorer:
        """A copy that asks for weights when metadata is routed.

        Parameters
        ----------
        sample_weight : bool, str or None
            True asks for ``sample_weight``, a text for weights under that name, False for none;
            None raises an error if weights are passed.
        """
        return _BoxScorer(sample_weight)

    def get_metadata_routing(self) -> MetadataRequest:
        """The metadata that scikit-learn passes on to this scorer."""
        routing = MetadataRequest(owner="box_scorer")
        routing.score.add_request(param="sample_weight", alias=self.requested)
        return routing

    def __call__(
        self,
        estimator: Localizer,
        X: ImagesLike,
        y: BoxesLike,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
        X : images
        y : table of boxes
        sample_weight : array-like of shape (n_images,), default=None

        Returns
        -------
        dict of str to float
            ``mean_iou``, ``iou_50`` and, if y has classes, ``localization_accuracy``.
        """
        pairs = pair_rows(y, as_pandas(estimator.predict(X)))
        scores = {
            "mean_iou": average_iou(pairs, sample_weight),
            "iou_50": average_iou_at(pairs, THRESHOLD, sample_weight),
        }
        if pairs.true_names is not None:
            scores["localization_accuracy"] = average_localized(pairs, THRESHOLD, sample_weight)
        return scores

    def __repr__(self) -> str:
        if self.requested is None:
            return "box_scorer"
        return f"box_scorer.set_score_request(sample_weight={self.requested!r})"


#: Scorer for ``scoring=`` with several metrics: mean IoU, share with IoU >= 0.5, and localization
#: accuracy, from one call of ``predict``.
box_scorer = _BoxScorer()
