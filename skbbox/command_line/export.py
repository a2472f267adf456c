"""``skbbox export``: write the network for another runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files import as_path
from .arguments import add_command, add_overwrite
from .data import check_output
from .models import load_model
from .results import Result

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["add_parser"]

FORMATS = ("onnx", "openvino", "saved_model", "tflite")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    export = add_command(
        commands,
        "export",
        run,
        "write the network of a model for another runtime",
        "skbbox export model.skbbox model.onnx\nskbbox export model.skbbox folder --to saved_model",
        {"format": "--to"},
    )
    export.add_argument("model", type=as_path, help="model file written by train")
    export.add_argument(
        "output", metavar="OUT", type=as_path, help="file, or folder for saved_model, to write"
    )
    export.add_argument(
        "--to",
        "--format",
        choices=FORMATS,
        help="format of OUT (default: by its ending, .onnx, .tflite, or .xml for openvino)",
    )
    add_overwrite(export)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    check_output(parsed.output, parsed.overwrite)
    localizer = load_model(parsed)
    localizer.export(parsed.output, format=parsed.to, overwrite=parsed.overwrite)
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
    """The files of an export: those of a folder; a file, and the weights of OpenVINO next to it."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]
