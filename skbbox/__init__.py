"""One image, one main object, one box and one class, with scikit-learn's manners."""

import importlib

__version__ = "0.1.0"

#: Public names and the module that each is in. They are imported when first
#: used, because Keras alone takes seconds.
_PUBLIC = {
    "annotations": "check_annotations clean_annotations one_box_per_image read_annotations "
    "write_annotations",
    "boxes": "TARGET_COLUMNS giou iou iou_at iou_matrix localization_accuracy mean_iou",
    "displays": "BoxGridDisplay BoxStatisticsDisplay IoUDistributionDisplay IoUThresholdDisplay "
    "SearchDisplay TrainingDisplay",
    "dummy": "DummyLocalizer",
    "generator": "BoundingBoxGenerator",
    "history": "combine_histories",
    "label_issues": "rank_label_issues",
    "localizer": "TUTORIAL_PARAMS SingleBoxLocalizer",
    "losses": "MeanIoU",
    "metrics": "IoUScore box_scorer iou_50_scorer localization_scorer mean_iou_scorer",
    "model_selection": "StratifiedBoxKFold StratifiedGroupBoxKFold",
    "plotting": "plot_accuracy plot_bbox_loss plot_image plot_iou plot_loss plot_prediction",
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}
_MODULES = ("datasets", "exceptions", "features", "network", *_PUBLIC)

__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, *_MODULES, "__version__"]
