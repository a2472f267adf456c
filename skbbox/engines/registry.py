"""Names of the engines, and which of them are installed."""

import importlib.util

import keras

from ..exceptions import EngineError

__all__ = ["ENGINES", "get_engine", "has_accelerator", "missing_packages"]

#: Engines, the fastest on a processor first, and the packages that each takes.
ENGINES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "tf2onnx"),
    "keras": (),
}


EXTRAS = {"openvino": "skbbox[openvino]", "onnxruntime": "skbbox[onnx]"}


def get_engine(engine):
    """The name of an engine; for ``"auto"`` that of the fastest one installed.

    That is Keras where it has a graphics card, which the others leave alone, and on JAX, whose
    networks they cannot take.

    Raises
    ------
    EngineError
        If there is no such engine, or a package is missing that it takes.
    """
    if engine == "auto":
        if keras.backend.backend() == "jax" or has_accelerator():
            return "keras"
        return next(name for name, packages in ENGINES.items() if not missing_packages(packages))
    if engine not in ENGINES:
        raise EngineError(f"engine must be 'auto' or one of {list(ENGINES)}. Received: {engine!r}.")
    if absent := missing_packages(ENGINES[engine]):
        raise EngineError(
            f"engine={engine!r} needs {' and '.join(absent)}: pip install '{EXTRAS[engine]}', or "
            "pass engine='auto', which takes the fastest one installed."
        )
    return engine


def missing_packages(packages):
    """Those of the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def has_accelerator():
    """Whether Keras computes on a graphics card or the like."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")
