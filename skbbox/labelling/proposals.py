"""Starts the process of the model, and passes messages to and from it."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from .messages import Failed, Start, read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ModelProcess"]

#: Characters of the process's messages that are shown if it ends.
TAIL = 500


class ModelProcess:
    """A process in which the estimator is fitted.

    Parameters
    ----------
    estimator : SingleBoxLocalizer or another estimator
        Unfitted.
    receive : callable
        Is called with each message, in a thread of its own.
    log : Path
        File for what libraries print.

    Raises
    ------
    TypeError
        If the estimator cannot be sent to another process.
    """

    def __init__(self, estimator: Any, receive: Callable[[Any], None], log: Path) -> None:
        self._receive, self._log = receive, log
        self._is_stopped = False
        try:
            pickle.dumps(estimator)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                "estimator must be picklable, because it is fitted in another process; define the "
                f"functions that it uses in a module. {error}"
            ) from error
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __package__ + ".model_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # The process imports what this one can.
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                | {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")},
                # Ctrl-C ends the server, which then ends this process.
                start_new_session=True,
            )
        self.send(Start(estimator))
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: Any) -> None:
        """Send a task, which replaces those that wait."""
        # If the process has ended, the thread that reads reports it.
        with contextlib.suppress(BrokenPipeError):
            write_message(cast("Any", self._process.stdin), message)

    def stop(self) -> None:
        """End the process, also in the middle of a fit."""
        self._is_stopped = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                cast("IO[bytes]", pipe).close()

    def _read(self) -> None:
        try:
            while True:
                self._receive(read_message(cast("Any", self._process.stdout)))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            if not self._is_stopped:
                text = self._log.read_text(errors="replace").strip()[-TAIL:]
                self._receive(Failed(f"The process of the model has ended. {text}", True))
