"""Write a fitted network to a file for another runtime, which needs neither skbbox nor Keras.

Unlike the files of ``persistence.py``, these cannot be loaded as estimators. They include
all that ``predict`` does to an upright RGB image: it resizes it, and the window of the second look
is cut from its full-size pixels. Both are products with matrices that are computed from the
window, see ``network/looks.py``, and not the resize operations of the runtimes: none of those takes
another window for each image of a batch, and each rounds in its own way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from ..engines.folding import fold_batch_norm
from ..engines.registry import missing_packages
from ..exceptions import EngineError, ImageError, MissingPackageError, ModelFileError
from ..files import as_path, atomic_path, check_overwrite
from ..network.box_heads import IOU_ESTIMATE
from ..network.graph import add_outputs
from ..network.looks import look
from ..network.presence_head import PRESENCE
from .quantization import (
    Calibration,
    check_loss,
    check_quantization,
    describe_loss,
    measure_loss,
    quantize_network,
)
from .writers import WRITERS, append_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import ImagesLike, PathLikeStr, TargetsLike

__all__ = ["export_model"]

#: Formats, the packages that write each, and what to install for them.
FORMATS = {
    "onnx": (("onnx", "tf2onnx"), "skbbox[onnx]"),
    "tflite": (("tensorflow",), "tensorflow"),
    "openvino": (("openvino",), "skbbox[openvino]"),
    "saved_model": (("tensorflow",), "tensorflow"),
}
ENDINGS = {".onnx": "onnx", ".tflite": "tflite", ".xml": "openvino"}


def export_model(
    model: keras.Model,
    classes: Sequence[object] | NDArray[Any] | None,
    n_looks: int,
    path: PathLikeStr,
    format: str | None = None,
    overwrite: bool = False,
    *,
    has_boxes: bool = True,
    image_size: str | None = None,
    quantize: str | None = None,
    calibration: tuple[ImagesLike | None, TargetsLike | None] = (None, None),
    force: bool = False,
    verbose: bool | int = 0,
) -> None:
    """Write a network with named inputs and outputs.

    Parameters
    ----------
    model : keras.Model
        As returned by :func:`build_network`.
    classes : sequence or None
        Class names in the order of its outputs.
    n_looks, path, format, overwrite, image_size
        As for :meth:`SingleBoxLocalizer.export`.
    has_boxes : bool, default=True
        Whether the network has learned boxes; otherwise it is written without them.
    quantize, force, verbose
        As for :meth:`SingleBoxLocalizer.export`.
    calibration : (images, table), default=(None, None)
        Its `calibration` and `calibration_y`.
    """
    path = as_path(path)
    format = _choose_format(path, format)
    image_size = _choose_image_size(format, image_size)
    labels = _join_labels(classes)
    packages, install = FORMATS[format]
    if missing := missing_packages(packages):
        raise MissingPackageError(
            f"format={format!r} needs {' and '.join(missing)}: pip install '{install}', or pass "
            "another format."
        )
    given = Calibration.read(*calibration, classes)
    check_quantization(quantize, format, given)
    _check_target(path, format, overwrite)
    network = _name_outputs(model, n_looks, has_boxes, image_size)
    try:
        with atomic_path(path) as unfinished:
            if quantize is None:
                WRITERS[format](network, unfinished, labels)
            else:
                _write_quantised(
                    network, unfinished, format, quantize, given, labels, force, verbose
                )
    except (EngineError, ImageError):
        raise
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error}. Make room there, or pass another path."
        ) from error
    except Exception as error:  # Converters raise many kinds.
        raise EngineError(
            f"This network cannot be written as format={format!r}: {error}. {_suggest_fix()}"
        ) from error


def _write_quantised(
    network: keras.Model,
    path: Path,
    format: str,
    quantize: str,
    calibration: Calibration | None,
    labels: str | None,
    force: bool,
    verbose: bool | int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"network{path.suffix}"
        WRITERS[format](network, source, labels)
        quantize_network(network, source, path, format, quantize, calibration)
        if calibration is not None:
            losses = measure_loss(network, source, path, format, calibration)
            if verbose:
                print(f"{quantize}: {describe_loss(*losses)}")
            if not force:
                check_loss(*losses, quantize)
    if format == "tflite":
        append_labels(path, labels)


def _choose_format(path: Path, format: str | None) -> str:
    if format is None:
        format = ENDINGS.get(path.suffix.lower())
        if format is None:
            raise ValueError(
                f"The ending of path is none of {list(ENDINGS)}, so format must be one of "
                f"{list(FORMATS)}. Received: path={str(path)!r}, format=None."
            )
    if format not in FORMATS:
        raise ValueError(f"format must be one of {list(FORMATS)}. Received: {format!r}.")
    if format == "openvino" and path.suffix != ".xml":
        raise ValueError(
            "path must end in '.xml' with format='openvino'; the weights are written to a file "
            f"next to it that ends in '.bin'. Received: {str(path)!r}."
        )
    return format


def _choose_image_size(format: str, image_size: str | None) -> str:
    if image_size not in (None, "any", "fixed"):
        raise ValueError(f"image_size must be 'any' or 'fixed'. Received: {image_size!r}.")
    backend = keras.backend.backend()
    is_supported = format != "tflite" and backend == "tensorflow"
    if image_size is None:
        return "any" if is_supported else "fixed"
    if image_size == "any" and not is_supported:
        reason = (
            "TFLite has fixed shapes"
            if format == "tflite"
            else f"Keras runs on {backend}, which exports fixed shapes"
        )
        raise EngineError(f"{reason}: pass image_size='fixed', and resize images before.")
    return image_size


def _join_labels(classes: Sequence[object] | NDArray[Any] | None) -> str | None:
    """Class names, one per line; None without classes."""
    if classes is None:
        return None
    names = [str(name) for name in classes]
    for name in names:
        if name.splitlines() != [name]:
            raise ValueError(
                "Class names are written one per line, so they must not be empty or contain a "
                f"line break. Received: {name!r}."
            )
    return "".join(f"{name}\n" for name in names)


def _check_target(path: Path, format: str, overwrite: bool) -> None:
    check_overwrite([path, path.with_suffix(".bin")] if format == "openvino" else [path], overwrite)
    # Even with overwrite=True, the user cannot mean to delete a folder of other files.
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} is a folder without a SavedModel; pass another path.")


def _suggest_fix() -> str:
    if keras.backend.backend() == "tensorflow":
        return "Pass another format."
    return (
        f"Keras runs on {keras.backend.backend()}, which supports fewer formats than TensorFlow: "
        "save() the estimator, start Python with KERAS_BACKEND=tensorflow, load() the file and "
        "export there."
    )


def _name_outputs(
    model: keras.Model, n_looks: int, has_boxes: bool, image_size: str
) -> keras.Model:
    """From pixels to a dict of the outputs, as ``predict`` and ``predict_proba`` return them."""
    network = fold_batch_norm(add_outputs(model, (IOU_ESTIMATE,)))
    shape = (None, None, 3) if image_size == "any" else network.input_shape[1:]
    pixels = keras.Input(shape, dtype="uint8")
    found = look(network, pixels, n_looks)
    outputs = {}
    if has_boxes:
        outputs["box"] = layers.Identity(name="box")(found["bbox_prediction"])
    if "class_prediction" in found:
        outputs["probabilities"] = found["class_prediction"]
        outputs["class_confidence"] = ops.max(found["class_prediction"], axis=1)
    if has_boxes and IOU_ESTIMATE in found:
        outputs["box_confidence"] = found[IOU_ESTIMATE][:, 0]
    if PRESENCE in found:
        outputs["presence"] = found[PRESENCE][:, 0]
    return keras.Model(pixels, outputs)
