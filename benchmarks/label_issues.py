"""Measure how many wrong classes and boxes ``rank_label_issues`` ranks first.

Moves the boxes of 5 % of the images and swaps the classes of another 5 %, ranks the images, and
computes the share of each kind that is in the first 10 % of the ranking for that kind.

    python benchmarks/label_issues.py folder
    python benchmarks/label_issues.py folder --size 128 --folds 3 --runs 3

The folder is one that ``skbbox.datasets.load_annotated_folder`` reads. Only images with one box
are used. Prints a table of the runs.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd

from skbbox import SingleBoxLocalizer, iou, one_box_per_image, rank_label_issues
from skbbox.datasets import load_annotated_folder

#: Share of the images with each kind of error, and share of the ranking that is searched.
PLANTED, FIRST = 0.05, 0.1
SIDES = ["x_min", "x_max", "y_min", "y_max"]
#: The IoU of a moved box with the true one is below this.
MAX_IOU = 0.3


def main():
    """Insert errors, rank the images, and print the shares found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="data set with annotations.csv")
    parser.add_argument("--size", type=int, default=128, help="side of images in pixels")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    X, y = one_box_per_image(load_annotated_folder(arguments.folder), keep="only")
    rows = []
    for run in range(arguments.runs):
        rng = np.random.RandomState(run)
        wrong, moved, swapped = insert_errors(y, rng)
        estimator = SingleBoxLocalizer(image_size=arguments.size, random_state=run)
        begun = time.perf_counter()
        issues = rank_label_issues(estimator, X, wrong, cv=arguments.folds)
        seconds = time.perf_counter() - begun
        rows.append(
            {
                "run": run,
                "images": len(X),
                "classes found": share_ranked_first(issues, "class_issue", swapped),
                "boxes found": share_ranked_first(issues, "box_issue", moved),
                "either found": share_ranked_first(issues, "issue", [*moved, *swapped], 2 * FIRST),
                "seconds": round(seconds),
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=run == 0), flush=True)


def insert_errors(y, rng):
    """A copy of y with errors, the rows with moved boxes, and those with swapped classes."""
    y = y.copy()
    n = round(PLANTED * len(y))
    rows = rng.choice(len(y), 2 * n, replace=False)
    moved, swapped = rows[:n], rows[n:]
    boxes = y[SIDES].to_numpy(copy=True)
    for row in moved:
        boxes[row] = move_box(boxes[row], rng)
    y[SIDES] = boxes
    names = y["class_name"].to_numpy(dtype=object, copy=True)
    for row in swapped:
        others = sorted(set(names) - {names[row]})
        names[row] = others[rng.randint(len(others))]
    y["class_name"] = names
    return y, moved, swapped


def move_box(box, rng):
    """A box at a random position, of 0.3 to 1 times the width and height, that hardly overlaps."""
    width, height = box[1] - box[0], box[3] - box[2]
    while True:
        new_width, new_height = rng.uniform(0.3, 1, size=2) * (width, height)
        left = rng.uniform(0, 1 - new_width)
        top = rng.uniform(0, 1 - new_height)
        moved = np.array([left, left + new_width, top, top + new_height])
        if iou(box, moved) < MAX_IOU:
            return moved


def share_ranked_first(issues, column, rows, first=FIRST):
    """Share of the rows that are in the first part of a ranking."""
    ranked = issues.sort_values(column, ascending=False, kind="stable")["row"]
    return round(float(np.isin(rows, ranked.iloc[: round(first * len(ranked))]).mean()), 3)


if __name__ == "__main__":
    main()
