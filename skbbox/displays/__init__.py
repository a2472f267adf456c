"""Displays, in the style of scikit-learn's, of data, training, predictions and searches."""

from .box_grid import BoxGridDisplay
from .box_statistics import BoxStatisticsDisplay
from .iou_distribution import IoUDistributionDisplay
from .iou_threshold import IoUThresholdDisplay
from .search import SearchDisplay
from .training import TrainingDisplay

__all__ = [
    "BoxGridDisplay",
    "BoxStatisticsDisplay",
    "IoUDistributionDisplay",
    "IoUThresholdDisplay",
    "SearchDisplay",
    "TrainingDisplay",
]
