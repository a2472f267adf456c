"""Simulate ``skbbox label`` with a script as the user, who knows the true boxes.

The script asks the real server over HTTP and waits for each training. Where the proposal is usable,
that is with the right class and an IoU of at least 0.75, it is accepted unchanged, else the true
label is given. A quarter of the groups is held out. Columns of the output:

* ``usable_60`` and ``usable_60_random``: share of usable proposals for labels 61 to 120, and for
  those of them that were drawn at random.
* ``usable``, ``usable_random``: the same for all labels after the first training.
* ``chosen``, ``true``, ``random``, ``all``: mean IoU and share with the right class and an IoU of
  at least 0.5, on the held-out images, of ``SingleBoxLocalizer(random_state=0)`` fitted to the
  labels of the loop (60 % of all), to the true labels of the same images, to those of as many
  random ones, and to all.

    python benchmarks/labelling.py FOLDER --data microcontrollers --seeds 0 --output labelling.csv
"""

import argparse
import contextlib
import csv
import json
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from skbbox import (
    iou,
    localization_accuracy,
    one_box_per_image,
    read_annotations,
)
from skbbox.boxes import COORDINATES
from skbbox.labelling import make_estimator
from skbbox.labelling.images import ImageFolder
from skbbox.labelling.running import serve
from skbbox.labelling.scores import USABLE_IOU
from skbbox.labelling.session import Session, Settings
from skbbox.labelling.table import LabelTable

DATA = {
    "raccoon+kangaroo": ("raccoon_voc", "kangaroo_voc"),
    "microcontrollers": ("microcontrollers",),
    "asl_letters": ("asl_letters",),
}
#: Share of the labels that the loop may choose, and the first labels with mostly poor proposals.
SHARE, FIRST = 0.6, 60


def read_data(folder, names):
    """X, y and groups of one or several data sets."""
    tables, groups = [], []
    for name in names:
        images_dir = folder / name / "images"
        tables.append(read_annotations(folder / name / "annotations.csv", images_dir=images_dir))
        table = pd.read_csv(folder / name / "groups.csv", dtype=str)
        groups.append(dict(zip(table["image_id"], name + table["group"], strict=True)))
    X, y = one_box_per_image(pd.concat(tables, ignore_index=True))
    known = {image_id: group for part in groups for image_id, group in part.items()}
    return X, y, [known[Path(image).stem] for image in X]


