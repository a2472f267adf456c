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

__all__ = ["Choice", "Distances", "Proposal", "Queue", "score_information"]


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
    distances: Mapping[int, float],
    class_counts: Mapping[str, int],
) -> pd.Series:
    """Expected information of labelling each image.

    It is the mean rank of the image by these criteria, those that are known: low
    ``class_confidence``, low ``box_confidence``, presence near 0.5, disagreement of two models,
    distance from the nearest labelled image [1]_, and rarity of the proposed class among labels.

    Parameters
    ----------
    proposals : dict of int to Proposal
        By number of the image.
    distances : dict of int to float
        Distance from the nearest labelled image by number of the image; empty if it is unknown.
    class_counts : dict of str to int
        Number of labels of each class.

    Returns
    -------
    Series
        In 0..1 by number of the image.

    References
    ----------
    .. [1] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
       Approach", ICLR 2018, arXiv:1708.00489.
    """
    rows = list(proposals.values())
    parts = pd.DataFrame(
        {
            "class": [1 - row.class_confidence for row in rows],
            "box": [1 - row.box_confidence for row in rows],
            "presence": [-abs(row.presence - 0.5) for row in rows],
            "disagreement": [row.disagreement for row in rows],
            "distance": [distances.get(number, np.nan) for number in proposals],
            "rarity": [-class_counts.get(row.label.class_name or "", 0) for row in rows],
        },
        index=list(proposals),
        dtype=np.float64,
    )
    return parts.rank(pct=True).mean(axis=1)


class Distances:
    """Cosine distance of each image from the nearest known one.

    Only new images and new known ones are compared, so that a choice among thousands of images
    takes milliseconds.
    """

    def __init__(self) -> None:
        self._vectors, self._known = _Rows(), _Rows()
        self._nearest = np.empty(0)

    def add_images(self, vectors: Mapping[int, FloatArray]) -> None:
        """Add unit vectors of images by their number; those added before stay as they are."""
        first = len(self._vectors)
        self._vectors.add(vectors)
        new = self._vectors.array[first:]
        nearest = np.full(len(new), np.inf)
        if len(new) and len(self._known):
            nearest = 1 - (new @ self._known.array.T).max(axis=1)
        self._nearest = np.concatenate([self._nearest, nearest])

    def add_known(self, vectors: Mapping[int, FloatArray]) -> None:
        """Add unit vectors of images that have a label or were handed out."""
        first = len(self._known)
        self._known.add(vectors)
        new = self._known.array[first:]
        if len(new) and len(self._vectors):
            distances = 1 - (self._vectors.array @ new.T).max(axis=1)
            self._nearest = np.minimum(self._nearest, distances)

    def compute(self) -> dict[int, float]:
        """Distances by the number of the image; empty if nothing is known."""
        if not len(self._known):
            return {}
        return dict(zip(self._vectors.numbers, self._nearest.tolist(), strict=True))


class _Rows:
    """A growing array of vectors, one per number; appending does not copy the others each time."""

    def __init__(self) -> None:
        self.numbers: dict[int, None] = {}
        self._buffer = np.empty((0, 0), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def array(self) -> FloatArray:
        return self._buffer[: len(self)]

    def add(self, vectors: Mapping[int, FloatArray]) -> None:
        new = {number: vector for number, vector in vectors.items() if number not in self.numbers}
        if not new:
            return
        first, n_rows = len(self), len(self) + len(new)
        if n_rows > len(self._buffer):
            n_channels = len(next(iter(new.values())))
            self._buffer = np.resize(self._buffer, (2 * n_rows, n_channels))
        self._buffer[first:n_rows] = list(new.values())
        self.numbers.update(dict.fromkeys(new))


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
    distances: Distances = field(default_factory=Distances)

    def add_proposals(self, proposals: Mapping[int, Proposal]) -> None:
        """Add what the model says about some images; it replaces what an earlier model said."""
        self.proposals.update(proposals)
        vectors = {n: row.embedding for n, row in proposals.items() if row.embedding is not None}
        self.distances.add_images(vectors)

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
        information = score_information(proposed, self.distances.compute(), class_counts)
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
            self.distances.add_known({number: proposal.embedding})
