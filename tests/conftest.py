"""Fixtures that several test modules use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared():
    folder = os.environ.get("SKBBOX_SHARED")
    if not folder:
        pytest.skip("SKBBOX_SHARED is not set; it names the folder with the real images and files")
    return Path(folder)
