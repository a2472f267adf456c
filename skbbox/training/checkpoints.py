"""How far a fit has come, in a file, so that it goes on there after it was cut off."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np

from .. import __version__
from ..exceptions import ModelFileError
from ..network.graph import digest_model
from ..persistence import encode, read_archive, write_archive

__all__ = ["Checkpoint", "get_plain_state"]


class Checkpoint:
    """The file of one fit, which is found again by what the fit is made of.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there. Each fit has a file of its own in it.
    made_of : dict of str to object
        Everything that the result depends on; a Keras model counts by its weights and layers,
        other code by its name.
    seed : int
        Of a fit that begins.

    Attributes
    ----------
    seed : int
        That of the fit which goes on.
    histories : list of dict
        Of the stages of training that are finished.
    training : dict or None
        What :class:`skbbox.training.KeepTraining` stored last.

    Raises
    ------
    ModelFileError
        If the folder cannot be made, or the file is damaged.
    """

    def __init__(self, folder, made_of, seed):
        self.path = Path(folder) / f"{_digest_fit(made_of)}.checkpoint"
        self.seed, self.histories, self.training = seed, [], None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            exists = self.path.exists()
        except OSError as error:
            raise ModelFileError(
                f"checkpoint={str(folder)!r} cannot be used as a folder: {error}. Give another one."
            ) from error
        if exists:
            read_archive(self.path, ("seed", "histories", "training"), self._go_on)

    def _go_on(self, seed, histories, training):
        self.seed, self.histories, self.training = seed, histories, training

    def keep(self, training):
        """Replace what is in the file, whole or not at all."""
        progress = {"seed": self.seed, "histories": self.histories, "training": training}
        write_archive(self.path, progress)

    def finish_stage(self, history):
        """Remember the history of a stage; the next one starts from its beginning."""
        self.histories.append(history)
        self.training = None

    def remove(self):
        """Let go of the file, as the fit is finished."""
        self.path.unlink(missing_ok=True)


def _digest_fit(made_of):
    versions = [__version__, keras.__version__, keras.backend.backend()]
    values = {
        name: digest_model(value).hex() if isinstance(value, keras.Model) else value
        for name, value in made_of.items()
    }
    encoded, members = encode(values, "fit")
    text = json.dumps([versions, encoded], sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(members):
        digest.update(members[name])
    return digest.hexdigest()


def get_plain_state(thing):
    """Those attributes of an object that a file can hold: numbers, texts, arrays and lists."""
    return {name: value for name, value in vars(thing).items() if _is_plain(value)}


def _is_plain(value):
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, (bool, int, float, str, np.generic))
