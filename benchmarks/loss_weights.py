"""Search a grid of loss weights on a data set, with and without a neck.

    python benchmarks/loss_weights.py shared/datasets/asl_letters --image-size 160
    python benchmarks/loss_weights.py folder --images 400 --folds 3 --neck 0
    python benchmarks/loss_weights.py folder --halving

Prints the mean and the standard deviation over the folds of the mean IoU, the share of boxes
with IoU >= 0.5, and the share of images where the class is right, too, as a table in Markdown.
With ``--halving``, a halving search of the same grid follows, which selects by the last measure.
Its time is compared with that of the grid search, as processor time, the sum over all cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pandas as pd
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, train_test_split

from skbbox import (
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    box_scorer,
    localization_scorer,
    one_box_per_image,
)
from skbbox.datasets import load_annotated_folder
from skbbox.training.plan import auto_epochs

GRID = {"class_loss_weight": [0.1, 1, 10], "box_loss_weight": [0.1, 1, 10]}
MEASURES = ["mean_iou", "iou_50", "localization_accuracy"]

#: A halving search keeps one candidate of this many for the next round, with as many times more
#: epochs. There are three rounds.
FACTOR = 3


def main():
    """Run the search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with annotations.csv and images/")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=400, help="at most this many")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--neck", type=int, help="channels; 0 is no neck")
    parser.add_argument("--halving", action="store_true", help="also run a halving search")
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
        seconds = fit_search(search, X, y)
        results = pd.DataFrame(search.cv_results_)
        print(f"{len(X)} images, {arguments.folds} folds")
        print(make_table(results))
        if arguments.halving:
            n_train = len(X) * (arguments.folds - 1) // arguments.folds
            most = auto_epochs(n_train, localizer.batch_size, localizer.n_looks, is_new=False)
            halving = HalvingGridSearchCV(
                localizer,
                GRID,
                resource="epochs",
                min_resources=max(most // FACTOR**2, 1),
                max_resources=most,
                factor=FACTOR,
                scoring=localization_scorer,
                refit=False,
                cv=folds,
            )
            halved = fit_search(halving, X, y)
            print(f"Halving search: {halved / seconds:.2f} times the grid search's {seconds:.0f} s")
            print(f"Epochs {halving.n_resources_}, candidates {halving.n_candidates_}")
            print(f"Its best: {halving.best_params_}, both right {halving.best_score_:.3f}")
            best = halving.best_params_.items()
            same = [pair.items() <= best for pair in results["params"]]
            print(results.loc[same, ["rank_test_localization_accuracy", "rank_test_mean_iou"]])


def fit_search(search, X, y):
    """Processor time of a search."""
    begun = time.process_time()
    search.fit(X, y, groups=y.get("group"))
    return time.process_time() - begun


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
