"""The jobs of each part, and how they are run in their own processes."""

import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from skbbox import one_box_per_image
from skbbox.datasets import load_annotated_folder
from skbbox.engines.registry import ENGINES, missing_packages

#: Class and box loss weights of the search, starting with the chapter's.
GRID = sorted(itertools.product((0.5, 1.0, 2.0), (1.0, 5.0, 10.0)), key=lambda x: x != (1.0, 10.0))
N_FOLDS = 3

#: Numbers of images in part d. Fits use at most FIT_MOST, plain Keras predicts at most PLAIN_MOST.
N_IMAGES = (100, 1000, 10_000, 100_000)
FIT_MOST, PLAIN_MOST = 1000, 10_000

#: Numbers of images, most of them copies, on which fits of skbbox are measured in part d.
N_COPIES = (20_000, 100_000)

#: Numbers of candidates in part d, and the number of images they are fitted on.
N_CANDIDATES = (1, 3, 10, 30, 100)
CANDIDATE_IMAGES = 300

#: Numbers of images in part c: predicted one per call, and predicted by the backbone alone.
ONE_BY_ONE, BARE = 500, 2048

#: Engines, the slowest on a processor first.
INSTALLED = [name for name, packages in reversed(ENGINES.items()) if not missing_packages(packages)]

#: Numbers of images in part f: what a usual user has.
USUAL_IMAGES = (100, 400, 1500)

PARTS = ["a", "b", "c", "d", "e", "f"]

#: Epochs of plain Keras, and of a skbbox fit that only has to rank candidates.
PLAIN_EPOCHS, SHORT_EPOCHS = 5, 2

#: Most epochs in which plain Keras may become better than the median box.
MOST_EPOCHS = 100

WAYS = {
    "plain": "plain Keras",
    "better": "plain Keras, until better than the median box",
    "skbbox": "skbbox",
    "short": f"skbbox, {SHORT_EPOCHS} epochs",
    "one by one": "plain Keras, image by image",
    "bare": "backbone alone",
}

#: A step of a search whose time overlaps with that of the other steps.
DECODING = "decoding, in threads beside the network"

#: Columns that identify a job, and columns of its results.
JOB = ["data", "job", "way", "engine", "source", "size", "images", "candidates", "measured"]
VALUES = ["seconds", "score", "start seconds", "feature seconds", "peak MB", "growth MB a fit"]


def load_sample(arguments, part, n=None):
    """Paths and boxes of a part of the data; with `n`, of a sample stratified by class."""
    X, y = one_box_per_image(load_annotated_folder(arguments.folder), keep="only")
    names = {"train": ["train"], "val": ["val", "valid"]}
    rows = np.flatnonzero(y["split"].isin(names[part]))
    n = min(n or len(rows), arguments.images or len(rows))
    if n < len(rows):
        strata = y["class_name"].iloc[rows]
        rows, _ = train_test_split(rows, train_size=n, stratify=strata, random_state=0)
    return X.iloc[rows], y.iloc[rows]


def list_jobs(part, n_train, n_val, arguments):
    """The jobs of a part; two parts may share a job."""
    size, most = max(arguments.sizes), arguments.most
    jobs = []

    def add(job, way, size, images, candidates=0, measured=0, engine="-", source="-"):
        name = arguments.folder.resolve().name
        values = (name, job, way, engine, source, size, images, candidates, measured)
        jobs.append(dict(zip(JOB, values, strict=True)))

    if part == "a":
        for size, way in itertools.product(arguments.sizes, ("plain", "short", "skbbox")):
            measured = 1 if way == "plain" else N_FOLDS * len(GRID)
            add("grid", way, size, n_train, len(GRID), measured)
    if part == "b":
        for size, way in itertools.product(arguments.sizes, ("plain", "skbbox")):
            add("fit", way, size, n_train)
    if part == "c":
        n = n_val + n_train
        add("predict", "one by one", size, min(n, ONE_BY_ONE), source="files")
        add("predict", "plain", size, n, source="files")
        for engine, source in itertools.product(INSTALLED, ("files", "arrays")):
            add("predict", "skbbox", size, n, engine=engine, source=source)
        for engine in INSTALLED:
            add("predict", "bare", size, BARE, engine=engine, source="tensors")
    if part == "d":
        for n in sorted({min(n, most, n_train) for n in N_IMAGES if n <= FIT_MOST}):
            for way in ("plain", "skbbox", "short"):
                add("fit", way, size, n)
        for n in (n for n in N_COPIES if n <= most):
            add("fit", "short", size, n, source="copies")
        for n in sorted({min(n, most) for n in N_IMAGES}):
            for way in ("plain", "skbbox") if n <= PLAIN_MOST else ("skbbox",):
                engine = "auto" if way == "skbbox" else "-"
                add("predict", way, size, n, engine=engine, source="copies")
        images = min(CANDIDATE_IMAGES, n_train)
        add("grid", "plain", size, images, 1, N_FOLDS)
        for n in sorted({min(n, arguments.candidates) for n in N_CANDIDATES}):
            add("grid", "short", size, images, n, N_FOLDS * n)
    if part == "f":
        for n in sorted({min(n, n_train) for n in USUAL_IMAGES}):
            for way in ("plain", "better", "skbbox"):
                add("fit", way, size, n)
            for way in ("plain", "skbbox"):
                measured = 1 if way == "plain" else N_FOLDS * len(GRID)
                add("grid", way, size, n, len(GRID), measured)
    return jobs


def is_done(key, path):
    """Whether the file of results has a row with these values."""
    if not path.exists():
        return False
    results = pd.read_csv(path)
    return bool(np.logical_and.reduce([results[k] == v for k, v in key.items()]).any())


def run_job(job, number, folder, arguments):
    """Run a job and append its result to the file of results.

    Returns
    -------
    dict
        Empty, or the job's name and the last line of its error.
    """
    model = folder / f"{job['size']}.joblib"
    try:
        # Fitted in a separate process, so that the memory of the fit does not count for predict.
        if (job["job"], job["way"]) == ("predict", "skbbox") and not model.exists():
            fitted = {"job": "fit", "way": "short", "images": None, "save": str(model)}
            run_in_subprocess(job | fitted, arguments)
        result = run_in_subprocess(job | {"run": number, "model": str(model)}, arguments)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        name = " ".join(map(str, job.values()))
        print(f"FAILED {name}: {reason}", flush=True)
        return {name: reason}
    columns = [*JOB, "run", *VALUES, "detail", "machine"]
    labels = {"run": number, "machine": describe_machine()}
    row = pd.DataFrame([job | labels | result]).reindex(columns=columns)
    row.to_csv(arguments.results, mode="a", header=not arguments.results.exists(), index=False)
    print(row.dropna(axis=1).to_string(header=False, index=False), flush=True)
    return {}


def run_in_subprocess(job, arguments):
    """Run a job in its own process and return its result."""
    command = [sys.executable, "-m", __package__, str(arguments.folder), "--job", json.dumps(job)]
    command += ["--images", str(arguments.images)] if arguments.images else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def describe_machine():
    """Processor, number of cores, and GPUs."""
    # On Linux platform.processor() does not give the model.
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    cards = []
    if driver := shutil.which("nvidia-smi"):
        command = [driver, "--query-gpu=name", "--format=csv,noheader"]
        cards = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return ", ".join([name, f"{os.cpu_count()} cores", *cards])
