"""
Likely wrong labels
===================

:func:`skbbox.rank_label_issues` ranks rows by how strongly models that were not trained on them
contradict their labels. In this example five boxes are moved to the opposite side of their image,
and rank first.
"""

import numpy as np

from skbbox import BoxGridDisplay, SingleBoxLocalizer, rank_label_issues
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(300, image_size=96, n_classes=3, random_state=0, background="photo")

off_centre = (y["x_min"] + y["x_max"] - 1).abs().to_numpy().argsort()[::-1]
moved = off_centre[:5]
y.loc[moved, ["x_min", "x_max"]] = 1 - y.loc[moved, ["x_max", "x_min"]].to_numpy()

localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=20, batch_size=16, random_state=0
)
issues = rank_label_issues(localizer, X, y, cv=3)
first = issues.sort_values("box_issue", ascending=False)["row"][:8]
print(f"moved: {np.sort(moved)}, among the first eight: {np.intersect1d(moved, first)}")

# %%
# The labelled box is blue, the models' box is orange.

predicted = issues.sort_values("row").drop(columns="class_name")
predicted = predicted.rename(columns={"predicted_class": "class_name"})
BoxGridDisplay.from_predictions(X, y, predicted, order=first)
