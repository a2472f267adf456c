"""
The distribution of the IoU
===========================

:class:`skbbox.IoUDistributionDisplay` shows what is behind a mean IoU: many mediocre boxes, or
mostly good ones and a few misses.
"""

from skbbox import IoUDistributionDisplay, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(500, image_size=64, n_classes=3, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=20, batch_size=16, random_state=0
)
localizer.fit(X[:300], y[:300])
predicted = localizer.predict(X[300:])

IoUDistributionDisplay.from_predictions(y[300:], predicted)

# %%
# One histogram per class:

IoUDistributionDisplay.from_predictions(y[300:], predicted, by_class=True)
