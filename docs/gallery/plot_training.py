"""
How a training went
===================

:class:`skbbox.TrainingDisplay` draws the loss of each head, the accuracy and the mean IoU over
the epochs: solid for the images that are trained on, dashed for those set aside. A dotted line
shows where fine-tuning begins.
"""

from skbbox import SingleBoxLocalizer, TrainingDisplay
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

# %%
# The backbone comes from a training on other pictures, in the place of one with ImageNet weights.

other = make_shapes(300, image_size=48, n_classes=3, random_state=1)
first = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=15, batch_size=16, random_state=0
)
backbone = first.fit(*other).model_.get_layer("small_convnet")

# %%
# First the heads are trained on its frozen features, then all of it.

X, y = make_shapes(240, image_size=48, n_classes=3, random_state=0)
localizer = SingleBoxLocalizer(
    backbone,
    image_size=48,
    epochs=20,
    batch_size=16,
    fine_tune_epochs=10,
    fine_tune_learning_rate=1e-3,
    validation_fraction=0.2,
    random_state=0,
)
localizer.fit(X, y)
TrainingDisplay.from_estimator(localizer)
