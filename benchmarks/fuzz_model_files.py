"""Load changed model files: each is refused or predicts, and changes nothing else.

    python benchmarks/fuzz_model_files.py --number 5000

Each file is that of a small fitted estimator with one to three random changes of its JSON, such as
names of Keras, operands, nesting and wrong types, and with checksums that match. It prints how many
were refused and how many predicted, and ends with status 1 if a file did anything else.
"""

from __future__ import annotations

import argparse
import collections
import copy
import hashlib
import inspect
import json
import math
import os
import pkgutil
import random
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path

import keras
import numpy as np

from skbbox import SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.exceptions import SkbboxError
from skbbox.network import small_convnet

MODEL, ABOUT = "fitted/model_.json", "about.json"
JUNK = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 1000, 2**40, 0.5, -1.5, math.nan, math.inf, "", "relu"),
    *("x" * 1000, "skbbox>OrderedBox", "/tmp", [], [[]], {}, [None], {"class_name": None}),
)


def list_keras_names() -> list[tuple[str, str]]:
    """Module and name of every public callable of Keras, and where it is defined."""
    found = set()
    for info in pkgutil.walk_packages(keras.__path__, "keras.", onerror=lambda name: None):
        if not info.name.startswith(("keras.src", "keras._tf_keras")):
            module = import_module(info.name)
            for name, value in vars(module).items():
                if callable(value) and not name.startswith("_"):
                    found |= {(info.name, name), (value.__module__ or "", name)}
    found |= {("keras", name) for name, value in vars(keras).items() if callable(value)}
    found |= {("builtins", name) for name in ("eval", "exec", "open", "print", "relu")}
    return sorted(found | {("os", "system"), ("", "Dense"), ("keras.src.ops.core", "Switch")})


class Mutator:
    """Changes the JSON of a file at random places."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.names = rng, list_keras_names()
        self.operations = [
            (value.__module__, name)
            for module in ("core", "numpy", "nn", "math", "linalg", "image")
            for name, value in vars(import_module(f"keras.src.ops.{module}")).items()
            if inspect.isclass(value)
        ]

    def change(self, document: object) -> None:
        """Change a parsed document in one random way."""
        containers = [part for part in _walk(document) if isinstance(part, (dict, list)) and part]
        objects = [part for part in containers if isinstance(part, dict) and "class_name" in part]
        kinds = [self._rename, self._add_call] if objects else []
        kinds += [self._replace, self._nest, self._delete, self._exchange]
        kind = self.rng.choice(kinds)
        kind(objects if kind in (self._rename, self._add_call) else containers)

    def _make_object(self) -> dict[str, object]:
        module, name = self.rng.choice(self.names)
        spelling = self.rng.randrange(4)
        if spelling == 0:
            return {"module": module, "class_name": "function", "config": name}
        registered = [None, name, f"skbbox>{name}", f"{module}>{name}"][self.rng.randrange(4)]
        config = self.rng.choice([{}, {"name": "x"}, self.rng.choice(JUNK)])
        return {
            "module": module,
            "class_name": "__lambda__" if spelling == 1 and self.rng.random() < 0.2 else name,
            "config": config,
            "registered_name": registered,
        }

    def _make_value(self) -> object:
        return self._make_object() if self.rng.random() < 0.4 else copy.deepcopy(self._pick(JUNK))

    def _pick(self, values):
        return values[self.rng.randrange(len(values))]

    def _rename(self, objects) -> None:
        part, (module, name) = self._pick(objects), self._pick(self.names)
        kind = self.rng.randrange(5)
        if kind in (0, 1):
            part |= {"module": module, "class_name": name}
        elif kind == 2:
            part["class_name"] = name
        elif kind == 3:
            part["registered_name"] = self._pick([name, f"skbbox>{name}", module])
        else:
            part |= {"module": module, "class_name": "function", "config": name}

    def _add_call(self, objects) -> None:
        layers = [part for part in objects if isinstance(part.get("inbound_nodes"), list)]
        nodes = [node for part in layers for node in part["inbound_nodes"] if _has_args(node)]
        if not nodes:
            return
        node = self._pick(nodes)
        if self.rng.random() < 0.5:
            node["args"].insert(self.rng.randrange(len(node["args"]) + 1), self._make_value())
        elif self.rng.random() < 0.5 and isinstance(node.get("kwargs"), dict):
            node["kwargs"][self._pick(["training", "mask", "axis", "x"])] = self._make_value()
        else:
            module, name = self._pick(self.operations)
            part = self._pick([part for part in layers if part["inbound_nodes"]])
            part |= {"module": module, "class_name": name, "config": {"name": part.get("name")}}

    def _replace(self, containers) -> None:
        part = self._pick(containers)
        part[self._pick_key(part)] = self._make_value()

    def _nest(self, containers) -> None:
        part = self._pick(containers)
        key = self._pick_key(part)
        value = part[key]
        for _ in range(self._pick([1, 1, 2, 50])):
            value = self._pick([[value], {"x": value}, {"class_name": "x", "config": value}])
        part[key] = value

    def _delete(self, containers) -> None:
        part = self._pick(containers)
        del part[self._pick_key(part)]

    def _exchange(self, containers) -> None:
        first, second = self._pick(containers), self._pick(containers)
        i, j = self._pick_key(first), self._pick_key(second)
        # Copies: a value may contain the other one.
        first[i], second[j] = copy.deepcopy(second[j]), copy.deepcopy(first[i])

    def _pick_key(self, part):
        return self._pick(list(part) if isinstance(part, dict) else range(len(part)))


def _walk(value: object):
    yield value
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        for part in parts:
            yield from _walk(part)


def _has_args(node: object) -> bool:
    return isinstance(node, dict) and isinstance(node.get("args"), list)


def write_file(path: Path, members: dict[str, bytes]) -> None:
    """Write an archive whose checksums match."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"checksums.json": json.dumps(sums).encode()}).items():
            archive.writestr(name, content)


