"""
Two looks
=========

The network predicts twice: on the whole image, and on a window around the first box, cut from the
original image. Each picture below shows what the network sees: darker where it pays less attention,
with the distributions of the four edges along its borders. The left column is the first look, with
the window that it chooses; the right column is the second look.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from skbbox import SingleBoxLocalizer
from skbbox.boxes import COORDINATES
from skbbox.datasets import make_shapes
from skbbox.images import load_image, load_parts
from skbbox.network import small_convnet
from skbbox.windows import place_windows, to_window

SIZE = 64
X, y = make_shapes(500, image_size=192, n_classes=3, random_state=0)
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=SIZE, epochs=20, batch_size=16, random_state=0
)
localizer.fit(X[:400], y[:400])
boxes = y[list(COORDINATES)].to_numpy()

# %%
# These steps of the network compute the attention and the distributions.

layers = ["bbox_x_distribution", "bbox_y_distribution"]
attention = next(step for step in localizer.model_.operations if step.name.startswith("sigmoid"))
inner = keras.Model(
    localizer.model_.input,
    [attention.output, *(localizer.model_.get_layer(name).output for name in layers)],
)


def draw_look(ax, pixels, true, predicted, title):
    """Draw an image with attention, distributions of the edges, and both boxes."""
    seen, columns, rows = (values[0] for values in inner.predict_on_batch(pixels[None]))
    ax.imshow(pixels, extent=(0, 1, 1, 0))
    seen = (seen[..., 0] - seen.min()) / np.ptp(seen)
    dark = np.zeros((*seen.shape, 4))
    dark[..., 3] = 0.6 * (1 - seen)
    ax.imshow(dark, extent=(0, 1, 1, 0), interpolation="bilinear")
    for number in range(2):
        places = np.linspace(0, 1, len(columns))
        height = 0.15 / max(columns.max(), rows.max())
        ax.plot(places, 1.16 - height * columns[:, number], color="tab:orange", clip_on=False)
        ax.plot(height * rows[:, number] - 0.16, places, color="tab:orange", clip_on=False)
    for box, color, style, label in (
        (true, "tab:blue", "-", "true box"),
        (predicted, "tab:orange", "--", "predicted box, distributions of its edges"),
    ):
        x_min, x_max, y_min, y_max = box
        ax.plot(
            [x_min, x_max, x_max, x_min, x_min],
            [y_min, y_min, y_max, y_max, y_min],
            color=color,
            linestyle=style,
            linewidth=2,
            label=label,
        )
    ax.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], title=title)


# %%
# The first look, its window in white, and the second look.

both = localizer.predict(X[400:])[list(COORDINATES)].to_numpy()
first = localizer.set_params(n_looks=1).predict(X[400:])[list(COORDINATES)].to_numpy()
windows = place_windows(first)
sides = boxes[400:, 1::2] - boxes[400:, ::2]
smallest = np.argsort(sides.max(axis=1))[:3]

figure, axes = plt.subplots(3, 2, figsize=(6.5, 9.5), layout="constrained")
for (left, right), row in zip(axes, smallest, strict=True):
    image, true, window = X[400 + row], boxes[400 + row], windows[row]
    draw_look(left, load_image(image, (SIZE, SIZE)), true, first[row], "first look")
    x_min, x_max, y_min, y_max = window
    left.add_patch(
        plt.Rectangle(
            (x_min, y_min),
            x_max - x_min,
            y_max - y_min,
            fill=False,
            edgecolor="white",
            linewidth=2,
            label="window of the second look",
        )
    )
    (part,) = load_parts(image, (SIZE, SIZE), [window])
    second = to_window(both[row], window)
    draw_look(right, part, to_window(true, window), second, "second look")
figure.legend(
    handles=[*axes[0, 0].lines[-2:], *axes[0, 0].patches],
    loc="outside lower center",
    facecolor="lightgray",
)
