"""Numbers of README and pages against the files of the benchmarks that they come from."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGES = {name: ROOT / name for name in ("README.md", "docs/speed.md")}
#: Rows of the table in docs/guide/trust.md, and their measures in benchmarks/trust.csv.
TRUST = {
    "coverage of 90 % regions": ["coverage of regions, 90 %, spread"],
    "coverage of 50 % and 95 % regions": [
        "coverage of regions, 50 %, spread",
        "coverage of regions, 95 %, spread",
    ],
    "median area between inner and outer box, 90 %": ["median area, 90 %, spread"],
    "the same with a constant margin": ["median area, 90 %, constant"],
    "calibration error of `box_confidence`": ["ECE of box_confidence, calibrated"],
    "calibration error of `class_confidence`": ["ECE of class_confidence, calibrated"],
    "by chance, in a calibrated model": ["ECE of class_confidence, calibrated, by chance"],
    "AUROC of both confidences, calibrated": ["AUROC of both confidences, calibrated"],
}


@pytest.fixture(scope="module")
def accuracy():
    """The script that writes docs/benchmarks.md."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import accuracy

        yield accuracy
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def means(accuracy):
    return accuracy.summarize(accuracy.read_results(BENCHMARKS / "accuracy.csv"))[0]


@pytest.fixture(scope="module")
def seconds():
    """Median seconds by file, job, way, engine and size, for all images of the data set."""

    def read(name):
        rows = pd.read_csv(BENCHMARKS / f"{name}.csv", dtype={"engine": str})
        rows = rows[rows["source"].isin(["-", "files"]) & rows["images"].isin([5000, 6000])]
        return rows.groupby(["job", "way", "engine", "size"])["seconds"].median()

    return {"AMD EPYC": read("speed"), "Intel Xeon": read("speed_xeon")}


def read_words(name):
    """The text of a page, with its lines joined."""
    return re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))


def without_zero(number, digits=3):
    """A number below 1 as pages print it: .829."""
    return f"{number:.{digits}f}".removeprefix("0")


