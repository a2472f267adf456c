"""
The worst predictions
=====================

:class:`skbbox.BoxGridDisplay` draws images with the true box in solid blue and the predicted box
in dashed orange. The lowest IoU comes first, because errors say more about a model than its mean
score. The title of an image is the IoU and the one that the model expects; the number after the
predicted class is its probability.
"""

from skbbox import BoxGridDisplay, SingleBoxLocalizer, TrainingDisplay
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(400, image_size=128, n_classes=3, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet,
    weights=None,
    image_size=48,
    epochs=25,
    batch_size=16,
    validation_fraction=0.2,
    random_state=0,
)
localizer.fit(X[:300], y[:300])

BoxGridDisplay.from_estimator(localizer, X[300:], y[300:], order="worst")

# %%
# Also look at a random sample, so as not to be misled by the exceptions.

BoxGridDisplay.from_estimator(
    localizer, X[300:], y[300:], order="random", n_images=4, random_state=0
)

# %%
# The training went well, also on the validation images: what is left are single errors.

TrainingDisplay.from_estimator(localizer)
