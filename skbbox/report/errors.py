"""What the IoU is lost to, and whether the confidences are what they claim to be."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..boxes import COORDINATES
from ..displays import CalibrationDisplay, ErrorDisplay
from ..metrics import CLAIMS, ERRORS, NO_OBJECT, localization_errors
from .figures import draw_plots, shorten_class_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..templates import Markup
    from .results import Results

__all__ = ["ErrorKind", "list_errors", "plot_calibration", "plot_errors"]

#: Kinds of errors, and what they mean for a box.
MEANINGS = dict(
    zip(
        ERRORS,
        (
            "it is not centred on the object",
            "it is too large or too small",
            "its ratio of width to height is wrong",
            "it is around something else: IoU below 0.1",
            "there is none, but there is an object",
            "there is one, but there is no object",
            "its class is wrong; its IoU is lost if only boxes of the right class count",
        ),
        strict=True,
    )
)

#: With more classes, bars of classes would be too thin.
MOST_CLASSES = 12


class ErrorKind(NamedTuple):
    """A kind of error, what it means, the IoU lost to it as text, and the width of its bar."""

    name: str
    meaning: str
    text: str
    width: str


def list_errors(results: Results) -> list[ErrorKind]:
    """The kinds that occur, the largest loss first, and wrong classes last."""
    if not results.pairs.has_iou.any():
        return []
    lost = localization_errors(results.true, results.predicted).iloc[0]
    kinds = [kind for kind in ERRORS if kind in lost and lost[kind] > 0]
    kinds.sort(key=lambda kind: (kind == "wrong_class", -lost[kind]))
    return [
        ErrorKind(kind.replace("_", " "), MEANINGS[kind], f"{lost[kind]:.3f}", f"{lost[kind]:.1%}")
        for kind in kinds
    ]


def plot_errors(results: Results) -> list[Markup]:
    """The kinds by the size of the object, and by class; no plot if no IoU is lost."""
    if not list_errors(results):
        return []
    tables = results.true, results.predicted
    plots = draw_plots(
        lambda axes: ErrorDisplay.from_predictions(*tables, by="size", ax=axes[0]),
        "plot-errors-size",
        ["IoU lost to each kind of error, for small, medium and large objects"],
    )
    if results.pairs.true_names is None or not 2 <= len(results.classes) <= MOST_CLASSES:
        return plots
    names = shorten_class_names(results.true)["class_name"].astype(object)
    missing = np.where(results.pairs.is_empty, NO_OBJECT, "box only")
    groups = names.where(names.notna(), missing).to_numpy()
    return plots + draw_plots(
        lambda axes: ErrorDisplay.from_predictions(*tables, by=groups, ax=axes[0]),
        "plot-errors-class",
        ["IoU lost to each kind of error, for each class"],
    )


def plot_calibration(results: Results) -> list[Markup]:
    """Each confidence against what it claims to be; no plot without a row to compare."""
    pairs = results.pairs
    reached = {
        "class_confidence": pairs.is_right_class,
        "box_confidence": np.where(pairs.has_box, pairs.iou, np.nan),
    }
    plots = []
    for of, what in CLAIMS.items():
        confidence = getattr(results, of)
        if confidence is None or np.isnan(confidence + reached[of]).all():
            continue
        columns = [name for name in ("class_name", *COORDINATES, of) if name in results.predicted]
        draw = functools.partial(_draw_calibration, results, columns)
        plots += draw_plots(draw, f"plot-calibration-{of}", [f"{of} against the {what}"])
    return plots


def _draw_calibration(results: Results, columns: list[str], axes: NDArray[Any]) -> None:
    CalibrationDisplay.from_predictions(results.true, results.predicted[columns], ax=axes[0])
