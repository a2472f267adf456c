"""Compare ways to choose the next image of ``skbbox label`` in seconds, with a simple model.

In place of the network, ridge regression on the features of MobileNet predicts class and box, and
how much models of three resampled sets of labels differ stands for ``box_confidence``. It is fitted
every 10 labels. `Queue` chooses among 75 % of the images, the others are held out. Rows of the
output: the mean over the seeds of the mean IoU, and of the share with the right class and an IoU of
at least 0.5, after 60 labels, after labels of 60 % of the images, and after all. Of data sets with
more than 500 images, 500 random ones are used.

    python benchmarks/labelling_choice.py FOLDER --seeds 10
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from labelling import DATA, SHARE, read_data
from sklearn.model_selection import GroupShuffleSplit

from skbbox import iou
from skbbox.boxes import COORDINATES
from skbbox.images import load_image
from skbbox.labelling import queue
from skbbox.labelling.queue import Proposal, Queue, measure_disagreement
from skbbox.labelling.table import Label

SIZE, MAX_IMAGES, FIRST = 128, 500, 60
#: Random share, and weight of the coverage, of each way to choose.
RULES = {"random": (1.0, 0), "without coverage": (0.2, 0), "as in the package": (0.2, 3)}


def compute_features(folder, name):
    """Feature maps, boxes, classes and groups of a data set."""
    X, y, groups = read_data(folder, DATA[name])
    rows = np.sort(np.random.default_rng(0).permutation(len(X))[:MAX_IMAGES])
    network = keras.applications.MobileNet(
        alpha=0.75, include_top=False, input_shape=(None, None, 3), weights="imagenet"
    )
    images = np.stack([load_image(X.iloc[row], (SIZE, SIZE)) for row in rows])
    maps = network.predict(images / np.float32(127.5) - 1, verbose=0)
    boxes = y[list(COORDINATES)].to_numpy(np.float64)[rows]
    classes = y["class_name"].astype("category").cat.codes.to_numpy()[rows]
    return maps, boxes, classes, [groups[row] for row in rows]


class Simulation:
    """The images to label and those held out, for one seed."""

    def __init__(self, data, seed):
        maps, boxes, classes, groups = data
        splitter = GroupShuffleSplit(1, test_size=0.25, random_state=seed)
        self.train, self.test = next(splitter.split(maps, classes, groups))
        self.boxes, self.classes, self.n_classes = boxes, classes, classes.max() + 1
        vectors = normalise(maps.mean(axis=(1, 2)))
        self.vectors = vectors[self.train]
        flat = normalise(maps.reshape(len(maps), -1))
        self.class_kernel = vectors @ vectors[self.train].T
        self.box_kernel = flat @ flat[self.train].T
        self.seed = seed

    def fit(self, labelled, rng):
        """Classes, their probabilities, boxes and confidences of all images."""
        truth = np.eye(self.n_classes)[self.classes[self.train]]
        logits = regress(self.class_kernel, self.train, labelled, truth, 0.01)
        shares = np.exp(5 * logits)
        shares /= shares.sum(axis=1, keepdims=True)
        boxes = self.boxes[self.train]
        found = [order(regress(self.box_kernel, self.train, labelled, boxes, 0.1))]
        for _ in range(3):
            sample = rng.choice(labelled, len(labelled))
            found.append(order(regress(self.box_kernel, self.train, sample, boxes, 0.1)))
        agreement = np.mean([iou(other, found[0]) for other in found[1:]], axis=0)
        return logits.argmax(axis=1), shares.max(axis=1), found[0], agreement

    def score(self, fitted):
        """Mean IoU and accuracy on the images that are held out."""
        classes, _, boxes, _ = fitted
        overlap = iou(boxes[self.test], self.boxes[self.test])
        is_right = classes[self.test] == self.classes[self.test]
        return overlap.mean(), (is_right & (overlap >= 0.5)).mean()

    def run(self, share, weight):
        """Scores after 60 labels, after 60 % and after all."""
        rng = np.random.default_rng(self.seed)
        n_images = len(self.train)
        positions = dict(enumerate(rng.permutation(n_images) / n_images))
        chooser = Queue(positions, share, rng)
        queue.COVERAGE_WEIGHT = weight
        labelled, scores, last = [], {}, round(SHARE * n_images)
        while len(labelled) < last:
            available = [number for number in range(n_images) if number not in labelled]
            names, counts = np.unique(self.classes[self.train][labelled], return_counts=True)
            choice = chooser.choose(available, dict(zip(map(str, names), counts, strict=True)))
            labelled.append(choice.number)
            chooser.coverage.add_known({choice.number: self.vectors[choice.number]})
            if len(labelled) % 10 == 0 or len(labelled) == last:
                fitted = self.fit(labelled, rng)
                scores[len(labelled)] = self.score(fitted)
                chooser.add_proposals(self.propose(fitted, chooser.proposals, len(labelled)))
        everything = self.score(self.fit(np.arange(n_images), rng))
        return [*scores[FIRST], *scores[last], *everything]

    def propose(self, fitted, before, n_labels):
        """Proposals for all images, compared with those of the model before."""
        proposals = {}
        for number, row in enumerate(self.train):
            classes, shares, boxes, agreement = (values[row] for values in fitted)
            label = Label(str(classes), tuple(boxes))
            old = before.get(number)
            change = np.nan if old is None else measure_disagreement(old.label, label)
            numbers = (shares, agreement, np.nan, n_labels, change)
            proposals[number] = Proposal(label, *numbers, self.vectors[number])
        return proposals


def normalise(vectors):
    """Divide vectors by their lengths."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def regress(kernel, train, labelled, targets, strength):
    """Predict targets of all images by kernel ridge regression."""
    known = targets[labelled]
    mean = known.mean(axis=0)
    inner = kernel[train[labelled]][:, labelled] + strength * np.eye(len(labelled))
    return kernel[:, labelled] @ np.linalg.solve(inner, known - mean) + mean


def order(boxes):
    """Boxes with an area inside the image."""
    low, high = np.clip(boxes[:, [0, 2]], 0, 0.99), np.clip(boxes[:, [1, 3]], 0.01, 1)
    high = np.maximum(high, low + 0.01)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)


def main():
    """Print the mean scores of each rule on each data set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with the data sets")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output", type=Path, default="labelling_choice.csv")
    parsed = parser.parse_args()
    rows = []
    for name in parsed.data:
        data = compute_features(parsed.folder, name)
        for rule, values in RULES.items():
            runs = [Simulation(data, seed).run(*values) for seed in range(parsed.seeds)]
            rows.append([name, rule, *np.mean(runs, axis=0).round(3)])
            print(*rows[-1], flush=True)
    scores = [f"{kind}_{when}" for when in ("60", "60%", "all") for kind in ("iou", "accuracy")]
    table = pd.DataFrame(rows, columns=["data", "rule", *scores])
    table.to_csv(parsed.output, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
