"""The parts of the page, in the order in which they stand on it."""

from __future__ import annotations

import inspect
import json
import os
import platform
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import __version__
from ..displays import (
    BoxStatisticsDisplay,
    IoUDistributionDisplay,
    IoUThresholdDisplay,
    TrainingDisplay,
)
from ..dummy import DummyLocalizer
from ..markup import Markup, escaped, joined, table, tag
from ..metrics import box_scorer
from .figures import plots, with_short_names
from .pictures import kept, n_worst_of, pictures
from .results import THRESHOLD, Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ..typing import FloatArray, IntArray

__all__ = [
    "baselines",
    "classes",
    "counts",
    "data",
    "details",
    "iou_plots",
    "numbers",
    "predictions",
    "summary",
    "training",
]

#: Up to so many classes, all pairs of them are in a table; above, those that were confused most.
MATRIX_CLASSES = 60
MOST_CONFUSED = 100

#: Headings of the measures.
MEASURES = {
    "mean_iou": "mean IoU",
    "iou_50": f"IoU ≥ {THRESHOLD:.2f}",
    "localization_accuracy": "localization accuracy",
}

#: Strategies of DummyLocalizer, and the box that each gives to all images.
BASELINES: dict[Literal["median", "mean", "full", "center"], str] = {
    "median": "median of the true boxes",
    "mean": "mean of the true boxes",
    "full": "the whole image",
    "center": "the middle half",
}

PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "pillow")

#: In the place of a number that there is not.
DASH = "\N{EN DASH}"

#: Where an object is in memory, which is different each time.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def summary(results: Results) -> Markup:
    """The numbers at the top."""
    tiles = {"images": f"{len(results) + len(results.errors):,}"}
    if results.true_codes is not None:
        tiles["classes"] = f"{len(np.unique(results.true_codes)):,}"
    for name, value in _scores_of(results).items():
        tiles[MEASURES[name]] = _number(name, value)
    return joined(_facts(tiles))


