"""
Similar training images
=======================

:class:`skbbox.EmbeddingDisplay` shows where an image lies among the training images, and which of
these are nearest to it for the model. Neighbours of another class, or boxes of another kind, can
explain an error; an image that is far from all others is of a kind that the model has not seen.
"""

from skbbox import EmbeddingDisplay, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(241, image_size=128, n_classes=4, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=32, epochs=10, batch_size=16, random_state=0
)
localizer.fit(X[:240], y[:240])

EmbeddingDisplay.from_estimator(localizer, X[:240], y[:240], X[240])
