"""The values that the templates of the page show, in the order of its sections."""

from __future__ import annotations

import inspect
import os
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
    TrainingDisplay,
)
from ..dummy import DummyLocalizer
from ..metrics import box_scorer
from .figures import draw_plots, shorten_class_names
from .pictures import count_worst, make_pictures, select_rows
from .results import THRESHOLD, Results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..templates import Markup
    from ..typing import FloatArray, IntArray
    from .pictures import Picture

__all__ = [
    "MEASURES",
    "Bar",
    "Card",
    "ClassRow",
    "ConfusionTable",
    "compare_with_baselines",
    "count_confusions",
    "describe_counts",
    "describe_selection",
    "describe_training",
    "list_class_options",
    "list_details",
    "list_numbers",
    "make_cards",
    "measure_classes",
    "plot_data",
    "plot_iou",
    "plot_training",
    "summarize_scores",
]

#: With more classes, the page lists the most confused pairs instead of a confusion matrix.
MATRIX_CLASSES = 60
MOST_CONFUSED = 100

#: Headings of the measures.
MEASURES = {
    "mean_iou": "mean IoU",
    "iou_50": f"IoU ≥ {THRESHOLD:.2f}",
    "localization_accuracy": "localization accuracy",
}

#: Strategies of DummyLocalizer, and the box that each predicts for all images.
BASELINES: dict[Literal["median", "mean", "full", "center"], str] = {
    "median": "median of the true boxes",
    "mean": "mean of the true boxes",
    "full": "the whole image",
    "center": "the middle half",
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


@dataclass(frozen=True)
class Card:
    """A picture with its facts; the script filters and sorts by `data`."""

    row: int
    picture: Picture
    is_wrong: bool
    is_low: bool
    names: list[str]
    scores: list[str]
    facts: dict[str, str]
    data: dict[str, Any]


def summarize_scores(results: Results) -> dict[str, str]:
    """The numbers at the top, by name."""
    tiles = {"images": f"{len(results) + len(results.errors):,}"}
    if results.true_indices is not None:
        tiles["classes"] = f"{len(np.unique(results.true_indices)):,}"
    for name, value in _compute_scores(results).items():
        tiles[MEASURES[name]] = _format_score(name, value)
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


def plot_data(results: Results) -> list[Markup]:
    """Statistics of the true boxes."""
    true, _ = results.to_tables()
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
        [f"Learning curve, panel {number} of the training" for number in range(1, 5)],
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
    true, _ = results.to_tables()
    scores = {"this model": _compute_scores(results)}
    for strategy, name in BASELINES.items():
        dummy = DummyLocalizer(strategy).fit(results.images, true)
        scores[name] = box_scorer(dummy, results.images, true)
    return {
        model: {
            measure: _make_bar(_format_score(measure, values[measure]), values[measure])
            for measure in scores["this model"]
        }
        for model, values in scores.items()
    }


def describe_counts(results: Results) -> str:
    """The text that the script rewrites when the slider moves."""
    text = (
        f"{results.is_found.sum():,} of {len(results):,} images "
        f"({_format_percent(results.is_found.mean())}) have an IoU of at least {THRESHOLD:.2f}"
    )
    if results.is_right is not None:
        right = results.is_found & results.is_right
        text += f"; {right.sum():,} ({_format_percent(right.mean())}) also have the right class"
    return f"{text}."


def plot_iou(results: Results) -> list[Markup]:
    """The share of predictions that reach each IoU, and the distribution of the IoU."""
    true, predicted = results.to_tables()
    return [
        *draw_plots(
            lambda axes: IoUThresholdDisplay.from_predictions(true, predicted, ax=axes[0]),
            "plot-threshold",
            ["Share of predictions that reach each IoU threshold"],
        ),
        *draw_plots(
            lambda axes: IoUDistributionDisplay.from_predictions(true, predicted, ax=axes[0]),
            "plot-distribution",
            ["Histogram of the IoU of true and predicted boxes"],
        ),
    ]


def measure_classes(results: Results) -> list[ClassRow]:
    """The numbers of each class, lowest mean IoU first and classes without an image last."""
    true, predicted = results.true_indices, results.predicted_indices
    if true is None:
        return []
    n_classes = len(results.classes)
    n_images = np.bincount(true, minlength=n_classes)
    mean_iou = _divide(np.bincount(true, results.iou, n_classes), n_images)
    reached = _divide(np.bincount(true, results.is_found, n_classes), n_images)
    recall = precision = None
    if predicted is not None:
        right = np.bincount(true[true == predicted], minlength=n_classes)
        recall = _divide(right, n_images)
        precision = _divide(right, np.bincount(predicted, minlength=n_classes))
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


def count_confusions(results: Results) -> ConfusionTable | None:
    """Which classes are predicted as which; None where there are no classes to compare."""
    true, predicted, labels = results.true_indices, results.predicted_indices, results.labels
    if true is None or predicted is None:
        return None
    if len(labels) <= MATRIX_CLASSES:
        return ConfusionTable(labels, _make_matrix(len(labels), true, predicted), [], 0)
    wrong = true != predicted
    pairs, n_images = np.unique(
        np.stack([true[wrong], predicted[wrong]]), axis=1, return_counts=True
    )
    first = np.argsort(-n_images, kind="stable")[:MOST_CONFUSED]
    most_confused = [
        (labels[a], labels[b], f"{n:,}")
        for (a, b), n in zip(pairs.T[first], n_images[first], strict=True)
    ]
    return ConfusionTable(labels, None, most_confused, len(n_images))


def list_numbers(results: Results) -> dict[str, list[int] | None]:
    """What the script counts: integers for each row, so that no name gets into the script."""
    columns = {"level": results.levels, "right": results.is_right, "true": results.true_indices}
    return {
        name: None if column is None else column.astype(int).tolist()
        for name, column in columns.items()
    }


def make_cards(results: Results, max_images: int, verbose: int = 0) -> list[Card]:
    """The cards of the images that get a picture, lowest IoU first."""
    positions = select_rows(results.iou, max_images)
    pictures = make_pictures(results, positions, verbose)
    places = np.random.default_rng(0).permutation(len(positions))
    return [
        _make_card(results, position, picture, place)
        for position, picture, place in zip(positions, pictures, places, strict=True)
    ]


def list_class_options(results: Results, cards: list[Card]) -> dict[int, str]:
    """Index and label of the classes that the cards can be filtered by."""
    indices = sorted({card.data["data-class"] for card in cards} - {-1})
    return {index: results.labels[index] for index in indices}


def describe_selection(n_cards: int, n_rows: int) -> str:
    """Which images have a card."""
    if n_cards == n_rows:
        return f"All {n_rows:,} images are on this page."
    if not n_cards:
        return "No image is on this page, because max_images is 0."
    n_worst = count_worst(n_cards)
    return (
        f"{n_cards:,} of {n_rows:,} images are on this page: the {n_worst:,} with the lowest IoU, "
        f"and {n_cards - n_worst:,} of the others at random."
    )


def _compute_scores(results: Results) -> dict[str, float]:
    scores = {"mean_iou": float(results.iou.mean()), "iou_50": float(results.is_found.mean())}
    if results.is_right is not None:
        scores["localization_accuracy"] = float((results.is_found & results.is_right).mean())
    return scores


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


def _make_matrix(n_classes: int, true: IntArray, predicted: IntArray) -> list[list[ConfusionCell]]:
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    counts = counts.reshape(n_classes, n_classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return [
        [
            ConfusionCell(f"{n:,}" if n else "", f"{share:.2f}" if n else None, row == column)
            for column, (n, share) in enumerate(zip(counts[row], shares[row], strict=True))
        ]
        for row in range(n_classes)
    ]


def _make_card(results: Results, position: int, picture: Picture, place: int) -> Card:
    iou, level = results.iou[position], results.levels[position]
    is_right = None if results.is_right is None else bool(results.is_right[position])
    true_name = _get_label(results, results.true_indices, position)
    predicted_name = _get_label(results, results.predicted_indices, position)
    shown_by = results.predicted_indices if results.true_indices is None else results.true_indices
    names = [true_name or predicted_name or ""]
    if is_right is False:
        names = [predicted_name or "", f"not {true_name}"]
    confidences = {
        "class confidence": results.class_confidence,
        "expected IoU": results.box_confidence,
    }
    confidence = {
        name: f"{values[position]:.2f}"
        for name, values in confidences.items()
        if values is not None
    }
    facts = {
        "image": _get_path(results.images[position]),
        "true class": true_name,
        "predicted class": predicted_name,
        "IoU": f"{iou:.3f}",
        **confidence,
        "true box": _format_box(results.true[position]),
        "predicted box": _format_box(results.predicted[position]),
    }
    suspicion = results.suspicion
    return Card(
        row=results.rows[position],
        picture=picture,
        is_wrong=is_right is False,
        is_low=not results.is_found[position],
        names=names,
        # Rounded down, so that it never shows a threshold that the IoU misses.
        scores=[f"IoU {level / 100:.2f}", *(f"{name} {text}" for name, text in confidence.items())],
        facts={name: fact for name, fact in facts.items() if fact is not None},
        data={
            "data-row": results.rows[position],
            "data-class": -1 if shown_by is None else int(shown_by[position]),
            "data-iou": repr(float(iou)),
            "data-level": level,
            "data-right": None if is_right is None else int(is_right),
            "data-suspicion": None if suspicion is None else repr(float(suspicion[position])),
            "data-place": place,
        },
    )


def _get_label(results: Results, class_indices: IntArray | None, position: int) -> str | None:
    return None if class_indices is None else results.labels[class_indices[position]]


def _get_path(image: Any) -> str | None:
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def _format_box(box: FloatArray) -> str:
    left, right, top, bottom = box
    return f"x {left:.3f} to {right:.3f}, y {top:.3f} to {bottom:.3f}"
