"""``skbbox doctor``: versions, engines, weights and folders, to paste into a bug report."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from .arguments import add_command
from .results import Result
from .start import start_keras

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

__all__ = ["add_parser"]

#: Packages whose versions matter most for a result or an error.
PACKAGES = (
    *("keras", "tensorflow", "jax", "torch", "scikit-learn", "numpy", "pandas", "pillow"),
    *("matplotlib", "narwhals", "h5py", "onnx", "onnxruntime", "tf2onnx", "openvino"),
)
#: Environment variables that change what the package does.
VARIABLES = ("KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL", "TF_USE_LEGACY_KERAS", "TMPDIR")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    add_command(
        commands,
        "doctor",
        run,
        "print versions, engines, weights and folders, to paste into a bug report",
        "skbbox doctor --json",
    )


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    values: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {name: _find_version(name) for name in PACKAGES},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "folders": {"temporary files": describe_folder(Path(tempfile.gettempdir()))},
    }
    try:
        start_keras()
        values |= _describe_keras()
    except Exception as error:  # An installation can be broken in any way.
        values["keras_error"] = f"{type(error).__name__}: {error}"
    else:
        from ..network.applications import KERAS_MODELS

        values["folders"]["weights of Keras"] = describe_folder(KERAS_MODELS)
        values["weights"] = sorted(file.name for file in KERAS_MODELS.glob("*") if file.is_file())
    return Result(values, "\n".join(_write_lines(values)))


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _describe_keras() -> dict[str, Any]:
    """Describe the backend, its devices, and the missing packages of each engine."""
    import keras

    from ..engines.registry import ENGINES, get_engine, missing_packages

    return {
        "backend": keras.backend.backend(),
        "devices": list(keras.distribution.list_devices()),
        "engine": get_engine("auto"),
        "missing_for_engines": {name: missing_packages(ENGINES[name]) for name in ENGINES},
    }


def describe_folder(folder: Path) -> dict[str, str]:
    """Describe a folder, and whether it is writable or can be created."""
    if folder.is_dir():
        state = "writable" if _is_writable(folder) else "not writable"
    elif folder.exists():
        state = "not a folder"
    else:
        parent = next(parent for parent in folder.parents if parent.exists())
        state = "does not exist yet" if _is_writable(parent) else "cannot be created"
    return {"path": str(folder), "state": state}


def _is_writable(folder: Path) -> bool:
    """Try to create a file; permissions alone do not reveal a read-only disk."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _write_lines(values: Mapping[str, Any]) -> Iterable[str]:
    yield f"skbbox {__version__}"
    yield f"Python {values['python']} at {_shorten(sys.prefix)}"
    yield f"{values['platform']}, {values['processors']} processors"
    yield "packages:"
    for name, version in values["packages"].items():
        yield f"  {name} {version or 'not installed'}"
    if "keras_error" in values:
        yield f"Keras does not start: {values['keras_error']}"
    else:
        yield f"Keras runs on {values['backend']}: {', '.join(values['devices'])}"
        yield f"engines (engine='auto' uses {values['engine']}):"
        for name, missing in values["missing_for_engines"].items():
            yield f"  {name}: {'needs ' + ', '.join(missing) if missing else 'ready'}"
        yield f"weights: {', '.join(values['weights']) or 'none'}"
    yield "folders:"
    for purpose, folder in values["folders"].items():
        yield f"  {purpose}: {_shorten(folder['path'])}: {folder['state']}"
    for name, value in values["variables"].items():
        yield f"{name}={_shorten(value)}"


def _shorten(path: str) -> str:
    """Hide the name of the user in a path."""
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}{os.sep}") else path
