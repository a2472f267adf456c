"""Where the images that annotations name lie, and how large they are."""

import os
from collections.abc import Mapping
from itertools import takewhile
from numbers import Real
from pathlib import Path, PurePosixPath

from ..exceptions import AnnotationError, ImageError
from ..images import upright_size
from .record import UNWRITABLE, AnyEnding

__all__ = ["ENDINGS", "ImageFiles"]

#: Ends of names of files that Pillow reads and annotation tools show.
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


class ImageFiles:
    """The images of one call of ``read_annotations``.

    Parameters
    ----------
    images_dir : str, Path or None
        The folder that names are relative to; None is the folder of each annotation file.
    sizes : mapping of str to (width, height), or None
        Where neither file nor image can say, by the name in the file or its last part.
    """

    def __init__(self, images_dir=None, sizes=None):
        self.images_dir = None if images_dir is None else Path(images_dir)
        self.sizes = _checked_sizes(sizes)
        self._known_sizes = {}
        self._by_stem = {}

    def path(self, record, file):
        """Path of the image of a record in a file, as str; refuses one outside the folder."""
        folder = file.parent if self.images_dir is None else self.images_dir
        name = record.image
        if isinstance(name, AnyEnding):
            return self._with_ending(name, folder)
        # CVAT puts the images of a project into a folder for each subset.
        subset = record.extra.get("subset")
        if subset and os.path.exists(os.path.join(folder, subset, name)):
            name = f"{subset}/{name}"
        if "\\" in name:
            name = name.replace("\\", "/")
        if not name or name.endswith("/"):
            _fail(file, record, f"the name of the image is empty. Received: {record.image!r}.")
        if name[0] == "/" or name[1:3] == ":/" or ".." in name or "\0" in name:
            name = self._inside(name, folder)
            if name is None:
                _fail(
                    file,
                    record,
                    f"the image lies outside of {folder}, which is refused. "
                    f"Received: {record.image!r}. Pass images_dir= with the folder of all images.",
                )
        if "//" in name or "./" in name:
            name = str(PurePosixPath(name))
        return name if str(folder) == "." else f"{folder}/{name}"

    def size(self, record, path, file):
        """Width and height in pixels of the image of a record, which its file does not say."""
        if path not in self._known_sizes:
            self._known_sizes[path] = self._found_size(record, path, file)
        return self._known_sizes[path]

    def size_in_pixels(self, path, name):
        """Width and height of an image that is to be written, by its path and name."""
        for key in (name, path, os.path.basename(path)):
            if key in self.sizes:
                return self.sizes[key]
        try:
            return upright_size(path)
        except ImageError as error:
            raise AnnotationError(
                f"the size of {name!r} in pixels is needed and cannot be had: {error} "
                f"Pass sizes={{{name!r}: (width, height)}}."
            ) from error

    def name(self, path):
        """Name of an image that is to be written, relative to the folder of images."""
        name = os.path.relpath(path, self.images_dir)
        if name.split(os.sep)[0] == os.pardir:
            raise AnnotationError(
                f"{path} lies outside of {self.images_dir}; pass images_dir= with the folder of "
                "all images."
            )
        name = name.replace(os.sep, "/")
        # The last two are read as a folder and as a drive.
        if UNWRITABLE.search(name) or "\\" in name or name[1:3] == ":/":
            raise AnnotationError(
                f"the name of the image {path!r} holds a character that annotation files cannot; "
                "rename it."
            )
        return name

    def others(self, paths):
        """Images in the folder that are not among paths, in order of their names."""
        known = set(paths)
        found = (self._path_in(self.images_dir, name) for name in _walked(self.images_dir))
        return sorted(path for path in found if path not in known)

    def _inside(self, name, folder):
        """The name relative to a folder, or None where it is not in there."""
        if "\0" in name or name[1:3] == ":/":
            return None
        if name[0] != "/":
            return None if ".." in name.split("/") else name
        relative = os.path.relpath(os.path.normpath(name), folder.absolute())
        return None if relative.split(os.sep)[0] == ".." else relative

    def _found_size(self, record, path, file):
        name = record.image if isinstance(record.image, str) else os.path.basename(path)
        try:
            return self.size_in_pixels(path, name)
        except AnnotationError as error:
            _fail(file, record, f"{error} Or pass images_dir= with the folder of the images.")

    def _with_ending(self, name, folder):
        found = self._stems(folder).get(name.stem, [])
        if len(found) > 1 and name.beside is not None:
            alike = [_n_folders_alike(path, name.beside) for path in found]
            found = [path for path, n in zip(found, alike, strict=True) if n == max(alike)]
        if len(found) > 1:
            raise AnnotationError(
                f"{folder}: several images may be {name.stem}: {found[:5]}; name the folder of "
                "one of them by images_dir=."
            )
        if found:
            return found[0]
        for key in self.sizes:
            if PurePosixPath(key).stem == name.stem:
                return self._path_in(folder, key)
        return self._path_in(folder, name.stem + name.otherwise)

    def _stems(self, folder):
        if folder not in self._by_stem:
            stems = self._by_stem[folder] = {}
            folders = [folder]
            names = _walked(folder)
            if self.images_dir is None:
                # Beside the boxes, or where Ultralytics looks: labels/ becomes images/.
                names = [name for name in names if "/" not in name]
                parts = list(folder.parts)
                if "labels" in parts:
                    last = len(parts) - 1 - parts[::-1].index("labels")
                    folders.append(Path(*parts[:last], "images", *parts[last + 1 :]))
            found = [self._path_in(folder, name) for name in names]
            found += [
                self._path_in(other, name) for other in folders[1:] for name in _walked(other)
            ]
            for path in found:
                stems.setdefault(PurePosixPath(path).stem, []).append(path)
        return self._by_stem[folder]

    @staticmethod
    def _path_in(folder, name):
        return name if str(folder) == "." else f"{folder}/{name}"


def _n_folders_alike(path, beside):
    """How many folders of two paths are called the same, counted from the files upwards."""
    pairs = zip(PurePosixPath(path).parts[-2::-1], beside.parts[-2::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _walked(folder):
    """Names of the image files in a folder and below, relative to it."""
    return [
        os.path.relpath(os.path.join(above, name), folder)
        for above, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(ENDINGS)
    ]


def _checked_sizes(sizes):
    if sizes is None:
        return {}
    if not isinstance(sizes, Mapping):
        raise AnnotationError(
            "sizes is a dict such as {'name.jpg': (width, height)}. "
            f"Received: {type(sizes).__name__}."
        )
    for name, size in sizes.items():
        pair = tuple(size) if isinstance(size, (tuple, list)) else ()
        if len(pair) != 2 or not all(isinstance(side, Real) and side > 0 for side in pair):
            raise AnnotationError(
                f"sizes[{name!r}] is a width and a height in pixels, above 0. Received: {size!r}."
            )
    return {str(name): tuple(map(float, size)) for name, size in sizes.items()}


def _fail(file, record, message):
    place = str(record.place)
    raise AnnotationError(f"{file}, {place}: {message}" if place else f"{file}: {message}")
