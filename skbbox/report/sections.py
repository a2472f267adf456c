"""The values that the templates of the page show, in the order of its sections."""

from __future__ import annotations

import inspect
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .. import __version__
from ..displays import (
    BoxStatisticsDisplay,
    IoUDistributionDisplay,
    IoUThresholdDisplay,
    PresenceDisplay,
    TrainingDisplay,
)
from ..dummy import DummyLocalizer
from ..metrics import pair_rows
from .figures import draw_plots, shorten_class_names
from .results import THRESHOLD, Results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..metrics import Pairs
    from ..templates import Markup
    from ..typing import FloatArray, IntArray

__all__ = [
    "MEASURES",
    "Bar",
    "ClassRow",
    "ConfusionTable",
    "compare_with_baselines",
    "describe_counts",
    "describe_kinds",
    "describe_presence",
    "describe_training",
    "list_details",
    "list_numbers",
    "measure_classes",
    "plot_data",
    "plot_iou",
    "plot_presence",
    "plot_training",
    "summarize_scores",
    "tabulate_confusions",
]

#: With more classes, the page lists the most confused pairs instead of a confusion matrix.
MATRIX_CLASSES = 60
MOST_CONFUSED = 100

#: Headings of the measures.
MEASURES = {
    "mean_iou": "mean IoU",
    "iou_50": f"IoU ≥ {THRESHOLD:.2f}",
    "localization_accuracy": "localization accuracy",
    "class_accuracy": "class accuracy",
}

#: Strategies of DummyLocalizer, and the box that each predicts for all images.
BASELINES: dict[Literal["median", "mean", "full", "center"], str] = {
    "median": "median of the true boxes",
    "mean": "mean of the true boxes",
    "full": "the whole image",
    "center": "the middle half",
}

#: Kinds of rows, as in ``Results.kinds``, and how a sentence names them.
KINDS = {
    "class and box": "with class and box",
    "class only": "with a class only",
    "box only": "with a box only",
    "no object": "without an object",
}

PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "pillow")

#: Stands for a number that does not exist.
DASH = "\N{EN DASH}"

#: The address of an object in memory, which changes with every run.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Bar(NamedTuple):
    """A number as text, and as the width of a bar in percent; None for no bar."""

    text: str
    width: str | None


@dataclass(frozen=True)
class ClassRow:
    """The numbers of one class; None where there are no predicted classes."""

    label: str
    class_index: int
    n_images: str
    mean_iou: Bar
    reached: str
    recall: str | None
    precision: str | None


class ConfusionCell(NamedTuple):
    """A number of images, its share of the true class, and whether the class is right."""

    text: str
    share: str | None
    is_right: bool


@dataclass(frozen=True)
class ConfusionTable:
    """Either a confusion matrix, or, with many classes, the most confused pairs."""

    labels: list[str]
    matrix: list[list[ConfusionCell]] | None
    pairs: list[tuple[str, str, str]]
    n_pairs: int
    max_classes: int = MATRIX_CLASSES

    @property
    def is_wide(self) -> bool:
        """Whether the names of the columns must be written vertically to fit."""
        return sum(map(len, self.labels)) > 60


def summarize_scores(results: Results) -> dict[str, str]:
    """The numbers at the top, by name."""
    tiles = {"images": f"{len(results) + len(results.errors):,}"}
    if results.true_indices is not None:
        known = results.true_indices[results.true_indices >= 0]
        tiles["classes"] = f"{len(np.unique(known)):,}"
    for name, value in _compute_scores(results.pairs).items():
        tiles[MEASURES[name]] = _format_score(name, value)
    if results.knows_presence:
        tiles |= {name: f"{n:,} of {total:,}" for name, n, total in _count_presence(results)}
    return tiles


