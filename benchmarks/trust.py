"""Measure how far the confidence and the regions of ``ConformalLocalizer`` can be trusted.

Predictions of images that were not trained on are kept in a file for each data set: one fit for
each fold, whose groups of similar images are kept together. From these, all else is computed: half
of the groups, drawn at random, calibrate regions, sets and confidences, and the other half measures
them; this is repeated 200 times. Means over the repetitions are written to
``benchmarks/trust.csv``.

    python benchmarks/trust.py folder_with_data_sets --kept predictions
    python benchmarks/trust.py folder_with_data_sets --kept predictions --data microcontrollers
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from accuracy import DATA, load_data
from sklearn.metrics import roc_auc_score

from skbbox import (
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    expected_calibration_error,
    iou,
    region_coverage,
)
from skbbox.boxes import COORDINATES
from skbbox.conformal.calibration import (
    apply_curve,
    apply_temperature,
    fit_curve,
    fit_temperature,
)
from skbbox.conformal.folds import Predicted
from skbbox.conformal.regions import compute_scale, make_region
from skbbox.conformal.scores import bound_boxes, include_classes, score_boxes, score_classes

#: Folds of a data set; those of tiny_imagenet20 are its own split.
N_FOLDS = 5

COVERAGES = (0.5, 0.9, 0.95)
MARGINS = ("spread", "size", "constant")


def main():
    """Fit what is missing, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--kept", type=Path, required=True, help="folder of kept predictions")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/trust.csv"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    arguments.kept.mkdir(parents=True, exist_ok=True)
    tables = []
    for name in arguments.data:
        path = arguments.kept / f"{name}.npz"
        if not path.exists():
            np.savez(path, **predict_out_of_fold(name, arguments))
        tables.append(measure_set(name, dict(np.load(path)), arguments.repetitions))
    results = pd.concat(tables, ignore_index=True)
    results.round(4).to_csv(arguments.results, index=False)
    print(results.pivot(index="measure", columns="data", values="mean").round(3).to_string())


def measure_set(name, kept, n_repetitions):
    """Means and standard deviations over the repetitions of all measures of a data set."""
    rng = np.random.default_rng(0)
    _, group = np.unique(kept["group"], return_inverse=True)
    n_groups, rows = group.max() + 1, []
    for _ in range(n_repetitions):
        is_drawn = np.isin(group, rng.permutation(n_groups)[: n_groups // 2])
        rows.append(measure(kept, np.flatnonzero(is_drawn), np.flatnonzero(~is_drawn)))
    table = pd.DataFrame(rows)
    return pd.DataFrame(
        {
            "data": name,
            "images": len(group),
            "groups": n_groups,
            "measure": table.columns,
            "mean": table.mean().to_numpy(),
            "std": table.std().to_numpy(),
        }
    )


def measure(kept, drawn, other):
    """All measures on the other rows, calibrated with the drawn ones."""
    table = pd.DataFrame(kept["predicted"], columns=COORDINATES)
    predicted = Predicted(table, kept["probabilities"], kept["spread"])
    true = kept["true"]
    row = measure_regions(true, predicted, drawn, other)
    true_classes = np.searchsorted(kept["classes"], kept["class_name"])
    row |= measure_sets(true_classes, predicted.probabilities, drawn, other)
    temperature = fit_temperature(predicted.probabilities[drawn], true_classes[drawn])
    overlap = iou(true, kept["predicted"])
    confidence, rng = kept["box_confidence"], np.random.default_rng(0)
    curve = fit_curve(confidence[drawn], overlap[drawn])
    calibrated = {
        "raw": (predicted.probabilities, confidence),
        "calibrated": (
            apply_temperature(predicted.probabilities, temperature),
            apply_curve(confidence, curve),
        ),
    }
    y = pd.DataFrame(true, columns=COORDINATES).assign(class_name=kept["class_name"]).iloc[other]
    for kind, (probabilities, of_box) in calibrated.items():
        y_pred = table.assign(
            class_name=kept["classes"][probabilities.argmax(axis=1)],
            class_confidence=probabilities.max(axis=1),
            box_confidence=of_box,
        ).iloc[other]
        # What a calibrated model with these confidences has by chance.
        is_drawn = rng.random(len(other)) < y_pred["class_confidence"]
        y_by_chance = y.assign(class_name=y_pred["class_name"].where(is_drawn, "another"))
        row[f"ECE of class_confidence, {kind}, by chance"] = expected_calibration_error(
            y_by_chance, y_pred
        )
        for of in ("class_confidence", "box_confidence"):
            row[f"ECE of {of}, {kind}"] = expected_calibration_error(y, y_pred, of=of)
        is_right = (y["class_name"] == y_pred["class_name"]) & (overlap[other] >= 0.5)
        if 0 < is_right.sum() < len(other):
            product = y_pred["class_confidence"] * y_pred["box_confidence"]
            row[f"AUROC of both confidences, {kind}"] = roc_auc_score(is_right, product)
    return row


def measure_regions(true, predicted, drawn, other):
    """Coverage and median area between inner and outer box, for each margin."""
    row = {}
    of_other = Predicted(predicted.table.iloc[other], None, None)
    for margin in MARGINS:
        scale = compute_scale(predicted, margin)
        scores = score_boxes(true[drawn], predicted.boxes[drawn], scale[drawn])
        for coverage in COVERAGES:
            boxes = bound_boxes(
                predicted.boxes[None, other],
                scale[None, other],
                scores,
                np.zeros(len(drawn), dtype=int),
                coverage,
            )
            region = make_region(*boxes, of_other)
            label = f"{100 * coverage:.0f} %, {margin}"
            row[f"coverage of regions, {label}"] = region_coverage(true[other], region)
            row[f"median area, {label}"] = np.median(compute_area(region))
    return row


def compute_area(region):
    """Area between the inner and the outer box, as a share of the image."""
    edges = region.to_numpy().reshape(-1, 2, 2, 2)
    inner, outer = np.nan_to_num((edges[..., 1] - edges[..., 0]).prod(axis=2)).T
    return outer - inner


def measure_sets(true_classes, probabilities, drawn, other):
    """Coverage and mean size of class sets."""
    row = {}
    for kind in ("lac", "aps"):
        scores = score_classes(probabilities, kind)
        of_true = scores[np.arange(len(scores)), true_classes]
        for coverage in COVERAGES:
            included = include_classes(
                scores[None, other], of_true[drawn], np.zeros(len(drawn), dtype=int), coverage
            )
            included[np.arange(len(other)), probabilities[other].argmax(axis=1)] = True
            covered = included[np.arange(len(other)), true_classes[other]]
            label = f"{100 * coverage:.0f} %, {kind}"
            row[f"coverage of sets, {label}"] = covered.mean()
            row[f"classes in a set, {label}"] = included.sum(axis=1).mean()
    return row


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
