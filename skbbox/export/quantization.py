"""Write networks with smaller numbers, and measure what that costs.

With ``"int8"``, ONNX Runtime and OpenVINO compute only convolutions with 8 bits: they take nearly
all of the time and of the file. The rest, which resizes images and turns feature maps into boxes,
would lose too much. TFLite stores all large weights with 8 bits, and quantises values while it
runs. With ``"float16"``, weights are stored in half precision; the runtime decides how it computes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..boxes import iou
from ..engines.registry import missing_packages
from ..exceptions import EngineError, MissingPackageError
from ..images import load_row
from ..inputs import check_images, check_targets, encode_classes
from .writers import convert_to_tflite, make_smaller_onnx, write_float16_openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, ImageLike, ImagesLike, Pixels, TargetsLike

__all__ = [
    "Calibration",
    "check_loss",
    "check_quantization",
    "compare_outputs",
    "describe_loss",
    "measure_loss",
    "quantize_network",
]

#: Largest losses of mean IoU and of class accuracy with which a file is written.
MAX_IOU_LOSS, MAX_ACCURACY_LOSS = 0.005, 0.01

#: Formats that can be quantised, the packages that this takes, and what to install.
PACKAGES = {
    "onnx": (("onnxruntime",), "skbbox[onnx]"),
    "openvino": (("nncf",), "skbbox[quantization]"),
    "tflite": ((), "tensorflow"),
}


@dataclass(frozen=True)
class Calibration:
    """Images to calibrate with and to measure the loss on.

    Attributes
    ----------
    items : sequence of n images
        Anything :func:`load_image` takes.
    boxes : ndarray of shape (n, 4) or None
        True boxes, NaN in rows without one. None compares with the network that is not quantised.
    class_indices : ndarray of shape (n,) or None
        True classes, -1 in rows without one.
    """

    items: Sequence[ImageLike]
    boxes: FloatArray | None = None
    class_indices: NDArray[np.int32] | None = None

    @classmethod
    def read(
        cls,
        X: ImagesLike | None,
        y: TargetsLike | None,
        classes: Sequence[object] | NDArray[Any] | None,
    ) -> Calibration | None:
        """Check images and, if given, targets, whose classes must be among `classes`."""
        if X is None:
            if y is not None:
                raise ValueError("calibration_y needs its images: pass them as calibration=.")
            return None
        images = check_images(X)
        if y is None:
            return cls(images.items)
        targets = check_targets(y, len(images), images)
        names = None if classes is None else targets.class_names
        return cls(images.items, targets.boxes, encode_classes(names, classes)[1])

    def load(self, size: tuple[int, int] | None) -> Iterator[Pixels]:
        """The images as batches of one; None keeps their own size."""
        for row in range(len(self.items)):
            yield load_row(self.items, row, size)[0][None]


def check_quantization(quantize: str | None, format: str, calibration: Calibration | None) -> None:
    """Raise an error if a network cannot be quantised in this way."""
    if quantize not in (None, "int8", "float16"):
        raise ValueError(f"quantize must be None, 'int8' or 'float16'. Received: {quantize!r}.")
    if quantize is None:
        if calibration is not None:
            raise ValueError("calibration is only used with quantize='int8' or 'float16'.")
        return
    if format not in PACKAGES:
        raise ValueError(
            f"quantize={quantize!r} needs one of the formats {list(PACKAGES)}. Received: "
            f"format={format!r}."
        )
    if quantize == "int8" and calibration is None:
        raise ValueError(
            "quantize='int8' needs calibration=: some 100 images, like those to predict and not "
            "from the training, from which the ranges of values are taken."
        )
    packages, install = PACKAGES[format]
    if quantize == "int8" and (missing := missing_packages(packages)):
        raise MissingPackageError(
            f"quantize='int8' with format={format!r} needs {' and '.join(missing)}: "
            f"pip install '{install}'."
        )


def quantize_network(
    network: keras.Model,
    source: Path,
    path: Path,
    format: str,
    quantize: str,
    calibration: Calibration | None,
) -> None:
    """Write a quantised network.

    Parameters
    ----------
    network : keras.Model
        From pixels to the outputs by name.
    source, path : Path
        File of the network that is not quantised, and file to write.
    format, quantize, calibration
        As :func:`check_quantization` accepts them.
    """
    with _quiet():
        if format == "tflite":
            path.write_bytes(convert_to_tflite(network, quantize))
        elif quantize == "float16":
            write = make_smaller_onnx if format == "onnx" else write_float16_openvino
            write(source, path)
        else:
            assert calibration is not None
            write_int8 = _write_int8_onnx if format == "onnx" else _write_int8_openvino
            write_int8(source, path, calibration.load(_get_size(network)))


def measure_loss(
    network: keras.Model, source: Path, path: Path, format: str, calibration: Calibration
) -> tuple[float, float | None]:
    """What quantisation costs on the calibration images.

    Parameters
    ----------
    network, source, path, format, calibration
        As for :func:`quantize_network`.

    Returns
    -------
    iou_loss : float
        Mean IoU of the network minus that of the quantised one.
    accuracy_loss : float or None
        The same of the class accuracy; None without classes.
    """
    size = _get_size(network)
    exact, quantised = (_predict(file, format, calibration.load(size)) for file in (source, path))
    return compare_outputs(exact, quantised, calibration)


def compare_outputs(
    exact: dict[str, NDArray[Any]], quantised: dict[str, NDArray[Any]], calibration: Calibration
) -> tuple[float, float | None]:
    """The losses of :func:`measure_loss`, from the outputs of both networks by name."""
    iou_loss, accuracy_loss = 0.0, None
    if "box" in exact:
        true = exact["box"] if calibration.boxes is None else calibration.boxes
        rows = ~np.isnan(true[:, 0])
        if rows.any():
            before, after = (
                iou(true[rows], outputs["box"][rows]).mean() for outputs in (exact, quantised)
            )
            iou_loss = float(before - after)
    if "probabilities" in exact:
        before, after = (outputs["probabilities"].argmax(axis=1) for outputs in (exact, quantised))
        classes = calibration.class_indices
        if classes is None:
            classes = before
        rows = classes >= 0
        if rows.any():
            accuracy_loss = float(
                (before[rows] == classes[rows]).mean() - (after[rows] == classes[rows]).mean()
            )
    return iou_loss, accuracy_loss


def check_loss(iou_loss: float, accuracy_loss: float | None, quantize: str) -> None:
    """Raise an EngineError if a loss is too large."""
    if iou_loss > MAX_IOU_LOSS or (accuracy_loss or 0.0) > MAX_ACCURACY_LOSS:
        raise EngineError(
            f"quantize={quantize!r} costs too much on the calibration images: "
            f"{describe_loss(iou_loss, accuracy_loss)}; at most {MAX_IOU_LOSS} and "
            f"{MAX_ACCURACY_LOSS} are accepted. Pass more calibration images, quantize='float16', "
            "or force=True."
        )


def describe_loss(iou_loss: float, accuracy_loss: float | None) -> str:
    """Both losses as text."""
    text = f"loss of mean IoU {iou_loss:.4f}"
    return text if accuracy_loss is None else f"{text}, of class accuracy {accuracy_loss:.4f}"


def _get_size(network: keras.Model) -> tuple[int, int] | None:
    height, width = network.input_shape[1:3]
    return None if height is None else (height, width)


def _write_int8_onnx(source: Path, path: Path, images: Iterator[Pixels]) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, Pixels] | None:
            image = next(images, None)
            return None if image is None else {"image": image}

    # Without VNNI, products of unsigned and signed bytes would overflow.
    quantization.quantize_static(
        source,
        path,
        Reader(),
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        reduce_range=True,
    )


def _write_int8_openvino(source: Path, path: Path, images: Iterator[Pixels]) -> None:
    import nncf
    import openvino

    from ..engines.conversion import read_openvino

    model = read_openvino(source)
    kinds = {operation.get_type_name() for operation in model.get_ops()}
    others = sorted(kinds - {"Convolution", "GroupConvolution"})
    batches = list(images)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(batches),
        subset_size=len(batches),
        ignored_scope=nncf.IgnoredScope(types=others, validate=False),
    )
    openvino.save_model(quantised, path, compress_to_fp16=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what tools print, log and warn of about their own steps."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        # NNCF prints progress bars.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _predict(path: Path, format: str, images: Iterator[Pixels]) -> dict[str, NDArray[Any]]:
    """Outputs of a file by name, as its runtime computes them."""
    with _quiet():
        run = OPENERS[format](path)
        rows = [run(image) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _open_onnx(path: Path) -> Callable[[Pixels], dict[str, Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image}), strict=True))


def _open_openvino(path: Path) -> Callable[[Pixels], dict[str, Any]]:
    import openvino

    from ..engines.conversion import read_openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(read_openvino(path), "CPU", hint)
    return lambda image: {
        output.any_name: np.array(values) for output, values in compiled({"image": image}).items()
    }


def _open_tflite(path: Path) -> Callable[[Pixels], dict[str, Any]]:
    import tensorflow as tf

    run = tf.lite.Interpreter(str(path)).get_signature_runner()
    return lambda image: run(image=image)


OPENERS = {"onnx": _open_onnx, "openvino": _open_openvino, "tflite": _open_tflite}
