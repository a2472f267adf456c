"""
Which predictions can I trust?
==============================

:class:`skbbox.ConformalLocalizer` adds to each prediction a region in which the true box lies for a
stated share of images, a set of possible classes, and calibrated confidences.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skbbox import (
    CalibrationDisplay,
    ConformalLocalizer,
    ErrorDisplay,
    SingleBoxLocalizer,
    plot_image,
    region_coverage,
)
from skbbox.boxes import COORDINATES
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(900, image_size=48, n_classes=3, random_state=0)
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=25, batch_size=16, random_state=0
)
conformal = ConformalLocalizer(localizer, coverage=0.9, cv="split", test_size=0.25, random_state=0)
conformal.fit(X[:600], y[:600])

X_test, y_test = X[600:], y[600:]
regions = conformal.predict_region(X_test)
print(f"{region_coverage(y_test, regions):.1%} of the true boxes lie in their region")

# %%
# Each true box contains the inner box, if there is one, and lies in the outer box. The distance
# between them is what the model does not know: four images at the quarters of its area.

inner, outer = ([f"{box}_{edge}" for edge in COORDINATES] for box in ("inner", "outer"))
sides = regions[outer].to_numpy().reshape(-1, 2, 2)
order = np.argsort((sides[..., 1] - sides[..., 0]).prod(axis=1))

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, row in zip(axes, order[[20, 110, 200, 280]], strict=True):
    rows = [regions[outer].iloc[row], y_test[list(COORDINATES)].iloc[row]]
    rows += [] if regions[inner].iloc[row].isna().any() else [regions[inner].iloc[row]]
    names = ["outer", "true", "inner"][: len(rows)]
    boxes = pd.DataFrame([list(box) for box in rows], columns=COORDINATES)
    plot_image(X_test[row], boxes.assign(class_name=names), ax=ax)

# %%
# On the diagonal, a confidence is what it claims to be. The confidences of the localizer by itself:

CalibrationDisplay.from_estimator(conformal.estimator_, X_test, y_test, name="as predicted")

# %%
# After calibration:

CalibrationDisplay.from_estimator(conformal, X_test, y_test, name="calibrated")

# %%
# Where is the IoU lost? :class:`skbbox.ErrorDisplay` shows it by kind of error.

ErrorDisplay.from_estimator(conformal, X_test, y_test, by="size")
