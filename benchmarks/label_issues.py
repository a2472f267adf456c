"""How many planted errors of class and box ``rank_label_issues`` puts in front.

Moves the boxes of 5 % of the images and swaps the classes of another 5 %, ranks the images, and
counts which share of each kind lies in the first 10 % of the ranking of that kind.

    python benchmarks/label_issues.py folder
    python benchmarks/label_issues.py folder --size 128 --folds 3 --runs 3

The folder is one that ``skbbox.datasets.load_annotated_folder`` reads. Images with one box are
used. Prints a table of the runs.
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

#: Share of the images with each kind of error, and of the ranking that is looked at.
PLANTED, FIRST = 0.05, 0.1
SIDES = ["x_min", "x_max", "y_min", "y_max"]
#: A moved box overlaps the true one by less.
MOST_IOU = 0.3


def main():
    """Plant errors, rank, count, and print."""
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
        random_state = np.random.RandomState(run)
        planted, moved, swapped = with_errors(y, random_state)
        estimator = SingleBoxLocalizer(image_size=arguments.size, random_state=run)
        begun = time.perf_counter()
        issues = rank_label_issues(estimator, X, planted, cv=arguments.folds)
        seconds = time.perf_counter() - begun
        rows.append(
            {
                "run": run,
                "images": len(X),
                "classes found": share_in_front(issues, "class_issue", swapped),
                "boxes found": share_in_front(issues, "box_issue", moved),
                "either found": share_in_front(issues, "issue", [*moved, *swapped], 2 * FIRST),
                "seconds": round(seconds),
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=run == 0), flush=True)


def with_errors(y, random_state):
    """A copy of y with errors, and the rows that have them."""
    y = y.copy()
    n = round(PLANTED * len(y))
    rows = random_state.choice(len(y), 2 * n, replace=False)
    moved, swapped = rows[:n], rows[n:]
    boxes = y[SIDES].to_numpy(copy=True)
    for row in moved:
        boxes[row] = elsewhere(boxes[row], random_state)
    y[SIDES] = boxes
    names = y["class_name"].to_numpy(dtype=object, copy=True)
    for row in swapped:
        others = sorted(set(names) - {names[row]})
        names[row] = others[random_state.randint(len(others))]
    y["class_name"] = names
    return y, moved, swapped


def elsewhere(box, random_state):
    """A box of random place and about the same size, which hardly overlaps this one.

    Of a box that fills the image, the size is drawn as well.
    """
    width, height = box[1] - box[0], box[3] - box[2]
    while True:
        new_width, new_height = random_state.uniform(0.3, 1, size=2) * (width, height)
        left = random_state.uniform(0, 1 - new_width)
        top = random_state.uniform(0, 1 - new_height)
        moved = np.array([left, left + new_width, top, top + new_height])
        if iou(box, moved) < MOST_IOU:
            return moved


def share_in_front(issues, column, rows, first=FIRST):
    """Share of rows among the first of a ranking."""
    ranked = issues.sort_values(column, ascending=False, kind="stable")["row"]
    return round(float(np.isin(rows, ranked.iloc[: round(first * len(ranked))]).mean()), 3)


if __name__ == "__main__":
    main()
