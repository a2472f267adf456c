"""Displays, in the style of scikit-learn's, of data, training, predictions and searches."""

from .box_grid import BoxGridDisplay
from .box_statistics import BoxStatisticsDisplay
from .calibration import CalibrationDisplay
from .confusion_matrix import ConfusionMatrixDisplay
from .embedding import EmbeddingDisplay
from .errors import ErrorDisplay
from .iou_distribution import IoUDistributionDisplay
from .iou_threshold import IoUThresholdDisplay
from .learning_curve import LearningCurveDisplay
from .prediction import PredictionDisplay
from .presence import PresenceDisplay
from .search import SearchDisplay
from .training import TrainingDisplay

__all__ = [
    "BoxGridDisplay",
    "BoxStatisticsDisplay",
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "EmbeddingDisplay",
    "ErrorDisplay",
    "IoUDistributionDisplay",
    "IoUThresholdDisplay",
    "LearningCurveDisplay",
    "PredictionDisplay",
    "PresenceDisplay",
    "SearchDisplay",
    "TrainingDisplay",
]
