"""What the jobs measure: a grid search, a fit, or predictions."""

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import joblib
import keras
import numpy as np
import psutil
from sklearn.model_selection import GridSearchCV

from skbbox import DummyLocalizer, SingleBoxLocalizer, StratifiedBoxKFold, mean_iou
from skbbox.engines.registry import ENGINES
from skbbox.features import forget_features, prefetch
from skbbox.features.frozen_backbone import FrozenBackbone
from skbbox.training import initial_model

from .jobs import DECODING, GRID, N_FOLDS, SHORT_EPOCHS, load_sample
from .plain_keras import (
    BATCH,
    PlainGenerator,
    PlainLocalizer,
    call_and_record_wait,
    load_plain_image,
    measure_time,
    plain_backbone,
    plain_model,
)

#: Images in memory as tensors for the backbone alone, and images predicted before the copies are.
TENSORS, WARM_UP = 256, 200


def grid(job, arguments):
    """A search over loss weights.

    If only some of its fits are measured, the time is extrapolated to all. A single measured fit
    uses another fold in each run.
    """
    X, y = load_sample(arguments, "train", job["images"])
    n, measured, memory = job["candidates"], job["measured"], []
    folds = list(StratifiedBoxKFold(N_FOLDS, shuffle=True, random_state=0).split(X, y))
    if measured == 1:
        folds = [folds[job["run"] % N_FOLDS]]
    # The optimizer does not accept NumPy numbers as weights.
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
    steps = {} if job["way"] == "plain" else time_steps()
    seconds, _ = measure_time(search.fit, X, y)
    result = {"seconds": seconds * n * N_FOLDS / measured, "score": search.best_score_}
    if steps:
        decoding = steps.pop(DECODING)
        steps["everything else"] = seconds - sum(steps.values())
        result["detail"] = json.dumps(steps | {DECODING: decoding})
    times = search.cv_results_["mean_fit_time"] + search.cv_results_["mean_score_time"]
    if len(times) > 1:
        result["feature seconds"] = float(N_FOLDS * (times[0] - times[1]))
    late = memory[len(memory) // 2 :]
    if len(late) > 1:
        result["growth MB a fit"] = float(np.polyfit(range(len(late)), late, 1)[0])
    return result


def time_steps():
    """Wrap functions of skbbox and return a dict that accumulates the seconds of each step."""
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

    watch(initial_model, "build_model", "building the network")
    watch(FrozenBackbone, "compute_features", "features")
    watch(keras.Model, "fit", "training steps")
    watch(SingleBoxLocalizer, "score", "scoring")
    watch(prefetch, "load_row", DECODING)
    return seconds


def new_estimator(way, size):
    """An unfitted estimator for one side of the comparison."""
    if way in ("plain", "better"):
        return PlainLocalizer(image_size=size)
    epochs = SHORT_EPOCHS if way == "short" else "auto"
    return SingleBoxLocalizer(image_size=size, epochs=epochs, random_state=0)


def fit(job, arguments):
    """One fit and its score on val; with `save`, the estimator is stored."""
    estimator = new_estimator(job["way"], job["size"])
    train, val = load_sample(arguments, "train", job["images"]), load_sample(arguments, "val")
    if job["source"] == "copies":
        return fit_copies(estimator, train, val, job["images"])
    result = {}
    if job["way"] == "better":
        median = float(DummyLocalizer().fit(*train).score(*val))
        seconds, epochs = estimator.fit_until_better(*train, *val, median)
        result["detail"] = json.dumps({"epochs": epochs, "median box": median})
    else:
        seconds, _ = measure_time(estimator.fit, *train)
    if "save" in job:
        joblib.dump(estimator, job["save"])
    return result | {"seconds": seconds, "score": float(estimator.score(*val))}


def fit_copies(estimator, train, val, n):
    """A fit on `n` images, most of them copies, and the disk that it takes."""
    X, y = train
    largest, done = 0, threading.Event()

    def watch_disk():
        nonlocal largest
        before = shutil.disk_usage(tempfile.gettempdir()).used
        while not done.wait(1.0):
            largest = max(largest, shutil.disk_usage(tempfile.gettempdir()).used - before)

    with tempfile.TemporaryDirectory() as folder:
        X = make_distinct_files([*X], n, Path(folder))
        y = y.iloc[np.arange(n) % len(y)].reset_index(drop=True)
        watcher = threading.Thread(target=watch_disk)
        watcher.start()
        try:
            seconds, _ = measure_time(estimator.fit, X, y)
        finally:
            done.set()
            watcher.join()
    detail = json.dumps({"disk GB": largest / 1e9})
    return {"seconds": seconds, "score": float(estimator.score(*val)), "detail": detail}


def predict(job, arguments):
    """Predictions of images without cached features, after a first call."""
    way, source, size, n = (job[name] for name in ("way", "source", "size", "images"))
    (X, y), (seen, _) = load_sample(arguments, "val"), load_sample(arguments, "train")
    X = [*X, *seen]
    with tempfile.TemporaryDirectory() as folder:
        if source == "copies":
            X, first_of_all = make_distinct_files(X, n, Path(folder)), [*seen][:WARM_UP]
        else:
            X = X[:n] if source == "files" else load_pixels(X, size, source)
            # skbbox predicts many images in another way, so its warm-up uses all of them.
            first_of_all = X if way == "skbbox" else X[:WARM_UP]
        ready, function = measure_time(make_predictor, way, job["engine"], size, job["model"])
        first, _ = measure_time(function, first_of_all)
        seconds = 0.0
        for _ in range(n // len(X)):
            forget_features()
            spent, predicted = measure_time(function, X)
            seconds += spent
    # The figures must not be those of another engine.
    if job["engine"] in ENGINES and job["engine"] not in sys.modules:
        raise RuntimeError(f"{job['engine']} was not used.")
    scored = way == "skbbox" and source != "copies"
    score = mean_iou(y, predicted.iloc[: len(y)]) if scored else None
    start = max(first - seconds / n * len(first_of_all), 0.0)
    if way == "bare":
        # skbbox converts the network in its first call.
        start += ready
    return {"seconds": seconds, "score": score, "start seconds": start}


#: Functions by the name of the job.
MEASUREMENTS = {"grid": grid, "fit": fit, "predict": predict}


def make_distinct_files(paths, n, folder):
    """`n` files; those beyond the available ones are copies that differ in their last bytes.

    Identical copies would be found among the cached features.
    """
    copies = []
    for number in range(len(paths), n):
        path = Path(paths[number % len(paths)])
        copies.append(str(folder / f"{number}{path.suffix}"))
        Path(copies[-1]).write_bytes(path.read_bytes() + number.to_bytes(8, "little"))
    return [*paths[:n], *copies]


def load_pixels(paths, size, source):
    """Images in memory: uint8 pixels, or tensors for the backbone in full batches."""
    if source == "tensors":
        return np.stack([load_plain_image(path, size) for path in np.resize(paths, TENSORS)])
    options = {"target_size": (size, size), "interpolation": "bilinear"}
    return np.stack([np.asarray(keras.utils.load_img(path, **options)) for path in paths])


def make_predictor(way, engine, size, model):
    """The function that predicts images."""
    if way == "skbbox":
        return joblib.load(model).set_params(engine=engine).predict
    if way == "bare":
        function = make_bare_backbone(engine, size)
        return lambda X: [function(X[i : i + BATCH]) for i in range(0, len(X), BATCH)]
    # Its time does not depend on its weights.
    network = plain_model(size, n_classes=20)
    if way == "plain":
        return lambda X: call_and_record_wait(network.predict, PlainGenerator(X, size))
    return lambda X: [network.predict(load_plain_image(path, size)[None], verbose=0) for path in X]


def make_bare_backbone(engine, size):
    """The backbone alone, run by an engine on a batch in memory."""
    backbone = keras.Model(*plain_backbone(size))
    if engine == "keras":
        return backbone.predict_on_batch
    with tempfile.TemporaryDirectory() as folder:
        if engine == "openvino":
            import openvino

            backbone.export(folder, verbose=False)
            # OpenVINO is fastest with single images, several of them in parallel.
            network = openvino.convert_model(folder, input=[[1, size, size, 3]])
            hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
            queue = openvino.AsyncInferQueue(openvino.Core().compile_model(network, "CPU", hints))

            def run(batch):
                for row in range(len(batch)):
                    queue.start_async({0: batch[row : row + 1]})
                queue.wait_all()

            return run
        import onnxruntime

        # Keras exports only models that have been called.
        backbone(np.zeros((1, size, size, 3), "float32"))
        path = os.path.join(folder, "backbone.onnx")
        backbone.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]
