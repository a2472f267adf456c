"""``skbbox score``: score a model on annotated images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dummy import DummyLocalizer
from ..files import as_path
from ..inputs import check_images, check_targets, warn_of_unseen_classes
from .arguments import add_bad_images, add_command, add_quiet, add_source
from .data import count_classes, read_part
from .models import load_model
from .results import Result
from .scores import compare, format_scores

if TYPE_CHECKING:
    import argparse

__all__ = ["add_model_and_source", "add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    score = add_command(
        commands,
        "score",
        run,
        "compare a model with a baseline on annotated images that it was not trained on",
        "skbbox score model.skbbox test.csv --images photos\n"
        "skbbox score model.skbbox labels.csv --images photos --split test --json",
    )
    add_model_and_source(score)


def add_model_and_source(command: argparse.ArgumentParser) -> None:
    """Add the arguments for a model and annotated images."""
    command.add_argument("model", type=as_path, help="model file written by train")
    add_source(command, "FILE")
    command.add_argument("--clean", action="store_true", help="repair or drop invalid rows")
    command.add_argument(
        "--split",
        metavar="NAME",
        help="use only rows whose column split is NAME, for example test (default: all)",
    )
    add_bad_images(command, "leave them out")
    add_quiet(command)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    X, y = read_part(parsed)
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    localizer = load_model(parsed)
    warn_of_unseen_classes(targets, localizer.classes_)
    scores = compare(localizer, DummyLocalizer().fit(X, y), X, y)
    values = {"model": parsed.model, "classes": count_classes(y), "scores": scores}
    title = f"{scores['n_images']} images"
    return Result(values, format_scores(title, scores, "median box of these images"))
