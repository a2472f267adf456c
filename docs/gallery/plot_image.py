"""
Images and their boxes
======================

Look at the data first: :func:`skbbox.plot_image` draws an image and its boxes.
"""

import matplotlib.pyplot as plt

from skbbox import plot_image
from skbbox.datasets import make_shapes

X, y = make_shapes(8, image_size=192, n_classes=8, random_state=2, background="photo")

figure, axes = plt.subplots(2, 4, figsize=(12, 6.2), layout="constrained")
for row, ax in enumerate(axes.flat):
    plot_image(X[row], y.iloc[[row]], ax=ax)

# %%
# A box consists of four numbers in 0..1, independent of the size of the image:

print(y.head(3))
