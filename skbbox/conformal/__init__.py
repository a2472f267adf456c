"""Regions and class sets of a stated coverage, and calibrated confidences."""

from .estimator import ConformalLocalizer

__all__ = ["ConformalLocalizer"]
