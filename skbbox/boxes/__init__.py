"""Bounding boxes: the convention that the package uses, and measures of their overlap."""

from .convention import (
    COORDINATES,
    OVERSHOOT,
    PIXELS_FROM,
    TARGET_COLUMNS,
    as_boxes,
    as_class_names,
    check_boxes,
    from_xyxy,
    to_xyxy,
)
from .measures import giou, iou, iou_at, iou_matrix, localization_accuracy, mean_iou

__all__ = [
    "COORDINATES",
    "OVERSHOOT",
    "PIXELS_FROM",
    "TARGET_COLUMNS",
    "as_boxes",
    "as_class_names",
    "check_boxes",
    "from_xyxy",
    "giou",
    "iou",
    "iou_at",
    "iou_matrix",
    "localization_accuracy",
    "mean_iou",
    "to_xyxy",
]
