"""Search a grid of loss weights on a data set, with and without a neck.

    python benchmarks/loss_weights.py shared/datasets/asl_letters --image-size 160
    python benchmarks/loss_weights.py folder --images 400 --folds 3 --neck 0

Prints the mean and the standard deviation over the folds of the mean IoU, the share of boxes
with IoU >= 0.5, and the share of images where the class is right, too, as a table in Markdown.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pandas as pd
from sklearn.model_selection import GridSearchCV, train_test_split

from skbbox import SingleBoxLocalizer, StratifiedGroupBoxKFold, box_scorer, one_box_per_image
from skbbox.datasets import load_annotated_folder

GRID = {"class_loss_weight": [0.1, 1, 10], "box_loss_weight": [0.1, 1, 10]}
MEASURES = ["mean_iou", "iou_50", "localization_accuracy"]


def main():
    """Run the search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with annotations.csv and images/")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=400, help="at most this many")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--neck", type=int, help="channels; 0 is no neck")
    arguments = parser.parse_args()
    X, y = one_box_per_image(load_annotated_folder(arguments.folder), keep="only")
    if len(X) > arguments.images:
        X, _, y, _ = train_test_split(
            X, y, train_size=arguments.images, stratify=y["class_name"], random_state=0
        )
    with tempfile.TemporaryDirectory() as memory:
        localizer = SingleBoxLocalizer(
            image_size=arguments.image_size,
            neck="auto" if arguments.neck is None else arguments.neck,
            memory=memory,
            random_state=0,
        )
        folds = StratifiedGroupBoxKFold(arguments.folds, shuffle=True, random_state=0)
        search = GridSearchCV(localizer, GRID, scoring=box_scorer, refit=False, cv=folds)
        search.fit(X, y, groups=y.get("group"))
    print(f"{len(X)} images, {arguments.folds} folds")
    print(make_table(pd.DataFrame(search.cv_results_)))


def make_table(results):
    """Markdown table of all candidates, the best class and box first."""
    lines = [
        f"| class weight | box weight | {' | '.join(MEASURES)} |",
        f"|{'---|' * (2 + len(MEASURES))}",
    ]
    for _, row in results.sort_values("rank_test_localization_accuracy").iterrows():
        scores = [f"{row[f'mean_test_{m}']:.3f} ± {row[f'std_test_{m}']:.3f}" for m in MEASURES]
        weights = [f"{row[f'param_{name}']:g}" for name in GRID]
        lines.append(f"| {' | '.join([*weights, *scores])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
