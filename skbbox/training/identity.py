"""A digest of parameters that covers the code and the values of functions and objects."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from ..network.graph import digest_model

__all__ = ["digest_values"]

#: Types whose values their text tells apart.
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))

#: What a code object does; not where it stands in a file.
CODE = (
    *("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_exceptiontable"),
)


def digest_values(values: Mapping[str, Any]) -> str:
    """Digest of values by name: equal in another process for equal values, as far as that shows.

    Functions count by their code, defaults and closure, and by what they read from their own
    module: other functions and classes, and constants (numbers, text and tuples of them). Objects
    count by their state, classes by their methods and constants, Keras models by their layers and
    weights. Code of installed packages counts by its name and the version of the package.

    Raises
    ------
    ValueError
        If a value, such as an open file, cannot be compared; names it.
    """
    digest = _Digest()
    for name, value in values.items():
        try:
            digest.add(name)
            digest.add(value)
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"With checkpoint, {name} must be something that can be compared with that of an "
                f"interrupted fit: {error}. Let a function create what it holds, or pass "
                f"checkpoint=None. Received: {value!r}."
            ) from error
    return digest.hexdigest()


class _Digest:
    """Digest of any number of values, of which each may refer to others."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        # Objects by their number, so that they may refer to each other; kept, so that no other gets
        # their id.
        self._numbers: dict[int, int] = {}
        self._objects: list[Any] = []

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            value = value.item()
        if type(value) in PLAIN:
            self._write(type(value).__name__, repr(value))
        elif isinstance(value, os.PathLike):
            self.add(os.fspath(value))
        elif type(value) is tuple:
            self._add_all("tuple", value)
        elif isinstance(value, np.ndarray):
            self._add_array(value)
        elif type(value) in (set, frozenset):
            # In an order that does not depend on the process.
            self._add_all("set", sorted(_digest_alone(part) for part in value))
        elif id(value) in self._numbers:
            self._write("again", str(self._numbers[id(value)]))
        else:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
            self._add_all(type(value).__name__, _list_parts(value))

    def _add_all(self, kind: str, parts: Iterable[Any]) -> None:
        self._write("begin", kind)
        for part in parts:
            self.add(part)
        self._write("end", kind)

    def _add_array(self, array: np.ndarray[Any, Any]) -> None:
        self._write("array", f"{array.dtype.str} {array.shape}")
        if array.dtype.hasobject:
            self._add_all("objects", array.ravel().tolist())
        else:
            self._hash.update(np.ascontiguousarray(array).tobytes())

    def _write(self, kind: str, text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        self._hash.update(f"{kind} {len(content)} ".encode() + content)


def _digest_alone(value: Any) -> str:
    digest = _Digest()
    digest.add(value)
    return digest.hexdigest()


def _list_parts(value: Any) -> Iterable[Any]:
    """What tells an object from others of its type."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, types.ModuleType):
        return [value.__name__, _get_version(value.__name__)]
    if isinstance(value, type):
        return _list_class_parts(value)
    if isinstance(value, types.FunctionType):
        return _list_function_parts(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.CodeType):
        return [getattr(value, name) for name in CODE]
    if isinstance(value, types.CellType):
        return [] if _is_empty(value) else [value.cell_contents]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
        return [getattr(value, "__module__", None), getattr(value, "__qualname__", repr(value))]
    if isinstance(value, np.random.RandomState):
        return [value.get_state(legacy=False)]
    if isinstance(value, keras.Model):
        custom = [type(layer) for layer in _iterate_layers(value)]
        return [digest_model(value), *custom]
    if hasattr(value, "get_config") and not isinstance(value, keras.callbacks.Callback):
        # Keras numbers the names of objects of a process.
        config = {**value.get_config(), "name": None}
        return [type(value), config, _get_plain_attributes(value)]
    if hasattr(value, "__wrapped__"):  # functools.cache, and functions that are compiled.
        return [value.__wrapped__]
    return _list_pickled_parts(value)


def _list_function_parts(function: types.FunctionType) -> list[Any]:
    code = function.__code__
    parts = [function.__qualname__, code, function.__defaults__, function.__kwdefaults__]
    parts += function.__closure__ or ()
    if not _is_installed(function.__module__):
        names = sorted(set(_iterate_names(code)) & function.__globals__.keys())
        used = {name: function.__globals__[name] for name in names}
        parts += [{name: value for name, value in used.items() if _is_fixed(value)}]
    return parts


def _list_class_parts(kind: type) -> list[Any]:
    name = [kind.__module__, kind.__qualname__]
    if _is_installed(kind.__module__):
        return [*name, _get_version(kind.__module__)]
    members = {name: value for name, value in sorted(vars(kind).items()) if _is_fixed(value)}
    return [kind.__qualname__, members, *kind.__bases__]


def _list_pickled_parts(value: Any) -> list[Any]:
    """The parts of which pickle would make an object again."""
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return [type(value), reduced]
    return [list(part) if isinstance(part, Iterator) else part for part in reduced]


def _is_fixed(value: Any) -> bool:
    """Whether a global or a member of a class is code or a constant; a list may be a log."""
    code = (types.FunctionType, type, types.ModuleType, functools.partial, staticmethod)
    if isinstance(value, (*code, classmethod, property)):
        return True
    if type(value) in (tuple, frozenset):
        return all(map(_is_fixed, value))
    return type(value) in PLAIN or isinstance(value, np.generic)


def _get_plain_attributes(instance: Any) -> dict[str, Any]:
    """Attributes of an object of Keras that are no part of its config; the rest is its state."""
    attributes = getattr(instance, "__dict__", {})
    return {
        name: value
        for name, value in sorted(attributes.items())
        if not name.startswith("_") and name != "name" and _is_fixed(value)
    }


def _iterate_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _iterate_names(constant)


def _iterate_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _iterate_layers(layer)


def _is_empty(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is cell
    except ValueError:
        return True


def _is_installed(module: str | None) -> bool:
    """Whether a module belongs to Python or an installed package."""
    package = (module or "").partition(".")[0]
    if package in sys.stdlib_module_names and package != "__main__":
        return True
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    parts = os.path.normpath(file).split(os.sep)
    return package == "skbbox" or "site-packages" in parts or "dist-packages" in parts


def _get_version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))
