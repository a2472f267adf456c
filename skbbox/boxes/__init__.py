"""Bounding boxes: the convention that the package uses, and measures of their overlap."""

from .convention import (
    OVERSHOOT,
    PIXELS_FROM,
    as_optional_boxes,
    check_boxes,
    find_boxes,
    from_xyxy,
    look_like_pixels,
    to_xyxy,
)
from .measures import giou, iou, iou_matrix, warn_of_table_order
from .rows import (
    COORDINATES,
    TARGET_COLUMNS,
    RowNames,
    as_boxes,
    as_class_names,
    read_table,
)

__all__ = [
    "COORDINATES",
    "OVERSHOOT",
    "PIXELS_FROM",
    "TARGET_COLUMNS",
    "RowNames",
    "as_boxes",
    "as_class_names",
    "as_optional_boxes",
    "check_boxes",
    "find_boxes",
    "from_xyxy",
    "giou",
    "iou",
    "iou_matrix",
    "look_like_pixels",
    "read_table",
    "to_xyxy",
    "warn_of_table_order",
]
