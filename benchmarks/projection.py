"""Measure how much of the variance of features the projection of the default backbone keeps.

For the earlier map and the profiles, prints the share of the variance that is kept of images of
each data set by the projection, by as many principal components of the images themselves, and by
a random orthogonal projection.

    python benchmarks/projection.py folder_with_data_sets
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
from accuracy import DATA

from skbbox import SingleBoxLocalizer, one_box_per_image
from skbbox.datasets import load_annotated_folder
from skbbox.images import load_image
from skbbox.network.feature_maps import compute_kernels
from skbbox.network.graph import get_feature_extractor
from skbbox.training.initial_model import build_model


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that contains the data sets")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--images", type=int, default=96, help="of each data set, at random")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*left out")
    model = build_unprojected(arguments.size)
    columns, rows, fine, _ = get_feature_extractor(model).outputs
    network = keras.Model(model.input, [columns, rows, fine])
    kernels = compute_kernels(network)
    table = {}
    for name, (folders, *_) in DATA.items():
        images = load_images([arguments.folder / folder for folder in folders], arguments)
        outputs = [x.reshape(-1, x.shape[-1]) for x in network.predict(images, verbose=0)]
        for part, values, kernel in (
            ("earlier map", outputs[2], kernels[2]),
            ("profiles", np.concatenate(outputs[:2]), kernels[0]),
        ):
            table[name, part] = compute_shares(np.cov(values.T.astype(np.float64)), kernel)
    print(pd.DataFrame(table).T.round(3).to_string())


def build_unprojected(size):
    """The default network with all channels, as one that trains its backbone has them."""
    localizer = SingleBoxLocalizer(image_size=size, frozen="none")
    return build_model(localizer.get_params(deep=False), None, np.random.default_rng(0), None)


def load_images(folders, arguments):
    """Images of one box, drawn at random."""
    boxes = pd.concat([load_annotated_folder(folder) for folder in folders], ignore_index=True)
    X, _ = one_box_per_image(boxes, keep="largest")
    rows = np.random.default_rng(0).permutation(len(X))[: arguments.images]
    return np.stack([load_image(X.iloc[row], (arguments.size,) * 2) for row in rows])


def compute_shares(covariance, kernel):
    """Share of the variance that three projections of equal rank keep."""
    n_channels, n_components = kernel.shape
    own = np.linalg.eigh(covariance)[1][:, -n_components:]
    normal = np.random.default_rng(0).normal(size=(n_channels, n_components))
    projections = {"projection": kernel, "own components": own, "random": np.linalg.qr(normal)[0]}
    total = np.trace(covariance)
    return {name: np.trace(p.T @ covariance @ p) / total for name, p in projections.items()}


if __name__ == "__main__":
    main()
