"""``skbbox search``: compare parameters by cross-validation."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, ParameterGrid

from ..dummy import DummyLocalizer
from ..exceptions import InterruptionWarning
from ..files import as_path
from ..metrics import box_scorer
from ..model_selection import StratifiedBoxKFold, StratifiedGroupBoxKFold
from ..progress import progress_bar
from .arguments import (
    STDOUT,
    add_command,
    add_overwrite,
    add_parameters,
    add_quiet,
    add_source,
    as_output,
    parse_value,
    split_assignment,
)
from .data import check_output, count_classes, list_classes
from .results import Result, list_rows
from .scores import compare, format_scores
from .start import start_keras
from .train import get_seed, make_localizer
from .training_data import add_split, prepare_data

if TYPE_CHECKING:
    import argparse

    from ..localizer import SingleBoxLocalizer
    from ..typing import IntArray, Localizer, Split
    from .training_data import TrainingData

__all__ = ["add_parser"]

MEASURES = ("mean_iou", "iou_50", "localization_accuracy")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    search = add_command(
        commands,
        "search",
        run,
        "compare all combinations of given parameter values by cross-validation",
        "skbbox search labels.csv --images photos --grid neck=0,256 n_looks=1,2\n"
        "skbbox search labels.csv --images photos --grid box_loss_weight=1,5 "
        "--set random_state=0 epochs=5 -o table.csv --model best.skbbox",
    )
    add_source(search, "FILE")
    search.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="NAME=V1,V2",
        help="parameters of SingleBoxLocalizer and the values to compare",
    )
    search.add_argument(
        "--folds",
        type=int,
        default=3,
        metavar="N",
        help="number of folds of the cross-validation (default: 3); ignored if the column split "
        "has val, on which candidates are then scored",
    )
    search.add_argument(
        "--scoring",
        choices=MEASURES,
        default=MEASURES[0],
        help=f"measure by which the best candidate is chosen (default: {MEASURES[0]})",
    )
    search.add_argument(
        "-o", "--output", type=as_output, help="CSV file to write the table to, or - for stdout"
    )
    search.add_argument(
        "--model",
        type=as_path,
        metavar="FILE",
        help="fit the best candidate on all images except those with test in the column split, and "
        "save it",
    )
    add_split(search)
    add_parameters(search)
    add_quiet(search)
    add_overwrite(search)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    for path in (parsed.output, parsed.model):
        if path is not None:
            check_output(path, parsed.overwrite)
    if parsed.folds < 2:
        raise ValueError(f"--folds must be at least 2. Received: {parsed.folds}.")
    grid = _parse_grid(parsed.grid)
    if twice := sorted(set(grid) & {text.partition("=")[0] for text in parsed.set}):
        raise ValueError(f"--grid and --set both name {twice[0]}. Leave it out of one of them.")
    localizer = make_localizer(parsed, verbose=0)
    candidates = list(ParameterGrid(grid))
    for candidate in candidates:
        clone(localizer).set_params(**candidate)  # Raises for unknown names.
    data = prepare_data(parsed, localizer.on_bad_image)
    if parsed.scoring == "localization_accuracy" and "class_name" not in data.y:
        raise ValueError("--scoring localization_accuracy needs classes. Leave out --no-classes.")
    rows, folds = _make_folds(data, parsed.folds, get_seed(localizer))
    classes = count_classes(data.y)
    print(list_classes(classes), file=sys.stderr)
    start_keras()
    for candidate in candidates:
        _check_candidate(localizer, candidate)
    n_fits = len(candidates) * len(folds)
    with progress_bar(n_fits, "search", not parsed.quiet, unit="fits") as progress:
        search = GridSearchCV(
            localizer,
            grid,
            scoring=_count_calls(progress.update),
            cv=folds,
            refit=parsed.scoring if parsed.model else False,
        )
        with _stop_at_interrupt():
            search.fit(*data.take(rows))
    table = _make_table(search.cv_results_, parsed.scoring)
    document = None
    if parsed.output is not None:
        text = table.to_csv(index=False)
        if parsed.output == STDOUT:
            document = text
        else:
            parsed.output.write_text(text, encoding="utf-8")
    scores: dict[str, Any] = {}
    if parsed.model:
        search.best_estimator_.save(parsed.model, overwrite=parsed.overwrite)
        test = data.find("test")
        if test.size:
            baseline = DummyLocalizer().fit(*data.take(rows))
            scores["test"] = compare(search.best_estimator_, baseline, *data.take(test))
    best = search.cv_results_["params"][_find_best(search.cv_results_, parsed.scoring)]
    values = {
        "scoring": parsed.scoring,
        "n_folds": len(folds),
        "split_by": data.split_by,
        "classes": classes,
        "candidates": _list_candidates(table, list(grid)),
        "best": best,
        "output": parsed.output,
        "model": parsed.model,
        "scores": scores,
    }
    lines = [
        f"{len(candidates)} candidates, {len(folds)} folds; best first by {parsed.scoring}:",
        _format_table(table, list(grid)),
    ]
    if parsed.model:
        lines.append(f"The best one, fitted to {len(rows)} images, is saved in {parsed.model}.")
    lines += [
        format_scores(f"{found['n_images']} {part} images", found, "median box")
        for part, found in scores.items()
    ]
    return Result(values, "\n".join(lines), document)


def _parse_grid(texts: list[str]) -> dict[str, list[Any]]:
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, values = split_assignment(text, "--grid")
        if name in grid:
            raise ValueError(f"--grid names {name} twice. Join the values: {name}=V1,V2.")
        try:
            # Values may contain commas, such as (96, 128).
            grid[name] = list(ast.literal_eval(f"[{values}]"))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            grid[name] = [parse_value(value) for value in values.split(",")]
        if not grid[name] or "" in grid[name]:
            raise ValueError(f"--grid expects NAME=V1,V2 with values. Received: {text!r}.")
    return grid


def _check_candidate(localizer: SingleBoxLocalizer, candidate: dict[str, Any]) -> None:
    from ..parameters import check_parameters

    check_parameters(clone(localizer).set_params(**candidate).get_params(deep=False))


def _make_folds(data: TrainingData, n_folds: int, seed: int | None) -> tuple[IntArray, list[Split]]:
    """Return the rows that take part in the search, and folds of positions among them."""
    rows = np.arange(len(data.X))
    if data.parts is not None:
        # Images for testing must not influence a choice.
        rows = data.find("train", "val")
        validation = np.isin(rows, data.find("val"))
        if validation.any():
            return rows, [(np.flatnonzero(~validation), np.flatnonzero(validation))]
    X, y = data.take(rows)
    groups = pd.factorize(data.groups[rows])[0]
    if len(np.unique(groups)) < n_folds:
        raise ValueError(
            f"--folds {n_folds} needs as many groups of images that do not belong together. "
            f"Received: {len(np.unique(groups))} ({data.split_by})."
        )
    if "class_name" not in y:
        splitter: Any = GroupKFold(n_folds, shuffle=True, random_state=seed)
    elif len(np.unique(groups)) == len(groups):
        splitter = StratifiedBoxKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedGroupBoxKFold(n_folds, shuffle=True, random_state=seed)
    return rows, list(splitter.split(X, y, groups))


def _count_calls(update: Callable[[], object]) -> Callable[..., dict[str, float]]:
    """Make a scorer of all measures that reports each fit."""

    def score(estimator: Localizer, X: pd.Series, y: pd.DataFrame) -> dict[str, float]:
        scores = box_scorer(estimator, X, y)
        update()
        return scores

    return score


@contextmanager
def _stop_at_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the search, not only the fit that is running."""
    show = warnings.showwarning

    def stop_or_show(message: Any, category: type[Warning], *place: Any) -> None:
        if issubclass(category, InterruptionWarning):
            raise KeyboardInterrupt
        show(message, category, *place)

    warnings.showwarning = stop_or_show  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = show


