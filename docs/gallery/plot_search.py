"""
The scores of a search
======================

:class:`skbbox.SearchDisplay` draws the scores of a scikit-learn search, with their spread over the
folds: a heat map for two parameters, a curve for one.
"""

from sklearn.model_selection import GridSearchCV

from skbbox import SearchDisplay, SingleBoxLocalizer, StratifiedBoxKFold
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

# %%
# The backbone was trained on other images and is frozen, so its features are computed once for all
# candidates.

other = make_shapes(300, image_size=64, n_classes=3, random_state=1, background="photo")
first = SingleBoxLocalizer(
    small_convnet, weights=None, image_size=48, epochs=15, batch_size=16, random_state=0
)
backbone = first.fit(*other).model_.get_layer("small_convnet")

X, y = make_shapes(200, image_size=64, n_classes=3, random_state=0, background="photo")
search = GridSearchCV(
    SingleBoxLocalizer(backbone, image_size=48, epochs=8, batch_size=32, random_state=0),
    {"box_loss_weight": [0.1, 1, 10], "learning_rate": [3e-4, 3e-3, 3e-2]},
    cv=StratifiedBoxKFold(2, shuffle=True, random_state=0),
    refit=False,
)
search.fit(X, y)
SearchDisplay.from_estimator(search)

# %%
# Both parameters matter here. The lowest learning rate scores clearly less than the two higher
# ones. So does the lowest weight of the box loss, at each learning rate: both losses train the
# neck, so one of them can dominate it, even though the backbone is frozen. The two higher weights
# differ by not much more than the spread over the folds.
#
# Candidates are marked with ≈ if a paired t-test over the folds cannot distinguish them from the
# best. Two folds, which are fast, distinguish almost nothing: for a decision, use five or more.
#
# For a single parameter, the curve shows the best score over the values of the other one.

SearchDisplay.from_estimator(search, params=["learning_rate"])
