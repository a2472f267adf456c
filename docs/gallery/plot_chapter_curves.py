"""
The chapter's plots
===================

The helper functions of the chapter "Beyond Classification" draw one curve each, on axes that you
pass. They accept an estimator, a history, or a Keras ``History``.
"""

import matplotlib.pyplot as plt
from sklearn.base import clone

from skbbox import (
    SingleBoxLocalizer,
    combine_histories,
    plot_accuracy,
    plot_bbox_loss,
    plot_iou,
    plot_loss,
)
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(240, image_size=64, n_classes=3, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet,
    weights=None,
    image_size=48,
    epochs=15,
    batch_size=16,
    validation_fraction=0.2,
    random_state=0,
)
localizer.fit(X, y)

figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), layout="constrained")
plot_loss(localizer, ax=axes[0, 0])
plot_bbox_loss(localizer, ax=axes[0, 1])
plot_accuracy(localizer, ax=axes[1, 0])
plot_iou(localizer, ax=axes[1, 1])

# %%
# :func:`skbbox.combine_histories` concatenates the histories of successive trainings, here of an
# untrained estimator and of the trained one.

untrained = clone(localizer).set_params(epochs=1, learning_rate=0.0).fit(X, y)
plot_iou(combine_histories([untrained, localizer]))
