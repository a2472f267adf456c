"""Measure what each part of the model contributes, on four data sets.

The rows are the median box, the chapter's model, and the default with and without its parts.

Each data set is a folder that ``skbbox.datasets.load_annotated_folder`` reads. The data set's
own split is used if there is one, otherwise folds that keep groups together. Results are
appended to ``benchmarks/accuracy.csv``, and an interrupted benchmark resumes from there; delete
the file to start over.

    python benchmarks/accuracy.py folder_with_data_sets
    python benchmarks/accuracy.py folder_with_data_sets --data microcontrollers --seeds 1
    python benchmarks/accuracy.py folder_with_data_sets --images 60 --seeds 10
    python benchmarks/accuracy.py folder_with_data_sets --seeds 0     # only write the page

Writes ``docs/benchmarks.md`` and ``docs/images/accuracy.png``. With ``--pictures folder``, also
writes a page of the 24 worst and one of 24 random predictions of the default on each data set.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jinja2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from speed.jobs import describe_machine

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
from skbbox.features import forget_features

#: Name: folders, side of the images in pixels, number of folds (None: the data set's split),
#: number of folds to run with all images. With ``--images``, one fold is run.
DATA = {
    "tiny_imagenet20": (["tiny_imagenet20"], 128, None, 1),
    "asl_letters": (["asl_letters"], 160, 5, 1),
    "kangaroo_raccoon": (["kangaroo_voc", "raccoon_voc"], 224, 3, 3),
    "microcontrollers": (["microcontrollers"], 224, 3, 3),
}

#: Value of ``--images`` to train on all images of the training part.
ALL = "all"

COLUMNS = ["model", "mean IoU", "lowest", "IoU ≥ 0.5", "IoU ≥ 0.75", "class", "both"]
MEASURES = ["mean_iou", "iou_50", "iou_75", "class_accuracy", "localization_accuracy"]


ONE_LOOK = {"neck": 0, "n_looks": 1}

#: Models, and the rows of the table that each gives: the parameters of the first, and then those
#: that change. A model with several rows continues from its own weights.
MODELS = {
    "median box": {"median box": {}},
    "tutorial": {
        "tutorial": TUTORIAL_PARAMS,
        # As in the chapter's notebook: 5 epochs, 5 at a tenth of the rate, and 5 at a hundredth.
        "tutorial, 10 epochs": {"warm_start": True, "learning_rate": 1e-4},
        "tutorial, 15 epochs": {"learning_rate": 1e-5},
    },
    "dense": {"dense": ONE_LOOK | {"box_head": "dense"}},
    "one look, no neck": {"one look, no neck": ONE_LOOK},
    "one look": {"one look": {"n_looks": 1}},
    "two looks, no neck": {"two looks, no neck": {"neck": 0}},
    "default": {"default": {}},
    "early": {"early": {"frozen": "early"}},
}

#: Rows of the file of results that are not measured any more: the default before the neck and the
#: second look, which trained at least 600 steps, with the dense head, and after fine-tuning.
BEFORE = ["before, dense", "before", "before, fine-tuned"]

#: All rows, in the order of the table.
STAGES = [stage for stages in MODELS.values() for stage in stages]
_first = STAGES.index("dense")
STAGES[_first:_first] = BEFORE


#: Rows of the first table of the page, and what it calls them.
SUMMARY = {
    "median box": "baseline: the median box, for every image",
    "tutorial": "the chapter's model, 5 epochs",
    "tutorial, 15 epochs": "the chapter's model, 15 epochs",
    "one look, no neck": "skbbox, one look, without the neck",
    "default": "skbbox, the default",
}


def main():
    """Run the missing fits, then write the tables and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3, help="0 only writes the page")
    parser.add_argument("--images", default=ALL, help="train on this many, drawn at random")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/accuracy.csv"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    for seed in range(arguments.seeds):
        for name in arguments.data:
            run(name, seed, arguments)
    results = read_results(arguments.results)
    write_page(results, arguments.docs)
    write_plot(results, arguments.docs / "images" / "accuracy.png")


def run(name, seed, arguments):
    """Run all models on one data set with one seed, except for those already done."""
    _, size, n_folds, n_run = DATA[name]
    X, y = load_data(name, arguments.folder)
    few = arguments.images != ALL
    for fold, (train, test) in enumerate(splits(X, y, n_folds, seed)[: 1 if few else n_run]):
        if few:
            train = np.random.default_rng(seed).permutation(train)[: int(arguments.images)]
        for model in arguments.models:
            key = {"data": name, "images": arguments.images, "seed": seed, "fold": fold}
            # With few images, only the first stage is of interest.
            stages = dict(list(MODELS[model].items())[: 1 if few else None])
            if is_done(key | {"model": list(stages)[-1]}, arguments.results):
                continue
            seconds, rows = 0.0, []
            localizer = DummyLocalizer() if model == "median box" else SingleBoxLocalizer()
            for stage, changes in stages.items():
                localizer.set_params(**changes)
                if model != "median box":
                    # The chapter's parameters include a size.
                    localizer.set_params(image_size=size, random_state=seed)
                seconds += time_fit(localizer, X.iloc[train], y.iloc[train])
                predicted = localizer.predict(X.iloc[test])
                scores = {"n": len(test), "seconds": seconds} | compute_measures(
                    y.iloc[test], predicted
                )
                rows.append(key | {"model": stage} | scores | {"machine": describe_machine()})
                print(pd.Series(rows[-1]).to_frame().T.to_string(header=False, index=False))
                if arguments.pictures and stage == "default" and seed == fold == 0 and not few:
                    write_pictures(localizer, X.iloc[test], y.iloc[test], name, arguments.pictures)
            append_results(rows, arguments.results)


