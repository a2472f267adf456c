"""Measure what images teach that have only a class, only a box, or no object.

Three comparisons with the default parameters; each fit is scored on held-out images:

* ``class_only``: tiny_imagenet20, 500 images with class and box, alone and with 4,500 more images
  that have only a class.
* ``box_only``: the same with 4,500 more that have only a box.
* ``empty``: the kangaroos and raccoons, alone and with as many images that show none: halves of
  them are parts of the same photographs outside all boxes, and photographs of tiny_imagenet20
  without an animal. Photographs and parts of one group are on one side of the split.

Results are appended to ``benchmarks/missing_labels.csv``, and an interrupted benchmark resumes from
there; delete the file to start over.

    python benchmarks/missing_labels.py folder_with_data_sets
    python benchmarks/missing_labels.py folder_with_data_sets --only empty --seeds 1
    python benchmarks/missing_labels.py folder_with_data_sets --seeds 0     # only print the table
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from accuracy import append_results, is_done
from PIL import Image

from skbbox import (
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    class_accuracy,
    mean_iou,
    presence_auc,
)
from skbbox.boxes import COORDINATES
from skbbox.datasets import load_annotated_folder

#: Number of completely labelled images of tiny_imagenet20, and share of the others that are used.
N_LABELLED = 500
N_FOLDS = 3

#: Least share of a photograph that a part of it outside all boxes must have.
LEAST_PART = 0.1

#: Classes of tiny_imagenet20 that show no animal.
THINGS = (
    *("banana", "beer_bottle", "binoculars", "birdhouse", "go_kart", "lemon", "lighthouse"),
    *("orange", "parking_meter", "pretzel", "umbrella"),
)

LABELS = ["class_name", *COORDINATES]


def main():
    """Run the missing fits and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--only", choices=("class_only", "box_only", "empty"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/missing_labels.csv"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            if arguments.only != "empty":
                run_tiny(arguments, seed)
            if arguments.only in (None, "empty"):
                run_empty(arguments, seed, Path(folder))
    print_table(pd.read_csv(arguments.results))


def run_tiny(arguments, seed):
    """Images with only a class, and with only a box."""
    X, y = load(arguments.folder, "tiny_imagenet20")
    train, test = (np.flatnonzero(y["split"] == part) for part in ("train", "val"))
    labelled = pd.Series(train).groupby(y["class_name"].to_numpy()[train])
    n_each = N_LABELLED // y["class_name"].nunique()
    full = labelled.sample(n_each, random_state=seed).to_numpy()
    rest = np.setdiff1d(train, full)
    for name, dropped in (
        ("alone", None),
        ("class_only", list(COORDINATES)),
        ("box_only", ["class_name"]),
    ):
        if arguments.only not in (None, name) and dropped is not None:
            continue
        rows = full if dropped is None else np.concatenate([full, rest])
        labels = y[LABELS].copy()
        if dropped is not None:
            labels.loc[labels.index[rest], dropped] = np.nan
        key = {"comparison": "tiny_imagenet20", "trained_on": name, "seed": seed, "fold": 0}
        measure(arguments, key, 128, X, y, labels, rows, test)


