"""Progress bars for terminals, notebooks and logs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["progress_bar"]

#: Seconds between two updates if each is printed on a new line.
LOG_INTERVAL = 30


def progress_bar(
    n_images: int, work: str, verbose: bool | int, unit: str = "images"
) -> tqdm[NoReturn]:
    """Make a bar that counts images, for use in a ``with`` statement.

    Parameters
    ----------
    n_images : int
    work : str
        What is done with the images, shown before the bar.
    verbose : bool or int
        False or 0 shows nothing.
    unit : str, default="images"
        What is counted.

    Returns
    -------
    tqdm
        Call its ``update(n)`` after `n` more.
    """
    is_redrawn = sys.stdout.isatty() or "ipykernel" in sys.modules
    return tqdm(
        total=n_images,
        desc=work,
        unit=f" {unit}",
        disable=not verbose,
        # With the output of print; notebooks show stderr in red.
        file=sys.stdout,
        mininterval=0.1 if is_redrawn else LOG_INTERVAL,
    )
