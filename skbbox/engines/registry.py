"""Names of the engines, and which of them are installed."""

import importlib.util
from collections.abc import Sequence

import keras

from ..exceptions import EngineError, MissingPackageError

__all__ = ["ENGINES", "get_engine", "has_accelerator", "missing_packages"]

#: Engines, the fastest on a CPU first, and the packages that each needs.
ENGINES: dict[str, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "tf2onnx"),
    "keras": (),
}

#: What to install for an engine.
EXTRAS = {"openvino": "skbbox[openvino]", "onnxruntime": "skbbox[onnx]"}


def get_engine(engine: str) -> str:
    """The name of an engine; for ``"auto"``, the fastest one installed.

    ``"auto"`` is Keras if it has a GPU, which the other engines do not use, and on JAX, whose
    networks they cannot convert.

    Raises
    ------
    EngineError
        If there is no such engine.
    MissingPackageError
        If a package that it needs is not installed.
    """
    if engine == "auto":
        if keras.backend.backend() == "jax" or has_accelerator():
            return "keras"
        return next(name for name, packages in ENGINES.items() if not missing_packages(packages))
    if engine not in ENGINES:
        raise EngineError(f"engine must be 'auto' or one of {list(ENGINES)}. Received: {engine!r}.")
    if missing := missing_packages(ENGINES[engine]):
        raise MissingPackageError(
            f"engine={engine!r} needs {' and '.join(missing)}: pip install '{EXTRAS[engine]}', or "
            "pass engine='auto', which uses the fastest one installed."
        )
    return engine


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def has_accelerator() -> bool:
    """Whether Keras computes on a GPU or another accelerator."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")
