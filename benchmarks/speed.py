"""How long searches, fits and predictions take, against the chapter's way in plain Keras.

The plain way is written out below and uses nothing of skbbox to train: its generator reads
every file in every epoch, and the frozen backbone runs in every step. Each job runs in a
process of its own. Every result is kept in ``benchmarks/speed.csv``, from which a run that was
stopped goes on; delete it to start over. The folder is one that
``skbbox.datasets.load_annotated_folder`` reads, with the source's own train and val.

    python benchmarks/speed.py folder
    python benchmarks/speed.py folder --parts a c --sizes 128 --runs 1
    python benchmarks/speed.py folder --sizes 128 --images 60 --most 200 --candidates 10 --runs 1

The parts: a, a grid search over loss weights; b, one fit; c, predict; d, cost against the numbers
of images and of candidates; e, memory of what the other parts ran. Writes ``docs/speed.md`` and
``docs/images/speed.png``.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from importlib import metadata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib

matplotlib.use("Agg")
import joblib
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
from keras import layers
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, train_test_split

import skbbox
from skbbox import SingleBoxLocalizer, StratifiedBoxKFold, features, mean_iou, one_box_per_image
from skbbox.datasets import load_annotated_folder
from skbbox.engines.registry import ENGINES, missing_packages

#: Class and box loss weights of the search, the chapter's first.
GRID = sorted(itertools.product((0.5, 1.0, 2.0), (1.0, 5.0, 10.0)), key=lambda x: x != (1.0, 10.0))
N_FOLDS = 3

#: Where results and tables go, unless that is said.
WRITTEN = Path("benchmarks/speed.csv"), Path("docs/speed.md")

#: Epochs of a fit that is to tell candidates apart.
SHORT_EPOCHS = 2

#: Numbers of images and candidates of part d; fits go up to FIT_MOST, plain ones to PLAIN_MOST.
N_IMAGES = (100, 1000, 10_000, 100_000)
FIT_MOST, PLAIN_MOST = 1000, 10_000
N_CANDIDATES = (1, 3, 10, 30, 100)
CANDIDATE_IMAGES = 300

#: Images that the slow ways and the bare backbone predict in part c, those of its tensors, those
#: that are predicted before copies are, and images in a batch of the plain way.
ONE_BY_ONE, BARE, TENSORS, WARM_UP, BATCH = 500, 2048, 256, 200, 32

#: The slowest on a processor first.
INSTALLED = [name for name, packages in reversed(ENGINES.items()) if not missing_packages(packages)]

WAYS = {
    "plain": "plain Keras",
    "skbbox": "skbbox",
    "short": f"skbbox, {SHORT_EPOCHS} epochs",
    "one by one": "plain Keras, image by image",
    "bare": "the bare backbone",
}
PARTS = ["a", "b", "c", "d", "e"]

#: What tells one job from another, and what it gives.
JOB = ["data", "job", "way", "engine", "source", "size", "images", "candidates", "measured"]
VALUES = ["seconds", "score", "start seconds", "feature seconds", "peak MB", "growth MB a fit"]

#: A step of a search, whose time is in those of others.
DECODING = "decoding, in threads beside the network"

#: Digits of numbers in the tables, where they are not 1.
DIGITS = {"score": 3, "ms an image": 2, "peak GB": 2, "share %": 0}


def main():
    """Run what is missing, then write tables and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="data set with annotations.csv and groups.csv")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 224])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", type=int, help="use so many of train and of val at most")
    parser.add_argument("--most", type=int, default=N_IMAGES[-1], help="most images in part d")
    parser.add_argument("--candidates", type=int, default=N_CANDIDATES[-1], help="most in part d")
    parser.add_argument("--results", type=Path, default=WRITTEN[0])
    parser.add_argument("--page", type=Path, default=WRITTEN[1])
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    if arguments.job:
        job = json.loads(arguments.job)
        # Bytes on a Mac, kilobytes elsewhere.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        functions = {"grid": grid, "fit": fit, "predict": predict}
        result = functions[job["job"]](job, arguments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        print(json.dumps(result | {"peak MB": peak}))
        return
    n_train, n_val = (len(drawn(arguments, part)[0]) for part in ("train", "val"))
    jobs = [job for part in arguments.parts for job in jobs_of(part, n_train, n_val, arguments)]
    jobs = [job for job in jobs if job["way"] in arguments.ways]
    failed = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.runs):
            for job in jobs:
                if not is_done(job | {"run": number}, arguments.results):
                    failed |= run(job, number, Path(folder), arguments)
    wanted = [job for part in PARTS for job in jobs_of(part, n_train, n_val, arguments)]
    if arguments.results.exists():
        write_page(pd.DataFrame(wanted), failed, (n_train, n_val), arguments)