def get_settings() -> tuple[object, ...]:
    """Settings and random states that loading a file must not change."""
    return (
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.dtype_policy().name,
        keras.config.is_interactive_logging_enabled(),
        keras.config.is_traceback_filtering_enabled(),
        random.getstate(),
        np.random.get_state()[1].tobytes(),
        np.random.get_state()[2:],
        sorted(keras.saving.get_custom_objects()),
        np.geterr(),
        dict(os.environ),
    )


def list_files(folder: Path) -> dict[str, bytes]:
    """Content of each file in a folder, by its path."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fuzz(number: int, seed: int = 0) -> collections.Counter[str]:
    """Load changed files, and count how they end.

    Parameters
    ----------
    number : int
        Number of files.
    seed : int, default=0

    Returns
    -------
    Counter of str
        ``refused``, ``predicted``, and one entry for each file that ended in any other way.
    """
    X, y = make_shapes(16, image_size=32, random_state=0)
    fitted = SingleBoxLocalizer(
        small_convnet, weights=None, image_size=32, epochs=1, random_state=0, engine="keras"
    ).fit(X, y)
    results: collections.Counter[str] = collections.Counter()
    rng = random.Random(seed)
    mutator = Mutator(rng)
    outside = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skbbox"
        (Path(folder) / "precious.txt").write_text("precious")
        fitted.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        del members["checksums.json"]
        os.chdir(folder)
        try:
            _run_eagerly(True)
            for i in range(number):
                name = rng.choices([MODEL, ABOUT], [4, 1])[0]
                document = json.loads(members[name])
                for _ in range(rng.choice([1, 1, 2, 3])):
                    mutator.change(document)
                write_file(path, members | {name: json.dumps(document).encode()})
                results[_load(path, X[:2], f"file {i} of seed {seed}")] += 1
        finally:
            os.chdir(outside)
            _run_eagerly(False)
    return results


def _run_eagerly(eagerly: bool) -> None:
    """Do not compile each network for two images."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(eagerly)


def _load(path: Path, X: np.ndarray, label: str) -> str:
    """Load a file and predict; returns how it ended."""
    settings, files = get_settings(), list_files(path.parent)
    try:
        loaded = SingleBoxLocalizer.load(path)
        result = "predicted" if len(loaded.predict(X)) == len(X) else f"{label}: wrong rows"
    except SkbboxError:
        result = "refused"
    except Exception as error:
        result = f"{label}: {type(error).__name__}: {str(error)[:300]}"
    if get_settings() != settings:
        result = f"{label}: a setting or a random state changed"
    if list_files(path.parent) != files:
        result = f"{label}: a file changed"
    return result


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=5000, help="number of files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = fuzz(arguments.number, arguments.seed)
    for result, count in results.most_common():
        print(f"{count:6} {result}")
    return int(not results.keys() <= {"refused", "predicted"})


if __name__ == "__main__":
    sys.exit(main())
