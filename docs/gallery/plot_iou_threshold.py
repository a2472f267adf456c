"""
Several models in one plot
==========================

:class:`skbbox.IoUThresholdDisplay` shows, for every threshold, the share of predictions whose IoU
reaches it. The area under a curve is the mean IoU. Pass the axes of the first display to the next
ones.
"""

from skbbox import DummyLocalizer, IoUThresholdDisplay, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(500, image_size=64, n_classes=3, random_state=0, background="photo")
X_train, y_train, X_test, y_test = X[:300], y[:300], X[300:], y[300:]

models = {"median box": DummyLocalizer()}
for head in ["dense", "spatial"]:
    models[f"{head} head"] = SingleBoxLocalizer(
        small_convnet,
        weights=None,
        image_size=48,
        box_head=head,
        epochs=20,
        batch_size=16,
        random_state=0,
    )

ax = None
for name, model in models.items():
    model.fit(X_train, y_train)
    ax = IoUThresholdDisplay.from_estimator(model, X_test, y_test, name=name, ax=ax).ax_
