"""Fitted models for the commands that use one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .start import start_keras

if TYPE_CHECKING:
    import argparse

    from ..localizer import SingleBoxLocalizer

__all__ = ["load_model"]


def load_model(parsed: argparse.Namespace) -> SingleBoxLocalizer:
    """Load the model of a command, with its options ``--quiet`` and ``--bad-images``."""
    from ..localizer import SingleBoxLocalizer

    if not parsed.model.exists():
        raise FileNotFoundError(f"{parsed.model} does not exist; name a file written by train.")
    start_keras()
    localizer = SingleBoxLocalizer.load(parsed.model)
    verbose = 0 if getattr(parsed, "quiet", True) else 1
    return localizer.set_params(
        verbose=verbose, on_bad_image=getattr(parsed, "bad_images", "raise")
    )