def test_page_of_benchmarks_is_what_the_script_writes(accuracy, tmp_path):
    accuracy.write_page(accuracy.read_results(BENCHMARKS / "accuracy.csv"), tmp_path)
    written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert written == (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_readme_gives_the_score_of_the_default_and_of_the_baseline(means):
    default = means.loc[("kangaroo_raccoon", "all", "default")]
    baseline = means.loc[("kangaroo_raccoon", "all", "median box")]
    words = read_words("README.md")
    assert f"it is **{default['mean_iou']:.2f}**" in words
    assert f"has **{baseline['mean_iou']:.2f}**" in words
    assert f"the class is right for {default['class_accuracy'] * 100:.0f} %" in words


def test_questions_give_the_scores_of_few_and_of_all_images(means):
    words = read_words("docs/faq.md")
    scores = means["mean_iou"].xs("default", level="model").map("{:.2f}".format)
    animals, tiny = scores["kangaroo_raccoon"], scores["tiny_imagenet20"]
    assert f"was {animals['60']} for two kinds of animals and {tiny['60']} for twenty" in words
    assert f"With all images, it was {animals['all']} and {tiny['all']}" in words
    lowest, highest = (scores.xs("all", level="images").agg(end) for end in ("min", "max"))
    assert f"scores from {lowest} on difficult photographs to {highest} on easy ones" in words


def test_first_model_gives_seconds_and_score_of_a_fit_to_photographs(accuracy, means):
    rows = accuracy.read_results(BENCHMARKS / "accuracy.csv")
    of_default = (rows["data"] == "kangaroo_raccoon") & (rows["model"] == "default")
    seconds = rows.loc[of_default & (rows["images"] == "all"), "seconds"].median()
    score = means.loc[("kangaroo_raccoon", "all", "default"), "mean_iou"]
    words = read_words("docs/guide/first_model.md")
    assert f"took {seconds:.0f} seconds on two processor cores" in words
    assert f"The mean IoU on other photographs was {score:.2f}." in words


@pytest.mark.parametrize("name", PAGES)
def test_page_gives_the_seconds_of_a_fit_and_of_a_search(name, seconds):
    words = read_words(name)
    for job in ("fit", "grid"):
        for way in ("plain", "skbbox" if job == "fit" else "short"):
            measured = seconds["AMD EPYC"][(job, way, "-", 224)]
            assert re.search(rf"\| {measured:,.0f} s[ ,]", words), (job, way, measured)


@pytest.mark.parametrize("name", PAGES)
def test_page_gives_the_scores_of_a_fit(name):
    rows = pd.read_csv(BENCHMARKS / "speed.csv")
    rows = rows[(rows["job"] == "fit") & (rows["images"] == 5000) & (rows["size"] == 224)]
    for score in rows.groupby("way")["score"].median().loc[["plain", "skbbox"]]:
        assert f"{score:.3f}" in read_words(name)


@pytest.mark.parametrize("machine", ["AMD EPYC", "Intel Xeon"])
def test_speed_page_gives_search_and_predictions_of_each_machine(machine, seconds):
    blocks = PAGES["docs/speed.md"].read_text(encoding="utf-8").split("\n\n")
    table = next(block for block in blocks if block.startswith(f"| {machine}"))
    of_machine = seconds[machine]
    plain, ours = (of_machine[("grid", way, "-", 224)] for way in ("plain", "short"))
    assert f"{plain:,.0f} s" in table and f"{ours:,.0f} s" in table
    assert f"| {plain / ours:.1f} |" in table
    for way, engine in (("plain", "-"), ("skbbox", "openvino")):
        milliseconds = of_machine[("predict", way, engine, 224)] / 6000 * 1000
        assert f"{milliseconds:.2f} ms" in table


def test_page_on_missing_labels_gives_the_scores_of_each_fit():
    rows = pd.read_csv(BENCHMARKS / "missing_labels.csv")
    means = rows.groupby(["comparison", "trained_on"]).mean()
    words = read_words("docs/guide/missing_labels.md")
    tiny, animals = means.loc["tiny_imagenet20"], means.loc["kangaroo_raccoon"]
    iou, accuracy = tiny["mean_iou"].map(without_zero), tiny["class_accuracy"].map(without_zero)
    assert f"| 500 with class and box | {accuracy['alone']} | {iou['alone']} |" in words
    assert f"only a class | {accuracy['class_only']} | {iou['class_only']} |" in words
    assert f"the mean IoU rises from {iou['alone']} to {iou['box_only']}." in words
    assert f"the same: {accuracy['box_only']} with them, {accuracy['alone']} without." in words
    empty = animals.loc["empty"]
    assert f"The area under the curve is {without_zero(empty['presence_auc'])}," in words
    assert f"{100 * empty['false_alarms']:.0f} % of the empty images are false alarms" in words
    assert f"{100 * empty['misses']:.0f} % of the animals are missed" in words
    iou = animals["mean_iou"].map(without_zero)
    assert f"mean IoU is {iou['empty']}; without the empty images in the fit, it is" in words
    assert f"it is {iou['alone']}." in words


def test_page_on_training_gives_what_other_numbers_of_epochs_cost():
    rows = pd.read_csv(BENCHMARKS / "steps.csv")
    means = rows.groupby(["data", "images", "factor"])["mean_iou"].mean().unstack()
    changes = means.sub(means[1.0], axis=0)
    words = read_words("docs/guide/training.md")
    half, twice, quarter = changes[0.5], changes[2.0], changes[0.25]
    assert f"lower by {-half.mean():.3f} on average and {-half.min():.3f} at most" in words
    assert f"higher by {twice.mean():.3f} on average: by up to {twice.max():.2f}" in words
    assert f"a quarter of the epochs, the mean IoU is lower by up to {-quarter.min():.2f}." in words


@pytest.mark.parametrize("row", TRUST)
def test_page_on_trust_gives_coverage_area_and_calibration(row):
    page = (ROOT / "docs" / "guide" / "trust.md").read_text(encoding="utf-8")
    measured = pd.read_csv(BENCHMARKS / "trust.csv").pivot(
        index="data", columns="measure", values="mean"
    )[TRUST[row]]
    # The columns of the page are in alphabetical order, as those of the pivot.
    cells = [", ".join(map(without_zero, numbers)) for numbers in measured.to_numpy()]
    assert f"| {row} | {' | '.join(cells)} |\n" in page
