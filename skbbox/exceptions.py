"""The errors and warnings of skbbox, so that a caller can tell them apart."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "AnnotationError",
    "BoxError",
    "DivergenceWarning",
    "EngineError",
    "FeatureStoreError",
    "ImageError",
    "InterruptionWarning",
    "ModelFileError",
    "SkbboxError",
    "SkbboxWarning",
    "TrainingDivergedError",
    "WeightsError",
]


class SkbboxError(ValueError):
    """Base of the errors that skbbox raises about the data it was given.

    Names in a message may hold what cannot be printed, such as bytes that are not UTF-8; that is
    escaped.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().__str__())


class AnnotationError(SkbboxError):
    """An annotation file cannot be read; names the file, the record and the field."""


class BoxError(SkbboxError):
    """A box is missing, inverted, empty, outside the image or in pixels."""


class EngineError(SkbboxError):
    """An engine or converter is not installed, or cannot take a network."""


class FeatureStoreError(SkbboxError):
    """Features cannot be kept in the folder given as ``memory``."""


class ImageError(SkbboxError):
    """An image is missing, unreadable or of a kind that cannot be used."""


class ModelFileError(SkbboxError):
    """A file of a fitted estimator cannot be written or read."""


class WeightsError(SkbboxError):
    """The weights of a backbone cannot be had."""


class TrainingDivergedError(SkbboxError):
    """The loss became NaN or infinite before one epoch had been finished."""


class SkbboxWarning(UserWarning):
    """Base of the warnings about data that is usable but looks unintended."""


class InterruptionWarning(ConvergenceWarning):
    """The user ended the training; what was learnt before was kept."""


class DivergenceWarning(ConvergenceWarning):
    """The loss became NaN or infinite; the last good weights were kept."""
