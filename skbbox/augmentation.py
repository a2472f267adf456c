"""Changes to an image that take its box along."""

__all__ = ["AUGMENTATIONS", "flip", "get_augmentation"]


def flip(image, box, rng):
    """Mirror the image left to right, every second time.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        ``x_min, x_max, y_min, y_max``, normalised.
    rng : numpy Generator

    Returns
    -------
    image, box
        New arrays, or the ones given.
    """
    if rng.random() < 0.5:
        return image, box
    mirrored = box.copy()
    mirrored[:2] = 1 - box[1], 1 - box[0]
    return image[:, ::-1], mirrored


AUGMENTATIONS = {"flip": flip}


def get_augmentation(augment):
    """The function of a name, the callable that was given, or None."""
    if augment is None or callable(augment):
        return augment
    if augment not in AUGMENTATIONS:
        raise ValueError(
            f"augment must be None, one of {list(AUGMENTATIONS)} or a callable "
            f"(image, box, rng). Received: {augment!r}."
        )
    return AUGMENTATIONS[augment]
