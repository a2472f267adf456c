"""
What the boxes look like
========================

:class:`skbbox.BoxStatisticsDisplay` shows how large the boxes are, how wide for their height,
where they lie, and how many images each class has. Here large objects near the middle are the
rule, so a model that never looks at the image has a good start.
"""

from skbbox import BoxStatisticsDisplay, DummyLocalizer
from skbbox.datasets import make_shapes

X, y = make_shapes(400, image_size=32, random_state=0)
BoxStatisticsDisplay.from_boxes(y)

# %%
# With predictions beside them it shows what a model does not dare to say. The median box is the
# extreme case: it is always the same.

baseline = DummyLocalizer().fit(X, y)
BoxStatisticsDisplay.from_estimator(baseline, X, y)
