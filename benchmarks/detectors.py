"""Fine-tune a detector on the data sets and splits of ``accuracy.py``, with weights that you have.

    pip install "./packaging/core[torch]" ultralytics
    python benchmarks/detectors.py folder_with_data_sets --detector yolo --weights yolo11n.pt

    pip install "./packaging/core[torch]" "rfdetr[train]"
    python benchmarks/detectors.py folder_with_data_sets --detector rf-detr --weights nano.pth

The weights are files pretrained on COCO, from the pages of the two projects; the script downloads
none. The detector trains on the training part, of which a tenth chooses the best epoch. The
prediction of a test image is its most confident box, however low the confidence; an image without
any box has an IoU of 0 and a wrong class. Results are appended to ``benchmarks/detectors.csv`` in
the columns of ``accuracy.csv``, and an interrupted benchmark resumes from there.

Without ``--weights`` the detector is trained from scratch. That shows that the script runs, and
says nothing about the detector.
"""

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pandas as pd
import yaml
from accuracy import (
    ALL,
    DATA,
    append_results,
    compute_measures,
    is_done,
    load_data,
    read_results,
    splits,
    summarize,
)
from PIL import Image
from speed.jobs import describe_machine

from skbbox import from_xyxy
from skbbox.boxes import COORDINATES

#: One of this many training images chooses the best epoch.
VALIDATION = 10


def main():
    """Run the missing fits and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--detector", choices=DETECTORS, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--device", default="cpu", help="as PyTorch names it: cpu, cuda")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", default=ALL, help="train on this many, drawn at random")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/detectors.csv"))
    arguments = parser.parse_args()
    if arguments.weights and not arguments.weights.is_file():
        parser.error(f"--weights {arguments.weights}: no such file. See the top of this script.")
    warnings.filterwarnings("ignore", message=".*left out")
    for seed in range(arguments.seeds):
        for name in arguments.data:
            run(name, seed, arguments)
    mean, _ = summarize(read_results(arguments.results))
    print(mean.round(3).to_string())


def run(name, seed, arguments):
    """Train and test on each fold of a data set, except for those already done."""
    _, size, n_folds, n_run = DATA[name]
    X, y = load_data(name, arguments.folder)
    few = arguments.images != ALL
    weights = arguments.weights.stem if arguments.weights else "from scratch"
    model = f"{arguments.detector} {weights}, {arguments.epochs} epochs"
    for fold, (train, test) in enumerate(splits(X, y, n_folds, seed)[: 1 if few else n_run]):
        rng = np.random.default_rng(seed)
        if few:
            train = rng.permutation(train)[: int(arguments.images)]
        key = {"data": name, "images": arguments.images, "seed": seed, "fold": fold, "model": model}
        if is_done(key, arguments.results):
            continue
        classes = sorted(y["class_name"].unique())
        with tempfile.TemporaryDirectory() as folder:
            is_validation = np.arange(len(train)) % VALIDATION == 0
            parts = {"train": train[~is_validation], "valid": train[is_validation]}
            # The test images are not needed, but RF-DETR looks for the folder.
            parts["test"] = parts["valid"]
            for part, rows in parts.items():
                write_part(Path(folder, part), X.iloc[rows], y.iloc[rows], classes)
            data = {"train": "train/images", "val": "valid/images", "test": "test/images"}
            data |= {"path": folder, "names": classes, "nc": len(classes)}
            Path(folder, "data.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
            begun = time.perf_counter()
            # Both detectors need sizes that are multiples of 32.
            size = -(-size // 32) * 32
            find_best = DETECTORS[arguments.detector](Path(folder), size, seed, arguments)
            seconds = time.perf_counter() - begun
            found = [find_best(path) for path in X.iloc[test]]
        predicted = pd.DataFrame([box for box, _ in found], columns=list(COORDINATES))
        names = [classes[number] if number is not None else None for _, number in found]
        predicted["class_name"] = np.array(names, dtype=object)
        scores = compute_measures(y.iloc[test], predicted)
        row = key | {"n": len(test), "seconds": seconds} | scores | {"machine": describe_machine()}
        print(row, flush=True)
        append_results([row], arguments.results)


def write_part(folder, X, y, classes):
    """Link images, and write their labels as YOLO reads them: class, centre and size."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number, (path, row) in enumerate(zip(X, y.to_dict("records"), strict=True)):
        suffix = Path(path).suffix
        (folder / "images" / f"{number}{suffix}").symlink_to(Path(path).absolute())
        x_min, x_max, y_min, y_max = (row[name] for name in COORDINATES)
        box = ((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min)
        line = " ".join([str(classes.index(row["class_name"])), *(f"{side:.6f}" for side in box)])
        (folder / "labels" / f"{number}.txt").write_text(line + "\n", encoding="utf-8")


def train_yolo(folder, size, seed, arguments):
    """Train a YOLO; return a function that gives the best box and class of a path."""
    from ultralytics import YOLO

    YOLO(arguments.weights or "yolo11n.yaml").train(
        data=folder / "data.yaml",
        epochs=arguments.epochs,
        imgsz=size,
        seed=seed,
        device=arguments.device,
        project=folder,
        name="run",
        plots=False,
        verbose=False,
        workers=0,
    )
    best = YOLO(folder / "run" / "weights" / "best.pt")

    def find_best(path):
        (result,) = best.predict(
            path, imgsz=size, conf=0.0, max_det=1, device=arguments.device, verbose=False
        )
        boxes = result.boxes
        return choose_best(boxes.xyxyn.numpy(force=True), boxes.conf, boxes.cls)

    return find_best


def train_rf_detr(folder, size, seed, arguments):
    """Train an RF-DETR; return a function that gives the best box and class of a path."""
    from rfdetr import RFDETRNano

    weights = arguments.weights and str(arguments.weights)
    model = RFDETRNano(pretrain_weights=weights, resolution=size, device=arguments.device)
    model.train(
        dataset_dir=str(folder),
        epochs=arguments.epochs,
        output_dir=str(folder / "run"),
        seed=seed,
        num_workers=0,
        device=arguments.device,
    )

    def find_best(path):
        with Image.open(path) as image:
            image = image.convert("RGB")
        found = model.predict(image, threshold=0.0)
        sides = np.array([image.width, image.height] * 2)
        return choose_best(found.xyxy / sides, found.confidence, found.class_id)

    return find_best


def choose_best(boxes, confidences, classes):
    """The most confident box, in our order, and its class; of no box, NaN and None."""
    if not len(boxes):
        return [np.nan] * 4, None
    best = int(np.argmax(np.asarray(confidences)))
    return from_xyxy(boxes[best].clip(0, 1)), int(classes[best])


DETECTORS = {"yolo": train_yolo, "rf-detr": train_rf_detr}

if __name__ == "__main__":
    main()
