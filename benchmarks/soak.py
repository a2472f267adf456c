"""Check that searches with failures end, report what failed, and leave no files behind.

1. 300 fits in one process. Some candidates diverge, and an image is missing for some time. Only
   those fits have no score, memory hardly grows, and no temporary file remains.
2. A search on two Dask processes, one of which is killed. The scores equal those of one process.
3. A search on two joblib processes, one of which is killed. The search ends with an error, and
   the next search returns the right scores.

    python benchmarks/soak.py
"""

import argparse
import functools
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import psutil
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from PIL import Image
from sklearn.model_selection import GridSearchCV

from skbbox import SingleBoxLocalizer, StratifiedBoxKFold
from skbbox.datasets import make_shapes
from skbbox.metrics import mean_iou_scorer
from skbbox.network import small_convnet

N_FOLDS = 3
FOLDS = StratifiedBoxKFold(N_FOLDS)
#: Number of candidates with an extreme learning rate, and of candidates while an image is missing.
N_DIVERGING, N_AWAY = 3, 4
#: Limit for the growth of memory in MiB per fit over the second half; 120 fits grow by about 0.45.
GROWTH = 0.7


def main():
    """Run the parts one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=300, help="in the first part")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # All temporary files of the process are created here.
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        paths, y = make_images(Path(folder))
        few = slice(48)
        one_process(paths[few], y[few], arguments.fits // N_FOLDS)
        check("temporary files left", sorted(temporary.iterdir()), [])
        expected = mean_scores(run_search(paths, y, n_candidates=10))
        on_dask(paths, y, Path(folder) / "dask", expected)
        on_joblib(paths, y, Path(folder) / "joblib", expected)
        get_reusable_executor().shutdown()
        left = [path for path in temporary.iterdir() if path.name != "dask-scratch-space"]
        check("temporary files left, except for Dask's own folder", left, [])


def check(name, value, expected):
    """Print a value, and exit if it is not the expected one."""
    print(f"{name}: {value}", flush=True)
    if value != expected:
        sys.exit(f"expected: {expected}")


def make_images(folder):
    """Image files and their boxes, enough of them for joblib to send the folds separately."""
    X, y = make_shapes(200, image_size=32, random_state=0)
    paths = [folder / f"{row}.png" for row in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    return np.array(paths, dtype=object), y


class DisturbedLocalizer(SingleBoxLocalizer):
    """Localizer that hides an image during some of its fits."""

    n_fits, away, image = 0, range(0), None

    def fit(self, X, y, sample_weight=None):
        is_away = DisturbedLocalizer.n_fits in self.away
        DisturbedLocalizer.n_fits += 1
        hidden = self.image.with_suffix(".away")
        if is_away and self.image.exists():
            self.image.rename(hidden)
        elif not is_away and hidden.exists():
            hidden.rename(self.image)
        return super().fit(X, y, sample_weight)


@functools.cache
def get_backbone():
    """The same backbone for all fits, because each new one has other weights."""
    return small_convnet((32, 32, 3))


def new_estimator(kind=SingleBoxLocalizer, **changes):
    """An estimator that trains only its heads, in a third of a second."""
    return kind(
        get_backbone(),
        image_size=32,
        epochs=2,
        batch_size=16,
        engine="keras",
        random_state=0,
        **changes,
    )


def mean_scores(search):
    """Mean score of each candidate, rounded because the order of summation may differ."""
    return np.round(search.cv_results_["mean_test_score"], 12).tolist()


def run_search(paths, y, n_candidates, memory=None, cv=FOLDS):
    """Run a search over the weight of the box loss."""
    grid = {"box_loss_weight": np.linspace(0.5, 20, n_candidates).tolist()}
    search = GridSearchCV(new_estimator(memory=memory), grid, cv=cv, refit=False)
    return search.fit(paths, y)


def one_process(paths, y, n_candidates):
    """Part 1: diverging candidates and a missing image."""
    n_good = n_candidates - N_DIVERGING
    first_away = n_good // 2
    DisturbedLocalizer.image = paths[5]
    DisturbedLocalizer.away = range(first_away * N_FOLDS, (first_away + N_AWAY) * N_FOLDS)
    process, used = psutil.Process(), []

    def score(estimator, X, y):
        used.append(process.memory_info().rss / 2**20)
        return mean_iou_scorer(estimator, X, y)

    grid = [
        {"box_loss_weight": np.linspace(0.5, 20, n_good).tolist()},
        {"learning_rate": [1e30 * (number + 1) for number in range(N_DIVERGING)]},
    ]
    search = GridSearchCV(
        new_estimator(DisturbedLocalizer), grid, scoring=score, cv=FOLDS, refit=False
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(paths, y)
    print(f"{n_candidates * N_FOLDS} fits in {time.perf_counter() - started:.0f} s")
    failed = np.flatnonzero(np.isnan(search.cv_results_["mean_test_score"])).tolist()
    expected = [*range(first_away, first_away + N_AWAY), *range(n_good, n_candidates)]
    check("candidates without a score", failed, expected)
    texts = " ".join(str(warning.message) for warning in caught)
    for reason in ("TrainingDivergedError", "ImageError"):
        check(f"{reason} among the warnings", reason in texts, True)
    half = len(used) // 2
    # The slope of a line through all values, because single ones jump by tens of MiB.
    growth = np.polyfit(range(half, len(used)), used[half:], 1)[0]
    print(f"memory: {used[-1]:.0f} MiB at the end, {growth:+.2f} MiB per fit in the second half")
    check(f"memory grows by at most {GROWTH} MiB per fit", growth <= GROWTH, True)


def on_dask(paths, y, memory, expected):
    """Part 2: a killed Dask worker."""
    import distributed

    folds = list(FOLDS.split(paths, y))
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
        # Send the data to all workers, so that it survives the death of one.
        joblib.parallel_config("dask", scatter=[paths, y, *itertools.chain(*folds)]),
    ):
        # Dask's memory manager would remove the extra copies.
        client.amm.stop()
        pids = client.run(os.getpid)
        killed = kill_later(next(iter(pids.values())), memory)
        search = run_search(paths, y, n_candidates=10, memory=memory, cv=folds)
        check("a Dask worker was killed", killed.is_set(), True)
    check("scores equal those of one process", mean_scores(search) == expected, True)


def on_joblib(paths, y, memory, expected):
    """Part 3: a killed joblib worker."""
    with joblib.parallel_config("loky", n_jobs=2):
        pids = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(8))
        killed = kill_later(pids[0], memory)
        try:
            run_search(paths, y, n_candidates=10, memory=memory)
            ended = "with scores"
        except TerminatedWorkerError:
            ended = "with TerminatedWorkerError"
        check("a joblib worker was killed", killed.is_set(), True)
        check("the search ended", ended, "with TerminatedWorkerError")
        search = run_search(paths, y, n_candidates=10, memory=memory)
    check("the next search has the same scores", mean_scores(search) == expected, True)


def kill_later(pid, memory):
    """Kill a process one second after the first features appear; returns an event set by then."""
    killed = threading.Event()

    def wait():
        while not (memory.exists() and any(memory.rglob("*"))):
            time.sleep(0.05)
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
        killed.set()

    threading.Thread(target=wait, daemon=True).start()
    return killed


if __name__ == "__main__":
    main()
