"""
The worst predictions
=====================

:class:`skbbox.BoxGridDisplay` draws images with their true box, in solid blue, and the predicted
one, in dashed orange. The lowest IoU comes first: what a model gets wrong says more than its
mean. The number is the confidence. 300 small pictures are enough for a box, but not for a class.
"""

from skbbox import BoxGridDisplay, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(400, image_size=96, n_classes=3, random_state=0)
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=25, batch_size=16, random_state=0
)
localizer.fit(X[:300], y[:300])

BoxGridDisplay.from_estimator(localizer, X[300:], y[300:], order="worst")

# %%
# Beside the worst ones, look at some at random, so as not to be misled by the exceptions.

BoxGridDisplay.from_estimator(
    localizer, X[300:], y[300:], order="random", n_images=4, random_state=0
)
