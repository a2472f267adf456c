"""Progress of long work, in a terminal, a notebook or a log."""

import sys
import time

import keras
from tqdm import tqdm

__all__ = ["EpochTable", "progress_bar"]

#: Columns of the table of epochs, and the names that Keras has for them: where the network has
#: several outputs, and where it has one.
COLUMNS = {
    "class loss": ("class_prediction_loss",),
    "box loss": ("bbox_prediction_loss", "loss"),
    "accuracy": ("class_prediction_accuracy",),
    "mean IoU": ("bbox_prediction_mean_iou", "mean_iou"),
}

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


class EpochTable(keras.callbacks.Callback):
    """Prints a line after each epoch: losses, accuracy, mean IoU, time left.

    Values of the validation images are in brackets.

    Parameters
    ----------
    first, epochs : int
        Number of epochs that were trained before, and at the end.
    """

    def __init__(self, first, epochs):
        super().__init__()
        self.first, self.epochs = first, epochs
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        cells = {title: self._cell(logs, names) for title, names in COLUMNS.items()}
        cells = {title: cell for title, cell in cells.items() if cell}
        if epoch == self.first:
            print("   ".join([f"{'epoch':>9}", *map(_aligned, cells, cells.values()), "time left"]))
        number = f"{epoch + 1}/{self.epochs}"
        print("   ".join([f"{number:>9}", *cells.values(), f"{self._time_left(epoch + 1):>9}"]))

    def _cell(self, logs, names):
        name = next((name for name in names if name in logs), None)
        if name is None:
            return ""
        validation = logs.get(f"val_{name}")
        # As wide as the titles.
        return f"{logs[name]:10.3f}" + ("" if validation is None else f" ({validation:.3f})")

    def _time_left(self, n_done):
        seconds = (time.monotonic() - self.began) / (n_done - self.first)
        minutes, seconds = divmod(round(seconds * (self.epochs - n_done)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _aligned(title, cell):
    return f"{title:>{len(cell)}}"
