"""An estimator as plain data: between processes, and in a file without code."""

import functools
import hashlib
import io
import json
import math
import os
import platform
import zipfile
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from .exceptions import ModelFileError
from .files import atomic_write
from .network.backbones import small_convnet
from .network.graph import set_weights
from .network.seeds import preserve_random_state

__all__ = ["encode", "pack_model", "read_archive", "unpack_model", "write_archive"]

#: Of the files that are written; files of all earlier ones are read.
FORMAT = 1
ABOUT, CHECKSUMS = "about.json", "checksums.json"
#: Packages whose classes a network in a file may be made of.
TRUSTED = ("keras", "skbbox")
#: Of Keras, what runs code of the file's, or reads other files.
REFUSED = (
    *("Lambda", "function", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("TFSMLayer", "StringLookup", "IntegerLookup", "TextVectorization"),
)
#: Functions that are stored by name, as they come with skbbox.
FUNCTIONS = {"small_convnet": small_convnet}


def pack_model(model):
    """Architecture and weights of a model, without its optimizer.

    Returns
    -------
    dict
        ``config`` (JSON of the architecture) and ``weights`` (list of ndarray).
    """
    config = json.loads(model.to_json())
    # The estimator compiles the model again; a loss of the user's own has no name to find it by.
    config.pop("compile_config", None)
    return {"config": json.dumps(config), "weights": model.get_weights()}


def unpack_model(packed, custom_objects=None):
    """The model of :func:`pack_model`, with equal weights."""
    with preserve_random_state():
        model = keras.models.model_from_json(packed["config"], custom_objects)
    set_weights(model, packed["weights"])
    return model


def write_archive(path, contents):
    """Write plain data into one file, which holds no code; whole or not at all.

    Parameters
    ----------
    path : Path
        A zip archive without compression: JSON, and arrays in NumPy's own form. What is there
        is replaced.
    contents : dict of str to object
        Values that JSON has, tuples, arrays and Keras models; of code the name is kept.

    Raises
    ------
    ModelFileError
        If the file cannot be written.
    """
    members = {}
    about = {"format": FORMAT, "versions": _versions()}
    about |= {name: encode(value, name, members) for name, value in contents.items()}
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
            f"{path} cannot be written: {error}. Make room there, or give another path."
        ) from error


def read_archive(path, names, build, custom_objects=None):
    """What a file of :func:`write_archive` is of.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Of the contents.
    build : callable
        Makes the result of the contents, which it is given by name.
    custom_objects : dict of str to object, default=None
        What is code and therefore not in the file, by its name.

    Returns
    -------
    object
        What `build` returned.

    Raises
    ------
    ModelFileError
        If the file is damaged, holds what does not belong there, is of a later version, or
        needs code that is not given.
    """
    reader = _Reader(path, custom_objects or {})
    about = reader.about(names)
    try:
        contents = {name: reader.decoded(about[name]) for name in names}
        reader.refuse_others()
        return build(**contents)
    except ModelFileError:
        raise
    except Exception as error:  # Whoever wrote the file may have written anything.
        reader.fail(f"this is not what save writes: {error!r}.")