class User:
    """Answers the server's questions with the true labels."""

    def __init__(self, url, truth):
        self.url, self.truth = url, truth

    def post(self, name, **values):
        data = json.dumps({"window": "user", **values}).encode()
        request = urllib.request.Request(self.url + name, data, method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def label(self, task):
        """Save the label of an image; returns whether the proposal was usable, and the next."""
        true, proposal = self.truth[task["name"]], task["proposal"]
        is_usable = None
        given = {"class_name": true["class_name"], "box": true["box"]}
        if proposal is not None:
            is_usable = (
                proposal["box"] is not None
                and proposal["class_name"] == true["class_name"]
                and iou([proposal["box"]], [true["box"]])[0] >= USABLE_IOU
            )
            given = {key: proposal[key] for key in given} if is_usable else given
        task = self.post("save", image=task["image"], version=task["version"], label=given)
        return is_usable, task


def simulate(X, y, seed, work, n_labels, parameters):
    """Label images through the server; returns a table of what happened to each."""
    common = Path(X.iloc[0]).parents[2]
    images = ImageFolder(common, X)
    truth = {
        str(Path(image).relative_to(common)): {"class_name": row[0], "box": [*map(float, row[1:])]}
        for image, row in zip(X, y[["class_name", *COORDINATES]].to_numpy(), strict=True)
    }
    table = LabelTable(work / f"labels-{seed}.csv", common)
    estimator = make_estimator(work, **parameters)
    session = Session(images, table, work / str(seed), estimator, Settings(random_state=seed))
    rows = []
    with serve(session) as url:
        user = User(url, truth)
        task = user.post("next")
        while task["image"] is not None and len(rows) < n_labels:
            is_usable, following = user.label(task)
            rows.append((task["name"], task["is_random"], is_usable))
            wait_for_model(session)
            task = following
    labels = table.list_labels()
    return pd.DataFrame(rows, columns=["image", "is_random", "is_usable"]), labels, common


def wait_for_model(session):
    """Wait until the model is trained and has proposed labels for the next images."""
    while session.describe()["model"]["status"] == "training":
        time.sleep(0.05)
    model = session.describe()["model"]
    if model["status"] == "failed":
        raise RuntimeError(model["reason"])
    windows = session._windows.values()
    end = time.monotonic() + 60
    while model["n_labels"] and time.monotonic() < end:
        numbers = [choice.number for window in windows for choice in window.planned]
        if all(number in session._queue.proposals for number in numbers):
            return
        time.sleep(0.05)


def score(labels, common, X_test, y_test, parameters, work):
    """Mean IoU and accuracy of a model that is fitted to some labels."""
    X = [str(common / name) for name in labels]
    y = pd.DataFrame(
        [(label.class_name, *label.box) for label in labels.values()],
        columns=["class_name", *COORDINATES],
    )
    localizer = make_estimator(work, **parameters).fit(X, y)
    predicted = localizer.predict(X_test)
    return localizer.score(X_test, y_test).mean_iou, localization_accuracy(y_test, predicted)


def run(folder, name, seed, parameters, kept, limit):
    """One row of the output."""
    X, y, groups = read_data(folder, DATA[name])
    splitter = GroupShuffleSplit(1, test_size=0.25, random_state=seed)
    train, test = next(splitter.split(X, y, groups))
    if limit and len(train) > limit:
        train = np.sort(np.random.default_rng(seed).choice(train, limit, replace=False))
    X_train, y_train, X_test, y_test = X.iloc[train], y.iloc[train], X.iloc[test], y.iloc[test]
    n_labels = round(SHARE * len(train))
    kept.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=kept) as temporary:
        work = Path(temporary)
        parameters = {"memory": kept / "features"} | parameters
        rows, chosen, common = simulate(X_train, y_train, seed, work, n_labels, parameters)
    everything = {
        str(Path(image).relative_to(common)): label
        for image, label in zip(X_train, to_labels(y_train), strict=True)
    }
    names = np.random.default_rng(seed).choice(list(everything), n_labels, replace=False)
    values = {"data": name, "seed": seed, "n_train": len(train), "n_labels": n_labels}
    late = rows.iloc[FIRST : 2 * FIRST]
    for key, part in (("usable_60", late), ("usable", rows)):
        known = part.dropna(subset=["is_usable"])
        values[f"n_{key}"] = len(known)
        values[key] = known["is_usable"].astype(float).mean()
        values[f"{key}_random"] = known["is_usable"][known["is_random"]].astype(float).mean()
    for key, labels in (
        ("chosen", chosen),
        ("true", {name: everything[name] for name in chosen}),
        ("random", {name: everything[name] for name in names}),
        ("all", everything),
    ):
        result = score(labels, common, X_test, y_test, parameters, kept)
        values[f"{key}_iou"], values[f"{key}_accuracy"] = result
    return values | {"minutes": (time.monotonic() - started) / 60}


def to_labels(y):
    """The labels of a table."""
    from skbbox.labelling.table import Label

    return [Label(row[0], tuple(row[1:])) for row in y[["class_name", *COORDINATES]].to_numpy()]


def main():
    """Run all simulations of the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--output", type=Path, default="labelling.csv")
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "labelling")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--limit", type=int, help="label at most this many images of a data set")
    parsed = parser.parse_args()
    parameters = {"image_size": parsed.image_size}
    for name in parsed.data:
        for seed in parsed.seeds:
            values = run(parsed.folder, name, seed, parameters, parsed.kept, parsed.limit)
            is_new = not parsed.output.exists()
            with parsed.output.open("a", newline="") as file:
                writer = csv.DictWriter(file, values, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(
                    {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
                )
            print(values, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
