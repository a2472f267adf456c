"""Training histories: dicts that map a name to one value for each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .typing import HistoryLike

__all__ = ["as_history", "combine_histories"]


def combine_histories(histories: Sequence[HistoryLike]) -> dict[str, list[float]]:
    """Concatenate the histories of consecutive stages.

    Parameters
    ----------
    histories : list
        Dicts of lists, fitted estimators or Keras Histories, in the order of training.

    Returns
    -------
    dict of str to list of float
        A name that a stage lacks is NaN for its epochs, so that all curves stay aligned.

    Examples
    --------
    >>> from skbbox import combine_histories
    >>> combine_histories([{"loss": [3.0, 2.0]}, {"loss": [1.0], "val_loss": [1.5]}])
    {'loss': [3.0, 2.0, 1.0], 'val_loss': [nan, nan, 1.5]}
    """
    if isinstance(histories, Mapping):
        raise TypeError(
            "combine_histories takes a list of histories. Received a single one: pass [history]."
        )
    histories = [as_history(history) for history in histories]
    names = list(dict.fromkeys(name for history in histories for name in history))
    combined: dict[str, list[float]] = {name: [] for name in names}
    for history in histories:
        n_epochs = max((len(values) for values in history.values()), default=0)
        for name in names:
            combined[name] += history.get(name, [math.nan] * n_epochs)
    return combined


def as_history(history: HistoryLike) -> dict[str, list[float]]:
    """The dict of lists of a dict, a Keras History or a fitted estimator."""
    for attribute in ("history_", "history"):
        history = getattr(history, attribute, history)
    if not isinstance(history, Mapping):
        raise TypeError(
            "A history must be a dict of lists, a fitted estimator with history_, or a Keras "
            f"History. Received: {type(history).__name__}."
        )
    lengths = {name: len(values) for name, values in history.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The curves of a history must have one value for each epoch. Received: {lengths}."
        )
    return {name: list(values) for name, values in history.items()}