def _find_best(results: dict[str, Any], scoring: str) -> int:
    return int(np.argmin(results[f"rank_test_{scoring}"]))


def _make_table(results: dict[str, Any], scoring: str) -> pd.DataFrame:
    """A row for each candidate, best first: parameters, mean and spread of each measure, time."""
    table = pd.DataFrame(results["params"]).astype(object)
    for measure in MEASURES:
        if f"mean_test_{measure}" in results:
            table[measure] = results[f"mean_test_{measure}"]
            table[f"{measure}_std"] = results[f"std_test_{measure}"]
    table["fit_seconds"] = results["mean_fit_time"]
    table.insert(0, "rank", results[f"rank_test_{scoring}"])
    return table.sort_values("rank", kind="stable", ignore_index=True)


def _list_candidates(table: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    return [
        {"parameters": {name: row.pop(name) for name in names}} | row for row in list_rows(table)
    ]


def _format_table(table: pd.DataFrame, names: list[str]) -> str:
    """The table with "mean ± spread" in one column."""
    shown = table[["rank", *names]].copy()
    shown[names] = shown[names].map(str)
    for measure in MEASURES:
        if measure in table:
            pairs = zip(table[measure], table[f"{measure}_std"], strict=True)
            shown[measure] = [f"{mean:.3f} ± {std:.3f}" for mean, std in pairs]
    shown["seconds per fit"] = table["fit_seconds"].map("{:.1f}".format)
    return str(shown.to_string(index=False))