def list_details(estimator: Any) -> dict[str, dict[str, str]]:
    """Parameters that were set, and versions, by the caption of their table."""
    versions = {"skbbox": __version__, "Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in PACKAGES if _is_installed(name)}
    if not hasattr(estimator, "get_params"):
        return {"Versions": versions}
    caption = f"Parameters of {type(estimator).__name__} that differ from their defaults"
    parameters = _list_changed_parameters(estimator)
    return {caption: parameters or {"none": "all have their defaults"}, "Versions": versions}


def describe_kinds(results: Results) -> str:
    """How many rows lack which label; empty if all rows have the same labels."""
    if len(results.kinds) < 2:
        return ""
    kinds = ", ".join(f"{n:,} {KINDS[kind]}" for kind, n in results.kinds.items())
    return f"The {len(results):,} rows of y: {kinds}."


def plot_data(results: Results) -> list[Markup]:
    """Statistics of the true boxes; no plot without a box."""
    true = results.true
    if not results.pairs.has_box.any():
        return []
    last = "Number of boxes of each class" if "class_name" in true else "Width and height of boxes"
    return draw_plots(
        lambda axes: BoxStatisticsDisplay.from_boxes(shorten_class_names(true), ax=axes),
        "plot-data",
        [
            "Histogram of the share of the image that boxes cover",
            "Histogram of the ratio of width to height of boxes",
            "Positions of the centres of boxes in the image",
            last,
        ],
    )


def plot_training(estimator: Any) -> list[Markup]:
    """The learning curves; no plot without a training history."""
    history = getattr(estimator, "history_", None)
    if not history or not any(history.values()):
        return []
    return draw_plots(
        lambda axes: TrainingDisplay.from_history(
            history, stages=getattr(estimator, "stages_", None), ax=axes
        ),
        "plot-training",
        [f"Learning curve, panel {number} of the training" for number in range(1, 7)],
    )


def describe_training(estimator: Any) -> str:
    """The number of epochs, of all and of each stage, and of unreadable images."""
    history = getattr(estimator, "history_", None)
    if not history or not any(history.values()):
        return "There are no learning curves: no epoch was trained."
    stages = getattr(estimator, "stages_", None)
    text = f"{max(len(values) for values in history.values()):,} epochs"
    if stages and len(stages) > 1:
        text += ": " + ", then ".join(f"{n:,} of {name}" for name, n in stages)
    if bad_images := getattr(estimator, "bad_images_", None):
        text += f"; {len(bad_images):,} images that could not be read were left out"
    return f"{text}."


def compare_with_baselines(results: Results) -> dict[str, dict[str, Bar]]:
    """Scores by measure, of this model and of baselines that ignore the image."""
    scores = {"this model": _compute_scores(results.pairs)}
    rows = np.flatnonzero(results.pairs.has_box & results.pairs.has_class)
    if not rows.size:
        rows = np.flatnonzero(results.pairs.has_box)
    if rows.size:
        known = [results.images[row] for row in rows]
        true = results.true.iloc[rows].dropna(axis="columns")
        for strategy, name in BASELINES.items():
            dummy = DummyLocalizer(strategy).fit(known, true)
            scores[name] = _compute_scores(pair_rows(results.true, dummy.predict(results.images)))
    return {
        model: {
            measure: _make_bar(_format_score(measure, value), value)
            for measure in scores["this model"]
            for value in [values.get(measure, np.nan)]
        }
        for model, values in scores.items()
    }


def describe_counts(results: Results) -> str:
    """The text that the script rewrites when the slider moves."""
    has_iou = results.pairs.has_iou
    total = has_iou.sum()
    if not total:
        return "No row of y has a box, so there is no IoU."
    text = (
        f"{results.is_found.sum():,} of {total:,} images "
        f"({_format_percent(results.is_found.sum() / total)}) have an IoU of at least "
        f"{THRESHOLD:.2f}"
    )
    if results.is_right is not None:
        n_known = (has_iou & ~np.isnan(results.is_right)).sum()
        right = (results.is_found & (results.is_right == 1)).sum()
        if n_known:
            of = "" if n_known == total else f"of the {n_known:,} whose class is known, "
            share = _format_percent(right / n_known)
            text += f"; {of}{right:,} ({share}) also have the right class"
    return f"{text}."


def plot_iou(results: Results) -> list[Markup]:
    """The share of predictions that reach each IoU, and the distribution of the IoU."""
    if not results.pairs.has_iou.any():
        return []
    tables = results.true, results.predicted
    return [
        *draw_plots(
            lambda axes: IoUThresholdDisplay.from_predictions(*tables, ax=axes[0]),
            "plot-threshold",
            ["Share of predictions that reach each IoU threshold"],
        ),
        *draw_plots(
            lambda axes: IoUDistributionDisplay.from_predictions(*tables, ax=axes[0]),
            "plot-distribution",
            ["Histogram of the IoU of true and predicted boxes"],
        ),
    ]


def describe_presence(results: Results) -> str:
    """The numbers of false alarms and missed objects; empty where there is nothing to count."""
    if not results.knows_presence:
        return ""
    texts = [
        f"{n:,} of {total:,} images {kind} ({_format_percent(n / total)})"
        if total
        else f"no image {kind}"
        for (_, n, total), kind in zip(
            _count_presence(results), ("without an object", "with an object"), strict=True
        )
    ]
    return f"False alarms: {texts[0]}. Missed objects: {texts[1]}."


def plot_presence(results: Results, estimator: Any) -> list[Markup]:
    """The histogram of the presence; no plot if it is not predicted."""
    if results.pairs.presence is None:
        return []
    threshold = getattr(estimator, "presence_threshold", None)
    return draw_plots(
        lambda axes: PresenceDisplay.from_predictions(
            results.true, results.predicted, threshold=threshold, ax=axes[0]
        ),
        "plot-presence",
        ["Histogram of the presence of images with and without an object"],
    )


def measure_classes(results: Results) -> list[ClassRow]:
    """The numbers of each class, lowest mean IoU first and classes without a box last."""
    true = results.true_indices
    if true is None:
        return []
    n_classes = len(results.classes)
    n_images = np.bincount(true[true >= 0], minlength=n_classes)
    has_both = results.pairs.has_box & results.pairs.has_class
    n_boxes = np.bincount(true[has_both], minlength=n_classes)
    mean_iou, reached = (
        _divide(np.bincount(true[has_both], values[has_both], n_classes), n_boxes)
        for values in (results.iou, results.is_found)
    )
    recall = precision = None
    if confusion := results.confusion:
        is_right = confusion.true == confusion.predicted
        # Without the last position, which stands for no object.
        right, n_true, n_predicted = (
            np.bincount(indices, minlength=n_classes + 1)[:n_classes]
            for indices in (confusion.true[is_right], confusion.true, confusion.predicted)
        )
        recall, precision = _divide(right, n_true), _divide(right, n_predicted)
    return [
        ClassRow(
            results.labels[index],
            index,
            f"{n_images[index]:,}",
            _make_bar(f"{mean_iou[index]:.3f}", mean_iou[index]),
            _format_percent(reached[index]),
            None if recall is None else _format_percent(recall[index]),
            None if precision is None else _format_percent(precision[index]),
        )
        for index in np.argsort(mean_iou, kind="stable")
    ]


def tabulate_confusions(results: Results) -> ConfusionTable | None:
    """Which classes are predicted as which; None where there are no classes to compare."""
    confusion = results.confusion
    if confusion is None:
        return None
    labels = confusion.label(results.labels)
    if len(labels) <= MATRIX_CLASSES:
        return ConfusionTable(labels, _make_cells(confusion.to_matrix()), [], 0)
    wrong = confusion.true != confusion.predicted
    pairs, n_images = np.unique(
        np.stack([confusion.true[wrong], confusion.predicted[wrong]]), axis=1, return_counts=True
    )
    first = np.argsort(-n_images, kind="stable")[:MOST_CONFUSED]
    most_confused = [
        (labels[a], labels[b], f"{n:,}")
        for (a, b), n in zip(pairs.T[first], n_images[first], strict=True)
    ]
    return ConfusionTable(labels, None, most_confused, len(n_images))


def list_numbers(results: Results) -> dict[str, list[int] | None]:
    """What the script counts: integers for each row, so that no name gets into the script.

    -1 stands for a row without an IoU, whose class is unknown, or without a class.
    """
    columns = {"level": results.levels, "right": results.is_right, "true": results.true_indices}
    return {
        name: None if column is None else np.nan_to_num(column, nan=-1).astype(int).tolist()
        for name, column in columns.items()
    }


def _compute_scores(pairs: Pairs) -> dict[str, float]:
    """The measures of which there is a row to score."""
    found = np.where(pairs.has_iou, pairs.iou >= THRESHOLD, np.nan)
    values = {"mean_iou": pairs.iou, "iou_50": found}
    if pairs.true_names is not None and pairs.predicted_names is not None:
        values["localization_accuracy"] = pairs.compute_localized(THRESHOLD)
        # Elsewhere it says little more than the localization accuracy.
        if (pairs.has_class & ~pairs.has_box).any():
            values["class_accuracy"] = pairs.is_right_class
    return {name: float(np.nanmean(v)) for name, v in values.items() if not np.isnan(v).all()}


def _count_presence(results: Results) -> list[tuple[str, int, int]]:
    """Name, number and largest possible number of each kind of error."""
    pairs = results.pairs
    n_empty = int(pairs.is_empty.sum())
    return [
        ("false alarms", int(pairs.is_false_alarm.sum()), n_empty),
        ("missed objects", int(pairs.is_missed.sum()), len(pairs) - n_empty),
    ]


def _format_score(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "mean_iou" else _format_percent(value)


def _format_percent(share: float) -> str:
    """A share in percent, rounded half up as in the script; Python rounds half to even."""
    return DASH if np.isnan(share) else f"{np.floor(1000 * share + 0.5) / 10:.1f} %"


def _make_bar(text: str, share: float) -> Bar:
    return Bar(DASH, None) if np.isnan(share) else Bar(text, f"{share:.1%}")


def _list_changed_parameters(estimator: Any) -> dict[str, str]:
    signature = inspect.signature(type(estimator).__init__).parameters
    texts = {name: _format_value(v) for name, v in estimator.get_params(deep=False).items()}
    return {
        name: text
        for name, text in texts.items()
        if name not in signature or text != _format_value(signature[name].default)
    }


def _format_value(value: Any) -> str:
    """A value as text that is the same in every run."""
    name = getattr(value, "__qualname__", None)
    return ADDRESS.sub("", f"{value.__module__}.{name}" if name else repr(value))


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _divide(part: NDArray[Any], total: NDArray[Any]) -> FloatArray:
    return np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)


def _make_cells(counts: IntArray) -> list[list[ConfusionCell]]:
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    return [
        [
            ConfusionCell(f"{n:,}" if n else "", f"{share:.2f}" if n else None, row == column)
            for column, (n, share) in enumerate(zip(counts[row], shares[row], strict=True))
        ]
        for row in range(len(counts))
    ]