def drawn(arguments, part, n=None):
    """Paths and boxes of a part of the data, or of so many images, each class in proportion."""
    X, y = one_box_per_image(load_annotated_folder(arguments.folder), keep="only")
    rows = np.flatnonzero(y["split"] == part)
    n = min(n or len(rows), arguments.images or len(rows))
    if n < len(rows):
        strata = y["class_name"].iloc[rows]
        rows, _ = train_test_split(rows, train_size=n, stratify=strata, random_state=0)
    return X.iloc[rows], y.iloc[rows]


def jobs_of(part, n_train, n_val, arguments):
    """What a part runs; two parts may name the same."""
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
        for n in sorted({min(n, most) for n in N_IMAGES}):
            for way in ("plain", "skbbox") if n <= PLAIN_MOST else ("skbbox",):
                engine = "auto" if way == "skbbox" else "-"
                add("predict", way, size, n, engine=engine, source="copies")
        images = min(CANDIDATE_IMAGES, n_train)
        add("grid", "plain", size, images, 1, N_FOLDS)
        for n in sorted({min(n, arguments.candidates) for n in N_CANDIDATES}):
            add("grid", "short", size, images, n, N_FOLDS * n)
    return jobs


def is_done(key, path):
    """Whether the file of results holds a row with these values."""
    if not path.exists():
        return False
    results = pd.read_csv(path)
    return bool(np.logical_and.reduce([results[k] == v for k, v in key.items()]).any())


def run(job, number, folder, arguments):
    """Keep the result of a job; where it fails, its name and the last line of its error."""
    model = folder / f"{job['size']}.joblib"
    try:
        # Fitted in a process of its own, so that the memory of predict is its own.
        if (job["job"], job["way"]) == ("predict", "skbbox") and not model.exists():
            fitted = {"job": "fit", "way": "short", "images": None, "save": str(model)}
            in_process(job | fitted, arguments)
        result = in_process(job | {"run": number, "model": str(model)}, arguments)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        name = " ".join(map(str, job.values()))
        print(f"FAILED {name}: {reason}", flush=True)
        return {name: reason}
    columns = [*JOB, "run", *VALUES, "detail", "machine"]
    named = {"run": number, "machine": machine()}
    row = pd.DataFrame([job | named | result]).reindex(columns=columns)
    row.to_csv(arguments.results, mode="a", header=not arguments.results.exists(), index=False)
    print(row.dropna(axis=1).to_string(header=False, index=False), flush=True)
    return {}


