"""
Training curves
===============

:class:`skbbox.TrainingDisplay` draws the loss of each head, the accuracy and the mean IoU over
the epochs: solid for the training images, dashed for the validation images. A dotted line shows
where fine-tuning begins.
"""

from skbbox import SingleBoxLocalizer, TrainingDisplay
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

# %%
# The backbone was trained on other images. It stands in for one with ImageNet weights.

other = make_shapes(300, image_size=64, n_classes=3, random_state=1, background="photo")
first = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=15, batch_size=16, random_state=0
)
backbone = first.fit(*other).model_.get_layer("small_convnet")

# %%
# First the heads are trained on its frozen features, then the complete network is fine-tuned.

X, y = make_shapes(240, image_size=64, n_classes=3, random_state=0, background="photo")
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

# %%
# Both heads learn, also on the validation images: the class of nearly all is right. Fine-tuning
# first disturbs the boxes, then improves them a little. The dashed curves stay near the solid ones,
# so the model does not overfit.
