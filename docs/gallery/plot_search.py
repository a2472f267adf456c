"""
The scores of a search
======================

:class:`skbbox.SearchDisplay` draws the scores of a scikit-learn search: a heat map for two
parameters, a curve with the spread over the folds for one.
"""

from sklearn.model_selection import GridSearchCV

from skbbox import SearchDisplay, SingleBoxLocalizer, StratifiedBoxKFold
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

# %%
# The backbone was trained on other images and is frozen, so its features are computed once for all
# candidates.

other = make_shapes(300, image_size=48, n_classes=3, random_state=1)
first = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=15, batch_size=16, random_state=0
)
backbone = first.fit(*other).model_.get_layer("small_convnet")

X, y = make_shapes(200, image_size=48, n_classes=3, random_state=0)
search = GridSearchCV(
    SingleBoxLocalizer(backbone, image_size=48, epochs=8, batch_size=32, random_state=0),
    {"box_loss_weight": [0.1, 1, 10], "learning_rate": [3e-4, 3e-3, 3e-2]},
    cv=StratifiedBoxKFold(2, shuffle=True, random_state=0),
    refit=False,
)
search.fit(X, y)
SearchDisplay.from_estimator(search)

# %%
# The learning rate matters here: the lowest value scores clearly less, and the two higher ones are
# within the spread over the folds. The weight of the box loss does not matter, so each row of the
# heat map has nearly equal scores: with a frozen backbone, the two heads share no trainable
# weights.
#
# For a single parameter, the curve shows the best score over the values of the other one, with the
# spread over the folds. If candidates differ by less than the spread, the search cannot distinguish
# them.

SearchDisplay.from_estimator(search, params=["learning_rate"])
