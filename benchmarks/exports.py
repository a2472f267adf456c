"""Compare exported networks with ``predict``, on photographs of 30 sizes.

Trains the default network on half of a folder of photographs, exports it to each target and runs
it on the others, each stretched to one of 30 sizes. Prints CSV: megabytes of the file;
milliseconds per image and call; mean IoU and class accuracy against the annotations, beside those
of ``predict``; and the median and the largest distance of an edge from that of ``predict``.
Quantised networks are written whatever they lose. Run it on an idle machine: times depend on its
load.

    python benchmarks/exports.py folder_with_images_and_annotations
    python benchmarks/exports.py folder --formats openvino --n-images 50
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from skbbox import SingleBoxLocalizer, iou, one_box_per_image
from skbbox.boxes import COORDINATES
from skbbox.datasets import load_annotated_folder
from skbbox.export.quantization import OPENERS
from skbbox.images import load_image

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "tflite": ".tflite", "saved_model": ""}

COLUMNS = ("format", "quantize", "megabytes", "ms", "mean_iou", "accuracy", "median", "largest")

#: Sides of the photographs, and number of their sizes.
SIDES, N_SIZES = (100, 900), 30

#: Images to calibrate with; those of the training, which leaves the others to compare on.
N_CALIBRATION = 100


def main():
    """Train, export, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", nargs="+", choices=ENDINGS, default=list(ENDINGS))
    parser.add_argument("--n-images", type=int, default=500)
    parser.add_argument("--n-looks", type=int, choices=(1, 2), default=2)
    parsed = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = one_box_per_image(load_annotated_folder(parsed.folder))
    rows = rng.permutation(len(X))
    train, test = rows[: len(X) // 2], np.resize(rows[len(X) // 2 :], parsed.n_images)
    localizer = SingleBoxLocalizer(random_state=0, n_looks=parsed.n_looks)
    localizer.fit(X.iloc[train], y.iloc[train])
    sizes = rng.integers(*SIDES, (N_SIZES, 2)).tolist()
    images = [load_image(X.iloc[row], sizes[n % N_SIZES]) for n, row in enumerate(test)]
    y = y.iloc[test]
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    expected = localizer.predict(images)
    boxes, names = expected[list(COORDINATES)].to_numpy(), expected["class_name"].to_numpy()
    writer.writerow(["predict", "", "", "", *score(boxes, names, y), "", ""])
    with tempfile.TemporaryDirectory() as folder:
        for format in parsed.formats:
            for quantize in (None, "float16", "int8") if format != "saved_model" else (None,):
                path = Path(folder) / f"{quantize}{ENDINGS[format]}"
                calibration = X.iloc[train[:N_CALIBRATION]] if quantize else None
                localizer.export(
                    path, format=format, quantize=quantize, calibration=calibration, force=True
                )
                found, names, milliseconds = run(path, format, images, localizer)
                distances = np.abs(found - boxes).max(axis=1)
                row = [format, quantize or "", f"{count_bytes(path) / 1e6:.2f}"]
                row += [f"{milliseconds:.1f}", *score(found, names, y)]
                writer.writerow([*row, f"{np.median(distances):.5f}", f"{distances.max():.5f}"])
                sys.stdout.flush()


def run(path, format, images, localizer):
    """Boxes and class names of an exported network, and milliseconds per image."""
    size = localizer.model_.input_shape[1:3]
    compute = open_saved_model(path) if format == "saved_model" else OPENERS[format](path)
    if format == "tflite":
        images = [load_image(image, size) for image in images]
    compute(images[0][None])
    start = time.perf_counter()
    outputs = [compute(image[None]) for image in images]
    seconds = time.perf_counter() - start
    found = {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}
    names = localizer.classes_[found["probabilities"].argmax(axis=1)]
    return found["box"], names, 1000 * seconds / len(images)


def open_saved_model(path):
    """A function that computes the outputs of a batch."""
    import tensorflow as tf

    model = tf.saved_model.load(str(path))

    def compute(image):
        outputs = model.signatures["serving_default"](image=tf.constant(image))
        return {name: values.numpy() for name, values in outputs.items()}

    return compute


def score(boxes, names, y):
    """Mean IoU and class accuracy."""
    mean_iou = iou(boxes, y[list(COORDINATES)].to_numpy()).mean()
    return f"{mean_iou:.4f}", f"{(names == y['class_name'].to_numpy()).mean():.4f}"


def count_bytes(path):
    """Bytes of a file, of a folder, or of both files of OpenVINO."""
    files = path.rglob("*") if path.is_dir() else {path, path.with_suffix(".bin")}
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
