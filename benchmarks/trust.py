"""Measure how far the confidence and the regions of ``ConformalLocalizer`` can be trusted.

Predictions of images that were not trained on are kept in a file for each data set: one fit for
each fold, whose groups of similar images are kept together. All else is computed from them.

    python benchmarks/trust.py folder_with_data_sets --kept predictions
    python benchmarks/trust.py folder_with_data_sets --kept predictions --data microcontrollers
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from accuracy import DATA, load_data

from skbbox import SingleBoxLocalizer, StratifiedGroupBoxKFold
from skbbox.boxes import COORDINATES

#: Folds of a data set; those of tiny_imagenet20 are its own split.
N_FOLDS = 5


def main():
    """Fit what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--kept", type=Path, required=True, help="folder of kept predictions")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    arguments.kept.mkdir(parents=True, exist_ok=True)
    for name in arguments.data:
        path = arguments.kept / f"{name}.npz"
        if not path.exists():
            np.savez(path, **predict_out_of_fold(name, arguments))


def predict_out_of_fold(name, arguments):
    """True and predicted boxes and classes of all images that are in a test set."""
    _, size, n_folds, _ = DATA[name]
    X, y = load_data(name, arguments.folder)
    if n_folds is None:
        folds = [(np.flatnonzero(y["split"] == "train"), np.flatnonzero(y["split"] == "val"))]
    else:
        splitter = StratifiedGroupBoxKFold(N_FOLDS, shuffle=True, random_state=0)
        folds = list(splitter.split(X, y, groups=y["group"]))
    classes = np.unique(y["class_name"].to_numpy(dtype=str))
    parts = []
    for fold, (train, test) in enumerate(folds):
        localizer = SingleBoxLocalizer(
            image_size=size, random_state=0, memory=arguments.kept / "features"
        ).fit(X.iloc[train], y.iloc[train])
        predicted = localizer.predict(X.iloc[test])
        probabilities = np.zeros((len(test), len(classes)))
        columns = np.searchsorted(classes, localizer.classes_.astype(str))
        probabilities[:, columns] = localizer.predict_proba(X.iloc[test])
        parts.append(
            {
                "row": test,
                "fold": np.full(len(test), fold),
                "group": y["group"].to_numpy(dtype=str)[test],
                "class_name": y["class_name"].to_numpy(dtype=str)[test],
                "true": y[list(COORDINATES)].to_numpy()[test],
                "predicted": predicted[list(COORDINATES)].to_numpy(),
                "box_confidence": predicted["box_confidence"].to_numpy(),
                "probabilities": probabilities,
                "spread": localizer.predict_spread(X.iloc[test]).to_numpy(),
            }
        )
        print(name, fold, localizer.score(X.iloc[test], y.iloc[test]), flush=True)
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return joined | {"classes": classes}


if __name__ == "__main__":
    main()
