"""Scores of a search over one or two parameters."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .drawing import MEASURE_COLOR, create_axes
from .significance import LEVEL, compare_with_best, describe_ties

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import FloatArray, IntArray

__all__ = ["SearchDisplay"]

#: Axis labels of metrics; other metrics are labelled by their name.
TITLES = {
    "score": "mean IoU",
    "mean_iou": "mean IoU",
    "iou_50": "share with IoU ≥ 0.5",
    "localization_accuracy": "localization accuracy",
}
#: From this ratio of largest to smallest value, the axis is logarithmic.
LOGARITHMIC_FROM = 8
#: With a smaller share of the grid's cells tried, the results are drawn as points.
GRID_FROM = 0.5


class SearchDisplay:
    """Scores of a search: a curve over one parameter, a heat map over two.

    Both show the mean over the folds and the standard deviation.

    Candidates that cannot be distinguished from the best are marked, or the title says that none
    can: in a paired t-test over the folds, corrected for the overlap of their training sets [1]_,
    and not for the number of candidates, p is at least 0.05.

    Create one with :meth:`from_estimator` or :meth:`from_cv_results`.

    Parameters
    ----------
    table : DataFrame
        One row for each combination of the parameters' values, with the best score over all
        other parameters: a column for each parameter, ``mean`` and ``std`` over the folds, and
        ``split0``, ``split1`` ... NaN where the fit failed. ``p_value`` is that of the difference
        from the best.
    params : list of str
        One or two columns of `table`.
    metric : str

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
       (2003), 239-281.

    Examples
    --------
    >>> from skbbox import SearchDisplay
    >>> results = {"params": [{"box_loss_weight": 1}, {"box_loss_weight": 10}],
    ...            "split0_test_score": [0.4, 0.6], "split1_test_score": [0.5, 0.7],
    ...            "mean_test_score": [0.45, 0.65], "std_test_score": [0.05, 0.05]}
    >>> display = SearchDisplay.from_cv_results(results)
    >>> display.params, display.ax_.get_xlabel()
    (['box_loss_weight'], 'box_loss_weight')
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, table: pd.DataFrame, params: Sequence[str], metric: str) -> None:
        self.table, self.params, self.metric = table, params, metric

    @classmethod
    def from_estimator(
        cls,
        search: Any,
        *,
        params: str | Sequence[str] | None = None,
        metric: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted search.

        Parameters
        ----------
        search : fitted GridSearchCV, RandomizedSearchCV or another with ``cv_results_``
        params : str or sequence of str, default=None
            As for :meth:`from_cv_results`.
        metric : str, default=None
            Name of the metric. None uses that of ``refit``.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        SearchDisplay
        """
        check_is_fitted(search, "cv_results_")
        refit = getattr(search, "refit", None)
        if metric is None and isinstance(refit, str) and search.multimetric_:
            metric = refit
        return cls.from_cv_results(search.cv_results_, params=params, metric=metric, ax=ax)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        params: str | Sequence[str] | None = None,
        metric: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw ``cv_results_``.

        Parameters
        ----------
        cv_results : dict of arrays or DataFrame
            Has ``params`` and ``mean_test_<metric>``.
        params : str or sequence of str, default=None
            One or two parameters. None uses those with several values, if they are one or two.
            Of candidates that differ only in other parameters, the best is shown.
        metric : str, default=None
            Name of the metric. None uses the only one.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        ValueError
            If `params` are not one or two parameters of the search, or `metric` is unknown.
        """
        metric = _choose_metric(cv_results, metric)
        candidates = list(cv_results["params"])
        params = _choose_params(candidates, params)
        columns = {name: [candidate.get(name) for candidate in candidates] for name in params}
        table = pd.DataFrame(columns, dtype=object)
        table["mean"] = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
        table["std"] = np.asarray(cv_results.get(f"std_test_{metric}", np.nan), dtype=float)
        number = 0
        while (key := f"split{number}_test_{metric}") in cv_results:
            table[f"split{number}"] = np.asarray(cv_results[key], dtype=float)
            number += 1
        # Candidates of another grid may lack a parameter.
        has_params = np.array([set(params) <= set(candidate) for candidate in candidates])
        if "iter" in cv_results:
            # A halving search repeats good candidates with more images or epochs.
            iterations = np.asarray(cv_results["iter"])
            has_params &= iterations == _find_last_iterations(candidates, iterations)
        table = _keep_best(table[has_params], params)
        folds = [f"split{fold}" for fold in range(number)]
        table["p_value"] = compare_with_best(table[folds].to_numpy(dtype=float))
        return cls(table, params, metric).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the curve or the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        SearchDisplay
        """
        self.ax_ = create_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        if len(self.params) == 1:
            self._draw_curve()
        else:
            values = [_sort_values(self.table[name]) for name in self.params]
            if len(self.table) >= GRID_FROM * len(values[0]) * len(values[1]):
                self._draw_heat_map(*values)
            else:
                self._draw_points()
        p_values = self._get_p_values()
        n_folds = sum(str(name).startswith("split") for name in self.table)
        if title := describe_ties(p_values, n_folds):
            self.ax_.set_title(title, fontsize="small")
        return self

    def _get_p_values(self) -> FloatArray:
        if "p_value" not in self.table:
            return np.full(len(self.table), np.nan)
        return self.table["p_value"].to_numpy(dtype=float)

    def _find_ties(self) -> NDArray[np.bool_]:
        """The rows that are marked: neither the best nor distinguishable from it, unless all are.

        A mark on all of them would say nothing.
        """
        p_values = self._get_p_values()
        is_tied = p_values >= LEVEL
        if (is_tied | np.isnan(p_values)).all():
            return np.zeros(len(is_tied), dtype=bool)
        is_tied[self.table["mean"].argmax()] = False
        return is_tied

    def _draw_curve(self) -> None:
        (param,) = self.params
        values, ax = _sort_values(self.table[param]), self.ax_
        rank = [values.index(value) for value in self.table[param]]
        table = self.table.iloc[np.argsort(rank)]
        numeric = _are_numbers(values)
        places = np.asarray(values if numeric else range(len(values)), dtype=float)
        mean, std = table["mean"].to_numpy(), table["std"].to_numpy()
        for number, fold in enumerate(name for name in map(str, table) if name.startswith("split")):
            label = "" if number else "single folds"
            ax.plot(places, table[fold], "o", color="gray", alpha=0.6, markersize=4, label=label)
        ax.plot(places, mean, "o-", color=MEASURE_COLOR, label="mean over folds")
        ax.fill_between(
            places,
            mean - std,
            mean + std,
            color=MEASURE_COLOR,
            alpha=0.2,
            linewidth=0,
            label="standard deviation",
        )
        for place in places[np.isnan(mean)]:
            ax.axvline(place, color="firebrick", linestyle=":", label="failed")
        if not np.isnan(mean).all():
            best = int(np.nanargmax(mean))
            ax.plot(
                places[best],
                mean[best],
                "o",
                markersize=11,
                markerfacecolor="none",
                markeredgecolor="black",
                label=f"best: {_format_tick(values[best])}",
            )
            is_tied = self._find_ties()[np.argsort(rank)]
            ax.plot(
                places[is_tied],
                mean[is_tied],
                "o",
                markersize=11,
                markerfacecolor="none",
                markeredgecolor="gray",
                label="≈ best" if is_tied.any() else "",
            )
        if numeric:
            _set_scale(ax.xaxis, places)
        if not numeric or len(values) <= 12:
            ax.set_xticks(places, [_format_tick(value) for value in values])
            ax.xaxis.set_ticks([], minor=True)
        ax.set(xlabel=param, ylabel=TITLES.get(self.metric, self.metric))
        ax.grid(alpha=0.3)
        ax.legend()

    def _draw_heat_map(self, across: list[Any], down: list[Any]) -> None:
        x_name, y_name = self.params
        ax = self.ax_
        scores, spreads = np.full((2, len(down), len(across)), np.nan)
        tried, tied = (np.zeros(scores.shape, dtype=bool) for _ in range(2))
        for x, y, score, spread, is_tied in zip(
            self.table[x_name],
            self.table[y_name],
            self.table["mean"],
            self.table["std"],
            self._find_ties(),
            strict=True,
        ):
            cell = down.index(y), across.index(x)
            scores[cell], spreads[cell], tried[cell], tied[cell] = score, spread, True, is_tied
        image = ax.imshow(scores, origin="lower", cmap="viridis", aspect="auto")
        ax.set_facecolor("lightgray")
        best = None if np.isnan(scores).all() else np.nanargmax(scores)
        low, high = image.get_clim()
        middle = ((low or 0) + (high or 0)) / 2
        for number, score in enumerate(scores.ravel()):
            y, x = divmod(number, len(across))
            failed = np.isnan(score)
            label = f"{score:.3f}" if not failed else "failed" if tried[y, x] else ""
            label = f"≈ {label}" if tied[y, x] else label
            label = label if failed else f"{label}\n± {spreads[y, x]:.3f}"
            light = failed or score > middle
            ax.text(
                x,
                y,
                label,
                ha="center",
                va="center",
                color="black" if light else "white",
                fontweight="bold" if number == best else "normal",
            )
        if best is not None:
            from matplotlib.patches import Rectangle

            y, x = divmod(int(best), len(across))
            frame = Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, color="black", lw=2.5)
            ax.add_patch(frame)
        ax.set_xticks(range(len(across)), [_format_tick(value) for value in across])
        ax.set_yticks(range(len(down)), [_format_tick(value) for value in down])
        ax.set(xlabel=x_name, ylabel=y_name)
        self._add_color_bar(image)

    def _draw_points(self) -> None:
        ax = self.ax_
        places = []
        for name, axis in zip(self.params, (ax.xaxis, ax.yaxis), strict=True):
            values = _sort_values(self.table[name])
            if _are_numbers(values):
                places.append(self.table[name].to_numpy(dtype=float))
                _set_scale(axis, places[-1])
            else:
                places.append(np.array([values.index(value) for value in self.table[name]]))
                axis.set_ticks(range(len(values)), [_format_tick(value) for value in values])
        mean = self.table["mean"].to_numpy()
        failed = np.isnan(mean)
        ax.plot(places[0][failed], places[1][failed], "x", color="firebrick", label="failed")
        ok = ~failed
        points = ax.scatter(
            places[0][ok], places[1][ok], c=mean[ok], s=70, cmap="viridis", edgecolor="white"
        )
        if ok.any():
            best = int(np.nanargmax(mean))
            ax.plot(
                places[0][best],
                places[1][best],
                "o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor="black",
                markeredgewidth=2,
                label=f"best: {mean[best]:.3f}",
            )
            is_tied = self._find_ties()
            ax.plot(
                places[0][is_tied],
                places[1][is_tied],
                "o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor="gray",
                label="≈ best" if is_tied.any() else "",
            )
        ax.set(xlabel=self.params[0], ylabel=self.params[1])
        ax.legend()
        self._add_color_bar(points)

    def _add_color_bar(self, mappable: Any) -> None:
        self.figure_.colorbar(mappable, ax=self.ax_, label=TITLES.get(self.metric, self.metric))


def _choose_metric(cv_results: Mapping[str, Any], metric: str | None) -> str:
    prefix = "mean_test_"
    metrics = [key.removeprefix(prefix) for key in cv_results if key.startswith(prefix)]
    if metric is None and len(metrics) == 1:
        return metrics[0]
    if metric not in metrics:
        raise ValueError(f"metric must be one of {metrics}. Received: {metric!r}.")
    return metric


def _choose_params(
    candidates: Sequence[Mapping[str, Any]], params: str | Sequence[str] | None
) -> list[str]:
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    if params is None:
        tried = {name: [each[name] for each in candidates if name in each] for name in names}
        # A search may have a single candidate.
        params = [name for name in names if len(_sort_values(tried[name])) > 1] or names[:1]
    params = [params] if isinstance(params, str) else list(params)
    unknown = [name for name in params if name not in names]
    if unknown or len(params) not in (1, 2):
        raise ValueError(
            "params must be one or two parameters of the search, such as "
            f"{names[:2]}; it has {names}. Received: {params}."
        )
    return params


def _find_last_iterations(
    candidates: Sequence[Mapping[str, Any]], iterations: IntArray
) -> IntArray:
    """The last iteration of each candidate."""
    keys = [repr(candidate) for candidate in candidates]
    return pd.Series(iterations).groupby(keys).transform("max").to_numpy()


def _keep_best(table: pd.DataFrame, params: Sequence[str]) -> pd.DataFrame:
    # By repr, because values may be lists or unhashable objects.
    keys = table[list(params)].map(repr).agg("|".join, axis=1)
    ordered = table.sort_values("mean", ascending=False, kind="stable", na_position="last")
    return ordered[~keys.loc[ordered.index].duplicated()].sort_index().reset_index(drop=True)


def _sort_values(values: Iterable[Any]) -> list[Any]:
    """Unique values: numbers sorted, others in order of appearance."""
    unique: list[Any] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return sorted(unique) if _are_numbers(unique) else unique


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, Real) and not isinstance(value, bool) for value in values)


def _set_scale(axis: Any, places: FloatArray) -> None:
    if places.min() > 0 and places.max() / places.min() >= LOGARITHMIC_FROM:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})


def _format_tick(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, bool):
        return f"{value:g}"
    return str(getattr(value, "__name__", value))
