"""
Which predictions can I trust?
==============================

:class:`skbbox.ConformalLocalizer` adds to each prediction a region in which the true box lies for a
stated share of images, a set of possible classes, and calibrated confidences.
"""

import matplotlib.pyplot as plt
import numpy as np

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
from skbbox.plotting import PREDICTED_COLOR

X, y = make_shapes(700, image_size=96, n_classes=8, random_state=0, background="photo")
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=25, batch_size=16, random_state=0
)
conformal = ConformalLocalizer(localizer, coverage=0.9, cv="split", test_size=0.25, random_state=0)
conformal.fit(X[:450], y[:450])

X_test, y_test = X[450:], y[450:]
regions = conformal.predict_region(X_test)
print(f"{region_coverage(y_test, regions):.1%} of the true boxes lie in their region")

# %%
# Each true box (blue) contains the inner box, if there is one, and lies in the outer box. The
# orange band between them is what the model does not know: four images at the quarters of its area.


def draw_band(ax, outer, inner):
    """Fill what lies between two boxes, which are in pixels."""
    (left, right, top, bottom), (inner_left, inner_right, inner_top, inner_bottom) = outer, inner
    ax.fill(
        [left, right, right, left, left, *np.take([inner_left, inner_right], [0, 0, 1, 1, 0])],
        [top, top, bottom, bottom, top, *np.take([inner_top, inner_bottom], [0, 1, 1, 0, 0])],
        color=PREDICTED_COLOR,
        alpha=0.6,
        linewidth=0,
    )


inner, outer = (
    regions[[f"{box}_{edge}" for edge in COORDINATES]].to_numpy() for box in ("inner", "outer")
)
widths, heights = outer[:, 1] - outer[:, 0], outer[:, 3] - outer[:, 2]
order = np.argsort(widths * heights)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, row in zip(axes, order[[20, 90, 160, 230]], strict=True):
    middle = np.repeat(outer[row].reshape(2, 2).mean(axis=1), 2)
    hole = middle if np.isnan(inner[row]).any() else inner[row]
    draw_band(ax, outer[row] * 96, hole * 96)
    plot_image(X_test[row], y_test[list(COORDINATES)].iloc[[row]], ax=ax)

# %%
# On the diagonal, a confidence is what it claims to be. The confidences of the localizer by itself:

CalibrationDisplay.from_estimator(conformal.estimator_, X_test, y_test, name="as predicted")

# %%
# After calibration, the expected IoU lies on the diagonal. For the class, 113 images are too few.

CalibrationDisplay.from_estimator(conformal, X_test, y_test, name="calibrated")

# %%
# Where is the IoU lost? :class:`skbbox.ErrorDisplay` shows it by kind of error.

ErrorDisplay.from_estimator(conformal, X_test, y_test, by="size")
