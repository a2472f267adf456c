"""Example of the complete workflow: data, fit, score, search over the loss weights, figures.

Without arguments, it generates images and needs no download. With ``--data``, it
reads a folder that contains ``annotations.csv``, ``images/folder/image_id.jpg`` and, optionally,
``groups.csv``; this requires ImageNet weights (see the installation page).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, train_test_split

from skbbox import (
    TUTORIAL_PARAMS,
    BoxGridDisplay,
    DummyLocalizer,
    SearchDisplay,
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    TrainingDisplay,
    box_scorer,
    one_box_per_image,
)
from skbbox.datasets import load_annotated_folder, make_shapes
from skbbox.network import small_convnet

GRID = {"class_loss_weight": [0.5, 1.0], "box_loss_weight": [1.0, 3.0]}
GOAL = 0.70


def main():
    """Parse the command line and run the workflow."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as memory:
        run(arguments, memory)


def run(arguments, memory):
    """Fit, score, search and draw; `memory` is the folder for features of a frozen backbone."""
    started = time.perf_counter()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.data is None:
        X, y, X_test, y_test = generate_images()
        localizer = SingleBoxLocalizer(
            small_convnet,
            weights=None,
            image_size=48,
            random_state=0,
        )
        n_search, rivals = 400, {}
    else:
        X, y, X_test, y_test = load_folder(arguments.data)
        localizer = SingleBoxLocalizer(image_size=128, memory=memory, random_state=0)
        n_search = 1000
        chapter = TUTORIAL_PARAMS | {"image_size": 128}
        rivals = {
            "the chapter's model": SingleBoxLocalizer(**chapter, memory=memory, random_state=0)
        }
    classes = y["class_name"].nunique()
    print(f"{len(X)} training images, {len(X_test)} test images, {classes} classes")

    scores = {}
    for name, estimator in {
        "median box": DummyLocalizer(),
        **rivals,
        "SingleBoxLocalizer": localizer,
    }.items():
        begun = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - begun
        scores[name] = box_scorer(estimator, X_test, y_test) | {"fit_seconds": seconds}
    print("\nScores on test images")
    print(pd.DataFrame(scores).T.to_string(float_format="{:.3f}".format))

    print(f"\nGridSearchCV over the loss weights, on {min(n_search, len(X))} training images")
    candidate = clone(localizer).set_params(epochs=arguments.search_epochs)
    found = search(candidate, X, y, n_search)
    print(summarize_search(found).to_string(index=False, float_format="{:.3f}".format))

    save_figures(localizer, found, X_test, y_test, arguments.output)
    reached = scores["SingleBoxLocalizer"]["mean_iou"]
    verdict = ""
    if arguments.data is None:
        verdict = f" ({'above' if reached > GOAL else 'NOT above'} {GOAL:.2f})"
    seconds = time.perf_counter() - started
    print(f"\nmean IoU on test images: {reached:.3f}{verdict}")
    print(f"figures and report.html in {arguments.output}/, {seconds:.0f} s in total")
    if arguments.data is None and reached <= GOAL:
        raise SystemExit(1)


def parse_arguments():
    """Options for the data and the output folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with annotations.csv and images/")
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--search-epochs", type=int, default=24, help="epochs of each search fit")
    return parser.parse_args()


def generate_images():
    """1,000 generated images for training and 300 for testing, on parts of photographs."""
    options = {"image_size": 128, "n_classes": 4, "background": "photo"}
    X, y = make_shapes(1000, random_state=0, **options)
    return X, y, *make_shapes(300, random_state=1, **options)


def load_folder(path):
    """Training and test part of a folder: its own split, or one by group."""
    X, y = one_box_per_image(load_annotated_folder(path))
    split = y["split"] if "split" in y else pd.Series("", index=y.index)
    if {"train", "val"} <= set(split):
        train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
    else:
        folds = StratifiedGroupBoxKFold(5, shuffle=True, random_state=0)
        train, test = next(folds.split(X, y, groups=y.get("group")))
    return X.iloc[train], y.iloc[train], X.iloc[test], y.iloc[test]


def search(localizer, X, y, n_images):
    """Search over the loss weights, on at most `n_images` images."""
    if len(X) > n_images:
        X, _, y, _ = train_test_split(
            X, y, train_size=n_images, stratify=y["class_name"], random_state=0
        )
    return GridSearchCV(
        localizer,
        GRID,
        scoring=box_scorer,
        refit="mean_iou",
        cv=StratifiedGroupBoxKFold(2, shuffle=True, random_state=0),
    ).fit(X, y)


def summarize_search(found):
    """Table of the mean scores of each pair of loss weights, best first."""
    table = pd.DataFrame(found.cv_results_).sort_values("rank_test_mean_iou")
    table = table[[c for c in table if c.startswith(("param_", "mean_test_"))]]
    return table.rename(columns=lambda name: name.removeprefix("param_").removeprefix("mean_test_"))


def save_figures(localizer, found, X, y, output):
    """Save figures of predictions, training curves and search scores, and the report."""
    grid = BoxGridDisplay.from_estimator(
        localizer, X, y, order="random", n_images=8, random_state=0
    )
    figures = {
        "predictions.png": grid,
        "training.png": TrainingDisplay.from_estimator(localizer),
        "search.png": SearchDisplay.from_estimator(found),
    }
    for name, display in figures.items():
        display.figure_.savefig(output / name, dpi=100)
    localizer.report(X, y, output / "report.html", overwrite=True)


if __name__ == "__main__":
    main()
