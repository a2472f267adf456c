"""Measure what members and mirrored predictions of ``EnsembleLocalizer`` gain, and what they cost.

Five members are fitted on each fold, from which all rows of the table follow: one member, one with
mirrored predictions, five, and five with mirrored predictions. Results are appended to
``benchmarks/ensembles.csv``, and an interrupted benchmark resumes from there.

    python benchmarks/ensembles.py folder_with_data_sets
    python benchmarks/ensembles.py folder_with_data_sets --data microcontrollers --seeds 1

Seconds are processor time, of all threads: it is the same while other programs run. Those of one
member include the features; each other member finds them kept.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from accuracy import DATA, append_results, compute_measures, load_data, read_results, splits
from sklearn.base import clone
from speed.jobs import describe_machine

from skbbox import EnsembleLocalizer, SingleBoxLocalizer
from skbbox.features import forget_features

N_MEMBERS = 5

#: Rows of the table: number of members, and whether they also predict mirrored images.
ROWS = {
    "one member": (1, False),
    "one member, mirror": (1, True),
    "5 members": (N_MEMBERS, False),
    "5 members, mirror": (N_MEMBERS, True),
}


def main():
    """Run the missing fits, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=1, help="0 only prints the table")
    parser.add_argument("--folds", type=int, help="run at most this many")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/ensembles.csv"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    for seed in range(arguments.seeds):
        for name in arguments.data:
            run(name, seed, arguments)
    print(summarize(read_results(arguments.results)).round(3).to_string())


class TimedLocalizer(SingleBoxLocalizer):
    """Remembers the processor time of its fit."""

    def fit(self, X, y, sample_weight=None):
        """Fit, and set ``seconds_``."""
        begun = time.process_time()
        super().fit(X, y, sample_weight)
        self.seconds_ = time.process_time() - begun
        return self


def run(name, seed, arguments):
    """Run the folds of a data set that are not in the file of results."""
    _, size, n_folds, n_run = DATA[name]
    X, y = load_data(name, arguments.folder)
    for fold, (train, test) in enumerate(splits(X, y, n_folds, seed)[: arguments.folds or n_run]):
        key = {"data": name, "seed": seed, "fold": fold}
        if is_done(key, arguments.results):
            continue
        localizer = TimedLocalizer(image_size=size, random_state=seed)
        # Compiles the networks.
        clone(localizer).set_params(epochs=1).fit(X.iloc[train], y.iloc[train])
        # Kept features of earlier fits would make it faster.
        forget_features()
        ensemble = EnsembleLocalizer(localizer, N_MEMBERS).fit(X.iloc[train], y.iloc[train])
        seconds = [member.seconds_ for member in ensemble.estimators_]
        print(name, seed, fold, "seconds of each member:", np.round(seconds, 1), flush=True)
        # Makes the networks that predict.
        ensemble.set_params(mirror=True).predict(X.iloc[test])
        rows = []
        for model, (n_members, mirror) in ROWS.items():
            ensemble.set_params(n_members=n_members, mirror=mirror)
            forget_features()
            begun = time.process_time()
            predicted = ensemble.predict(X.iloc[test])
            of_predict = {"predict_ms": 1000 * (time.process_time() - begun) / len(test)}
            scores = compute_measures(y.iloc[test], predicted)
            rows.append(
                key
                | {"model": model, "n": len(test), "fit_seconds": sum(seconds[:n_members])}
                | of_predict
                | scores
                | {"machine": describe_machine()}
            )
        append_results(rows, arguments.results)
        print(pd.DataFrame(rows).round(3).to_string(), flush=True)


def is_done(key, path):
    """Whether the file of results has rows of this data set, seed and fold."""
    if not path.exists():
        return False
    results = pd.read_csv(path)
    return bool(np.logical_and.reduce([results[k] == v for k, v in key.items()]).any())


def summarize(results):
    """Means over folds and seeds, weighted by the number of images, and ratios of the cost."""
    measures = ["mean_iou", "iou_75", "class_accuracy", "localization_accuracy"]

    def average(rows):
        scores = {m: np.average(rows[m], weights=rows["n"]) for m in measures}
        cost = {name: rows[name].sum() for name in ("fit_seconds", "predict_ms")}
        return pd.Series(scores | cost)

    table = results.groupby(["data", "model"], sort=False)[
        [*measures, "n", "fit_seconds", "predict_ms"]
    ].apply(average)
    for cost in ("fit_seconds", "predict_ms"):
        one = table[cost].xs("one member", level="model")
        table[cost] /= one.reindex(table.index.get_level_values("data")).to_numpy()
    return table.rename(columns={"fit_seconds": "fit, times", "predict_ms": "predict, times"})


if __name__ == "__main__":
    main()
