"""Functions that several test modules call; fixtures are in ``conftest.py``."""


def small_localizer(**changes):
    """An unfitted estimator that is fast to fit: two epochs of a small network from scratch."""
    # Not at the top: Keras reads KERAS_HOME on import, and conftest.py sets it later.
    from skbbox import SingleBoxLocalizer
    from skbbox.network import small_convnet

    parameters = {
        "backbone": small_convnet,
        "weights": None,
        "image_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "random_state": 0,
    }
    return SingleBoxLocalizer(**(parameters | changes))
