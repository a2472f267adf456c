"""``skbbox train``: fit a model and score it on held-out images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..dummy import DummyLocalizer
from ..files import as_path
from .arguments import (
    add_command,
    add_overwrite,
    add_parameters,
    add_quiet,
    add_source,
    parse_parameter,
)
from .data import check_output, count_classes, count_without_object, list_classes
from .results import Result
from .scores import compare, format_scores
from .start import start_keras
from .training_data import add_split, hold_out, prepare_data

if TYPE_CHECKING:
    import argparse

    from ..localizer import SingleBoxLocalizer

__all__ = ["add_parser", "get_seed", "make_localizer"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    train = add_command(
        commands,
        "train",
        run,
        "train a model, save it, and compare it with a baseline on held-out images",
        "skbbox train labels.csv --images photos -o model.skbbox\n"
        "skbbox train labels.csv --images photos -o model.skbbox --set image_size=128 epochs=20",
    )
    add_source(train, "FILE")
    train.add_argument("-o", "--output", type=as_path, required=True, help="model file to write")
    add_split(train)
    train.add_argument(
        "--test",
        type=float,
        metavar="SHARE",
        help="share of images to hold out for scoring, 0 for none (default: 0.2, or the images "
        "with val and test in the column split)",
    )
    add_parameters(train)
    add_quiet(train)
    add_overwrite(train)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    check_output(parsed.output, parsed.overwrite)
    if parsed.test is not None and not 0 <= parsed.test < 1:
        raise ValueError(f"--test must be at least 0 and below 1. Received: {parsed.test}.")
    localizer = make_localizer(parsed)
    # Before Keras, whose import takes seconds.
    data = prepare_data(parsed, localizer.on_bad_image)
    train, parts = hold_out(data, parsed.test, get_seed(localizer))
    classes = count_classes(data.y)
    print(list_classes(classes), file=sys.stderr)
    start_keras()
    X, y = data.take(train)
    localizer.fit(X, y)
    localizer.save(parsed.output, overwrite=parsed.overwrite)
    baseline = DummyLocalizer().fit(X, y)
    scores = {part: compare(localizer, baseline, *data.take(rows)) for part, rows in parts.items()}
    values = {
        "output": parsed.output,
        "n_train": len(train),
        "n_epochs": localizer.n_iter_,
        "split_by": data.split_by,
        "classes": classes,
        "n_without_object": count_without_object(data.y),
        "scores": scores,
    }
    lines = [
        f"Trained on {len(train)} images; the model is saved in {parsed.output}.",
        *(
            format_scores(f"{found['n_images']} {part} images", found, "median box")
            for part, found in scores.items()
        ),
    ]
    return Result(values, "\n".join(lines))


def make_localizer(parsed: argparse.Namespace, **defaults: Any) -> SingleBoxLocalizer:
    """Make an estimator with the parameters of ``--set``; their values are checked later."""
    from ..localizer import SingleBoxLocalizer

    parameters = dict(map(parse_parameter, parsed.set))
    localizer = SingleBoxLocalizer(verbose=0 if parsed.quiet else 1).set_params(
        **(defaults | parameters)
    )
    get_seed(localizer)
    return localizer


def get_seed(localizer: SingleBoxLocalizer) -> int | None:
    """Return the random state, which must be an integer on the command line."""
    seed = localizer.random_state
    if seed is None or (isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0):
        return seed
    raise ValueError(f"random_state must be an integer of at least 0. Received: {seed!r}.")