def in_process(job, arguments):
    """What a job gives that has a process to itself."""
    command = [sys.executable, __file__, str(arguments.folder), "--job", json.dumps(job)]
    command += ["--images", str(arguments.images)] if arguments.images else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def grid(job, arguments):
    """A search over loss weights; of a way of which one fit is measured, as many times its time.

    That fit is of another fold in each run.
    """
    X, y = drawn(arguments, "train", job["images"])
    n, measured, memory = job["candidates"], job["measured"], []
    folds = list(StratifiedBoxKFold(N_FOLDS, shuffle=True, random_state=0).split(X, y))
    if measured == 1:
        folds = [folds[job["run"] % N_FOLDS]]
    # The optimizer takes no NumPy numbers for the weights.
    pairs = GRID if n == len(GRID) else [(1.0, w) for w in np.geomspace(10, 1, n).tolist()]
    pairs = pairs[: measured // len(folds)]
    names = ("class_loss_weight", "box_loss_weight")
    values = [{name: [v] for name, v in zip(names, pair, strict=True)} for pair in pairs]

    def score(estimator, X, y):
        result = float(estimator.score(X, y))
        memory.append(psutil.Process().memory_info().rss / 2**20)
        return result

    search = GridSearchCV(
        new_estimator(job["way"], job["size"]),
        values,
        scoring=score,
        cv=folds,
        refit=False,
        error_score="raise",
    )
    steps = {} if job["way"] == "plain" else watched_steps()
    seconds, _ = timed(search.fit, X, y)
    result = {"seconds": seconds * n * N_FOLDS / measured, "score": search.best_score_}
    if steps:
        beside = steps.pop(DECODING)
        steps["everything else"] = seconds - sum(steps.values())
        result["detail"] = json.dumps(steps | {DECODING: beside})
    times = search.cv_results_["mean_fit_time"] + search.cv_results_["mean_score_time"]
    if len(times) > 1:
        result["feature seconds"] = float(N_FOLDS * (times[0] - times[1]))
    late = memory[len(memory) // 2 :]
    if len(late) > 1:
        result["growth MB a fit"] = float(np.polyfit(range(len(late)), late, 1)[0])
    return result


def watched_steps():
    """Seconds of the steps of what is fitted from now on, by functions of skbbox."""
    seconds, lock = {}, threading.Lock()

    def watch(owner, name, step):
        function = getattr(owner, name)
        seconds[step] = 0.0

        def watched(*values, **options):
            begun = time.perf_counter()
            try:
                return function(*values, **options)
            finally:
                with lock:
                    seconds[step] += time.perf_counter() - begun

        setattr(owner, name, watched)

    watch(SingleBoxLocalizer, "_build", "building the network")
    watch(features.FrozenBackbone, "features", "features")
    watch(keras.Model, "fit", "training steps")
    watch(SingleBoxLocalizer, "score", "scoring")
    watch(features, "load_row", DECODING)
    return seconds


def new_estimator(way, size):
    """One side of a comparison, not fitted yet."""
    if way == "plain":
        return PlainLocalizer(image_size=size)
    epochs = SHORT_EPOCHS if way == "short" else "auto"
    return SingleBoxLocalizer(image_size=size, epochs=epochs, random_state=0)


class PlainLocalizer(BaseEstimator):
    """The chapter's model and training, the least that GridSearchCV asks for around them."""

    def __init__(self, class_loss_weight=1.0, box_loss_weight=10.0, image_size=224):
        self.class_loss_weight = class_loss_weight
        self.box_loss_weight = box_loss_weight
        self.image_size = image_size

    def fit(self, X, y):
        keras.utils.set_random_seed(0)
        classes, codes = np.unique(y["class_name"], return_inverse=True)
        self.model_ = plain_model(self.image_size, len(classes))
        self.model_.compile(
            optimizer=keras.optimizers.Adam(1e-3),
            loss=["sparse_categorical_crossentropy", "mse"],
            loss_weights=[self.class_loss_weight, self.box_loss_weight],
            metrics=[["accuracy"], []],
        )
        boxes = y[["x_min", "x_max", "y_min", "y_max"]].to_numpy("float32")
        until_done(self.model_.fit, PlainGenerator(X, self.image_size, codes, boxes), epochs=5)
        return self

    def score(self, X, y):
        _, boxes = until_done(self.model_.predict, PlainGenerator(X, self.image_size))
        # Edges in order and within the image, as skbbox gives them.
        boxes = np.sort(np.clip(boxes, 0, 1).reshape(-1, 2, 2), axis=2).reshape(-1, 4)
        return mean_iou(y, boxes)


def plain_model(size, n_classes):
    """The chapter's network."""
    inputs, maps = plain_backbone(size)
    x = layers.GlobalAveragePooling2D()(maps)
    x = layers.Dropout(0.7)(x)
    x = layers.Dense(n_classes, kernel_regularizer=keras.regularizers.L2(0.01))(x)
    classes = layers.Activation("softmax")(x)
    x = layers.Conv2D(512, 3, padding="same")(maps)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    box = layers.Dense(4)(x)
    return keras.Model(inputs, [classes, box])


def plain_backbone(size):
    """Input and feature map of the chapter's backbone, frozen."""
    # Of an open shape, as skbbox's: at every size both have the weights of 224 pixels.
    backbone = keras.applications.MobileNet(
        input_shape=(None, None, 3), alpha=0.75, include_top=False, weights="imagenet"
    )
    backbone.trainable = False
    inputs = keras.Input((size, size, 3))
    return inputs, backbone(inputs, training=False)


class PlainGenerator(keras.utils.PyDataset):
    """The chapter's generator; without targets it keeps the order of the files."""

    def __init__(self, paths, size, codes=None, boxes=None):
        super().__init__()
        self.paths, self.size, self.codes, self.boxes = list(paths), size, codes, boxes
        self.order = np.arange(len(self.paths))
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.paths) // BATCH)

    def __getitem__(self, number):
        rows = self.order[number * BATCH : (number + 1) * BATCH]
        images = np.stack([plain_image(self.paths[row], self.size) for row in rows])
        if self.codes is None:
            return (images,)
        return images, (self.codes[rows], self.boxes[rows])

    def on_epoch_end(self):
        if self.codes is not None:
            np.random.shuffle(self.order)


def plain_image(path, size):
    """Pixels of a file, scaled as the backbone takes them."""
    image = keras.utils.load_img(path, target_size=(size, size))
    return keras.applications.mobilenet.preprocess_input(keras.utils.img_to_array(image))


class Done(keras.callbacks.Callback):
    """Keeps when the last batch was done."""

    def on_train_end(self, logs=None):
        self.at = time.perf_counter()

    on_predict_end = on_train_end


#: Seconds for which plain Keras waited when all was done.
waits = []


def until_done(function, generator, **options):
    """What plain Keras gives; keeps how long it waits for TensorFlow's tuner of datasets.

    That looks for the end after times that double, so a call may last twice as long as its work.
    """
    done = Done()
    result = function(generator, callbacks=[done], verbose=0, **options)
    waits.append(time.perf_counter() - done.at)
    return result


def timed(function, *values):
    """Seconds of a call without such waits, and what it gives."""
    waited, begun = sum(waits), time.perf_counter()
    result = function(*values)
    return time.perf_counter() - begun - (sum(waits) - waited), result


def fit(job, arguments):
    """One fit, and its score on val; kept in a file if one is named."""
    estimator = new_estimator(job["way"], job["size"])
    seconds, _ = timed(estimator.fit, *drawn(arguments, "train", job["images"]))
    if "save" in job:
        joblib.dump(estimator, job["save"])
    return {"seconds": seconds, "score": float(estimator.score(*drawn(arguments, "val")))}


def predict(job, arguments):
    """Predictions of images of which nothing is kept, after a first call."""
    way, source, size, n = (job[name] for name in ("way", "source", "size", "images"))
    (X, y), (seen, _) = drawn(arguments, "val"), drawn(arguments, "train")
    X = [*X, *seen]
    with tempfile.TemporaryDirectory() as folder:
        if source == "copies":
            X, first_of_all = distinct_files(X, n, Path(folder)), [*seen][:WARM_UP]
        else:
            X = X[:n] if source == "files" else pixels_of(X, size, source)
            # skbbox takes another way for many images.
            first_of_all = X if way == "skbbox" else X[:WARM_UP]
        ready, function = timed(predictor, way, job["engine"], size, job["model"])
        first, _ = timed(function, first_of_all)
        seconds = 0.0
        for _ in range(n // len(X)):
            features.forget_features()
            spent, predicted = timed(function, X)
            seconds += spent
    # predict does not say if it does not know an engine.
    if job["engine"] in ENGINES and job["engine"] not in sys.modules:
        raise RuntimeError(f"{job['engine']} was not used.")
    scored = way == "skbbox" and source != "copies"
    score = mean_iou(y, predicted.iloc[: len(y)]) if scored else None
    start = max(first - seconds / n * len(first_of_all), 0.0)
    if way == "bare":
        # skbbox converts in its first call.
        start += ready
    return {"seconds": seconds, "score": score, "start seconds": start}


def distinct_files(paths, n, folder):
    """So many files; beyond those there are, copies that look alike and differ in their bytes.

    Otherwise skbbox would know an image that it has seen before.
    """
    copies = []
    for number in range(len(paths), n):
        path = Path(paths[number % len(paths)])
        copies.append(str(folder / f"{number}{path.suffix}"))
        Path(copies[-1]).write_bytes(path.read_bytes() + number.to_bytes(8, "little"))
    return [*paths[:n], *copies]


def pixels_of(paths, size, source):
    """Images in memory: uint8 pixels, or what the backbone takes, in whole batches."""
    if source == "tensors":
        return np.stack([plain_image(path, size) for path in np.resize(paths, TENSORS)])
    options = {"target_size": (size, size), "interpolation": "bilinear"}
    return np.stack([np.asarray(keras.utils.load_img(path, **options)) for path in paths])


def predictor(way, engine, size, model):
    """What is called to predict."""
    if way == "skbbox":
        return joblib.load(model).set_params(engine=engine).predict
    if way == "bare":
        function = bare_backbone(engine, size)
        return lambda X: [function(X[i : i + BATCH]) for i in range(0, len(X), BATCH)]
    # The time does not depend on what it has learnt.
    network = plain_model(size, n_classes=20)
    if way == "plain":
        return lambda X: until_done(network.predict, PlainGenerator(X, size))
    return lambda X: [network.predict(plain_image(path, size)[None], verbose=0) for path in X]


def bare_backbone(engine, size):
    """The backbone alone, run by an engine on a batch that is ready."""
    backbone = keras.Model(*plain_backbone(size))
    if engine == "keras":
        return backbone.predict_on_batch
    with tempfile.TemporaryDirectory() as folder:
        if engine == "openvino":
            import openvino

            backbone.export(folder, verbose=False)
            # Each image by itself and several at a time is its fastest way.
            network = openvino.convert_model(folder, input=[[1, size, size, 3]])
            hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
            queue = openvino.AsyncInferQueue(openvino.Core().compile_model(network, "CPU", hints))

            def run(batch):
                for row in range(len(batch)):
                    queue.start_async({0: batch[row : row + 1]})
                queue.wait_all()

            return run
        import onnxruntime

        # Keras exports only what was called before.
        backbone(np.zeros((1, size, size, 3), "float32"))
        path = os.path.join(folder, "backbone.onnx")
        backbone.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]


def write_page(wanted, failed, numbers, arguments):
    """Tables as a page of the documentation, which is also printed."""
    rows = wanted.drop_duplicates().merge(pd.read_csv(arguments.results), on=JOB)
    if rows.empty:
        return
    packages = [keras.backend.backend(), "keras", "numpy", "scikit-learn", *INSTALLED]
    versions = [f"{name} {metadata.version(name)}" for name in dict.fromkeys(packages)]
    absent = [engine for engine in reversed(ENGINES) if engine not in INSTALLED]
    machines = " and ".join(rows["machine"].unique())
    elsewhere = arguments.results, arguments.page
    options = "" if elsewhere == WRITTEN else " --results {} --page {}".format(*elsewhere)
    lines = [
        f"# Speed: {machines}",
        "",
        f"Written by `python benchmarks/speed.py folder{options}`: medians of runs, each job in a "
        f"process of its own; {machines}; skbbox {skbbox.__version__}, {', '.join(versions)}.",
        f"Data: `{arguments.folder.resolve().name}`, {numbers[0]} images to train on and "
        f"{numbers[1]} to score on. Both sides: MobileNet, alpha 0.75, ImageNet weights, frozen.",
        "Plain Keras is the chapter's generator, model and 5 epochs, written out in the benchmark; "
        "times faster is its time by that of the row. What it waits at the end of a call for "
        "TensorFlow's tuner of datasets, up to as long as the call itself, is not counted.",
        f"Engines that are not installed: {', '.join(absent) or 'none'}.",
        *tables(rows, numbers, arguments.page.parent / "images" / f"{arguments.page.stem}.png"),
        "",
        *(f"Not measured: {name}: {reason}" for name, reason in failed.items()),
    ]
    page = "\n".join(lines).rstrip() + "\n"
    arguments.page.write_text(page, encoding="utf-8")
    print("\n" + page)


def machine():
    """Processor, which Python does not know on Linux, number of its cores, and graphics cards."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    cards = []
    if driver := shutil.which("nvidia-smi"):
        command = [driver, "--query-gpu=name", "--format=csv,noheader"]
        cards = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return ", ".join([name, f"{os.cpu_count()} cores", *cards])


def tables(rows, numbers, plot):
    """The tables of all parts; draws part d."""
    groups = rows.groupby(JOB, sort=False)
    medians = groups[VALUES].median().assign(runs=groups.size()).reset_index()
    n, spent = medians["candidates"].clip(lower=1), medians["seconds"]
    medians["ms an image"] = 1000 * spent / medians["images"] / n
    medians["features share %"] = 100 * medians["feature seconds"] / spent
    medians["peak GB"] = medians["peak MB"] / 1024
    pairs = zip(medians["measured"], N_FOLDS * n, strict=True)
    medians["fits measured"] = [f"{some} of {whole}" for some, whole in pairs]
    grids, fits, calls = (medians[medians["job"] == job] for job in ("grid", "fit", "predict"))
    in_a, is_copy = grids["candidates"] == len(GRID), calls["source"] == "copies"
    searches, copies = (against(x, "plain", "images") for x in (grids[~in_a], calls[is_copy]))
    searches["seconds of plain"] = searches["times faster"] * searches["seconds"]
    by_images = against(fits[fits["size"] == fits["size"].max()], "plain", "images")
    calls = calls[~is_copy]
    one_by_one = against(calls, "one by one", "size")["times faster"]
    calls = against(calls, "plain", "size").assign(**{"than one by one": one_by_one})
    short = searches[searches["way"] == "short"].set_index("candidates")["seconds"]
    many = short.get(100, np.nan) / short.get(10, np.nan)
    steps = [
        {"size": row.size, "way": row.way, "step": step, "share %": 100 * value / row.seconds}
        for row in rows[rows["candidates"] == len(GRID)].dropna(subset="detail").itertuples()
        for step, value in json.loads(row.detail).items()
    ]
    steps = pd.DataFrame(steps, columns=["size", "way", "step", "share %"])
    steps = steps.groupby(["size", "way", "step"], sort=False, as_index=False).median()
    lines = section(
        f"Grid search, {len(GRID)} pairs of loss weights, {N_FOLDS} folds",
        "Fits of plain Keras take the same time each, so one is measured, of another fold in each "
        "run; the score is its own. Of skbbox all are measured; the score is the best mean of the "
        "folds. Feature seconds: what the first candidate takes longer than the second, graphs "
        "too.",
        against(grids[in_a], "plain", "size"),
        "size, way, times faster, seconds, score, fits measured, feature seconds, runs",
    )
    lines += section(
        "Where the time of the grid search goes",
        "Decoding is the time of all its threads together, a part of features.",
        steps,
        "size, way, step, share %",
    )
    lines += section(
        "One fit",
        f"{numbers[0]} images.",
        against(fits[fits["images"] == numbers[0]], "plain", "size"),
        "size, way, times faster, seconds, score, runs",
    )
    lines += section(
        "Predict",
        "Nothing is kept from call to call. Start: what the first call takes longer. The bare "
        f"backbone on tensors is the limit. skbbox is fitted with {SHORT_EPOCHS} epochs; the plain "
        "network is not trained here, its score is that of a fit.",
        calls,
        "size, way, engine, source, than one by one, times faster, ms an image, score, images, "
        "start seconds, runs",
    )
    lines += section(
        "Cost against the number of images",
        f"Beyond {sum(numbers)} images simulated, with copies that differ in their last bytes.",
        pd.concat([by_images, copies]).sort_values(["job", "images"], kind="stable"),
        "job, images, way, times faster, seconds, score, ms an image, runs",
    )
    lines += section(
        "Cost against the number of candidates",
        f"100 candidates take {cell(many, 1)} times as long as 10. Plain Keras is measured for one "
        "and multiplied. Features: what the first candidate takes longer than the second.",
        searches,
        "candidates, images, way, times faster, seconds, seconds of plain, score, "
        "features share %, runs",
    )
    if not (copies.empty and searches.empty):
        lines += ["", f"![Time against images and candidates](images/{plot.name})"]
        write_plot(by_images, copies, searches, plot)
    return lines + section(
        "Memory",
        "Peak of a job; growth of what is resident, in the second half of a search.",
        medians.sort_values(["job", "size", "images"], kind="stable"),
        "job, size, images, candidates, way, engine, source, peak GB, growth MB a fit",
    )


def against(rows, way, by):
    """Rows with how many times faster they are than a way, where a column is equal."""
    base = rows[rows["way"] == way].groupby(by)["ms an image"].first()
    return rows.assign(**{"times faster": rows[by].map(base) / rows["ms an image"]})


def section(title, note, rows, columns):
    """A heading, a note and a table, or nothing where there are no rows."""
    if rows.empty:
        return []
    columns = columns.split(", ")
    table = [columns, ["---"] * len(columns)]
    for _, row in rows.replace({"way": WAYS}).iterrows():
        table.append([cell(row[column], DIGITS.get(column, 1)) for column in columns])
    return ["", f"## {title}", "", note, "", *(f"| {' | '.join(cells)} |" for cells in table)]


def cell(value, digits):
    """A value of a table."""
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.{digits}f}"
    return str(value)


def write_plot(fits, predictions, searches, path):
    """Time against the number of images, and of candidates."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    colours = {"plain": "tab:red", "skbbox": "tab:blue", "short": "tab:cyan"}

    def draw(ax, x, rows, style, label):
        for way, part in rows.sort_values(x).groupby("way"):
            look = {"color": colours[way], "label": label.format(WAYS[way])}
            ax.plot(part[x], part["seconds"], style, **look)

    draw(left, "images", fits, "o-", "fit: {}")
    draw(left, "images", predictions, "s--", "predict: {}")
    draw(right, "candidates", searches, "o-", "{}, measured")
    n = np.array([1, searches["candidates"].max()])
    seconds = searches.loc[searches["way"] == "plain", "seconds"].max()
    right.plot(n, n * seconds, ":", color=colours["plain"], label="plain Keras, times n")
    left.set(xlabel="images", ylabel="seconds", title="One fit, one predict")
    title = f"Grid search, {N_FOLDS} folds of {searches['images'].max()} images"
    right.set(xlabel="pairs of loss weights", ylabel="seconds", title=title)
    for ax in (left, right):
        ax.set(xscale="log", yscale="log")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_major_formatter("{x:,g}")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
