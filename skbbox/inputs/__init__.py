"""Check X, y and sample_weight, and convert each to one type."""

from .images import (
    Images,
    check_images,
    check_sample_weight,
    describe_first,
    set_image_tags,
    warn_of_bad_images,
)
from .targets import (
    Targets,
    check_any_object,
    check_targets,
    encode_classes,
    find_classes,
    find_wrong_class_name,
    make_table,
    warn_of_unseen_classes,
)

__all__ = [
    "Images",
    "Targets",
    "check_any_object",
    "check_images",
    "check_sample_weight",
    "check_targets",
    "describe_first",
    "encode_classes",
    "find_classes",
    "find_wrong_class_name",
    "make_table",
    "set_image_tags",
    "warn_of_bad_images",
    "warn_of_unseen_classes",
]
