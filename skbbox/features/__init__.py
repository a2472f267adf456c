"""Features of a frozen backbone: computed once, kept, and shared by fits and predictions."""

from .frozen_backbone import forget_features

__all__ = ["forget_features"]
