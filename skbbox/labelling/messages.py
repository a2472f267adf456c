"""What the server and the process of the model send each other."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from ..typing import FloatArray
    from .queue import Proposal

__all__ = [
    "Failed",
    "Issues",
    "Progress",
    "Proposals",
    "RankTask",
    "Start",
    "TrainTask",
    "Trained",
    "read_message",
    "write_message",
]


class Start(NamedTuple):
    """The first message to the model: the unfitted estimator."""

    estimator: Any


class TrainTask(NamedTuple):
    """Fit the estimator, and propose labels.

    Attributes
    ----------
    labels : DataFrame
        With the column ``image``.
    wanted : dict of int to str
        Paths of images by number, those that are needed first at the beginning.
    """

    labels: pd.DataFrame
    wanted: dict[int, str]


class RankTask(NamedTuple):
    """Rank labels by how likely they are wrong.

    Attributes
    ----------
    labels : DataFrame
        With the column ``image``.
    n_folds : int
    """

    labels: pd.DataFrame
    n_folds: int


class Progress(NamedTuple):
    """How far a task is; `share` is in 0..1."""

    share: float


class Trained(NamedTuple):
    """The estimator is fitted.

    Attributes
    ----------
    n_labels : int
        Number of labels that it is fitted to.
    embeddings : dict of str to ndarray of shape (n_channels,)
        Unit vectors of their images by path, of those that were not embedded before.
    """

    n_labels: int
    embeddings: dict[str, FloatArray]


class Proposals(NamedTuple):
    """Proposals by the number of their image, and paths of unreadable images with the reason."""

    proposals: dict[int, Proposal]
    unreadable: dict[int, str]


class Issues(NamedTuple):
    """The result of :func:`skbbox.rank_label_issues`."""

    table: pd.DataFrame


class Failed(NamedTuple):
    """A task failed, or the process has ended; `reason` is for the user."""

    reason: str
    has_ended: bool = False


def write_message(file: BinaryIO, message: Any) -> None:
    """Write a message to a pipe."""
    pickle.dump(message, file)
    file.flush()


def read_message(file: BinaryIO) -> Any:
    """Wait for a message; raises EOFError at the end of the pipe."""
    return pickle.load(file)
