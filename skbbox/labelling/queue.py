"""Which image to label next: a random one, or one that the model can learn much from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import iou

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..typing import FloatArray
    from .table import Label

__all__ = ["Choice", "Coverage", "Proposal", "Queue", "score_information"]

#: Weight of the coverage among the criteria of `score_information`; each other has 1.
COVERAGE_WEIGHT = 3
#: Images of which the coverage is computed, at most.
N_REFERENCES = 500
#: Largest cosine distance.
MAX_DISTANCE = 2.0


class Proposal(NamedTuple):
    """What the model says about an image.

    Attributes
    ----------
    label : Label
    class_confidence, box_confidence, presence : float
        In 0..1; NaN if the model has none.
    n_labels : int
        Number of labels that the model was trained on.
    disagreement : float
        0 if this model and the one before predict the same class and box, 1 if another class or
        disjoint boxes; NaN for the first model.
    embedding : ndarray of shape (n_channels,), or None
        Unit vector; None if the model has no ``embed``.
    """

    label: Label
    class_confidence: float
    box_confidence: float
    presence: float
    n_labels: int
    disagreement: float = np.nan
    embedding: FloatArray | None = None


class Choice(NamedTuple):
    """An image to label.

    Attributes
    ----------
    number : int
        Number of the image.
    is_random : bool
        Whether it is from the random share, whose score is honest.
    """

    number: int
    is_random: bool


def measure_disagreement(one: Label, other: Label) -> float:
    """1 - IoU of two predictions; 1 if their classes differ."""
    if one.class_name != other.class_name:
        return 1.0
    if one.box is None or other.box is None:
        return float(one.box != other.box)
    return 1 - float(iou(one.box, other.box))


def score_information(
    proposals: Mapping[int, Proposal],
    gains: Mapping[int, float],
    class_counts: Mapping[str, int],
) -> pd.Series:
    """Expected information of labelling each image.

    It is the weighted mean rank of the image by these criteria, those that are known: low
    ``class_confidence``, low ``box_confidence``, presence near 0.5, disagreement of two models,
    rarity of the proposed class among labels, and how much nearer to a labelled image other images
    would be [1]_. The last one has the weight 3, because with few labels, images that stand for
    many others teach more than difficult ones [2]_.

    Parameters
    ----------
    proposals : dict of int to Proposal
        By number of the image.
    gains : dict of int to float
        What :meth:`Coverage.compute_gains` returns.
    class_counts : dict of str to int
        Number of labels of each class.

    Returns
    -------
    Series
        In 0..1 by number of the image.

    References
    ----------
    .. [1] K. Wei, R. Iyer, J. Bilmes, "Submodularity in Data Subset Selection and Active Learning",
       ICML 2015.
    .. [2] G. Hacohen, A. Dekel, D. Weinshall, "Active Learning on a Budget: Opposite Strategies
       Suit High and Low Budgets", ICML 2022, arXiv:2202.02794.
    """
    rows = list(proposals.values())
    parts = pd.DataFrame(
        {
            "class": [1 - row.class_confidence for row in rows],
            "box": [1 - row.box_confidence for row in rows],
            "presence": [-abs(row.presence - 0.5) for row in rows],
            "disagreement": [row.disagreement for row in rows],
            "coverage": [gains.get(number, np.nan) for number in proposals],
            "rarity": [-class_counts.get(row.label.class_name or "", 0) for row in rows],
        },
        index=list(proposals),
        dtype=np.float64,
    )
    ranks = parts.rank(pct=True)
    weights = pd.Series(1, parts.columns).where(parts.columns != "coverage", COVERAGE_WEIGHT)
    return (ranks * weights).sum(axis=1) / (ranks.notna() * weights).sum(axis=1)


class Coverage:
    """How well known images stand for the others.

    Distances are kept, and only new images and new known ones are compared, so that a choice among
    thousands of images takes milliseconds.
    """

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._known: dict[int, FloatArray] = {}
        #: The first images, which are a random sample; their distance from the nearest known one.
        self._references: FloatArray | None = None
        self._nearest = np.empty(0)
        #: Distance of each image from each reference.
        self._distances = np.empty((0, 0))

    def add_images(self, vectors: Mapping[int, FloatArray]) -> None:
        """Add unit vectors of images by their number; those added before stay as they are."""
        new = {number: vector for number, vector in vectors.items() if number not in self._rows}
        if not new:
            return
        first = len(self._rows)
        self._rows.update({number: first + row for row, number in enumerate(new)})
        array = np.stack(list(new.values()))
        if self._references is not None and len(self._references) == N_REFERENCES:
            more = 1 - array @ self._references.T
            self._distances = np.concatenate([self._distances, more])
            return
        if self._references is not None:  # Of all images before.
            array = np.concatenate([self._references, array])
        self._references = array[:N_REFERENCES]
        self._distances = 1 - array @ self._references.T
        self._nearest = np.full(len(self._references), MAX_DISTANCE)
        self._compare(self._known)

    def add_known(self, vectors: Mapping[int, FloatArray]) -> None:
        """Add unit vectors of images that have a label or were handed out."""
        new = {number: vector for number, vector in vectors.items() if number not in self._known}
        self._known.update(new)
        self._compare(new)

    def _compare(self, known: Mapping[int, FloatArray]) -> None:
        if known and self._references is not None:
            distances = 1 - self._references @ np.stack(list(known.values())).T
            self._nearest = np.minimum(self._nearest, distances.min(axis=1))

    def compute_gains(self, numbers: Iterable[int]) -> dict[int, float]:
        """Decrease of the mean distance of images from the nearest known one, for each candidate.

        Parameters
        ----------
        numbers : iterable of int
            Numbers of candidates; those that were not added are left out.

        Returns
        -------
        dict of int to float
        """
        known = [number for number in numbers if number in self._rows]
        if not known:
            return {}
        distances = self._distances[[self._rows[number] for number in known]]
        gains = np.maximum(0, self._nearest - distances).mean(axis=1)
        return dict(zip(known, gains.tolist(), strict=True))


@dataclass
class Queue:
    """Order of the images that have no label.

    A share of all images is drawn at random, and only these count for the score: they stand for
    the whole folder, while the others are chosen because they are difficult.

    Parameters
    ----------
    positions : dict of int to float
        Position of each image in a random order, in 0..1.
    random_share : float
        Share of the images that are drawn at random, and of the choices among them.
    rng : numpy.random.Generator
    """

    positions: Mapping[int, float]
    random_share: float
    rng: np.random.Generator
    proposals: dict[int, Proposal] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)

    def add_proposals(self, proposals: Mapping[int, Proposal]) -> None:
        """Add what the model says about some images; it replaces what an earlier model said."""
        self.proposals.update(proposals)
        vectors = {n: row.embedding for n, row in proposals.items() if row.embedding is not None}
        self.coverage.add_images(vectors)

    def is_random(self, number: int) -> bool:
        """Whether an image belongs to the random share."""
        return self.positions[number] < self.random_share

    def choose(self, available: Collection[int], class_counts: Mapping[str, int]) -> Choice | None:
        """Choose an image; None if none is available."""
        if not available:
            return None
        random, others = self._split(available)
        proposed = {n: self.proposals[n] for n in others if n in self.proposals}
        if random and (not others or (self.proposals and self.rng.random() < self.random_share)):
            return Choice(self.find_first(random), True)
        if not proposed:
            return Choice(self.find_first(others), False)
        gains = self.coverage.compute_gains(proposed)
        information = score_information(proposed, gains, class_counts)
        return Choice(list(proposed)[int(information.to_numpy().argmax())], False)

    def find_first(self, numbers: Iterable[int]) -> int:
        """The first image in random order."""
        return min(numbers, key=self.positions.__getitem__)

    def list_next(self, available: Iterable[int], n_random: int, n_others: int) -> list[int]:
        """Images that the model should propose labels for, those that are needed first."""
        random, others = self._split(sorted(available, key=self.positions.__getitem__))
        if len(others) > n_others:
            others = self.rng.choice(others, n_others, replace=False).tolist()
        return random[:n_random] + others

    def _split(self, numbers: Iterable[int]) -> tuple[list[int], list[int]]:
        """Images of the random share, and the others."""
        random: list[int] = []
        others: list[int] = []
        for number in numbers:
            (random if self.is_random(number) else others).append(number)
        return random, others

    def mark_known(self, number: int) -> None:
        """Note that an image was handed out, so that images like it are less informative."""
        proposal = self.proposals.get(number)
        if proposal is not None and proposal.embedding is not None:
            self.coverage.add_known({number: proposal.embedding})
