"""Compare two commits bit for bit: weights, predictions, search results, saved files, annotations.

    python benchmarks/compare_commits.py OLD NEW [--shared FOLDER] [--only NAME ...]

Each commit is checked out into a temporary worktree, where the cases below run in a new process
with the packages of this Python. A case returns named values, whose digests must be equal. Changes
on purpose are translated: the column ``confidence`` is ``box_confidence``, or ``class_confidence``
without one; module paths and versions in saved files are ignored.

``--shared`` names a folder with ``datasets/``, ``formats/`` and ``keras-home/``; without it, cases
that need real files are skipped, and the last line says so. The exit code is 1 if a value differs.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

CASES = {}


def case(function):
    """Register a function that takes a work folder and the shared folder, and returns a dict."""
    CASES[function.__name__] = function
    return function


def shapes():
    from skbbox.datasets import make_shapes

    return make_shapes(48, image_size=32, random_state=0)


def make_localizer(**changes):
    from skbbox import SingleBoxLocalizer
    from skbbox.network import small_convnet

    defaults = {
        "backbone": small_convnet,
        "weights": None,
        "image_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "random_state": 0,
    }
    return SingleBoxLocalizer(**(defaults | changes))


def frozen(**changes):
    import keras

    from skbbox.network import small_convnet

    keras.utils.set_random_seed(7)
    return make_localizer(backbone=small_convnet((32, 32, 3)), weights="imagenet", **changes)


def describe(localizer, X, folder):
    """All results of a fitted estimator."""
    path = Path(folder) / "model.skbbox"
    localizer.save(path, overwrite=True)
    described = {
        "weights": localizer.model_.get_weights(),
        "history": localizer.history_,
        "stages": localizer.stages_,
        "predictions": translate(localizer.predict(X)),
        "embedding": localizer.embed(X),
        "saved file": read_saved(path),
        "predictions after load": translate(type(localizer).load(path).predict(X)),
    }
    if localizer.classes_ is not None:
        described["probabilities"] = localizer.predict_proba(X)
    return described


def translate(predicted):
    """Predictions with the earlier column ``confidence`` instead of the two confidences."""
    predicted = predicted.copy()
    names = [name for name in ("box_confidence", "class_confidence") if name in predicted]
    if names:
        predicted["confidence"] = predicted[names[0]]
    return predicted.drop(columns=[*names, "error"], errors="ignore")


def read_saved(path):
    """Members of a saved file, without checksums, versions and module paths."""
    members = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "checksums.json":
                continue
            if name.endswith(".json"):
                loaded = json.loads(content)
                if name == "about.json":
                    loaded.pop("versions")
                text = json.dumps(loaded, sort_keys=True)
                content = re.sub(r'(\\*")skbbox\.[\w.]+\1', r"\1skbbox\1", text).encode()
            members[name] = hashlib.sha256(content).hexdigest()
    return members


@case
def trained_from_scratch(folder, shared):
    X, y = shapes()
    values = {}
    for head in ("spatial", "dense", "pooled"):
        values[head] = describe(make_localizer(box_head=head).fit(X, y), X, folder)
    boxes_only = make_localizer().fit(X, y.drop(columns="class_name"))
    values["boxes only"] = describe(boxes_only, X, folder)
    return values


@case
def frozen_backbone(folder, shared):
    X, y = shapes()
    values = {}
    for head in ("spatial", "dense", "pooled"):
        values[head] = describe(frozen(box_head=head).fit(X, y), X, folder)
    for engine in ("keras", "openvino", "onnxruntime"):
        values[engine] = describe(frozen(engine=engine).fit(X, y), X, folder)
    memory = frozen(memory=Path(folder) / "memory").fit(X, y)
    values["memory"] = translate(memory.predict(X))
    values["memory, found again"] = translate(memory.predict(X[::-1]))
    return values


@case
def training_options(folder, shared):
    import keras
    from sklearn.base import clone

    X, y = shapes()
    weight = np.linspace(0.5, 2, len(X))
    estimators = {
        "auto epochs": frozen(epochs="auto", augment="flip", batch_size=48),
        "fine-tuning": frozen(fine_tune_epochs=2),
        "fine-tuning alone": frozen(epochs=0, fine_tune_epochs=1),
        "early stopping": frozen(
            early_stopping=True, validation_fraction=0.25, epochs=6, patience=1
        ),
        "class weight": make_localizer(class_weight="balanced"),
        "validation": make_localizer(validation_fraction=0.2, augment=None),
        "constant rate": make_localizer(learning_rate_schedule="constant", learning_rate=1e-3),
        "SGD": make_localizer(optimizer=keras.optimizers.SGD(0.01, momentum=0.9)),
        "callable augmentation": frozen(augment=darken),
        "loss weights": frozen(class_loss_weight=0.5, box_loss_weight=10.0, box_loss="ciou"),
        "callable loss": make_localizer(box_loss=absolute_error),
        "random state object": make_localizer(random_state=np.random.RandomState(3)),
        "standard augmentation": make_localizer(augment="standard", dropout=0.5, l2=0.01),
        "checkpoint": frozen(checkpoint=Path(folder) / "checkpoints"),
    }
    values = {}
    for name, estimator in estimators.items():
        fitted = estimator.fit(X, y)
        values[name] = [fitted.model_.get_weights(), fitted.history_, translate(fitted.predict(X))]
    weighted = clone(estimators["class weight"]).fit(X, y, sample_weight=weight)
    values["sample weight"] = [weighted.model_.get_weights(), list(weighted.score(X, y, weight))]
    warm = frozen(warm_start=True, fine_tune_epochs=1).fit(X, y).fit(X, y)
    values["warm start"] = [warm.model_.get_weights(), warm.history_, warm.stages_]
    return values


def darken(image, box, rng):
    return (image * rng.uniform(0.5, 1)).astype(np.uint8), box


def absolute_error(y_true, y_pred):
    import keras

    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


@case
def classifier(folder, shared):
    import keras

    from skbbox import SingleBoxLocalizer
    from skbbox.network import small_convnet

    X, y = shapes()
    keras.utils.set_random_seed(11)
    backbone = small_convnet((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    outputs = keras.layers.Dense(y["class_name"].nunique(), activation="softmax")(pooled)
    start = SingleBoxLocalizer.from_classifier(
        keras.Model(backbone.input, outputs),
        image_size=32,
        epochs=2,
        preprocessing=None,
        random_state=0,
    )
    return describe(start.fit(X, y), X, folder)


@case
def unreadable_images(folder, shared):
    from PIL import Image

    X, y = shapes()
    paths = []
    for row, pixels in enumerate(X):
        paths.append(Path(folder) / f"{row:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    paths[5].write_bytes(b"damaged")
    skipping = frozen(on_bad_image="skip").fit(paths, y)
    scratch = make_localizer(on_bad_image="skip").fit(paths, y)
    return {
        "rows": [list(skipping.bad_images_), list(scratch.bad_images_)],
        "weights": [skipping.model_.get_weights(), scratch.model_.get_weights()],
        "predictions": [translate(skipping.predict(paths)), translate(scratch.predict(paths))],
        "score": list(skipping.score(paths, y)),
    }


@case
def searches(folder, shared):
    from sklearn.model_selection import GridSearchCV

    from skbbox import StratifiedBoxKFold, localization_scorer

    X, y = shapes()
    grid = {"class_loss_weight": [0.5, 1], "box_loss_weight": [1, 10]}
    values = {}
    for name, estimator in {"frozen": frozen(), "from scratch": make_localizer()}.items():
        for n_jobs in (1, 2):
            search = GridSearchCV(
                estimator,
                grid,
                scoring=localization_scorer if n_jobs == 2 else None,
                cv=StratifiedBoxKFold(3),
                n_jobs=n_jobs,
            ).fit(X, y)
            scores = {
                k: v for k, v in search.cv_results_.items() if "score" in k and "time" not in k
            }
            values[f"{name}, {n_jobs} jobs"] = [
                {key: np.asarray(value) for key, value in scores.items()},
                search.best_params_,
                translate(search.predict(X)),
            ]
    return values


@case
def label_issues(folder, shared):
    from skbbox import rank_label_issues

    X, y = shapes()
    heads = ("spatial", "pooled")
    return {h: rank_label_issues(make_localizer(box_head=h), X, y, cv=2) for h in heads}


@case
def exported_onnx(folder, shared):
    import onnxruntime

    X, y = shapes()
    path = Path(folder) / "model.onnx"
    frozen().fit(X, y).export(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, {"image": X}), strict=True))
    return {name: outputs[name] for name in ("box", "probabilities")}


@case
def saved_by_0_1_0(folder, shared):
    from skbbox import SingleBoxLocalizer
    from skbbox.datasets import make_shapes

    path = Path(__file__).parent.parent / "tests" / "data" / "model-0.1.0.skbbox"
    loaded = SingleBoxLocalizer.load(path)
    X, _ = make_shapes(20, image_size=64, random_state=5)
    return {
        "predictions": translate(loaded.predict(list(X))),
        "weights": loaded.model_.get_weights(),
    }


@case
def real_images(folder, shared):
    from sklearn.model_selection import GridSearchCV

    from skbbox import SingleBoxLocalizer, StratifiedBoxKFold, one_box_per_image
    from skbbox.datasets import load_annotated_folder

    boxes = load_annotated_folder(shared / "datasets" / "microcontrollers")
    X, y = one_box_per_image(boxes)
    localizer = SingleBoxLocalizer(image_size=96, epochs=6, random_state=0).fit(X, y)
    grid = {"class_loss_weight": [0.5, 2]}
    search = GridSearchCV(localizer, grid, cv=StratifiedBoxKFold(2)).fit(X, y)
    tuned = SingleBoxLocalizer(
        image_size=96, epochs=2, fine_tune_epochs=1, augment="flip", random_state=1
    ).fit(X, y)
    return {
        "default": describe(localizer, X, folder),
        "score": list(localizer.score(X, y)),
        "search": search.cv_results_["mean_test_score"],
        "fine-tuned": describe(tuned, X, folder),
    }


@case
def annotation_files(folder, shared):
    from skbbox import check_annotations, clean_annotations, read_annotations, write_annotations

    values = {}
    sources = sorted((shared / "formats").glob("*/sample*"))
    for source in sources:
        name = str(source.relative_to(shared))
        try:
            values[name] = read_annotations(source)
        except Exception as error:  # A refusal must stay one of the same type.
            values[name] = type(error).__name__
    for name in ("raccoon_voc/voc", "kangaroo_voc/voc"):
        values[name] = read_annotations(shared / "datasets" / name).drop(columns="image")
    boxes = read_annotations(
        shared / "datasets" / "raccoon_voc" / "annotations.csv",
        images_dir=shared / "datasets" / "raccoon_voc" / "images",
    )
    images = boxes["image"].iloc[0].rsplit("images", 1)[0] + "images"
    for format in ("snacks", "coco", "yolo", "pascal_voc", "cvat", "labelbox"):
        target = Path(folder) / format
        write_annotations(boxes, target, format, images_dir=images)
        files = (
            [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.is_file())
        )
        values[f"written {format}"] = {path.name: path.read_bytes() for path in files}
    problems = check_annotations(boxes)
    values["checked"] = [len(problems), problems["severity"].value_counts().to_dict()]
    values["cleaned"] = clean_annotations(boxes)
    return values


NEEDS_SHARED = ("real_images", "annotation_files")


def digest(value):
    """A digest of a value, equal for values that are equal bit for bit."""
    hashed = hashlib.blake2b(digest_size=8)
    _update(hashed, value)
    return hashed.hexdigest()


def _update(hashed, value):
    if isinstance(value, dict):
        value = [item for pair in sorted(value.items(), key=str) for item in pair]
    if isinstance(value, pd.DataFrame):
        value = [list(value.columns), list(value.index), *(value[name].tolist() for name in value)]
    if isinstance(value, (list, tuple)):
        hashed.update(f"{len(value)}[".encode())
        for part in value:
            _update(hashed, part)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        hashed.update(
            f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
        )
    elif isinstance(value, np.ndarray):
        _update(hashed, value.tolist())
    else:
        hashed.update(repr(value.item() if isinstance(value, np.generic) else value).encode())


def flatten(values, prefix=""):
    """Nested dicts with text as keys as one dict, down to two levels."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict) and prefix.count("/") < 2:
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = digest(value)
    return flat


