"""``skbbox export``: write the network for another runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files import as_path
from .arguments import add_command, add_overwrite
from .data import check_output, find_images
from .models import load_model
from .results import Result

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["add_parser"]

FORMATS = ("onnx", "openvino", "saved_model", "tflite")

#: Options with the names of parameters of :meth:`SingleBoxLocalizer.export`.
OPTIONS = ("image_size", "quantize", "calibration", "force")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    export = add_command(
        commands,
        "export",
        run,
        "write the network of a model for another runtime",
        "skbbox export model.skbbox model.onnx\nskbbox export model.skbbox folder --to saved_model",
        {name: f"--{name.replace('_', '-')}" for name in OPTIONS} | {"format": "--to"},
    )
    export.add_argument("model", type=as_path, help="model file written by train")
    export.add_argument(
        "output", metavar="OUT", type=as_path, help="file to write, or folder for saved_model"
    )
    export.add_argument(
        "--to",
        "--format",
        choices=FORMATS,
        help="format of OUT (default: from its extension, .onnx, .tflite, or .xml for openvino)",
    )
    export.add_argument(
        "--image-size",
        choices=("any", "fixed"),
        help="size of the images that the network takes: any size, or only the size used in "
        "training (fixed) (default: any; fixed for tflite)",
    )
    export.add_argument(
        "--quantize",
        choices=("int8", "float16"),
        help="compute with 8-bit numbers, or store weights as 16-bit numbers",
    )
    export.add_argument(
        "--calibration",
        nargs="+",
        metavar="IMAGES",
        type=as_path,
        help="image files or folders for --quantize, on which the loss of accuracy is measured",
    )
    export.add_argument(
        "--force", action="store_true", help="write OUT even if too much accuracy is lost"
    )
    add_overwrite(export)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    check_output(parsed.output, parsed.overwrite)
    localizer = load_model(parsed)
    calibration = parsed.calibration and [
        image for path in parsed.calibration for image in find_images(path)
    ]
    localizer.export(
        parsed.output,
        format=parsed.to,
        overwrite=parsed.overwrite,
        image_size=parsed.image_size,
        quantize=parsed.quantize,
        calibration=calibration,
        force=parsed.force,
    )
    from ..export import ENDINGS

    files = _list_files(parsed.output)
    n_bytes = sum(file.stat().st_size for file in files)
    values = {
        "model": parsed.model,
        "output": parsed.output,
        "format": parsed.to or ENDINGS[parsed.output.suffix.lower()],
        "files": files,
        "n_bytes": n_bytes,
    }
    return Result(values, f"The network is in {parsed.output} ({n_bytes / 1e6:.1f} MB).")


def _list_files(path: Path) -> list[Path]:
    """List the files of an export: in the folder, or the file and OpenVINO's weights next to it."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]
