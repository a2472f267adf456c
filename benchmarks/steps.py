"""Measure what more or fewer training steps gain and cost, for several numbers of images.

Each fit trains a multiple of the epochs that ``epochs="auto"`` gives. The features of the images
are computed before a fit is timed, as in a search. Times are those of the processor, the sum over
all cores, which other programs hardly change. The data sets and their splits are those of
``accuracy.py``. Results are appended to ``benchmarks/steps.csv``, and an interrupted benchmark
resumes from there; delete the file to start over.

    python benchmarks/steps.py folder_with_data_sets
    python benchmarks/steps.py folder_with_data_sets --seeds 0     # only draw the plot

Prints a table in Markdown and draws ``docs/images/steps.png``.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from accuracy import (
    DATA,
    append_results,
    compute_measures,
    is_done,
    load_data,
    read_results,
    splits,
)
from matplotlib.ticker import LogLocator, NullLocator
from speed.jobs import describe_machine

from skbbox import SingleBoxLocalizer
from skbbox.features import forget_features
from skbbox.training.plan import auto_epochs

#: Numbers of training images; a data set with fewer is used completely.
N_IMAGES = (60, 150, 400, 1500, 5000)

#: Multiples of the epochs of ``epochs="auto"``.
FACTORS = (0.25, 0.5, 1.0, 2.0)

BATCH_SIZE = SingleBoxLocalizer().batch_size


def main():
    """Run the missing fits, print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=2, help="0 only draws the plot")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/steps.csv"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/steps.png"))
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for name in arguments.data:
            run(name, seed, arguments)
    results = read_results(arguments.results)
    print(make_table(results))
    draw_plot(results, arguments.plot)


def run(name, seed, arguments):
    """Run the fits on one data set with one seed, except for those already done."""
    _, size, n_folds, _ = DATA[name]
    X, y = load_data(name, arguments.folder)
    train, test = splits(X, y, n_folds, seed)[0]
    train = np.random.default_rng(seed).permutation(train)
    for n in sorted({min(n, len(train)) for n in N_IMAGES}):
        key = {"data": name, "images": str(n), "seed": seed}
        if is_done(key, arguments.results):
            continue
        rows, few = [], train[:n]
        automatic = auto_epochs(n, BATCH_SIZE, n_looks=2, is_new=False)
        forget_features()
        # The first fit computes the features, and is not timed.
        for factor in (1.0, *FACTORS):
            epochs = max(round(factor * automatic), 1)
            localizer = SingleBoxLocalizer(image_size=size, epochs=epochs, random_state=seed)
            begun = time.process_time()
            localizer.fit(X.iloc[few], y.iloc[few])
            seconds = time.process_time() - begun
            scores = compute_measures(y.iloc[test], localizer.predict(X.iloc[test]))
            steps = {"factor": factor, "steps": epochs * -(-n // BATCH_SIZE), "seconds": seconds}
            rows.append(key | steps | scores | {"machine": describe_machine()})
        append_results(rows[1:], arguments.results)
        print(pd.DataFrame(rows[1:]).to_string(index=False), flush=True)


def average(results):
    """Means over the seeds, in the order of the number of images."""
    results = results.assign(images=results["images"].astype(int))
    means = results.groupby(["data", "images", "factor"]).mean(numeric_only=True).reset_index()
    return means.sort_values(["data", "images", "factor"])


def make_table(results):
    """Markdown table: the default, and the changes with other numbers of steps."""
    means = average(results)
    lines = ["| data | images | steps | seconds | mean IoU | ¼ of the steps | ½ | 2 times |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for (name, images), rows in means.groupby(["data", "images"]):
        rows = rows.set_index("factor")
        default, cells = rows.loc[1.0], []
        for factor in (0.25, 0.5, 2.0):
            gain = rows.loc[factor, "mean_iou"] - default["mean_iou"]
            cells.append(f"{gain:+.3f}, {rows.loc[factor, 'seconds']:.1f} s")
        first = [name, images, round(default["steps"]), f"{default['seconds']:.1f}"]
        cells = [*first, f"{default['mean_iou']:.3f}", *cells]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def draw_plot(results, path):
    """Mean IoU against the seconds of a fit, one plot for each data set."""
    means = average(results)
    figure, axes = plt.subplots(1, len(DATA), figsize=(13, 5), layout="constrained")
    colours = dict(zip(N_IMAGES, plt.get_cmap("viridis")(np.linspace(0.85, 0, 5)), strict=True))
    for ax, (name, (_, size, *_)) in zip(axes, DATA.items(), strict=True):
        for images, rows in means[means["data"] == name].groupby("images"):
            colour = colours[min(n for n in N_IMAGES if n >= images)]
            ax.plot(rows["seconds"], rows["mean_iou"], "o-", color=colour, label=f"{images:,}")
            default = rows[rows["factor"] == 1]
            ax.plot(default["seconds"], default["mean_iou"], "o", color=colour, ms=11, mfc="none")
        ax.set(xscale="log", xlabel="processor seconds of a fit", title=f"{name}, {size} px")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.grid(alpha=0.3)
        ax.legend(title="images", loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("mean IoU on unseen images")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
