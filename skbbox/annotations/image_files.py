"""Paths and sizes of the images that annotation files name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import takewhile
from numbers import Real
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from ..exceptions import AnnotationError, ImageError
from ..files import as_path
from ..images import upright_size
from .record import UNWRITABLE, ImageStem

if TYPE_CHECKING:
    from ..typing import PathLikeStr, Sizes
    from .record import BoxRecord

__all__ = ["ENDINGS", "ImageFiles"]

#: File extensions of the images that Pillow reads and annotation tools show.
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


class ImageFiles:
    """The images of one call of ``read_annotations`` or ``write_annotations``.

    Parameters
    ----------
    images_dir : str, Path or None
        The folder that names are relative to; None means the folder of each annotation file.
    sizes : mapping of str to (width, height), or None
        Sizes in pixels by image name, path or last part of the path.
    """

    def __init__(self, images_dir: PathLikeStr | None = None, sizes: Sizes | None = None) -> None:
        self.images_dir = None if images_dir is None else as_path(images_dir)
        self.sizes = _check_sizes(sizes)
        self._known_sizes: dict[str, tuple[float, float]] = {}
        self._by_stem: dict[Path, dict[str, list[str]]] = {}

    def find_path(self, record: BoxRecord, file: Path) -> str:
        """Path of the image of a record; raises an error if it is outside the folder."""
        folder = file.parent if self.images_dir is None else self.images_dir
        image = record.image
        if isinstance(image, ImageStem):
            return self._find_by_stem(image, folder)
        name = image
        # CVAT exports the images of each subset of a project in a folder of its own.
        subset = record.extra.get("subset")
        if subset and os.path.exists(os.path.join(folder, subset, name)):
            name = f"{subset}/{name}"
        if "\\" in name:
            name = name.replace("\\", "/")
        if not name or name.endswith("/"):
            _fail(file, record, f"the name of the image is empty. Received: {image!r}.")
        if name[0] == "/" or name[1:3] == ":/" or ".." in name or "\0" in name:
            relative = _make_relative(name, folder)
            if relative is None:
                _fail(
                    file,
                    record,
                    f"the image is outside {folder}, which is not allowed. Received: {image!r}. "
                    "Pass images_dir= with the folder that contains all images.",
                )
            name = relative
        if "//" in name or "./" in name:
            name = str(PurePosixPath(name))
        return _join(folder, name)

    def find_size(self, record: BoxRecord, path: str, file: Path) -> tuple[float, float]:
        """Width and height in pixels of the image of a record without a size."""
        if path not in self._known_sizes:
            name = record.image if isinstance(record.image, str) else os.path.basename(path)
            try:
                self._known_sizes[path] = self.read_size(path, name)
            except AnnotationError as error:
                _fail(file, record, f"{error} Or pass images_dir= with the folder of the images.")
        return self._known_sizes[path]

    def read_size(self, path: str, name: str) -> tuple[float, float]:
        """Width and height of an image in pixels, from `sizes` or from the image itself."""
        for key in (name, path, os.path.basename(path)):
            if key in self.sizes:
                return self.sizes[key]
        try:
            return upright_size(as_path(path))
        except ImageError as error:
            raise AnnotationError(
                f"the size of {name!r} in pixels is needed but unknown: {error} "
                f"Pass sizes={{{name!r}: (width, height)}}."
            ) from error

    def name(self, path: str) -> str:
        """Name of an image relative to `images_dir`, for writing."""
        name = os.path.relpath(os.path.expanduser(path), self.images_dir)
        if name.split(os.sep)[0] == os.pardir:
            raise AnnotationError(
                f"{path} is outside {self.images_dir}; pass images_dir= with the folder that "
                "contains all images."
            )
        name = name.replace(os.sep, "/")
        # Readers take a backslash for a folder, and C:/ for a drive.
        if UNWRITABLE.search(name) or "\\" in name or name[1:3] == ":/":
            raise AnnotationError(
                f"the name of the image {path!r} contains a character that annotation files "
                "cannot store; rename it."
            )
        return name

    def list_others(self, paths: Iterable[str]) -> list[str]:
        """Images in `images_dir` that are not among `paths`, sorted by name."""
        assert self.images_dir is not None
        known = set(paths)
        found = (_join(self.images_dir, name) for name in _list_images(self.images_dir))
        return sorted(path for path in found if path not in known)

    def _find_by_stem(self, image: ImageStem, folder: Path) -> str:
        found = self._index_stems(folder).get(image.stem, [])
        if len(found) > 1 and image.annotation_file is not None:
            counts = [_count_matching_folders(path, image.annotation_file) for path in found]
            found = [path for path, n in zip(found, counts, strict=True) if n == max(counts)]
        if len(found) > 1:
            raise AnnotationError(
                f"{folder}: several images match {image.stem}: {found[:5]}; pass images_dir= with "
                "the folder of one of them."
            )
        if found:
            return found[0]
        for key in self.sizes:
            if PurePosixPath(key).stem == image.stem:
                return _join(folder, key)
        return _join(folder, image.stem + image.default_extension)

    def _index_stems(self, folder: Path) -> dict[str, list[str]]:
        """Paths of the images in a folder by their stems."""
        if folder not in self._by_stem:
            stems = self._by_stem[folder] = {}
            folders = [folder]
            names = _list_images(folder)
            if self.images_dir is None:
                # Images are in the same folder or, as for Ultralytics, in images/ for labels/.
                names = [name for name in names if "/" not in name]
                parts = list(folder.parts)
                if "labels" in parts:
                    last = len(parts) - 1 - parts[::-1].index("labels")
                    folders.append(Path(*parts[:last], "images", *parts[last + 1 :]))
            found = [_join(folder, name) for name in names]
            found += [_join(other, name) for other in folders[1:] for name in _list_images(other)]
            for path in found:
                stems.setdefault(PurePosixPath(path).stem, []).append(path)
        return self._by_stem[folder]


def _make_relative(name: str, folder: Path) -> str | None:
    """The name relative to a folder, or None if it is outside."""
    if "\0" in name or name[1:3] == ":/":
        return None
    if name[0] != "/":
        return None if ".." in name.split("/") else name
    relative = os.path.relpath(os.path.normpath(name), folder.absolute())
    return None if relative.split(os.sep)[0] == ".." else relative


def _join(folder: Path, name: str) -> str:
    return name if str(folder) == "." else f"{folder}/{name}"


def _count_matching_folders(path: str, other: Path) -> int:
    """Number of folders with the same names in two paths, counted upwards from the files."""
    pairs = zip(PurePosixPath(path).parts[-2::-1], other.parts[-2::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _list_images(folder: Path) -> list[str]:
    """Names of the image files in a folder and its subfolders, relative to it."""
    return [
        os.path.relpath(os.path.join(above, name), folder)
        for above, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(ENDINGS)
    ]


def _check_sizes(sizes: Any) -> dict[str, tuple[float, float]]:
    if sizes is None:
        return {}
    if not isinstance(sizes, Mapping):
        raise AnnotationError(
            "sizes must be a dict such as {'name.jpg': (width, height)}. "
            f"Received: {type(sizes).__name__}."
        )
    checked = {}
    for name, size in sizes.items():
        pair: tuple[Any, ...] = tuple(size) if isinstance(size, (tuple, list)) else ()
        if len(pair) != 2 or not all(isinstance(side, Real) and float(side) > 0 for side in pair):
            raise AnnotationError(
                f"sizes[{name!r}] must be a positive width and height in pixels. "
                f"Received: {size!r}."
            )
        checked[str(name)] = float(pair[0]), float(pair[1])
    return checked


def _fail(file: Path, record: BoxRecord, message: str) -> NoReturn:
    place = str(record.place)
    raise AnnotationError(f"{file}, {place}: {message}" if place else f"{file}: {message}")
