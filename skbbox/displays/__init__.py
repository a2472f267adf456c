"""Displays, in the style of scikit-learn's, of data, training, predictions and searches."""

from .box_grid import BoxGridDisplay
from .box_statistics import BoxStatisticsDisplay
from .calibration import CalibrationDisplay
from .confusion_matrix import ConfusionMatrixDisplay
from .errors import ErrorDisplay
from .iou_distribution import IoUDistributionDisplay
from .iou_threshold import IoUThresholdDisplay
from .learning_curve import LearningCurveDisplay
from .presence import PresenceDisplay
from .search import SearchDisplay
from .training import TrainingDisplay

__all__ = [
    "BoxGridDisplay",
    "BoxStatisticsDisplay",
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "ErrorDisplay",
    "IoUDistributionDisplay",
    "IoUThresholdDisplay",
    "LearningCurveDisplay",
    "PresenceDisplay",
    "SearchDisplay",
    "TrainingDisplay",
]
