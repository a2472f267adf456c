"""A fitted estimator as plain data: between processes, and in a file without code."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
import os
import platform
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import keras
import numpy as np
import numpy.typing as npt

# Keras finds only those layers and losses by their names whose modules are imported.
from . import (
    __version__,
    losses,  # noqa: F401
)
from .exceptions import ModelFileError
from .files import atomic_write
from .network import box_heads, looks  # noqa: F401
from .network.backbones import small_convnet
from .network.graph import set_weights
from .network.model_configs import check_config
from .network.seeds import preserve_random_state

__all__ = ["encode", "pack_model", "read_archive", "unpack_model", "write_archive"]

T = TypeVar("T")

#: Format of the files that are written; those of all earlier formats can be read.
FORMAT = 1
ABOUT, CHECKSUMS = "about.json", "checksums.json"

#: Bytes before the name and content of a member.
LOCAL_HEADER = 30

#: Functions of skbbox, which are stored by name.
FUNCTIONS = {"small_convnet": small_convnet}


def pack_model(model: keras.Model) -> dict[str, Any]:
    """Architecture and weights of a model, without its optimizer.

    Returns
    -------
    dict
        ``config`` (JSON of the architecture) and ``weights`` (list of ndarray).
    """
    config = json.loads(model.to_json())
    # The estimator compiles the model again; a custom loss could not be found by its name.
    return {"config": json.dumps(_drop_compile_config(config)), "weights": model.get_weights()}


def unpack_model(packed: Mapping[str, Any]) -> keras.Model:
    """The model of :func:`pack_model`, with equal weights."""
    return _build_model(json.loads(packed["config"]), packed["weights"])


def write_archive(path: Path, contents: Mapping[str, Any]) -> None:
    """Write plain data atomically to a file without code.

    Parameters
    ----------
    path : Path
        A zip archive without compression: JSON, and arrays in NumPy's format. An existing file
        is replaced.
    contents : dict of str to object
        JSON values, tuples, arrays and Keras models; of code, only the name is stored.

    Raises
    ------
    ModelFileError
        If the file cannot be written.
    """
    about = {"format": FORMAT, "versions": _get_versions()}
    members: dict[str, bytes] = {}
    for name, value in contents.items():
        about[name], added = encode(value, name)
        members |= added
    members[ABOUT] = json.dumps(about, indent=1).encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    members[CHECKSUMS] = json.dumps(sums, indent=1).encode()
    try:
        with atomic_write(path) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, content in members.items():
                    # Without the time, so that equal estimators give equal files.
                    archive.writestr(zipfile.ZipInfo(name), content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error}. Make room there, or pass another path."
        ) from error


def read_archive(
    path: Path,
    names: Sequence[str],
    build: Callable[..., T],
    custom_objects: Mapping[str, Any] | None = None,
) -> T:
    """Read a file of :func:`write_archive`.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Names of the contents.
    build : callable
        Called with the contents by name; makes the result.
    custom_objects : dict of str to object, default=None
        Code that the file refers to, by its name.

    Returns
    -------
    object
        The result of `build`.

    Raises
    ------
    ModelFileError
        If the file is damaged, contains anything that :func:`write_archive` does not write, is
        of a later version, or needs code that is not given.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist (working directory: {Path.cwd()}); give the path of a file "
            "that save wrote."
        )
    try:
        reader = _Reader(path, custom_objects or {})
        about = reader.read_about(names)
        contents = {name: reader.decode(about[name]) for name in names}
        reader.check_all_used()
        return build(**contents)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except Exception as error:  # The file may come from anyone and contain anything.
        raise ModelFileError(f"{path}: not a file that save wrote: {error!r}.") from error


def encode(value: Any, name: str) -> tuple[Any, dict[str, bytes]]:
    """Encode a value as JSON, and its arrays and models as members of an archive.

    Parameters
    ----------
    value : object
    name : str
        Its name in the archive.

    Returns
    -------
    encoded : object
        A JSON value that refers to the members.
    members : dict of str to bytes
    """
    encoder = _Encoder()
    return encoder.encode(value, name), encoder.members