def run_empty(arguments, seed, folder):
    """Images without an object."""
    X, y = load(arguments.folder, "kangaroo_voc", "raccoon_voc")
    parts = cut_parts(X, y, folder)
    X, y = keep_single(X, y)
    n_objects = len(X)
    things, of_things = load(arguments.folder, "tiny_imagenet20")
    others = np.flatnonzero(of_things["class_name"].isin(THINGS))
    rng = np.random.default_rng(seed)
    parts = parts.iloc[rng.permutation(len(parts))[: n_objects // 2]]
    others = rng.permutation(others)[: n_objects - len(parts)]
    empty = pd.concat(
        [
            parts,
            pd.DataFrame(
                {
                    "image": things.iloc[others],
                    "group": "thing " + of_things["group"].iloc[others].astype(str),
                }
            ),
        ]
    )
    X = pd.concat([X, empty["image"]], ignore_index=True)
    y = pd.concat([y, empty[["group"]]], ignore_index=True)
    folds = StratifiedGroupBoxKFold(N_FOLDS, shuffle=True, random_state=seed)
    for fold, (train, test) in enumerate(folds.split(X, y, groups=y["group"])):
        for name in ("alone", "empty"):
            rows = train[train < n_objects] if name == "alone" else train
            key = {"comparison": "kangaroo_raccoon", "trained_on": name, "seed": seed, "fold": fold}
            measure(arguments, key, 224, X, y, y[LABELS], rows, test)


def load(folder, *names):
    """Images and boxes of data sets, with groups of their own."""
    tables = []
    for name in names:
        boxes = load_annotated_folder(folder / name)
        boxes["group"] = f"{name} " + boxes["group"].astype(str)
        tables.append(boxes)
    boxes = pd.concat(tables, ignore_index=True)
    return boxes["image"], boxes.drop(columns="image")


def keep_single(X, y):
    """The images with a single box."""
    single = ~X.duplicated(keep=False)
    return X[single].reset_index(drop=True), y[single].reset_index(drop=True)


def cut_parts(X, y, folder):
    """Write the largest part of each photograph beside, above or below all of its boxes."""
    rows = []
    for number, (path, boxes) in enumerate(y.groupby(X, sort=False)):
        left, right = boxes["x_min"].min(), boxes["x_max"].max()
        top, bottom = boxes["y_min"].min(), boxes["y_max"].max()
        parts = [(0, left, 0, 1), (right, 1, 0, 1), (0, 1, 0, top), (0, 1, bottom, 1)]
        x_min, x_max, y_min, y_max = max(parts, key=lambda p: (p[1] - p[0]) * (p[3] - p[2]))
        if (x_max - x_min) * (y_max - y_min) < LEAST_PART:
            continue
        with Image.open(path) as image:
            width, height = image.size
            edges = (x_min * width, y_min * height, x_max * width, y_max * height)
            written = folder / f"{number}.png"
            image.convert("RGB").crop(tuple(round(edge) for edge in edges)).save(written)
        rows.append({"image": str(written), "group": boxes["group"].iloc[0]})
    return pd.DataFrame(rows)


def measure(arguments, key, size, X, y, labels, train, test):
    """Fit, score on the images with an object and, where there are any, without one."""
    if arguments.results.exists() and is_done(key, arguments.results):
        return
    localizer = SingleBoxLocalizer(image_size=size, random_state=key["seed"], verbose=0)
    localizer.fit(X.iloc[train], labels.iloc[train])
    true = y[LABELS].iloc[test]
    has_object = true["class_name"].notna().to_numpy()
    # What is predicted on images with an object must not depend on the threshold.
    found = localizer.set_params(presence_threshold=0.0).predict(X.iloc[test[has_object]])
    scores = {
        "n": int(has_object.sum()),
        "mean_iou": mean_iou(true[has_object], found),
        "class_accuracy": class_accuracy(true[has_object], found),
    }
    if "presence" in found:
        localizer.set_params(presence_threshold=0.5)
        predicted = localizer.predict(X.iloc[test])
        scores["presence_auc"] = presence_auc(true, predicted)
        scores["false_alarms"] = predicted["class_name"].notna()[~has_object].mean()
        scores["misses"] = predicted["class_name"].isna()[has_object].mean()
        scores["mean_iou_all"] = mean_iou(true, predicted)
    for name in ("presence_auc", "false_alarms", "misses", "mean_iou_all"):
        scores.setdefault(name, np.nan)
    print(key | {name: round(value, 3) for name, value in scores.items()}, flush=True)
    append_results([key | scores], arguments.results)


def print_table(results):
    """Means over folds, then mean and standard deviation over seeds."""
    keys = ["comparison", "trained_on"]
    names = [name for name in results.columns if name not in (*keys, "seed", "fold")]
    by_seed = results.groupby([*keys, "seed"], sort=False)[names].mean()
    grouped = by_seed.groupby(keys, sort=False)
    print(grouped.mean().round(3).to_string(), grouped.std().round(3).to_string(), sep="\n\n")


if __name__ == "__main__":
    main()