def encode(value, place, members):
    """A value as JSON has it; arrays and models are put among the members of an archive.

    Parameters
    ----------
    value : object
    place : str
        Its name in the archive.
    members : dict of str to bytes
        Gets what has no place in JSON.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(part, f"{place}/{i}", members) for i, part in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": encode(list(value), place, members)}
    if isinstance(value, dict):
        keys = [encode(key, place, members) for key in value]
        parts = [encode(value[key], f"{place}/{key}", members) for key in value]
        return {"dict": [list(pair) for pair in zip(keys, parts, strict=True)]}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OUS":
            return {"array": encode(value.tolist(), place, members)}
        return {"member": _add_array(value, f"{place}.npy", members)}
    if isinstance(value, keras.Model):
        packed = pack_model(value)
        members[f"{place}.json"] = packed["config"].encode()
        for number, weights in enumerate(packed["weights"]):
            _add_array(weights, f"{place}/{number:04}.npy", members)
        return {"model": place, "weights": len(packed["weights"])}
    if isinstance(value, (keras.optimizers.Optimizer, keras.losses.Loss)):
        return {"keras": keras.saving.serialize_keras_object(value)}
    return {"object": getattr(value, "__qualname__", type(value).__qualname__)}


@functools.cache
def _versions():
    names = ("skbbox", "keras", "numpy", "scikit-learn")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def _add_array(array, name, members):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
    members[name] = file.getvalue()
    return name


class _Reader:
    """One file, of which nothing is believed that is not checked."""

    def __init__(self, path, custom_objects):
        self.path, self.custom_objects = path, custom_objects
        if not path.exists():
            raise FileNotFoundError(
                f"{path} does not exist (working directory: {Path.cwd()}); give the path of a "
                "file that save wrote."
            )
        self.members = self._members()
        self.used = {ABOUT, CHECKSUMS}

    def fail(self, message):
        raise ModelFileError(f"{self.path}: {message}")

    def _members(self):
        """Content of each member, whose check sum is right."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = {}
                for info in archive.infolist():
                    if info.filename in members:
                        self.fail(f"the member {info.filename!r} is there twice.")
                    if info.compress_type != zipfile.ZIP_STORED:
                        self.fail(
                            f"the member {info.filename!r} is compressed, which save never does."
                        )
                    if info.file_size > self.path.stat().st_size:
                        self.fail(
                            f"the member {info.filename!r} says that it is larger than the file."
                        )
                    members[info.filename] = archive.read(info)
        except ModelFileError:
            raise
        except Exception as error:  # zipfile raises many kinds on a damaged file.
            self.fail(f"this is no file that save wrote, or it is damaged: {error}.")
        for name in (ABOUT, CHECKSUMS):
            if name not in members:
                self.fail(f"this is no file that save wrote; {name} is missing.")
        sums = self._json(members[CHECKSUMS], CHECKSUMS)
        for name, content in members.items():
            if name == CHECKSUMS:
                continue
            if not isinstance(sums, dict) or name not in sums:
                self.fail(f"the member {name!r} does not belong here.")
            if hashlib.sha256(content).hexdigest() != sums[name]:
                self.fail(f"the check sum of {name!r} differs; the file is damaged.")
        missing = sorted(set(sums) - set(members))
        if missing:
            self.fail(f"the member {missing[0]!r} is missing.")
        return members

    def about(self, names):
        about = self._json(self.members[ABOUT], ABOUT)
        if not isinstance(about, dict) or not {"format", *names} <= about.keys():
            self.fail(f"{ABOUT} is not what save writes.")
        if about["format"] != FORMAT:
            self.fail(
                f"written in form {about['format']!r} of these files, by "
                f"{about.get('versions')}; this version reads form {FORMAT}. Install a later one."
            )
        return about

    def refuse_others(self):
        """Refuse members that nothing in the file names."""
        for name in sorted(set(self.members) - self.used):
            self.fail(f"the member {name!r} does not belong here.")

    def decoded(self, value):
        """The value of :func:`encode`."""
        if isinstance(value, list):
            return [self.decoded(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "tuple" in value:
            return tuple(self.decoded(value["tuple"]))
        if "dict" in value:
            return {self.decoded(key): self.decoded(part) for key, part in value["dict"]}
        if "array" in value:
            return np.array(self.decoded(value["array"]), dtype=object)
        if "member" in value:
            return self._array(value["member"])
        if "model" in value:
            return self._model(value["model"], value["weights"])
        if "keras" in value:
            self._check_classes(value["keras"])
            return keras.saving.deserialize_keras_object(value["keras"], self.custom_objects)
        name = value["object"]
        if name in self.custom_objects:
            return self.custom_objects[name]
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        return self.fail(
            f"{name} is code, which is not in the file; pass custom_objects={{{name!r}: ...}}."
        )

    def _model(self, place, n_weights):
        name = f"{place}.json"
        config = self.members[name]
        self.used.add(name)
        self._check_classes(self._json(config, name))
        weights = [self._array(f"{place}/{number:04}.npy") for number in range(n_weights)]
        return unpack_model({"config": config.decode(), "weights": weights}, self.custom_objects)

    def _array(self, name):
        file = io.BytesIO(self.members[name])
        self.used.add(name)
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            self.fail(f"{name} is in form {version} of NumPy's files, which save does not write.")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
        content = file.read()
        if dtype.hasobject or in_columns or math.prod(shape) * dtype.itemsize != len(content):
            self.fail(f"{name} does not hold the array that it says.")
        return np.frombuffer(content, dtype).reshape(shape).copy()

    def _check_classes(self, config):
        """Refuse classes that are neither Keras's nor ours nor given."""
        if isinstance(config, list):
            for part in config:
                self._check_classes(part)
        if not isinstance(config, dict):
            return
        name = config.get("class_name")
        if name in REFUSED and name not in self.custom_objects:
            self.fail(f"the network holds code ({name}), which is refused.")
        module = config.get("module")
        trusted = module is None or str(module).split(".")[0] in TRUSTED
        if not trusted and name not in self.custom_objects:
            self.fail(
                f"the network needs {name} of {module}, which is code; pass "
                f"custom_objects={{{name!r}: ...}} if you trust it."
            )
        for registered in (name, config.get("registered_name")):
            # Keras looks among what the process has registered first, whatever the module is.
            foreign = ">" in str(registered) and not str(registered).startswith("skbbox>")
            if foreign and not {registered, name} & {*self.custom_objects}:
                self.fail(
                    f"the network needs {registered}, which is code; pass "
                    f"custom_objects={{{registered!r}: ...}} if you trust it."
                )
        for part in config.values():
            self._check_classes(part)

    def _json(self, content, name):
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            return self.fail(f"{name} is not JSON: {error}.")