@functools.cache
def _get_versions() -> dict[str, str]:
    # The package is installed as skbbox or as skbbox-core, or not at all.
    versions = {"skbbox": __version__, "python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in ("keras", "numpy", "scikit-learn")}


class _Encoder:
    """Encodes values, and collects the members for what JSON cannot represent."""

    def __init__(self) -> None:
        self.members: dict[str, bytes] = {}

    def encode(self, value: Any, name: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, list):
            return [self.encode(part, f"{name}/{i}") for i, part in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": self.encode(list(value), name)}
        if isinstance(value, dict):
            keys = [self.encode(key, name) for key in value]
            parts = [self.encode(value[key], f"{name}/{key}") for key in value]
            return {"dict": [list(pair) for pair in zip(keys, parts, strict=True)]}
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "OUS":
                return {"array": self.encode(value.tolist(), name)}
            return {"member": self._add_array(value, f"{name}.npy")}
        if isinstance(value, keras.Model):
            packed = pack_model(value)
            self.members[f"{name}.json"] = packed["config"].encode()
            for number, weights in enumerate(packed["weights"]):
                self._add_array(weights, f"{name}/{number:04}.npy")
            return {"model": name, "weights": len(packed["weights"])}
        if isinstance(value, (keras.optimizers.Optimizer, keras.losses.Loss)):
            return {"keras": keras.saving.serialize_keras_object(value)}
        return {"object": getattr(value, "__qualname__", type(value).__qualname__)}

    def _add_array(self, array: npt.NDArray[Any], member: str) -> str:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
        self.members[member] = file.getvalue()
        return member


class _Reader:
    """Reads one file, and checks everything in it before use."""

    def __init__(self, path: Path, custom_objects: Mapping[str, Any]) -> None:
        self.path, self.custom_objects = path, custom_objects
        self.members = self._read_members()
        self.used = {ABOUT, CHECKSUMS}

    def read_about(self, names: Sequence[str]) -> dict[str, Any]:
        """The main member, with the encoded contents by name."""
        about = self._parse_json(self.members[ABOUT], ABOUT)
        if not isinstance(about, dict) or not {"format", *names} <= about.keys():
            self.fail(f"{ABOUT} is not as save writes it.")
        if about["format"] != FORMAT:
            self.fail(
                f"written in format {about['format']!r}, by {about.get('versions')}; this version "
                f"of skbbox reads format {FORMAT}. Install a later one."
            )
        return about

    def decode(self, value: Any) -> Any:
        """The inverse of :func:`encode`."""
        if isinstance(value, list):
            return [self.decode(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "tuple" in value:
            return tuple(self.decode(value["tuple"]))
        if "dict" in value:
            return {self.decode(key): self.decode(part) for key, part in value["dict"]}
        if "array" in value:
            return np.array(self.decode(value["array"]), dtype=object)
        if "member" in value:
            return self._read_array(value["member"])
        if "model" in value:
            return self._read_model(value["model"], value["weights"])
        if "keras" in value:
            return _deserialize(
                check_config(value["keras"], self.custom_objects), self.custom_objects
            )
        name = value["object"]
        if name in self.custom_objects:
            return self.custom_objects[name]
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        self.fail(
            f"{name} is code, which is not in the file; pass custom_objects={{{name!r}: ...}}."
        )

    def check_all_used(self) -> None:
        """Refuse members to which nothing in the file refers."""
        for name in sorted(set(self.members) - self.used):
            self.fail(f"unexpected member {name!r}.")

    def fail(self, message: str) -> NoReturn:
        raise ModelFileError(message)

    def _read_members(self) -> dict[str, bytes]:
        """Content of each member, with its checksum verified."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._check_sizes(archive)
                members = {info.filename: archive.read(info) for info in archive.infolist()}
        except ModelFileError:
            raise
        except Exception as error:  # zipfile raises many kinds on a damaged file.
            self.fail(f"not a file that save wrote, or damaged: {error}.")
        for name in (ABOUT, CHECKSUMS):
            if name not in members:
                self.fail(f"not a file that save wrote; {name} is missing.")
        sums = self._parse_json(members[CHECKSUMS], CHECKSUMS)
        for name, content in members.items():
            if name == CHECKSUMS:
                continue
            if not isinstance(sums, dict) or name not in sums:
                self.fail(f"unexpected member {name!r}.")
            if hashlib.sha256(content).hexdigest() != sums[name]:
                self.fail(f"the checksum of {name!r} does not match; the file is damaged.")
        if missing := sorted(set(sums) - set(members)):
            self.fail(f"the member {missing[0]!r} is missing.")
        return members

    def _check_sizes(self, archive: zipfile.ZipFile) -> None:
        """Refuse members that need more memory than the file has bytes, before they are read."""
        names, end = set(), 0
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            name = info.filename
            if name in names:
                self.fail(f"duplicate member {name!r}.")
            names.add(name)
            if info.compress_type != zipfile.ZIP_STORED:
                self.fail(f"the member {name!r} is compressed, which save never does.")
            if info.file_size != info.compress_size:
                self.fail(f"the member {name!r} claims two sizes.")
            if info.header_offset < end:
                self.fail(f"the member {name!r} overlaps another one.")
            # At least: what else the header contains is not in the directory of the archive.
            end = info.header_offset + LOCAL_HEADER + len(name) + info.file_size
        if end > archive.start_dir:
            self.fail("a member claims to be larger than the file.")

    def _read_model(self, name: str, n_weights: int) -> keras.Model:
        member = f"{name}.json"
        config = self._parse_json(self.members[member], member)
        self.used.add(member)
        weights = [self._read_array(f"{name}/{number:04}.npy") for number in range(n_weights)]
        return _build_model(check_config(config, self.custom_objects), weights, self.custom_objects)

    def _read_array(self, member: str) -> npt.NDArray[Any]:
        file = io.BytesIO(self.members[member])
        self.used.add(member)
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            self.fail(f"{member} is in NumPy's file format {version}, which save does not write.")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
        content = file.read()
        if dtype.hasobject or in_columns or math.prod(shape) * dtype.itemsize != len(content):
            self.fail(f"{member} does not contain the array that its header declares.")
        return np.frombuffer(content, dtype).reshape(shape).copy()

    def _parse_json(self, content: bytes, member: str) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            self.fail(f"{member} is not JSON: {error}.")


def _build_model(
    config: Any, weights: list[npt.NDArray[Any]], custom_objects: Mapping[str, Any] | None = None
) -> keras.Model:
    model = _deserialize(config, custom_objects)
    if not isinstance(model, keras.Model):
        raise ModelFileError(f"expected a network. Received: {type(model).__name__}.")
    set_weights(model, weights)
    return model


def _deserialize(config: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    with preserve_random_state():
        return keras.saving.deserialize_keras_object(config, custom_objects)


def _drop_compile_config(config: Any) -> Any:
    """The config of a model without how it and the models in it were compiled."""
    if isinstance(config, list):
        return [_drop_compile_config(part) for part in config]
    if isinstance(config, dict):
        return {
            key: _drop_compile_config(part)
            for key, part in config.items()
            if not (key == "compile_config" and "class_name" in config)
        }
    return config
