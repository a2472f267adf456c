"""Displays, in the style of scikit-learn's, of data, training, predictions and searches."""

from .box_grid import BoxGridDisplay
from .box_statistics import BoxStatisticsDisplay
from .confusion_matrix import ConfusionMatrixDisplay
from .iou_distribution import IoUDistributionDisplay
from .iou_threshold import IoUThresholdDisplay
from .presence import PresenceDisplay
from .search import SearchDisplay
from .training import TrainingDisplay

__all__ = [
    "BoxGridDisplay",
    "BoxStatisticsDisplay",
    "ConfusionMatrixDisplay",
    "IoUDistributionDisplay",
    "IoUThresholdDisplay",
    "PresenceDisplay",
    "SearchDisplay",
    "TrainingDisplay",
]
