"""How predictions are scored: rows in pairs, measures, and scorers for scikit-learn."""

from .confusion import NO_OBJECT, Confusion, count_confusions, encode_names
from .errors import ERRORS, localization_errors
from .measures import (
    class_accuracy,
    compute_box_issue,
    iou_at,
    localization_accuracy,
    mean_iou,
    presence_auc,
)
from .pairs import Pairs, count_kinds, pair_rows
from .scorers import (
    IoUScore,
    box_scorer,
    class_scorer,
    iou_50_scorer,
    localization_scorer,
    mean_iou_scorer,
    presence_scorer,
    score_estimator,
)
from .trust import (
    CLAIMS,
    REGION,
    Reliability,
    compute_reliability,
    expected_calibration_error,
    region_coverage,
)

__all__ = [
    "CLAIMS",
    "ERRORS",
    "NO_OBJECT",
    "REGION",
    "Confusion",
    "IoUScore",
    "Pairs",
    "Reliability",
    "box_scorer",
    "class_accuracy",
    "class_scorer",
    "compute_box_issue",
    "compute_reliability",
    "count_confusions",
    "count_kinds",
    "encode_names",
    "expected_calibration_error",
    "iou_50_scorer",
    "iou_at",
    "localization_accuracy",
    "localization_errors",
    "localization_scorer",
    "mean_iou",
    "mean_iou_scorer",
    "pair_rows",
    "presence_auc",
    "presence_scorer",
    "region_coverage",
    "score_estimator",
]
