"""Scores of a model beside those of the baseline, as text and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import box_scorer

if TYPE_CHECKING:
    import pandas as pd

    from ..typing import Localizer

__all__ = ["compare", "format_scores"]

#: Rows of the table, in order; others follow under their own names.
TITLES = {
    "mean_iou": "mean IoU",
    "iou_50": "share with IoU of at least 0.5",
    "localization_accuracy": "share with the right class, too",
}


def compare(model: Localizer, baseline: Localizer, X: pd.Series, y: pd.DataFrame) -> dict[str, Any]:
    """Number of images, and the scores of a model and of the baseline on them."""
    if getattr(model, "classes_", None) is None:
        y = y.drop(columns="class_name", errors="ignore")
    predicted = model.predict(X)
    n_images = len(X)
    if "error" in predicted and predicted["error"].isna().any():
        # The same rows for both. If all images are unreadable, the scorer says so.
        rows = np.flatnonzero(predicted["error"].isna())
        X, y, predicted = X.iloc[rows], y.iloc[rows], predicted.iloc[rows]
    return {
        "n_images": len(X),
        "n_unreadable": n_images - len(X),
        "model": box_scorer(_Predictions(predicted), X, y),
        "baseline": box_scorer(baseline, X, y),
    }


class _Predictions:
    """An estimator that has predicted already."""

    def __init__(self, predicted: pd.DataFrame) -> None:
        self.predicted = predicted

    def predict(self, X: object) -> pd.DataFrame:
        return self.predicted


def format_scores(title: str, scores: dict[str, Any], baseline: str) -> str:
    """A table with a row for each measure."""
    names = [*TITLES, *(name for name in scores["model"] if name not in TITLES)]
    rows = {TITLES.get(name, name): name for name in names if name in scores["model"]}
    width = max(map(len, [title, *rows]))
    columns = {"model": scores["model"], baseline: scores["baseline"]}
    lines = [f"{title:{width}}" + "".join(f"  {column:>10}" for column in columns)]
    for row, name in rows.items():
        cells = (
            f"  {values[name]:{max(len(column), 10)}.3f}" for column, values in columns.items()
        )
        lines.append(f"{row:{width}}" + "".join(cells))
    return "\n".join(lines)