def load_data(name, folder):
    """Images and boxes of a data set."""
    boxes = [load_annotated_folder(folder / part) for part in DATA[name][0]]
    return one_box_per_image(pd.concat(boxes, ignore_index=True), keep="only")


def time_fit(localizer, X, y):
    """Seconds of a fit, including the features."""
    # Cached features of earlier fits would make it faster.
    forget_features()
    begun = time.perf_counter()
    localizer.fit(X, y)
    return time.perf_counter() - begun


def append_results(rows, path):
    """Append rows to the file of results."""
    pd.DataFrame(rows).to_csv(path, mode="a", header=not path.exists(), index=False)


def splits(X, y, n_folds, seed):
    """Pairs of the positions to train on and to test on."""
    if n_folds is None:
        return [(np.flatnonzero(y["split"] == "train"), np.flatnonzero(y["split"] == "val"))]
    folds = StratifiedGroupBoxKFold(n_folds, shuffle=True, random_state=seed)
    return list(folds.split(X, y, groups=y["group"]))


def is_done(key, path):
    """Whether the file of results has a row with these values."""
    if not path.exists():
        return False
    results = read_results(path)
    return bool(np.logical_and.reduce([results[k] == v for k, v in key.items()]).any())


def read_results(path):
    """Read the file of results."""
    return pd.read_csv(path, dtype={"images": str})


def compute_measures(y, predicted):
    """All measures of the table."""
    overlap = iou(y[list(COORDINATES)].to_numpy(), predicted[list(COORDINATES)].to_numpy())
    right = y["class_name"].to_numpy() == predicted["class_name"].to_numpy()
    values = (overlap, overlap >= 0.5, overlap >= 0.75, right, right & (overlap >= 0.5))
    return {name: float(np.mean(value)) for name, value in zip(MEASURES, values, strict=True)}


def summarize(results):
    """Mean and standard deviation over seeds of the means over folds, weighted by their size."""

    def average_folds(rows):
        scores = {m: np.average(rows[m], weights=rows["n"]) for m in MEASURES}
        return pd.Series(scores | {"seconds": rows["seconds"].mean()})

    keys = ["data", "images", "model"]
    columns = [*MEASURES, "n", "seconds"]
    by_seed = results.groupby([*keys, "seed"], sort=False)[columns].apply(average_folds)
    grouped = by_seed.groupby(keys, sort=False)
    return grouped.mean(), grouped.std()


def write_page(results, docs):
    """Write the page of the documentation from its template."""
    mean, spread = summarize(results)
    parts = mean.index.droplevel("model").unique()
    tables = [(part[1], format_table(results, mean, spread, *part)) for part in parts]
    template = jinja2.Template((Path(__file__).parent / "accuracy_page.md").read_text("utf-8"))
    page = template.render(
        summary=format_summary(mean),
        tables="\n\n".join(table for images, table in tables if images == ALL),
        few_tables="\n\n".join(table for images, table in tables if images != ALL),
    )
    (docs / "benchmarks.md").write_text(page + "\n", encoding="utf-8")


def format_summary(mean):
    """The table of the mean IoU of five models on each data set."""
    scores = mean["mean_iou"].xs(ALL, level="images").unstack("data")
    lines = [f"| model | {' | '.join(DATA)} |", "|---|" + "---|" * len(DATA)]
    for model, words in SUMMARY.items():
        bold = "**" if model == "default" else ""
        cells = [f"{bold}{scores.loc[model, name]:.3f}{bold}" for name in DATA]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def format_table(results, mean, spread, name, images):
    """The folded table of one data set and number of training images."""
    rows = results[(results["data"] == name) & (results["images"] == images)]
    lowest = rows.groupby("model")["mean_iou"].min()
    lines = [
        f":::{{dropdown}} {name}: {rows['seed'].nunique()} seeds, {DATA[name][1]} px",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    for model in (stage for stage in STAGES if stage in lowest.index and stage not in BEFORE):
        key = (name, images, model)
        cells = [f"{mean.loc[key, m]:.3f}{plus_minus(spread.loc[key, m])}" for m in MEASURES]
        cells.insert(1, f"{lowest[model]:.3f}")
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join([*lines, ":::"])


def plus_minus(deviation):
    """Text of the deviation over seeds; empty for a single seed."""
    return "" if np.isnan(deviation) else f" ± {deviation:.3f}"


def write_plot(results, path):
    """Mean IoU by data set and model, with the standard deviation over seeds."""
    all_images = results[results["images"] == ALL]
    if all_images.empty:
        return
    mean, spread = (part.droplevel("images") for part in summarize(all_images))
    table, errors = mean["mean_iou"].unstack("model"), spread["mean_iou"].unstack("model")
    order = [stage for stage in SUMMARY if stage in table]
    figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    table[order].rename(columns=SUMMARY).plot.bar(
        ax=ax,
        yerr=errors[order].rename(columns=SUMMARY),
        rot=0,
        width=0.8,
        colormap="viridis",
        legend=False,
        error_kw={"lw": 1},
    )
    ax.set(xlabel="", ylabel="mean IoU on unseen images", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=2, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_pictures(localizer, X, y, name, folder):
    """Draw a page of the 24 worst predictions and one of 24 random ones."""
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
