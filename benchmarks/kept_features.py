"""Compare training the heads on cached features with running the backbone in each epoch.

In the chapter's approach, the frozen backbone processes every image in every epoch. Both ways train
the same heads on the same order of images, so the scores must agree. Prints the median time of
three ``fit`` calls each, and the ratio.

    python benchmarks/kept_features.py
    python benchmarks/kept_features.py --data folder     # photographs and ImageNet weights
"""

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from skbbox import SingleBoxLocalizer, one_box_per_image
from skbbox.datasets import load_annotated_folder, make_shapes
from skbbox.features import forget_features
from skbbox.network import small_convnet


def unchanged(image, box, rng):
    """An augmentation that changes nothing, but prevents features from being cached."""
    return image, box


def main():
    """Time both ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with annotations.csv and images/")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.data is None:
        X, y = make_shapes(600, image_size=96, random_state=0)
        backbone, size = small_convnet((96, 96, 3)), 96
    else:
        X, y = one_box_per_image(load_annotated_folder(arguments.data))
        backbone, size = "mobilenet", 128

    seconds = {"each epoch": [], "cached": []}
    scores = {}
    for _ in range(arguments.runs):
        for name, augment in (("each epoch", unchanged), ("cached", None)):
            localizer = SingleBoxLocalizer(
                backbone,
                image_size=size,
                epochs=arguments.epochs,
                augment=augment,
                dropout=0.0,
                random_state=0,
            )
            # Cached features of earlier fits would make this one faster.
            forget_features()
            begun = time.perf_counter()
            localizer.fit(X, y)
            seconds[name].append(time.perf_counter() - begun)
            scores[name] = localizer.score(X, y)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{len(X)} images of {size} px, {arguments.epochs} epochs, median of {arguments.runs}")
    for name, median in medians.items():
        print(f"  features {name:10}  {median:6.1f} s   training mean IoU {scores[name]:.3f}")
    print(f"  ratio {medians['each epoch'] / medians['cached']:.1f}")


if __name__ == "__main__":
    main()
