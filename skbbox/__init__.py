"""Find the main object in each image, its class and bounding box, with a scikit-learn estimator.

Names are imported on first use, because importing Keras takes seconds; ``__init__.pyi`` lists them.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
