"""The data of ``train`` and ``search``: read, checked and split before the first epoch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
import pandas as pd

from ..annotations import one_box_per_image
from ..annotations.near_duplicates import group_near_duplicates, hash_image
from ..exceptions import AnnotationError, ImageError
from ..inputs import check_images, check_targets, describe_first, warn_of_bad_images
from ..model_selection import find_strata, split_train_validation
from ..progress import progress_bar
from .data import read_boxes

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from ..typing import IntArray

__all__ = ["SPLITS", "TrainingData", "add_split", "hold_out", "prepare_data"]

#: What ``--split-by`` chooses from.
SPLITS = ("split", "group", "near-duplicates")
#: Values of the column ``split``, in any case.
TRAIN = ("train", "training")
VALIDATION = ("val", "valid", "validation", "dev")
TEST = ("test", "testing")


@dataclass(frozen=True)
class TrainingData:
    """Images and boxes that were checked, and how to split them.

    Attributes
    ----------
    X : Series of n paths
    y : DataFrame of n rows
    split_by : {"split", "group", "near-duplicates"}
    groups : ndarray of shape (n,)
        Rows of one group stay together.
    strata : ndarray of shape (n,)
        Rows of one stratum are on both sides of a split.
    parts : ndarray of shape (n,) or None
        ``"train"``, ``"val"`` or ``"test"`` for each row, if the table has a split.
    """

    X: pd.Series
    y: pd.DataFrame
    split_by: str
    groups: NDArray[Any]
    strata: IntArray
    parts: NDArray[np.object_] | None

    def take(self, rows: IntArray) -> tuple[pd.Series, pd.DataFrame]:
        """Return X and y of some rows."""
        return self.X.iloc[rows], self.y.iloc[rows]

    def find(self, *parts: str) -> IntArray:
        """Find the rows of parts of the split."""
        return (
            np.flatnonzero(np.isin(self.parts, parts))
            if self.parts is not None
            else np.empty(0, dtype=int)
        )


def add_split(command: argparse.ArgumentParser) -> None:
    """Add the arguments about the split and the classes."""
    command.add_argument("--clean", action="store_true", help="repair or drop invalid rows")
    command.add_argument(
        "--no-classes", action="store_true", help="ignore the classes and learn only boxes"
    )
    command.add_argument(
        "--split-by",
        choices=SPLITS,
        help="how to split the images: as in the column split (train, val, test), so that images "
        "with the same value in the column group stay together, or so that near-duplicates stay "
        "together (default: the first of these that is possible)",
    )


def prepare_data(
    parsed: argparse.Namespace, on_bad_image: Literal["raise", "warn", "skip"]
) -> TrainingData:
    """Read and check all boxes and images.

    Raises
    ------
    AnnotationError, BoxError, ImageError
        If a row or an image is invalid; names the file.
    """
    X, y = one_box_per_image(read_boxes(parsed))
    if not len(X):
        raise AnnotationError(f"{parsed.source} has no image to learn from.")
    if parsed.no_classes:
        y = y.drop(columns="class_name")
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    split_by = parsed.split_by or next(name for name in SPLITS if name in (*y, SPLITS[-1]))
    if split_by != SPLITS[-1]:
        _check_column(y, X, split_by)
    parts = _read_parts(y, X) if split_by == "split" else None
    hashes, bad = _hash_images(images.items, verbose=not parsed.quiet)
    if bad and on_bad_image == "raise":
        raise ImageError(
            f"{len(bad)} of {len(images)} images cannot be read. {describe_first(bad)} Repair "
            "them, or add --set on_bad_image=warn to leave them out."
        )
    if not hashes:
        raise ImageError(f"None of the {len(images)} images can be read. {describe_first(bad)}")
    if on_bad_image == "warn":
        warn_of_bad_images(bad, len(images))
    rows = np.setdiff1d(np.arange(len(X)), list(bad))
    X, y = X.iloc[rows], y.iloc[rows]
    groups = y["group"].to_numpy() if split_by == "group" else group_near_duplicates(hashes)
    strata = find_strata(targets.class_names, targets.has_box)[rows]
    return TrainingData(X, y, split_by, groups, strata, None if parts is None else parts[rows])


def _check_column(y: pd.DataFrame, X: pd.Series, name: str) -> None:
    """Raise if the column is missing or has missing values."""
    if name not in y:
        raise ValueError(
            f"--split-by {name} needs the column {name}, which the annotations do not have. Add it "
            f"to the CSV, or choose another of {list(SPLITS)}."
        )
    missing = np.flatnonzero(y[name].isna())
    if missing.size:
        others = [other for other in SPLITS if other != name]
        raise AnnotationError(
            f"{missing.size} of {len(y)} images have no {name}; the first is "
            f"{X.iloc[missing[0]]}. Fill the column {name}, or add --split-by with one of {others}."
        )


def _read_parts(y: pd.DataFrame, X: pd.Series) -> NDArray[np.object_]:
    """Return ``"train"``, ``"val"`` or ``"test"`` for each row."""
    names = {name: names[0] for names in (TRAIN, VALIDATION, TEST) for name in names}
    column = y["split"]
    parts = column.astype(str).str.strip().str.casefold().map(names)
    unknown = np.flatnonzero(parts.isna())
    if unknown.size:
        row = unknown[0]
        raise AnnotationError(
            f"{X.iloc[row]} has the split {column.iloc[row]!r}, which is none of "
            f"{[*TRAIN, *VALIDATION, *TEST]}. Rename it, or add --split-by with one of "
            f"{list(SPLITS[1:])}."
        )
    if not (parts == "train").any():
        raise AnnotationError(
            f"No image has the split 'train'. Received: {sorted(set(column))}. Add some, or add "
            f"--split-by with one of {list(SPLITS[1:])}."
        )
    return parts.to_numpy(dtype=object)


def _hash_images(
    items: list[Any], verbose: bool
) -> tuple[list[NDArray[np.uint64]], dict[int, str]]:
    """Hash the images that can be read; for the others, return the reason by row."""

    def hash_or_explain(item: Any) -> NDArray[np.uint64] | str:
        try:
            return hash_image(item)
        except ImageError as error:
            return str(error)

    hashes: list[NDArray[np.uint64]] = []
    bad: dict[int, str] = {}
    with (
        progress_bar(len(items), "checking", verbose) as progress,
        ThreadPoolExecutor(min(joblib.cpu_count(), 8)) as pool,
    ):
        for row, found in enumerate(pool.map(hash_or_explain, items)):
            if isinstance(found, str):
                bad[row] = found
            else:
                hashes.append(found)
            progress.update()
    return hashes, bad


def hold_out(
    data: TrainingData, share: float | None, seed: int | None
) -> tuple[IntArray, dict[str, IntArray]]:
    """Choose the rows to train on, and the rows of each part to score on.

    Parameters
    ----------
    data : TrainingData
    share : float or None
        Share of the groups to hold out; None is 0.2, or the split of the table.
    seed : int or None
        Seed of the choice.
    """
    if data.parts is not None:
        if share is not None:
            raise ValueError(
                "The annotations have the column split, which decides what is held out. Leave out "
                f"--test, or add --split-by with one of {list(SPLITS[1:])} to ignore the column."
            )
        held_out = {part: data.find(part) for part in ("val", "test")}
        return data.find("train"), {part: rows for part, rows in held_out.items() if rows.size}
    if share == 0:
        return np.arange(len(data.X)), {}
    if pd.Series(data.groups).nunique() < 2:
        raise ValueError(
            f"All {len(data.X)} images belong together ({data.split_by}), so none can be held out "
            "for scoring. Add other images, or add --test 0."
        )
    share = 0.2 if share is None else share
    rng = np.random.default_rng(seed)
    train, test = split_train_validation(data.strata, data.groups, share, rng)
    return train, {"held-out": test}
