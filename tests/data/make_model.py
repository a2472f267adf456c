"""Writes ``model-VERSION.skbbox`` and what it predicts; run once for each released version."""

import json
from pathlib import Path

import numpy as np

import skbbox
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

FOLDER = Path(__file__).parent


def pictures():
    """Four pictures that do not depend on anything but this function."""
    y, x = np.mgrid[:32, :32]
    return np.stack(
        [
            np.stack([8 * x, 8 * y, (x * y) % 256], axis=2).astype(np.uint8),
            np.stack([255 - 8 * x, 4 * (x + y), 8 * y], axis=2).astype(np.uint8),
            np.full((32, 32, 3), 127, np.uint8),
            np.where((abs(x - 12) < 6) & (abs(y - 20) < 8), 250, 20)
            .astype(np.uint8)[..., None]
            .repeat(3, axis=2),
        ]
    )


if __name__ == "__main__":
    localizer = skbbox.SingleBoxLocalizer(
        small_convnet,
        weights=None,
        image_size=32,
        epochs=2,
        batch_size=16,
        class_weight={"disc": 2.0, "square": 1.0, "star": 1.0, "triangle": 1.0},
        random_state=0,
    ).fit(*make_shapes(96, image_size=32, random_state=0))
    path = FOLDER / f"model-{skbbox.__version__}.skbbox"
    localizer.save(path)
    predicted = localizer.predict(pictures())
    path.with_suffix(".json").write_text(json.dumps(predicted.to_dict("list"), indent=1) + "\n")
