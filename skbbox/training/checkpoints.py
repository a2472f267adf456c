"""The progress of a fit in a file, so that an interrupted fit can resume."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .. import __version__
from ..exceptions import ModelFileError
from ..features.digests import digest_images
from ..files import as_path
from ..persistence import read_archive, write_archive
from .identity import digest_values

if TYPE_CHECKING:
    from ..inputs import Images, Targets
    from ..typing import FloatArray, PathLikeStr
    from .plan import PreviousFit

__all__ = ["Checkpoint", "get_plain_state", "open_checkpoint"]

#: Parameters that do not influence the result of a fit.
WITHOUT_INFLUENCE = ("checkpoint", "memory", "verbose")


def open_checkpoint(
    parameters: Mapping[str, Any],
    images: Images,
    targets: Targets,
    sample_weight: FloatArray | None,
    previous: PreviousFit | None,
    draw_seed: Callable[[], int],
) -> Checkpoint | None:
    """The checkpoint of a fit with these parameters and data, or None if none is asked for."""
    if parameters["checkpoint"] is None:
        return None
    inputs = {name: value for name, value in parameters.items() if name not in WITHOUT_INFLUENCE}
    for name in ("weights", "classifier"):
        inputs[f"file of {name}"] = _digest_file(inputs[name])
    inputs["images"] = digest_images(images.items)
    inputs["boxes"], inputs["class_names"] = targets.boxes, targets.class_names
    inputs["sample_weight"] = sample_weight
    if previous:
        inputs["last fit"], inputs["n_iter_"] = previous.model, previous.n_iter
    return Checkpoint(parameters["checkpoint"], inputs, draw_seed())


class Checkpoint:
    """The file of one fit, named by a digest of everything that the fit depends on.

    Parameters
    ----------
    folder : str or Path
        Created if it does not exist. Each fit has its own file.
    inputs : dict of str to object
        Everything that the result depends on; see :func:`digest_values`.
    seed : int
        Seed of a new fit.

    Attributes
    ----------
    seed : int
        Seed of the fit, the saved one if there is a file.
    histories : list of dict
        Histories of the finished stages of training.
    training : dict or None
        State of the unfinished stage, as last saved by
        :class:`skbbox.training.callbacks.CheckpointSaver`.

    Raises
    ------
    ModelFileError
        If the folder cannot be created, or the file is damaged.
    """

    def __init__(self, folder: PathLikeStr, inputs: Mapping[str, Any], seed: int) -> None:
        self.path = as_path(folder) / f"{_digest_inputs(inputs)}.checkpoint"
        self.seed = seed
        self.histories: list[dict[str, list[float]]] = []
        self.training: dict[str, Any] | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            exists = self.path.exists()
        except OSError as error:
            raise ModelFileError(
                f"checkpoint={str(folder)!r} cannot be used as a folder: {error}. Pass another "
                "folder."
            ) from error
        if exists:
            read_archive(self.path, ("seed", "histories", "training"), self._restore)

    def _restore(
        self, seed: int, histories: list[dict[str, list[float]]], training: dict[str, Any] | None
    ) -> None:
        self.seed, self.histories, self.training = seed, histories, training

    def save(self, training: dict[str, Any] | None) -> None:
        """Replace the content of the file, completely or not at all."""
        progress = {"seed": self.seed, "histories": self.histories, "training": training}
        write_archive(self.path, progress)

    def finish_stage(self, history: dict[str, list[float]]) -> None:
        """Remember the history of a finished stage; the next stage starts from its beginning."""
        self.histories.append(history)
        self.training = None

    def delete(self) -> None:
        """Delete the file, because the fit is complete."""
        self.path.unlink(missing_ok=True)


def _digest_inputs(inputs: Mapping[str, Any]) -> str:
    versions = [__version__, keras.__version__, keras.backend.backend(), sys.version_info[:2]]
    return digest_values({"versions": versions, **inputs})


def _digest_file(path: Any) -> bytes | None:
    """Digest of the content of a file, or None if it is not the path of one."""
    if not isinstance(path, (str, os.PathLike)) or not as_path(path).is_file():
        return None
    with as_path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def get_plain_state(instance: object) -> dict[str, Any]:
    """Attributes of an object that a file can hold: numbers, text, arrays and lists of them."""
    return {name: value for name, value in vars(instance).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, (bool, int, float, str, np.generic))
