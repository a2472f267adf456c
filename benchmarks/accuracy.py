"""How good the boxes are: data sets x (median box, the chapter's model, our heads), several seeds.

Each data set is a folder that ``skbbox.datasets.load_annotated_folder`` reads. The source's
own split is used where there is one, otherwise folds that keep groups together. Every
result is written to a CSV file at once, and a run that was stopped goes on from there.

    python benchmarks/accuracy.py folder_with_data_sets
    python benchmarks/accuracy.py folder_with_data_sets --data microcontrollers --seeds 1
    python benchmarks/accuracy.py folder_with_data_sets --images 60 --seeds 10

Writes ``docs/benchmarks.md`` and ``docs/images/accuracy.png``; with ``--pictures folder`` also
a page of the 24 worst and one of 24 random predictions of the default on each data set.
"""

import argparse
import os
import platform
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skbbox import (
    TUTORIAL_PARAMS,
    DummyLocalizer,
    SingleBoxLocalizer,
    StratifiedGroupBoxKFold,
    iou,
    one_box_per_image,
    plot_prediction,
)
from skbbox.boxes import COORDINATES
from skbbox.datasets import load_annotated_folder

#: Name: folders, side of the images in pixels, folds (None: the source's split), folds to run
#: with all images; with few, it is one.
DATA = {
    "tiny_imagenet20": (["tiny_imagenet20"], 128, None, 1),
    "asl_letters": (["asl_letters"], 160, 5, 1),
    "kangaroo_raccoon": (["kangaroo_voc", "raccoon_voc"], 224, 3, 3),
    "microcontrollers": (["microcontrollers"], 224, 3, 3),
}

#: Without ``--images``, models train on every image of the training part.
ALL = "all"

MEASURES = ["mean_iou", "iou_50", "iou_75", "class_accuracy", "localization_accuracy"]


def median_box(size, seed):
    """The floor: always the median box of the training images."""
    return DummyLocalizer(), ()


def tutorial(size, seed):
    """The chapter's model as it is."""
    return SingleBoxLocalizer(**TUTORIAL_PARAMS | {"image_size": size, "random_state": seed}), ()


def tutorial_in_stages(size, seed):
    """The same with 15 epochs, the rate a tenth after 5 and 10, as in its notebook."""
    return tutorial(size, seed)[0], (1e-4, 1e-5)


def dense(size, seed):
    """The head with weights for every position."""
    return SingleBoxLocalizer(box_head="dense", image_size=size, random_state=seed), ()


def spatial(size, seed):
    """The default."""
    return SingleBoxLocalizer(image_size=size, random_state=seed), ()


def spatial_fine_tuned(size, seed):
    """The default, and 8 epochs with the backbone trained too."""
    localizer = spatial(size, seed)[0]
    return localizer.set_params(fine_tune_epochs=8, fine_tune_learning_rate=1e-4), ()


METHODS = {
    "median box": median_box,
    "tutorial": tutorial,
    "tutorial, 15 epochs": tutorial_in_stages,
    "dense": dense,
    "spatial": spatial,
    "spatial, fine-tuned": spatial_fine_tuned,
}


