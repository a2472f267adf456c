"""
Two looks
=========

The network predicts twice: on the whole image, and on a window around the first box, cut from the
original image. :class:`skbbox.PredictionDisplay` draws what it reads each box from. The image is
darker where the model pays less attention. Along its borders are the distributions of the edges;
a wide distribution, or one with two peaks, is an uncertain edge.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbbox import PredictionDisplay, SingleBoxLocalizer
from skbbox.boxes import COORDINATES
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(360, image_size=160, n_classes=3, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=64, epochs=20, batch_size=16, random_state=0
)
localizer.fit(X[:300], y[:300])

# %%
# Three images with small objects, a row each: the first look with the window that it chooses, and
# the second look.

boxes = y[list(COORDINATES)].to_numpy()[300:]
smallest = np.argsort((boxes[:, 1::2] - boxes[:, ::2]).max(axis=1))[:3]

figure, axes = plt.subplots(3, 2, figsize=(9, 13), layout="constrained")
for pair, row in zip(axes, 300 + smallest, strict=True):
    PredictionDisplay.from_estimator(localizer, X[row], y.iloc[[row]], ax=pair)

# %%
# :meth:`skbbox.SingleBoxLocalizer.explain` returns the numbers: for each image, one ``Look`` at the
# whole image, and one at the window.

((first, second),) = localizer.explain(X[[300 + smallest[0]]])
print("window:", second.window.round(2))
print("attention:", first.attention.shape)
print("distributions along x:", first.x_edges.shape)
