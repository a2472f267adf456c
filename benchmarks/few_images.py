"""Compare ``predict`` of few images with the bare network, and one thread with eight.

Prints Markdown tables: the time of ``predict`` for 1 to 64 images on each engine, divided by that
of ``model_.predict_on_batch`` for one; how many single images one thread and eight threads predict;
the time of the first ``predict`` after ``load`` in a new process; and how long the service of
``examples/serve.py`` takes to answer. What is compared is measured in turn, in one process, so
that other load slows down both. Ratios of processor time hardly depend on such load.

    python benchmarks/few_images.py
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from PIL import Image

from skbbox import SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.engines.registry import ENGINES, missing_packages

NUMBERS = (1, 2, 4, 8, 16, 32, 64)

FIRST = """
import time
start = time.perf_counter(), time.process_time()
def show(step):
    now = time.perf_counter(), time.process_time()
    print(f"| {step} | {now[0] - start[0]:.1f} | {now[1] - start[1]:.1f} |")
import sys
import numpy as np
from skbbox import SingleBoxLocalizer
import keras
show("import skbbox and Keras")
localizer = SingleBoxLocalizer.load(sys.argv[1])
show("load")
localizer.predict(np.zeros((1, 224, 224, 3), np.uint8))
show("predict")
"""


def measure(function, *arguments):
    """Seconds, and seconds of processor time."""
    # TensorFlow's threads keep running for a while after they have finished.
    time.sleep(0.02)
    start = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def draw_images(n, rng):
    """New images, so that no features are known."""
    return list(rng.integers(0, 256, (n, 224, 224, 3), dtype=np.uint8))


def compare_numbers(localizers, rounds, rng):
    """Print time per image, as a ratio to the network alone for one image."""
    network = localizers["keras"].model_.predict_on_batch
    network(np.stack(draw_images(1, rng)))
    for localizer in localizers.values():
        localizer.warm_up(NUMBERS)
    keys = [("network", 1), *((name, n) for name in localizers for n in NUMBERS)]
    seconds = {key: [] for key in keys}
    for _ in range(rounds):
        # In another order each time: threads of one engine may still run when the next begins.
        for row in rng.permutation(len(keys)):
            name, n = keys[row]
            images = draw_images(n, rng)
            if name == "network":
                seconds[name, n].append(measure(network, np.stack(images)))
            else:
                seconds[name, n].append(measure(localizers[name].predict, images))
    medians = {key: np.median(values, axis=0) for key, values in seconds.items()}
    bare = medians["network", 1]
    print(f"\n`model_.predict_on_batch`, 1 image: {1000 * bare[0]:.1f} ms\n")
    print("| engine |", " | ".join(f"{n}" for n in NUMBERS), "|")
    print("|---" * (len(NUMBERS) + 1) + "|")
    for kind, name in ((0, ""), (1, ", processor time")):
        for engine in localizers:
            ratios = [medians[engine, n][kind] / n / bare[kind] for n in NUMBERS]
            print(f"| {engine}{name} |", " | ".join(f"{ratio:.2f}" for ratio in ratios), "|")


def predict_each(localizer, images, threads):
    """Predict images one by one, with a pool of threads."""
    return list(threads.map(localizer.predict, images))


def compare_threads(localizers, rounds, rng):
    """Print how many images per second one thread and eight threads predict one by one."""
    print("\n| engine | 1 thread, images/s | 8 threads, images/s | ratio |\n|---|---|---|---|")
    images = [[image] for image in draw_images(40, rng)]
    for engine, localizer in localizers.items():
        seconds = {1: [], 8: []}
        for _ in range(rounds):
            for n_threads, measured in seconds.items():
                with ThreadPoolExecutor(n_threads) as threads:
                    measured.append(measure(predict_each, localizer, images, threads)[0])
        one, eight = (len(images) / np.median(seconds[n]) for n in (1, 8))
        print(f"| {engine} | {one:.0f} | {eight:.0f} | {eight / one:.2f} |")


def measure_service(localizer, n_requests, rng):
    """Print how long a service takes to answer: eight at a time, some of which are damaged."""
    import httpx
    import uvicorn

    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import serve

    server = uvicorn.Server(uvicorn.Config(serve.make_app(localizer), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    files = []
    for image in draw_images(20, rng):
        file = io.BytesIO()
        Image.fromarray(image).resize((640, 480)).save(file, "JPEG")
        files.append(file.getvalue())
    uploads = [files[row % 20] if row % 10 else files[0][:5000] for row in range(n_requests)]
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ThreadPoolExecutor(8) as threads,
    ):

        def post(upload):
            return measure(lambda: client.post("/predict", content=upload))[0]

        seconds = list(threads.map(post, uploads))
    server.should_exit = True
    thread.join()
    p50, p99 = 1000 * np.percentile(seconds, (50, 99))
    print(f"\nservice, {n_requests} requests, 8 at a time: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


def main():
    """Fit a small estimator and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--n-looks", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    fitted = SingleBoxLocalizer(epochs=1, n_looks=arguments.n_looks, random_state=0)
    fitted.fit(*make_shapes(40, image_size=224, random_state=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "localizer.skbbox"
        fitted.save(path)
        engines = [name for name, packages in ENGINES.items() if not missing_packages(packages)]
        localizers = {
            name: SingleBoxLocalizer.load(path).set_params(engine=name) for name in engines
        }
        compare_numbers(localizers, arguments.rounds, rng)
        compare_threads(localizers, 4, rng)
        if not missing_packages(["fastapi", "uvicorn", "httpx"]):
            measure_service(next(iter(localizers.values())), 200, rng)
        print("\n| after | seconds | processor seconds |\n|---|---|---|", flush=True)
        subprocess.run([sys.executable, "-c", FIRST, path], check=True)


if __name__ == "__main__":
    main()
