"""
Images without an object
========================

Rows of ``y`` with neither class nor box are images without an object. A model that was fitted with
such rows also predicts the ``presence`` of an object. :class:`skbbox.PresenceDisplay` shows how
well it separates the two kinds of images, and what the threshold costs on either side.
"""

import numpy as np
from sklearn.model_selection import train_test_split

from skbbox import BoxGridDisplay, ConfusionMatrixDisplay, PresenceDisplay, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(450, image_size=96, n_classes=3, random_state=0, background="photo")

# The left part of images whose object, with its shadow, is on the right; their rows of y are empty.
is_right = y["x_min"] >= 0.4
empty = [X[row][:, : int(96 * (y["x_min"][row] - 0.1))] for row in np.flatnonzero(is_right)]
images = [*X, *empty]
boxes = y.reindex(range(len(images)))

X_train, X_test, y_train, y_test = train_test_split(images, boxes, test_size=0.4, random_state=0)
localizer = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=25, batch_size=16, random_state=0
)
localizer.fit(X_train, y_train)
predicted = localizer.predict(X_test)

PresenceDisplay.from_predictions(y_test, predicted)

# %%
# In the confusion matrix, false alarms are in the last row and missed objects in the last column.

ConfusionMatrixDisplay.from_predictions(y_test, predicted)

# %%
# The worst predictions include both kinds of errors. Their titles name them.

BoxGridDisplay.from_predictions(X_test, y_test, predicted, n_images=8)
