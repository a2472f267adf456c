"""
What the boxes look like
========================

:class:`skbbox.BoxStatisticsDisplay` shows the area, aspect ratio and position of the boxes, and
the number of images of each class. Here most objects are large and near the middle, so even a
model that ignores the image gets a fair score.
"""

from skbbox import BoxStatisticsDisplay, DummyLocalizer
from skbbox.datasets import make_shapes

X, y = make_shapes(400, image_size=32, random_state=0)
BoxStatisticsDisplay.from_boxes(y)

# %%
# With predictions, it shows which boxes a model never predicts. The median box is the extreme
# case: it is always the same.

baseline = DummyLocalizer().fit(X, y)
BoxStatisticsDisplay.from_estimator(baseline, X, y)
