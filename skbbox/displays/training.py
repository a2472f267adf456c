"""Learning curves of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..exceptions import DataError
from ..history import as_history
from .curves import format_share_axis, plot_curve
from .drawing import make_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import HistoryLike

__all__ = ["TrainingDisplay"]

#: Names of curves and labels of their axes; shares have an axis from 0 to 1.
LOSSES = {
    "class_prediction_loss": "class loss",
    "bbox_prediction_loss": "box loss",
    "object_presence_loss": "presence loss",
}
SHARES = {
    "class_prediction_accuracy": "accuracy",
    "bbox_prediction_mean_iou": "mean IoU",
    "object_presence_accuracy": "presence accuracy",
}

#: Width and height of a panel in inches.
PANEL = (4.2, 2.8)


class TrainingDisplay:
    """Loss of each head, accuracy and mean IoU over the epochs, with the stages marked.

    Create one with :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    history : dict of lists
        One value for each epoch, by name, as in ``history_``.
    stages : list of (str, int), default=None
        Name and number of epochs of each stage, as in ``stages_``.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each curve: two for each of the classes, the boxes and the presence of an object,
        as far as the model learns them.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import TrainingDisplay
    >>> history = {"bbox_prediction_loss": [0.3, 0.2], "bbox_prediction_mean_iou": [0.4, 0.5]}
    >>> display = TrainingDisplay.from_history(history)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['box loss', 'mean IoU']
    """

    axes_: NDArray[Any]
    figure_: Figure

    def __init__(
        self, history: HistoryLike, stages: Sequence[tuple[str, int]] | None = None
    ) -> None:
        self.history, self.stages = history, stages

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : fitted SingleBoxLocalizer
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_history`.

        Returns
        -------
        TrainingDisplay
        """
        return cls.from_history(estimator, stages=getattr(estimator, "stages_", None), ax=ax)

    @classmethod
    def from_history(
        cls,
        history: HistoryLike,
        *,
        stages: Sequence[tuple[str, int]] | None = None,
        ax: Axes | NDArray[Any] | None = None,
    ) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : dict of lists, fitted estimator or Keras History
        stages : list of (str, int), default=None
            Name and number of epochs of each stage.
        ax : matplotlib Axes, array of them or None, default=None
            A subplot, which the panels replace; or one axes for each panel. None creates a
            figure.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        DataError
            If the history has none of the curves.
        """
        return cls(as_history(history), stages).plot(ax=ax)

    def plot(self, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            As for :meth:`from_history`.

        Returns
        -------
        TrainingDisplay
        """
        curves = {
            name: title for name, title in (LOSSES | SHARES).items() if self.history.get(name)
        }
        if not curves:
            raise DataError(
                f"The history has none of the curves {list(LOSSES | SHARES)}. "
                f"Its keys: {list(self.history)}."
            )
        panels = make_axes(ax, -(-len(curves) // 2), min(len(curves), 2), PANEL)
        self.axes_, self.figure_ = panels[: len(curves)], panels[0].figure
        for panel, (name, title) in zip(self.axes_, curves.items(), strict=True):
            plot_curve(self.history, name, panel)
            panel.set_ylabel(title)
            if name in SHARES:
                format_share_axis(panel, title)
            self._mark_stages(panel)
        return self

    def _mark_stages(self, ax: Axes) -> None:
        end = 0
        for number, (name, n_epochs) in enumerate(self.stages or []):
            if number:
                ax.axvline(end + 0.5, color="dimgray", linestyle=":")
                ax.annotate(
                    name,
                    (end + 0.5, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, 3),
                    textcoords="offset points",
                    horizontalalignment="center",
                    fontsize="small",
                    color="dimgray",
                )
            end += n_epochs