def main():
    """Run what is missing, then write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that holds the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", default=ALL, help="train on so many, drawn at random")
    parser.add_argument("--results", type=Path, default=Path("build/accuracy.csv"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", message=".*left out")
    for seed in range(arguments.seeds):
        for name in arguments.data:
            run(name, seed, arguments)
    results = read(arguments.results)
    write_page(results, arguments.docs)
    write_plot(results, arguments.docs / "images" / "accuracy.png")


def run(name, seed, arguments):
    """All methods on one data set with one seed, but for those that are done."""
    folders, size, n_folds, n_run = DATA[name]
    boxes = [load_annotated_folder(arguments.folder / folder) for folder in folders]
    X, y = one_box_per_image(pd.concat(boxes, ignore_index=True), keep="only")
    if arguments.images != ALL:
        n_run = 1
    for fold, (train, test) in enumerate(splits(X, y, n_folds, seed)[:n_run]):
        if arguments.images != ALL:
            train = np.random.default_rng(seed).permutation(train)[: int(arguments.images)]
        for method in arguments.methods:
            key = {
                "data": name,
                "images": arguments.images,
                "method": method,
                "seed": seed,
                "fold": fold,
            }
            if is_done(key, arguments.results):
                continue
            localizer, rates = METHODS[method](size, seed)
            seconds = fit(localizer, rates, X.iloc[train], y.iloc[train])
            predicted = localizer.predict(X.iloc[test])
            row = key | {"n": len(test), "seconds": seconds} | measures(y.iloc[test], predicted)
            print(
                ", ".join(
                    f"{k} {v:.3f}" if isinstance(v, float) else f"{v}" for k, v in row.items()
                )
            )
            first = not arguments.results.exists()
            pd.DataFrame([row]).to_csv(arguments.results, mode="a", header=first, index=False)
            if arguments.pictures and method == "spatial" and seed == fold == 0:
                write_pictures(localizer, X.iloc[test], y.iloc[test], name, arguments.pictures)


def splits(X, y, n_folds, seed):
    """Positions to train and to test on."""
    if n_folds is None:
        return [(np.flatnonzero(y["split"] == "train"), np.flatnonzero(y["split"] == "val"))]
    folds = StratifiedGroupBoxKFold(n_folds, shuffle=True, random_state=seed)
    return list(folds.split(X, y, groups=y["group"]))


def is_done(key, path):
    """Whether the file of results holds a row with these values."""
    if not path.exists():
        return False
    results = read(path)
    return bool(np.logical_and.reduce([results[k] == v for k, v in key.items()]).any())


def read(path):
    """The file of results."""
    return pd.read_csv(path, dtype={"images": str})


def fit(localizer, rates, X, y):
    """Seconds of the fit, and of 5 further epochs at each of `rates`."""
    begun = time.perf_counter()
    if rates:
        # Stages after the first find the features of the frozen backbone there.
        with tempfile.TemporaryDirectory() as memory:
            localizer.set_params(memory=memory, warm_start=True).fit(X, y)
            for rate in rates:
                localizer.set_params(learning_rate=rate).fit(X, y)
    else:
        localizer.fit(X, y)
    return time.perf_counter() - begun


def measures(y, predicted):
    """Every measure of the table."""
    overlap = iou(y[list(COORDINATES)].to_numpy(), predicted[list(COORDINATES)].to_numpy())
    right = y["class_name"].to_numpy() == predicted["class_name"].to_numpy()
    values = (overlap, overlap >= 0.5, overlap >= 0.75, right, right & (overlap >= 0.5))
    return {name: float(np.mean(value)) for name, value in zip(MEASURES, values, strict=True)}


def summary(results):
    """Mean over folds by their number of images; then mean and spread over seeds."""

    def over_folds(rows):
        scores = {m: np.average(rows[m], weights=rows["n"]) for m in MEASURES}
        return pd.Series(scores | {"seconds": rows["seconds"].mean()})

    keys = ["data", "images", "method"]
    columns = [*MEASURES, "n", "seconds"]
    by_seed = results.groupby([*keys, "seed"], sort=False)[columns].apply(over_folds)
    grouped = by_seed.groupby(keys, sort=False)
    return grouped.mean(), grouped.std()


def write_page(results, docs):
    """The table, as a page of the documentation."""
    mean, spread = summary(results)
    lowest = results.groupby(["data", "images", "method"])["mean_iou"].min()
    numbers = results.groupby(["data", "images"])["seed"].nunique()
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/accuracy.py`: mean ± standard deviation over seeds; "
        f"{platform.machine()}, {os.cpu_count()} cores.",
        "The backbone is MobileNet, alpha 0.75, with ImageNet weights, frozen unless said.",
        "Lowest: the mean IoU of the worst seed and fold. Class: share of classes that are right. "
        "Both: of those with an IoU ≥ 0.5 as well.",
        "Seconds are those of a `fit`, from images to model.",
    ]
    for name, images in mean.index.droplevel("method").unique():
        lines += [
            "",
            f"## {name}" + (f", trained on {images} images" if images != ALL else ""),
            "",
            f"Seeds: {numbers[(name, images)]}.",
            "",
            "| model | mean IoU | lowest | IoU ≥ 0.5 | IoU ≥ 0.75 | class | both | seconds |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for method, row in mean.loc[(name, images)].iterrows():
            key = (name, images, method)
            cells = [f"{row[m]:.3f}{plus_minus(spread.loc[key, m])}" for m in MEASURES]
            cells.insert(1, f"{lowest[key]:.3f}")
            lines.append(f"| {method} | {' | '.join(cells)} | {row['seconds']:.0f} |")
    lines += ["", "![Mean IoU of each model on each data set](images/accuracy.png)", ""]
    (docs / "benchmarks.md").write_text("\n".join(lines), encoding="utf-8")


def plus_minus(deviation):
    """The deviation over seeds, of which one alone has none."""
    return "" if np.isnan(deviation) else f" ± {deviation:.3f}"


def write_plot(results, path):
    """Mean IoU by data set and model, with the spread over seeds."""
    mean, spread = (part.xs(ALL, level="images") for part in summary(results))
    table, errors = mean["mean_iou"].unstack("method"), spread["mean_iou"].unstack("method")
    order = [method for method in METHODS if method in table]
    figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    table[order].plot.bar(
        ax=ax,
        yerr=errors[order],
        rot=0,
        width=0.8,
        colormap="viridis",
        legend=False,
        error_kw={"lw": 1},
    )
    ax.set(xlabel="", ylabel="mean IoU on unseen images", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=len(order), fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_pictures(localizer, X, y, name, folder):
    """A page of the 24 worst predictions and one of 24 random ones."""
    folder.mkdir(parents=True, exist_ok=True)
    overlap = iou(
        y[list(COORDINATES)].to_numpy(), localizer.predict(X)[list(COORDINATES)].to_numpy()
    )
    rng = np.random.default_rng(0)
    n = min(24, len(X))
    pages = {"worst": np.argsort(overlap)[:n], "random": rng.choice(len(X), n, replace=False)}
    for page, rows in pages.items():
        figure, axes = plt.subplots(4, 6, figsize=(18, 13), layout="constrained")
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, row in zip(axes.flat, rows, strict=False):
            plot_prediction(localizer, X.iloc[row], y.iloc[row], ax=ax)
        figure.savefig(folder / f"{name}_{page}.png", dpi=70)
        plt.close(figure)


if __name__ == "__main__":
    main()
