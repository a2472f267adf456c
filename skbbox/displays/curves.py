"""Curves of a training history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import SkbboxError
from ..history import as_history
from .drawing import new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..typing import HistoryLike

__all__ = ["format_share_axis", "plot_curve"]

#: Up to this number of epochs, each is marked with a dot.
FEW_EPOCHS = 40


def plot_curve(history: HistoryLike, key: str, ax: Axes | None) -> Axes:
    """Draw one curve of a history, training solid and validation dashed."""
    from matplotlib.ticker import MaxNLocator

    history = as_history(history)
    if key not in history:
        boxes_alone = not any(name.startswith("class_prediction") for name in history)
        why = " (a model of boxes alone has no accuracy)" if boxes_alone else ""
        raise SkbboxError(
            f"The history has no {key!r}{why if key.startswith('class') else ''}. "
            f"Its keys: {list(history)}."
        )
    ax = new_axes() if ax is None else ax
    marker = "." if len(history[key]) <= FEW_EPOCHS else None
    (line,) = ax.plot(_epochs(history[key]), history[key], marker=marker, label="training")
    validation = history.get(f"val_{key}")
    if validation is not None:
        ax.plot(
            _epochs(validation),
            validation,
            color=line.get_color(),
            linestyle="--",
            marker=marker,
            label="validation",
        )
    # Epochs of NaN keep their place, so that the curves of one training stand side by side.
    ax.update_datalim([(1, 0), (len(history[key]), 0)], updatey=False)
    ax.autoscale_view(scaley=False)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend()
    return ax


def format_share_axis(ax: Axes, name: str) -> None:
    """An axis of 0 to 1."""
    # A little above 1, where training accuracy often ends, so that the line is not cut.
    ax.set(ylabel=name, ylim=(0, 1.02))
    ax.legend()


def _epochs(values: Sequence[float]) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)
