"""How good the proposals are: their honest score, and how many labels would still improve it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..boxes import iou
from .table import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Comparison", "ScoreLog", "compare", "estimate_remaining", "summarise"]

#: A proposal is usable if its class is right and its IoU with the label is at least this.
USABLE_IOU = 0.75
#: Number of the latest comparisons that are averaged.
WINDOW = 30
#: The curve is flat if `STEP` more labels would raise the mean IoU by less than `GAIN`.
STEP, GAIN = 50, 0.01
#: Comparisons that an estimate of the curve needs.
MIN_COMPARISONS = 12
#: More labels than this are not estimated.
MAX_REMAINING = 5000


class Comparison(NamedTuple):
    """A proposal compared with the label that the user gave.

    Attributes
    ----------
    image : str
        Name of the image.
    is_random : bool
        Whether the image was drawn at random, not chosen for what the model can learn from it.
    n_labels : int
        Number of labels that the model was trained on; that of `image` is not among them.
    iou : float
        0 if the box was missed; NaN if there is no object.
    is_class_right : bool
        Also true if both say that there is no object.
    """

    image: str
    is_random: bool
    n_labels: int
    iou: float
    is_class_right: bool

    @property
    def is_usable(self) -> bool:
        """Whether the proposal could be accepted unchanged."""
        return self.is_class_right and not self.iou < USABLE_IOU


def compare(
    image: str, is_random: bool, n_labels: int, proposed: Label, given: Label
) -> Comparison:
    """Compare a proposal with the label that the user gave."""
    if given.box is None:
        overlap = np.nan
    elif proposed.box is None:
        overlap = 0.0
    else:
        overlap = float(iou(proposed.box, given.box))
    is_right = proposed.class_name == given.class_name
    return Comparison(image, is_random, n_labels, overlap, is_right)


class ScoreLog:
    """The comparisons of all sessions, in a CSV file to which each is appended.

    Parameters
    ----------
    path : Path
        An existing file is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._comparisons = {row.image: row for row in _read_rows(path)} if path.exists() else {}
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:  # The process was killed in a line.
                file.write("\n")

    def add(self, comparison: Comparison) -> None:
        """Add a comparison; that of a label which is changed later replaces the first.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._comparisons.pop(comparison.image, None)
        self._comparisons[comparison.image] = comparison
        with self.path.open("a", encoding="utf-8", newline="") as file:
            if not file.tell():
                csv.writer(file).writerow(Comparison._fields)
            csv.writer(file).writerow(comparison)

    def list_random(self) -> list[Comparison]:
        """Comparisons of images that were drawn at random, in order."""
        return [row for row in self._comparisons.values() if row.is_random]

    def list_all(self) -> list[Comparison]:
        """All comparisons, in order."""
        return list(self._comparisons.values())


def _read_rows(path: Path) -> list[Comparison]:
    """The rows of the file; a line that was not written to its end is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [
        Comparison(image, is_random == "True", int(n), float(overlap), is_right == "True")
        for image, is_random, n, overlap, is_right in (row for row in rows if len(row) == 5)
        if is_right in ("True", "False")
    ]


@dataclass(frozen=True)
class Summary:
    """Scores of the proposals on the latest random images.

    Attributes
    ----------
    n : int
        Number of images.
    mean_iou, class_accuracy, usable : float or None
        In 0..1; None if there are no images.
    """

    n: int
    mean_iou: float | None
    class_accuracy: float | None
    usable: float | None


def summarise(comparisons: Sequence[Comparison], window: int = WINDOW) -> Summary:
    """Average the latest comparisons."""
    latest = comparisons[-window:]
    if not latest:
        return Summary(0, None, None, None)
    overlaps = np.array([row.iou for row in latest])
    known = overlaps[~np.isnan(overlaps)]
    return Summary(
        len(latest),
        float(known.mean()) if len(known) else None,
        float(np.mean([row.is_class_right for row in latest])),
        float(np.mean([row.is_usable for row in latest])),
    )


def estimate_remaining(comparisons: Sequence[Comparison], n_labels: int) -> int | None:
    r"""Estimate how many labels are needed until the curve of the mean IoU is flat.

    The error 1 - IoU is modelled as :math:`a + b / \sqrt{n}` for `n` labels [1]_, with `a` and `b`
    fitted by least squares and not negative. The curve is flat where 50 more labels would change
    the error by less than 0.01.

    Parameters
    ----------
    comparisons : list of Comparison
        Of random images.
    n_labels : int
        Labels given so far.

    Returns
    -------
    int or None
        0 if the curve is flat. None if there are too few comparisons, or their models were trained
        on too similar numbers of labels.

    References
    ----------
    .. [1] J. Hestness et al., "Deep Learning Scaling is Predictable, Empirically",
       arXiv:1712.00409.
    """
    rows = [(row.n_labels, 1 - row.iou) for row in comparisons if not np.isnan(row.iou)]
    if len(rows) < MIN_COMPARISONS:
        return None
    n, errors = np.array(rows, dtype=np.float64).T
    if n.max() < 2 * n.min():
        return None
    slope = float(np.polyfit(n**-0.5, errors, 1)[0])
    sizes = np.arange(n_labels, n_labels + MAX_REMAINING + 1, dtype=np.float64)
    gains = slope * (sizes**-0.5 - (sizes + STEP) ** -0.5)
    flat = np.flatnonzero(gains < GAIN)
    return int(flat[0]) if flat.size else MAX_REMAINING
