"""What a fit trains on, and how."""

import math

__all__ = ["auto_epochs"]

#: ``epochs="auto"``: at least so many passes over the images, and so many steps.
MINIMUM_EPOCHS = 8


MINIMUM_STEPS = 600


def auto_epochs(n_images, batch_size):
    """Epochs that train enough: 8, and more where these are fewer than 600 steps.

    Examples
    --------
    >>> from skbbox.training import auto_epochs
    >>> auto_epochs(100, batch_size=64), auto_epochs(10_000, batch_size=64)
    (300, 8)
    """
    steps = math.ceil(n_images / batch_size)
    return max(MINIMUM_EPOCHS, math.ceil(MINIMUM_STEPS / steps))
