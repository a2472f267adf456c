"""A bar for long work, in a terminal, a notebook or a log."""

import sys

from tqdm import tqdm

__all__ = ["progress_bar"]

#: Seconds between two states of a bar where each is a line of its own.
LOG_INTERVAL = 30


def progress_bar(n_images, work, verbose):
    """A bar that counts images, to be used in a ``with`` statement.

    Parameters
    ----------
    n_images : int
    work : str
        What is done to them.
    verbose : {0, 1}
        0 shows nothing.

    Returns
    -------
    tqdm
        Whose ``update(n)`` tells of n further images.
    """
    is_redrawn = sys.stdout.isatty() or "ipykernel" in sys.modules
    return tqdm(
        total=n_images,
        desc=work,
        unit=" images",
        disable=not verbose,
        # Where prints go; notebooks show what goes to stderr in red.
        file=sys.stdout,
        mininterval=0.1 if is_redrawn else LOG_INTERVAL,
    )