def run_cases(names, shared, output):
    """Run cases in this process and write the digests as JSON."""
    warnings.simplefilter("ignore")
    digests = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            digests |= flatten(CASES[name](folder, shared), f"{name}/")
    import skbbox

    Path(output).write_text(json.dumps({"package": skbbox.__file__, "digests": digests}))


def run_commit(commit, names, shared, folder):
    """Digests of a commit, in a process of its own."""
    tree, output = Path(folder) / "tree", Path(folder) / "digests.json"
    repository = Path(__file__).resolve().parent.parent
    git = ["git", "-C", str(repository), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
    # Cases are those of this script; only the package is that of the commit.
    environment = os.environ | {"PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "2"}
    if shared:
        environment["KERAS_HOME"] = str(Path(folder) / "keras-home")
        subprocess.run(
            ["cp", "-r", str(shared / "keras-home"), environment["KERAS_HOME"]], check=True
        )
    try:
        subprocess.run(
            [sys.executable, __file__, "--run", *names, "--output", str(output)]
            + (["--shared", str(shared)] if shared else []),
            env=environment,
            check=True,
        )
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    found = json.loads(output.read_text())
    assert Path(found["package"]).is_relative_to(tree), found["package"]
    return found["digests"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="the old and the new commit")
    parser.add_argument("--shared", type=Path, default=os.environ.get("SKBBOX_SHARED"))
    parser.add_argument("--only", nargs="+", choices=CASES, help="run these cases alone")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    shared = None if parsed.shared is None else Path(parsed.shared).resolve()
    if parsed.run:
        run_cases(parsed.run, shared, parsed.output)
        return 0
    if len(parsed.commits) != 2:
        parser.error("pass two commits, such as: v0.1.0 HEAD")
    names = [n for n in parsed.only or CASES if shared or n not in NEEDS_SHARED]
    found = []
    for commit in parsed.commits:
        with tempfile.TemporaryDirectory() as folder:
            found.append(run_commit(commit, names, shared, folder))
    old, new = found
    different = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in names:
        n = sum(key.startswith(f"{name}/") for key in old)
        n_different = sum(key.startswith(f"{name}/") for key in different)
        print(f"{name:24} {n:4} values, {n_different} different")
    for name in different:
        print(f"  {name}: {old.get(name)} {new.get(name)}")
    left_out = [name for name in CASES if name not in names]
    print(f"{len(old)} values compared, {len(different)} different; left out: {left_out or 'none'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
