"""The images that are labelled: all of a folder, none outside it."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..annotations.image_files import ImageFiles, has_image_ending
from ..exceptions import AnnotationError, ImageError, SkbboxWarning
from ..files import as_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..typing import PathLikeStr

__all__ = ["ImageFolder"]

#: Number of distinct values of a digest.
N_DIGESTS = 2**64


class ImageFolder:
    """Images in a folder, by number, so that no request can name a path.

    Parameters
    ----------
    folder : str or Path
        The folder that all images are in.
    images : iterable of str or Path, default=None
        Paths of images. None takes all below the folder, except those in hidden folders.

    Attributes
    ----------
    folder : Path
        Absolute.
    names : list of str
        Relative to the folder, with ``/`` between folders.

    Raises
    ------
    ImageError
        If the folder does not exist or has no images, or an image is outside it.

    Warns
    -----
    SkbboxWarning
        If a file is left out, because annotation files cannot store its name or it is a link to a
        file outside the folder.
    """

    def __init__(self, folder: PathLikeStr, images: Iterable[PathLikeStr] | None = None) -> None:
        self.folder = Path(os.path.abspath(as_path(folder)))
        if not self.folder.is_dir():
            raise ImageError(f"{folder} is not a folder; name the folder of the images.")
        self._is_walked = images is None
        paths = self._walk() if images is None else [os.path.abspath(as_path(i)) for i in images]
        self.names = list(dict.fromkeys(self._name_all(paths)))
        self.numbers = {name: number for number, name in enumerate(self.names)}
        if not self.names:
            raise ImageError(
                f"{folder} has no images. Names of images end in .jpg, .png or another common "
                "file extension."
            )

    def __len__(self) -> int:
        return len(self.names)

    def get_path(self, number: int) -> Path:
        """Path of an image."""
        return self.folder / self.names[number]

    def find_number(self, path: str) -> int:
        """Number of the image at an absolute path."""
        return self.numbers[Path(path).relative_to(self.folder).as_posix()]

    def compute_position(self, number: int) -> float:
        """Position of an image in a random order, in 0..1.

        It depends only on the name, so that it stays the same when labelling is continued and
        when images are added.
        """
        digest = hashlib.blake2b(self.names[number].encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / N_DIGESTS

    def _walk(self) -> Iterator[str]:
        """Paths of all image files, without those in hidden folders."""
        for above, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if has_image_ending(name) and not name.startswith("."):
                    yield os.path.join(above, name)

    def _name_all(self, paths: Iterable[str]) -> Iterator[str]:
        files = ImageFiles(self.folder)
        root = os.path.realpath(self.folder)
        problems = []
        for path in paths:
            try:
                name = files.name(path)
                self._check_inside(path, root)
                name.encode()
            except (AnnotationError, UnicodeEncodeError) as error:
                if not self._is_walked:
                    raise ImageError(str(error)) from error
                problems.append(str(error))
            else:
                yield name
        if problems:
            warnings.warn(
                f"{len(problems)} files are left out. The first: {problems[0]}",
                SkbboxWarning,
                stacklevel=2,
            )

    def _check_inside(self, path: str, root: str) -> None:
        """Raise if an image found in the folder is a link to a file outside it."""
        if self._is_walked and not os.path.realpath(path).startswith(os.path.join(root, "")):
            raise AnnotationError(
                f"{path} is a link to a file outside {self.folder}; copy the file into the folder."
            )
