"""Fit, predict and score with the installed package; CI runs it outside the checkout."""

from importlib.metadata import metadata

import skbbox
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet

X, y = make_shapes(32, image_size=32, random_state=0)
localizer = skbbox.SingleBoxLocalizer(
    small_convnet, weights=None, image_size=32, epochs=1, random_state=0
).fit(X, y)
print(skbbox.__version__, skbbox.__file__, localizer.score(X, y))

# PyPI shows the README without the files of the repository.
text = metadata("skbbox")["Description"]
assert "https://" in text and "](docs/" not in text
