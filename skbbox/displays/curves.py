"""Learning curves, drawn from a training history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import DataError
from ..history import as_history
from .drawing import create_axes

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
        has_classes = any(name.startswith("class_prediction") for name in history)
        why = "" if has_classes else " (a model without classes has no accuracy)"
        raise DataError(
            f"The history has no {key!r}{why if key.startswith('class') else ''}. "
            f"Its keys: {list(history)}."
        )
    ax = create_axes() if ax is None else ax
    marker = "." if len(history[key]) <= FEW_EPOCHS else None
    (line,) = ax.plot(_number_epochs(history[key]), history[key], marker=marker, label="training")
    validation = history.get(f"val_{key}")
    if validation is not None:
        ax.plot(
            _number_epochs(validation),
            validation,
            color=line.get_color(),
            linestyle="--",
            marker=marker,
            label="validation",
        )
    # Includes epochs of NaN, so that all curves of one training have the same axis.
    ax.update_datalim([(1, 0), (len(history[key]), 0)], updatey=False)
    ax.autoscale_view(scaley=False)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend()
    return ax


def format_share_axis(ax: Axes, name: str) -> None:
    """Label the y-axis and set it to 0..1."""
    # Slightly above 1, so that a curve at 1 is not clipped.
    ax.set(ylabel=name, ylim=(0, 1.02))
    ax.legend()


def _number_epochs(values: Sequence[float]) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)
