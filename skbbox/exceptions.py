"""The errors and warnings of skbbox."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "AnnotationError",
    "BoxError",
    "DataError",
    "DivergenceWarning",
    "DownloadError",
    "EngineError",
    "FeatureStoreError",
    "ForkError",
    "ImageError",
    "InterruptionWarning",
    "MissingPackageError",
    "ModelFileError",
    "SkbboxError",
    "SkbboxWarning",
    "TrainingDivergedError",
    "WeightsError",
]


class SkbboxError(Exception):
    """Base of all errors that skbbox defines.

    Unprintable characters in a message, such as bytes of a file name that are not UTF-8, are
    escaped.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().__str__())


class DataError(SkbboxError, ValueError):
    """Base of the errors about data, files and engines."""


class AnnotationError(DataError):
    """An annotation file cannot be read; names the file, the record and the field."""


class BoxError(DataError):
    """A box is missing, inverted, empty, outside the image or in pixels."""


class EngineError(DataError):
    """An engine or converter is not installed, or cannot run a network."""


class MissingPackageError(EngineError, ImportError):
    """An optional package is not installed; names the extra that installs it."""


class FeatureStoreError(DataError):
    """Features cannot be stored in the folder given as ``memory``."""


class ImageError(DataError):
    """An image is missing, unreadable or of an unsupported kind."""


class ModelFileError(DataError):
    """A file of a fitted estimator cannot be written or read."""


class WeightsError(DataError):
    """The weights of a backbone could not be loaded or downloaded."""


class DownloadError(SkbboxError, OSError):
    """A public data set cannot be downloaded or stored; says how to fetch it by hand."""


class ForkError(SkbboxError, RuntimeError):
    """A network cannot run in a process that was forked after TensorFlow had started."""


class TrainingDivergedError(SkbboxError, RuntimeError):
    """The loss or the weights became NaN or infinite in the first epoch."""


class SkbboxWarning(UserWarning):
    """Base of the warnings about data that is usable but looks unintended."""


class InterruptionWarning(ConvergenceWarning):
    """The user stopped the training; the weights of the last complete epoch were kept."""


class DivergenceWarning(ConvergenceWarning):
    """The loss or the weights became NaN or infinite; the last good weights were kept."""
