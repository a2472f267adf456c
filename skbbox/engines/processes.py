"""Whether this process was forked from one that had started TensorFlow."""

from __future__ import annotations

import os
import sys

from ..exceptions import ForkError

__all__ = ["check_process", "was_forked"]

_was_forked = False


def was_forked() -> bool:
    """Whether networks cannot run here: TensorFlow's threads do not exist in a forked process."""
    return _was_forked


def check_process() -> None:
    """Raise a ForkError where a network would wait for ever for threads that do not exist."""
    if _was_forked:
        raise ForkError(
            "This process was forked from one that had already used TensorFlow, whose threads a "
            "fork does not copy, so networks cannot run in it. Start processes with 'spawn': "
            "multiprocessing.get_context('spawn').Pool(), ProcessPoolExecutor(mp_context="
            "multiprocessing.get_context('spawn')), or joblib's default backend 'loky'."
        )


def _note_fork() -> None:
    global _was_forked
    module = sys.modules.get("tensorflow.python.eager.context")
    if module is not None:
        # TensorFlow does not tell publicly whether its runtime has started. If it is renamed, it
        # counts as started.
        context = getattr(module, "_context", module)
        _was_forked |= context is not None and (
            getattr(context, "_context_handle", module) is not None
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
