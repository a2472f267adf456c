"""``EnsembleLocalizer``: several fits of a localizer that predict together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .boxes.tables import like
from .exceptions import ModelFileError
from .features.spread import Details, SpreadMixin, make_details
from .files import as_path, check_overwrite
from .inputs import check_images, set_image_tags, warn_of_bad_images
from .localizer import SingleBoxLocalizer
from .metrics import IoUScore, score_estimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from .typing import FloatArray, ImagesLike, PathLikeStr, RandomStateLike, TargetsLike

# Modules that import Keras, which takes seconds, are imported where they are used.

__all__ = ["EnsembleLocalizer"]


class EnsembleLocalizer(SpreadMixin, BaseEstimator):
    """Fit a localizer several times, and combine the predictions of all fits.

    Members differ in initial weights, dropout and the order of images [1]_. They share the features
    of frozen layers, which are computed once, so that five members take about three times as long
    to fit as one. Each edge of the box is the median over the members, and each class probability
    the mean.

    Parameters
    ----------
    estimator : SingleBoxLocalizer
        Clones of it are fitted. The first has its `random_state`, so that it equals `estimator`
        fitted alone; those of the others are drawn from it.
    n_members : int, default=5
        Number of fits. It can be lowered after ``fit``: the first `n_members` predict.
    mirror : bool, default=False
        Whether each member also predicts the image with left and right swapped; its box is mirrored
        back and counts like that of another member. It can be changed after ``fit``. Prediction
        takes twice as long. Of no use if left and right differ in meaning, as in text.

    Attributes
    ----------
    estimators_ : list of SingleBoxLocalizer
        The fitted members.
    classes_ : ndarray of shape (n_classes,) or None
        Sorted class names; None if y had no ``class_name``.
    n_features_in_ : int
        1, the image.

    See Also
    --------
    ConformalLocalizer : Regions, class sets and calibrated confidences, also of an ensemble.

    Notes
    -----
    Features are shared in the memory of the process if they fit into a quarter of it. For more
    images pass the parameter `memory` of `estimator`, a folder. With ``weights=None`` or
    ``frozen="none"`` there are no features to share, and each member takes as long as the first.

    Prediction takes `n_members` times as long as that of one member, except for the features of the
    first look, which are also shared. To export a network, export a member, such as
    ``estimators_[0]``.

    Ctrl-C ends the training of one member; interrupt again to end that of the next.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and Scalable Predictive Uncertainty
       Estimation using Deep Ensembles", NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    >>> from skbbox import EnsembleLocalizer, SingleBoxLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> from skbbox.network import small_convnet
    >>> X, y = make_shapes(32, image_size=32, random_state=0)
    >>> localizer = SingleBoxLocalizer(backbone=small_convnet, weights=None, image_size=32,
    ...                                epochs=2, random_state=0)
    >>> ensemble = EnsembleLocalizer(localizer, n_members=2).fit(X, y)
    >>> boxes = ensemble.set_params(mirror=True).predict(X)
    """

    estimators_: list[SingleBoxLocalizer]
    n_features_in_: int

    def __init__(
        self, estimator: SingleBoxLocalizer, n_members: int = 5, *, mirror: bool = False
    ) -> None:
        self.estimator = estimator
        self.n_members = n_members
        self.mirror = mirror

    def fit(self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the members.

        Parameters
        ----------
        X : images of length n
            As for :meth:`SingleBoxLocalizer.fit`, which also describes errors and warnings.
        y : table of boxes of length n
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in all losses.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `n_members` is not an integer of at least 1, `mirror` is not a bool, or `estimator`
            is no SingleBoxLocalizer.
        """
        check_parameters(self.get_params(deep=False))
        members = [clone(self.estimator) for _ in range(self.n_members)]
        seeds = draw_seeds(self.estimator.random_state, self.n_members - 1)
        for member, seed in zip(members[1:], seeds, strict=True):
            member.set_params(random_state=seed)
        self.estimators_ = [member.fit(X, y, sample_weight) for member in members]
        self.n_features_in_ = 1
        return self

    def predict(self, X: ImagesLike) -> pd.DataFrame:
        """Class and box of each image.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; of polars, if X is
            The columns of :meth:`SingleBoxLocalizer.predict`. Each edge is the median over the
            members, ``class_name`` the class with the largest mean probability, and
            ``class_confidence`` this mean; ``box_confidence`` and ``presence`` are the means over
            the members. With `mirror`, each member counts twice.

        Raises
        ------
        ImageError
            If an image cannot be read; names the row.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `n_members` is larger than in ``fit``.
        """
        return like(self._predict_details(X, with_edges=False).table, X)

    def predict_proba(self, X: ImagesLike) -> FloatArray:
        """Probability of each class, the mean over the members.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``; rows sum to 1. NaN for an unreadable image.

        Raises
        ------
        ValueError
            If y of ``fit`` had no classes.
        """
        probabilities = self._predict_details(X, with_edges=False).probabilities
        if probabilities is None:
            raise ValueError(
                "predict_proba needs classes, but y had no class_name in fit; only boxes were "
                "learned."
            )
        return probabilities

    def predict_spread(self, X: ImagesLike) -> pd.DataFrame:
        """Standard deviation of each edge, within the members and between them.

        It is that of a mixture of the members' distributions, with equal weights: the square root
        of the mean of their variances plus the variance of their edges.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; of polars, if X is
            As of :meth:`SingleBoxLocalizer.predict_spread`.

        Raises
        ------
        ValueError
            If `box_head` is not ``"spatial"``: other heads predict no distributions.
        """
        return super().predict_spread(X)

    def score(
        self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None
    ) -> IoUScore:
        """Mean IoU, together with the share of boxes with IoU >= 0.5.

        Parameters
        ----------
        X : images of length n
        y : table of boxes of length n
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        IoUScore
            As of :meth:`SingleBoxLocalizer.score`.
        """
        check_is_fitted(self)
        return score_estimator(self, X, y, sample_weight)

    @property
    def classes_(self) -> NDArray[Any] | None:
        """Sorted class names; None if y had no ``class_name``."""
        return self.estimators_[0].classes_

    def save(self, path: PathLikeStr, *, overwrite: bool = False) -> None:
        """Save all members in one file that holds no code.

        Parameters
        ----------
        path : str or Path
        overwrite : bool, default=False
            Whether to replace an existing file.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        FileExistsError
            If the file exists.
        ModelFileError
            If the file cannot be written.

        Notes
        -----
        The file is as large as those of all members together.
        """
        from .persistence import write_archive

        check_is_fitted(self)
        path = as_path(path)
        check_overwrite([path], overwrite)
        parameters = self.get_params(deep=False)
        estimator = parameters.pop("estimator").get_params(deep=False)
        members = [member._list_contents() for member in self.estimators_]
        write_archive(
            path,
            {
                "ensemble": {"parameters": parameters, "estimator": estimator},
                "localizers": members,
            },
        )

    @classmethod
    def load(cls, path: PathLikeStr, *, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Load a fitted ensemble from a file that ``save`` wrote.

        Parameters
        ----------
        path : str or Path
            The file. It is not trusted; see :meth:`SingleBoxLocalizer.load`.
        custom_objects : dict of str to object, default=None
            Functions, callbacks and layers that the localizer was made with and that are not part
            of Keras or skbbox, by name.

        Returns
        -------
        EnsembleLocalizer
            Its predictions equal those of the saved one. ``memory`` and ``checkpoint`` of its
            localizers are None.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ModelFileError
            If it is damaged, holds unexpected content, or needs `custom_objects`; names what was
            found.
        """
        from .persistence import read_archive

        def build(ensemble: Any, localizers: Any) -> Any:
            members = SingleBoxLocalizer._all_from_contents(localizers)
            if any(
                _describe_outputs(member) != _describe_outputs(members[0]) for member in members
            ):
                raise ModelFileError("the networks of the members must have the same outputs.")
            of_this_computer = {"memory": None, "checkpoint": None}
            estimator = SingleBoxLocalizer(**ensemble["estimator"] | of_this_computer)
            loaded = cls(estimator, **ensemble["parameters"])
            check_parameters(loaded.get_params(deep=False), len(members))
            loaded.estimators_, loaded.n_features_in_ = members, 1
            return loaded

        return read_archive(as_path(path), ("ensemble", "localizers"), build, custom_objects)

    def _predict_details(
        self, X: ImagesLike, presence_threshold: float | None = None, with_edges: bool = True
    ) -> Details:
        check_is_fitted(self)
        check_parameters(self.get_params(deep=False), len(self.estimators_))
        members = [member._get_fitted() for member in self.estimators_[: self.n_members]]
        images = check_images(X)
        found = []
        for member in members:
            predictor = member._make_predictor(with_edges=with_edges)
            for mirrored in (False, True) if self.mirror else (False,):
                outputs, bad = replace(predictor, mirrored=mirrored).look(
                    images.items, member._count_looks()
                )
                found.append(outputs)
        first = members[0]
        if first.on_bad_image == "warn":
            warn_of_bad_images(bad, len(images))
        if presence_threshold is not None:
            first.presence_threshold = presence_threshold
        return make_details(first, combine_outputs(found), bad, images.index)

    def __sklearn_tags__(self) -> Tags:
        return set_image_tags(super().__sklearn_tags__())


def check_parameters(parameters: Mapping[str, Any], n_fitted: int | None = None) -> None:
    """Raise a ValueError if a parameter of an EnsembleLocalizer is out of its range.

    Parameters
    ----------
    parameters : dict of str to object
    n_fitted : int, default=None
        Number of fitted members, if there are any.
    """
    estimator, n_members, mirror = (
        parameters[name] for name in ("estimator", "n_members", "mirror")
    )
    if not isinstance(estimator, SingleBoxLocalizer):
        raise ValueError(
            "estimator must be a SingleBoxLocalizer; put the ensemble around it, and a pipeline or "
            f"a ConformalLocalizer around the ensemble. Received: {estimator!r}."
        )
    is_integer = isinstance(n_members, Integral) and not isinstance(n_members, bool)
    if not is_integer or n_members < 1:
        raise ValueError(f"n_members must be an integer of at least 1. Received: {n_members!r}.")
    if not isinstance(mirror, (bool, np.bool_)):
        raise ValueError(f"mirror must be True or False. Received: {mirror!r}.")
    if n_fitted is not None and n_members > n_fitted:
        raise ValueError(
            f"n_members={n_members}, but {n_fitted} members were fitted. Pass at most {n_fitted}, "
            "or fit again."
        )


def draw_seeds(random_state: RandomStateLike, n: int) -> Sequence[int | None]:
    """Draw `n` seeds from a random state; None for each if it is None."""
    if random_state is None:
        return [None] * n
    seeds: list[int] = check_random_state(random_state).randint(2**31 - 1, size=n).tolist()
    return seeds


def combine_outputs(found: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The median of boxes, the spread of a mixture, and the mean of all other outputs.

    Parameters
    ----------
    found : sequence of dict of str to ndarray of shape (n, ...)
        Outputs of each network, as :meth:`Predictor.look` returns them.
    """
    from .features.predict import BOX, SPREAD

    if len(found) == 1:
        return dict(found[0])
    stacked = {name: np.stack([outputs[name] for outputs in found]) for name in found[0]}
    combined = {name: values.mean(axis=0) for name, values in stacked.items()}
    combined[BOX] = np.median(stacked[BOX], axis=0)
    if SPREAD in stacked:
        within, between = (stacked[SPREAD] ** 2).mean(axis=0), stacked[BOX].var(axis=0)
        combined[SPREAD] = np.sqrt(within + between)
    return combined


def _describe_outputs(localizer: SingleBoxLocalizer) -> tuple[Any, ...]:
    classes = localizer.classes_
    names = None if classes is None else tuple(classes.tolist())
    return (names, localizer._has_boxes, *localizer._networks.network.model.output_names)
