"""Pictures of the images for the page, which are prepared ahead."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ..files import atomic_write
from ..images import load_image, upright_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .images import ImageFolder

__all__ = ["Pictures"]

#: Longest side in pixels, which a screen can show with some zoom.
MAX_SIDE = 1600
#: Quality of the JPEGs.
QUALITY = 88
#: Threads that prepare pictures; Pillow decodes without Python's lock.
N_THREADS = 2


class Pictures:
    """Decoded, upright and not too large copies of images, as JPEG.

    The image files themselves never reach the browser, so that it decodes nothing but what this
    process has encoded.

    Parameters
    ----------
    images : ImageFolder
    folder : Path
        Where the pictures are kept.
    """

    def __init__(self, images: ImageFolder, folder: Path) -> None:
        self.images, self.folder = images, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(N_THREADS, thread_name_prefix="pictures")
        self._futures: dict[int, Future[Path]] = {}
        self._lock = threading.Lock()

    def prepare(self, numbers: Iterable[int]) -> None:
        """Begin to prepare pictures that will be needed soon."""
        for number in numbers:
            self._submit(number)

    def get(self, number: int) -> Path:
        """Path of the picture of an image; waits for it if necessary.

        Raises
        ------
        ImageError
            If the image cannot be read.
        OSError
            If the picture cannot be written.
        """
        return self._submit(number).result()

    def close(self) -> None:
        """Stop to prepare pictures."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, number: int) -> Future[Path]:
        with self._lock:
            future = self._futures.get(number)
            if future is None or (future.done() and _has_os_error(future)):
                future = self._futures[number] = self._pool.submit(self._make, number)
            return future

    def _make(self, number: int) -> Path:
        source = self.images.get_path(number)
        width, height = upright_size(source)
        status = source.stat()
        key = f"{self.images.names[number]}|{status.st_mtime_ns}|{status.st_size}"
        path = self.folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.jpg"
        if not path.exists():
            scale = min(1.0, MAX_SIDE / max(width, height))
            size = max(1, round(height * scale)), max(1, round(width * scale))
            picture = Image.fromarray(load_image(source, None if scale == 1.0 else size))
            with atomic_write(path) as file:
                picture.save(file, "JPEG", quality=QUALITY)
        return path


def _has_os_error(future: Future[Path]) -> bool:
    """Whether writing failed, which may succeed later, unlike reading a broken image."""
    return isinstance(future.exception(), OSError)