def details(estimator: Any) -> Markup:
    """Parameters that were set, and versions: what is needed to come here again."""
    versions = {"skbbox": __version__, "Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in PACKAGES if _is_installed(name)}
    parts = [_pairs("Versions", versions)]
    if hasattr(estimator, "get_params"):
        parameters = _changed_parameters(estimator)
        caption = f"Parameters of {type(estimator).__name__} that are not the default"
        parts.insert(0, _pairs(caption, parameters or {"none": "all are the default"}))
    return joined(parts)


def data(results: Results) -> Markup:
    """What the true boxes look like, and what was left out."""
    true, _ = results.tables()
    last = "Number of boxes of each class" if "class_name" in true else "Width and height of boxes"
    panels = plots(
        lambda axes: BoxStatisticsDisplay.from_boxes(with_short_names(true), ax=axes),
        "plot-data",
        [
            "Histogram of the share of the image that boxes cover",
            "Histogram of the ratio of width to height of boxes",
            "Places of the centres of boxes in the image",
            last,
        ],
    )
    return joined([_side_by_side(panels), _left_out(results)])


def training(estimator: Any) -> Markup:
    """The curves of the fit."""
    history = getattr(estimator, "history_", None)
    if not history or not any(history.values()):
        return tag("p", "There are no curves of training: no epoch was trained.")
    stages = getattr(estimator, "stages_", None)
    panels = plots(
        lambda axes: TrainingDisplay.from_history(history, stages=stages, ax=axes),
        "plot-training",
        [f"Curve over the epochs, panel {number} of the training" for number in range(1, 5)],
    )
    n_epochs = max(len(values) for values in history.values())
    told = [f"{n_epochs:,} epochs"]
    if stages and len(stages) > 1:
        told[0] += ": " + ", then ".join(f"{n:,} of {name}" for name, n in stages)
    if left_out := getattr(estimator, "bad_images_", None):
        told.append(f"{len(left_out):,} images that could not be read were left out")
    return joined([tag("p", f"{'; '.join(told)}."), _side_by_side(panels)])


def baselines(results: Results) -> Markup:
    """The scores beside those of models that do not look at the image."""
    true, _ = results.tables()
    scores = {"this model": _scores_of(results)}
    for strategy, what in BASELINES.items():
        dummy = DummyLocalizer(strategy).fit(results.images, true)
        scores[what] = box_scorer(dummy, results.images, true)
    names = list(scores["this model"])
    return table(
        "Scores of this model and of the baselines",
        ["", *(MEASURES[name] for name in names)],
        [
            [who, *(_bar(_number(name, values[name]), values[name]) for name in names)]
            for who, values in scores.items()
        ],
        class_="bars",
    )


def counts(results: Results) -> Markup:
    """What the script writes again when the slider is moved."""
    reached = results.iou >= THRESHOLD
    text = (
        f"{reached.sum():,} of {len(results):,} images ({_percent(reached.mean())}) have an IoU "
        f"of at least {THRESHOLD:.2f}"
    )
    if results.is_right is not None:
        right = reached & results.is_right
        text += f"; {right.sum():,} ({_percent(right.mean())}) have the right class, too"
    return escaped(f"{text}.")


def iou_plots(results: Results) -> Markup:
    """How many predictions are how good."""
    true, predicted = results.tables()
    threshold = plots(
        lambda axes: IoUThresholdDisplay.from_predictions(true, predicted, ax=axes[0]),
        "plot-threshold",
        ["Share of predictions that reach each IoU threshold"],
    )
    distribution = plots(
        lambda axes: IoUDistributionDisplay.from_predictions(true, predicted, ax=axes[0]),
        "plot-distribution",
        ["Histogram of the IoU of true and predicted boxes"],
    )
    return _side_by_side(threshold + distribution)


def classes(results: Results) -> Markup:
    """Each class by itself, and which of them are taken for each other."""
    true, predicted = results.true_codes, results.predicted_codes
    if true is None:
        return tag("p", "y has no class_name, so there are no numbers for each class.")
    if predicted is None:
        return _by_class(results, true, None)
    few = len(results.classes) <= MATRIX_CLASSES
    confusion = _confusion if few else _most_confused
    return joined([_by_class(results, true, predicted), confusion(results.labels, true, predicted)])


def numbers(results: Results) -> Markup:
    """What the script counts: whole numbers alone, one a row, so that no name comes into it."""
    columns = {"level": results.levels, "right": results.is_right, "true": results.true_codes}
    return Markup(
        json.dumps(
            {
                name: None if column is None else column.astype(int).tolist()
                for name, column in columns.items()
            },
            separators=(",", ":"),
        )
    )


def predictions(results: Results, max_images: int, verbose: int = 0) -> dict[str, Markup]:
    """The cards with a picture each, the classes to choose from, and which rows are there."""
    positions = kept(results.iou, max_images)
    drawn = pictures(results, positions, verbose)
    places = np.random.default_rng(0).permutation(len(positions))
    codes = np.unique(_found_under(results)[positions])
    return {
        "cards": joined(map(_card, [results] * len(drawn), positions, drawn, places)),
        "class_options": joined(
            tag("option", results.labels[code], value=code) for code in codes if code >= 0
        ),
        "which_cards": _which_cards(len(positions), len(results)),
    }


# ---------------------------------------------------------------- the top of the page


def _scores_of(results: Results) -> dict[str, float]:
    reached = results.iou >= THRESHOLD
    scores = {"mean_iou": float(results.iou.mean()), "iou_50": float(reached.mean())}
    if results.is_right is not None:
        scores["localization_accuracy"] = float((reached & results.is_right).mean())
    return scores


def _number(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "mean_iou" else _percent(value)


def _percent(share: float) -> str:
    """Rounded as the script does it, which cannot round as Python does."""
    return DASH if np.isnan(share) else f"{np.floor(1000 * share + 0.5) / 10:.1f} %"


def _changed_parameters(estimator: Any) -> dict[str, str]:
    signature = inspect.signature(type(estimator).__init__).parameters
    written = {name: _written(value) for name, value in estimator.get_params(deep=False).items()}
    return {
        name: text
        for name, text in written.items()
        if name not in signature or text != _written(signature[name].default)
    }


def _written(value: Any) -> str:
    """A value in words that are the same each time."""
    name = getattr(value, "__qualname__", None)
    return ADDRESS.sub("", f"{value.__module__}.{name}" if name else repr(value))


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _pairs(caption: str, pairs: Mapping[str, Any]) -> Markup:
    return table(caption, ["name", "value"], pairs.items(), class_="pairs")


# ---------------------------------------------------------------- data and scores


def _side_by_side(panels: Iterable[Markup]) -> Markup:
    return tag("div", *(tag("figure", panel) for panel in panels), class_="plots")


def _left_out(results: Results) -> Markup:
    if not results.errors:
        return Markup("")
    n_images = len(results) + len(results.errors)
    text = f"{len(results.errors):,} of {n_images:,} images could not be read and are left out"
    return tag(
        "details",
        tag("summary", text),
        table("Images that could not be read", ["row", "reason"], results.errors.items()),
    )


def _bar(text: str, share: float) -> Markup:
    """A cell with a number and a bar as long as it; of NaN a dash."""
    if np.isnan(share):
        return tag("td", DASH)
    rectangle = tag("rect", width=f"{share:.1%}", height="100%")
    return tag("td", tag("span", text), tag("svg", rectangle, class_="bar", aria_hidden="true"))


# ---------------------------------------------------------------- classes


def _by_class(results: Results, true: IntArray, predicted: IntArray | None) -> Markup:
    n_classes = len(results.classes)
    n_images = np.bincount(true, minlength=n_classes)
    mean_iou = _ratio(np.bincount(true, results.iou, n_classes), n_images)
    reached = _ratio(np.bincount(true, results.iou >= THRESHOLD, n_classes), n_images)
    threshold = tag("span", f"{THRESHOLD:.2f}", class_="threshold-value")
    columns: dict[str, list[Any]] = {
        "images": [f"{n:,}" for n in n_images],
        "mean IoU": [_bar(f"{mean:.3f}", mean) for mean in mean_iou],
        Markup(f"IoU ≥ {threshold}"): [
            tag("td", _percent(share), data_class=code) for code, share in enumerate(reached)
        ],
    }
    if predicted is not None:
        right = np.bincount(true[true == predicted], minlength=n_classes)
        n_predicted = np.bincount(predicted, minlength=n_classes)
        columns["class recall"] = [_percent(share) for share in _ratio(right, n_images)]
        columns["class precision"] = [_percent(share) for share in _ratio(right, n_predicted)]
    # Those without an image last, as NaN is.
    rows = [
        [results.labels[code], *(column[code] for column in columns.values())]
        for code in np.argsort(mean_iou, kind="stable")
    ]
    caption = "Each class, the one with the lowest mean IoU first"
    return table(caption, ["class", *columns], rows, class_="bars")


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _confusion(labels: list[str], true: IntArray, predicted: IntArray) -> Markup:
    n_classes = len(labels)
    matrix = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    matrix = matrix.reshape(n_classes, n_classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    rows = [
        [
            label,
            *(
                _shaded(matrix[row, column], shares[row, column], row == column)
                for column in range(n_classes)
            ),
        ]
        for row, label in enumerate(labels)
    ]
    is_wide = sum(map(len, labels)) > 60
    return table(
        "True classes (rows) and what they were predicted as (columns), in numbers of images",
        ["true \\ predicted", *(tag("span", label) for label in labels)],
        rows,
        class_="matrix upright" if is_wide else "matrix",
    )


def _shaded(n: int, share: float, is_right: bool) -> Markup:
    style = f"--share:{share:.2f}" if n else None
    return tag("td", f"{n:,}" if n else "", class_="diagonal" if is_right else None, style=style)


def _most_confused(labels: list[str], true: IntArray, predicted: IntArray) -> Markup:
    wrong = true != predicted
    pairs, n_images = np.unique(
        np.stack([true[wrong], predicted[wrong]]), axis=1, return_counts=True
    )
    first = np.argsort(-n_images, kind="stable")[:MOST_CONFUSED]
    return table(
        f"Above {MATRIX_CLASSES} classes there is no table of all: of {len(n_images):,} pairs of "
        f"classes that were confused, the {len(first):,} with the most images",
        ["true", "predicted", "images"],
        [
            [labels[a], labels[b], f"{n:,}"]
            for (a, b), n in zip(pairs.T[first], n_images[first], strict=True)
        ],
    )


# ---------------------------------------------------------------- predictions


def _card(results: Results, position: int, picture: Markup, place: int) -> Markup:
    """One image; what the script filters and sorts by is in its attributes."""
    iou, row = results.iou[position], results.rows[position]
    is_right, suspicion = results.is_right, results.suspicion
    is_wrong = is_right is not None and not is_right[position]
    name, predicted = _class_names(results, position)
    known = [predicted, f"not {name}"] if is_wrong else [name or predicted or ""]
    confidence = None if results.confidence is None else f"{results.confidence[position]:.2f}"
    # As the slider counts, not rounded up to what it does not reach.
    scores = [
        f"IoU {results.levels[position] / 100:.2f}",
        *([f"confidence {confidence}"] if confidence else []),
    ]
    return tag(
        "li",
        tag(
            "button",
            picture,
            tag(
                "span",
                tag("span", f"row {row}", class_="row"),
                tag("span", "wrong class", class_="mark wrong", hidden=not is_wrong),
                tag("span", "IoU too low", class_="mark low", hidden=bool(iou >= THRESHOLD)),
                class_="line",
            ),
            tag("span", *(tag("span", text) for text in known), class_="name"),
            tag("span", *(tag("span", score) for score in scores), class_="line"),
            type="button",
        ),
        tag(
            "dl",
            *_facts(
                {
                    "image": _path(results.images[position]),
                    "true class": name,
                    "predicted class": predicted,
                    "IoU": f"{iou:.3f}",
                    "confidence": confidence,
                    "true box": _written_box(results.true[position]),
                    "predicted box": _written_box(results.predicted[position]),
                }
            ),
            hidden=True,
        ),
        data_row=row,
        data_class=_found_under(results)[position],
        data_iou=repr(float(iou)),
        data_level=results.levels[position],
        data_right=None if is_right is None else int(is_right[position]),
        data_suspicion=None if suspicion is None else repr(float(suspicion[position])),
        data_place=place,
    )


def _found_under(results: Results) -> IntArray:
    """The class by which an image is found; -1 where there are none."""
    for codes in (results.true_codes, results.predicted_codes):
        if codes is not None:
            return codes
    return np.full(len(results), -1)


def _class_names(results: Results, position: int) -> list[str | None]:
    """The true one and the predicted one."""
    return [
        None if codes is None else results.labels[codes[position]]
        for codes in (results.true_codes, results.predicted_codes)
    ]


def _path(image: Any) -> str | None:
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def _written_box(coordinates: FloatArray) -> str:
    left, right, top, bottom = coordinates
    return f"x {left:.3f} to {right:.3f}, y {top:.3f} to {bottom:.3f}"


def _facts(facts: Mapping[str, str | None]) -> Iterable[Markup]:
    return (
        tag("div", tag("dt", name), tag("dd", fact))
        for name, fact in facts.items()
        if fact is not None
    )


def _which_cards(n_cards: int, n_rows: int) -> Markup:
    if n_cards == n_rows:
        return escaped(f"All {n_rows:,} images are on this page.")
    if not n_cards:
        return escaped("No image is on this page, as max_images is 0.")
    n_worst = n_worst_of(n_cards)
    return escaped(
        f"{n_cards:,} of {n_rows:,} images are on this page: the {n_worst:,} with the lowest IoU, "
        f"and {n_cards - n_worst:,} of the others at random."
    )
