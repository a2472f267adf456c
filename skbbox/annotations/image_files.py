"""Paths and sizes of the images that annotation files name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from numbers import Real
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from ..exceptions import AnnotationError, ImageError
from ..files import as_path
from ..images import upright_size
from .record import UNWRITABLE, ImageStem, PlacedImage, ServedImage

if TYPE_CHECKING:
    from ..typing import PathLikeStr, Sizes
    from .record import BoxRecord

__all__ = ["ENDINGS", "ImageFiles", "get_label_path", "has_image_ending", "is_url"]

#: File extensions of the images that Pillow reads and annotation tools show.
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
#: Folders of images by the name of the folder of annotations that they are next to: those of
#: Ultralytics, Pascal VOC and ImageNet, Stanford Dogs, Oxford-IIIT Pet and KITTI.
SIBLINGS = {
    "labels": ("images",),
    "Annotations": ("JPEGImages", "Data", "images"),
    "Annotation": ("Images",),
    "annotations": ("images",),
    "xmls": ("images",),
    "label_2": ("image_2",),
}
#: Number of files after which images are not looked for in other folders again.
MAX_SEARCHES = 100
_AnyPath = TypeVar("_AnyPath", bound=PurePath)
#: A scheme has two letters or more; one letter is a drive of Windows.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class ImageFiles:
    """The images of one call of ``read_annotations`` or ``write_annotations``.

    Parameters
    ----------
    images_dir : str, Path or None
        The folder that names are relative to; None means the folder of each annotation file.
    sizes : mapping of str to (width, height), or None
        Sizes in pixels by image name, path or last part of the path.
    root : Path, default=None
        Folder whose annotation files are read, if it is a folder.
    """

    def __init__(
        self,
        images_dir: PathLikeStr | None = None,
        sizes: Sizes | None = None,
        root: Path | None = None,
    ) -> None:
        self.images_dir = None if images_dir is None else as_path(images_dir)
        self.root = root
        self.sizes = _check_sizes(sizes)
        self._known_sizes: dict[str, tuple[float, float]] = {}
        self._by_stem: dict[Path, dict[str, list[str]]] = {}
        self._foreign_names: dict[str, str] = {}
        self._folders: dict[Path, Path] = {}
        self._n_searches = 0
        self._file: Path | None = None
        self._folder = Path()

    def find_path(self, record: BoxRecord, file: Path) -> str:
        """Path of the image of a record; raises an error if it is outside the folder."""
        if file is not self._file:
            # A table may have a million rows, and a Path costs more than its text.
            self._file = file
            self._folder = self._choose_folder(file, record.image)
        folder = self._folder
        image = record.image
        if isinstance(image, ImageStem):
            return self._find_by_stem(image, folder)
        if isinstance(image, ServedImage):
            return self._find_served(record, file, image)
        if isinstance(image, PlacedImage):
            folder = image.folder if self.images_dir is None else folder
            image = image.name
        name = image
        # CVAT exports the images of each subset of a project in a folder of its own.
        subset = record.extra.get("subset")
        if subset and os.path.exists(os.path.join(folder, subset, name)):
            name = f"{subset}/{name}"
        if "\\" in name:
            name = name.replace("\\", "/")
        if not name or name.endswith("/"):
            _fail(file, record, f"the name of the image is empty. Received: {image!r}.")
        if "://" in name and is_url(name):
            return self._find_foreign(record, file, *_split_url(name, record, file))
        if name[0] == "/" or name[1:3] == ":/" or ".." in name or "\0" in name:
            relative = _make_relative(name, folder)
            if relative is None:
                path = self._find_above(file, name)
                if not path and _is_foreign(name):
                    path = self._find_foreign(record, file, name)
                if path:
                    return path
                _fail(
                    file,
                    record,
                    f"the image is outside {folder}, which is not allowed. Received: {image!r}. "
                    "Pass images_dir= with the folder that contains all images.",
                )
            name = relative
        if "//" in name or "./" in name:
            name = str(PurePosixPath(name))
        path = _join(folder, name)
        # The first comparison saves time: a table may have a million rows.
        if name[-4:] != ".jpg" and not has_image_ending(name) and not os.path.exists(path):
            above, _, stem = name.rpartition("/")
            return self._find_by_stem(ImageStem(stem, "", file), folder / above)
        return path

    def _choose_folder(
        self, file: Path, image: str | ImageStem | ServedImage | PlacedImage
    ) -> Path:
        """The folder that names in a file are relative to.

        It is that of the file, unless the first image is not there, but in one of the folders that
        tools and data sets have for images. With `images_dir`, it is that, or the folder in it that
        is like that of the file, if the first image is there.
        """
        folder = file.parent if self.images_dir is None else self.images_dir
        if not isinstance(image, str) or not image:
            return folder
        if self.images_dir is not None:
            own = file.parent.absolute()
            if self.root is not None and own != self.root and own.is_relative_to(self.root):
                alike = self.images_dir / own.relative_to(self.root)
                if not _is_outside(image) and _has_image(alike, image):
                    return alike
            return folder
        is_single = file.suffix.lower() in (".xml", ".txt", "")
        known = self._folders.get(folder)
        is_enough = is_single or self._n_searches >= MAX_SEARCHES
        if known is not None and (is_enough or _has_image(known, image)):
            return known
        self._n_searches += 1
        places = [folder] if _is_outside(image) else [folder, *_list_image_folders(file)]
        chosen = next((place for place in places if _has_image(place, image)), folder)
        self._folders[folder] = chosen
        return chosen

    def _find_above(self, file: Path, name: str) -> str:
        """Path of an image such as ``../images/a.jpg``, relative to the annotation file.

        It must be in `images_dir` or, without one, in the folder that is read.
        """
        folder = self.root if self.images_dir is None else self.images_dir
        if folder is None or name[0] == "/" or name[1:3] == ":/" or "\0" in name:
            return ""
        path = os.path.normpath(os.path.join(file.parent, name))
        relative = _make_relative(os.path.abspath(path), folder)
        if relative is None or self.images_dir is None:
            return "" if relative is None else path
        return _join(folder, relative)

    def _find_served(self, record: BoxRecord, file: Path, image: ServedImage) -> str:
        path = image.path.replace("\\", "/")
        if image.name in ("", ".", "..") or "\0" in path or path.endswith("/"):
            _fail(file, record, f"the URL contains no image name. Received: {path[:80]!r}.")
        return self._find_foreign(record, file, path, image.name)

    def _find_foreign(self, record: BoxRecord, file: Path, name: str, default: str = "") -> str:
        """Path of an image whose name is a URL, or a path of another computer.

        The longest end of the name that exists in the folder is the image, else the longest end
        that does so with `default` as its last part, else `default`; an empty text if that is
        empty.
        """
        folder = file.parent if self.images_dir is None else self.images_dir
        parts = [part for part in name.split("/") if part not in ("", ".", "..")]
        ends = ["/".join(parts[i:]) for i in range(len(parts))]
        if default and default != parts[-1]:
            ends += ["/".join([*parts[i:-1], default]) for i in range(len(parts))]
        found = next((end for end in ends if os.path.isfile(os.path.join(folder, end))), default)
        path = _join(folder, found)
        if not has_image_ending(found or name) and not (found and os.path.isfile(path)):
            found = found or parts[-1]
            path = self._find_by_stem(ImageStem(found, "", file), folder)
            found = found if default or os.path.isfile(path) else ""
        if not found:
            return ""
        if self._foreign_names.setdefault(path, name) != name:
            _fail(
                file,
                record,
                f"two images, {self._foreign_names[path]!r} and {name!r}, would both be {path}. "
                "Store the images in folders of images_dir= that have the names in these paths.",
            )
        return path

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
            exact = [path for path in found if get_label_path(Path(path)) == image.annotation_file]
            found = exact or found
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
                folders += _list_siblings(folder)
            found = [_join(folder, name) for name in names]
            found += [_join(other, name) for other in folders[1:] for name in _list_images(other)]
            for path in found:
                stems.setdefault(PurePosixPath(path).stem, []).append(path)
        return self._by_stem[folder]


def _list_siblings(folder: Path) -> list[Path]:
    """Folders of images next to that of annotations, whose name they have in its place."""
    parts = folder.parts
    found = []
    for name, others in SIBLINGS.items():
        if name in parts:
            last = len(parts) - 1 - parts[::-1].index(name)
            for other in others:
                # Oxford-IIIT Pet has images/ beside annotations/xmls/.
                place = Path(*parts[:last], other)
                inner = Path(place, *parts[last + 1 :])
                found += [inner] if inner.is_dir() else [place] if place.is_dir() else []
    return found


def _list_image_folders(file: Path) -> list[Path]:
    """Folders where tools and data sets have the images of an annotation file."""
    folder, stem = file.parent, file.stem
    places = _list_siblings(folder)
    # Kaggle has train/ next to train.csv; COCO has train2017/ for instances_train2017.json.
    words = dict.fromkeys([stem, *re.split(r"[_\-]", stem)])
    for base in (folder, folder.parent):
        for above in (base, *(base / name for name in ("images", "Images", "JPEGImages", "img"))):
            places += [above] if above != base else []
            places += [above / word for word in words]
    return places + [folder.parent / f"WIDER_{word}" / "images" for word in words]


def _has_image(folder: Path, name: str) -> bool:
    """Whether an image exists, if its name has no extension with any of them."""
    path = os.path.join(folder, name)
    if os.path.isfile(path):
        return True
    return not has_image_ending(name) and any(os.path.isfile(path + end) for end in ENDINGS)


def _is_outside(name: str) -> bool:
    """Whether a name is a URL, or a path that is not below its folder."""
    return "://" in name or name[:1] in "/\\" or name[1:2] == ":" or ".." in name or "\0" in name


def get_label_path(image: _AnyPath) -> _AnyPath:
    """Path of an image's labels for Ultralytics: the last folder images is named labels."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return type(image)(*parts).with_suffix(".txt")


def has_image_ending(name: str) -> bool:
    """Whether a name ends in one of ``ENDINGS``."""
    return name.lower().endswith(ENDINGS)


def is_url(name: str) -> bool:
    """Whether a name is a URL, such as ``https://host/a.jpg`` or ``s3://bucket/a.jpg``."""
    return _URL.match(name) is not None


def _split_url(name: str, record: BoxRecord, file: Path) -> tuple[str, str]:
    """Host and path of a URL without the signature that may follow them, and its last part."""
    try:
        url = urlsplit(name)
    except ValueError as error:
        _fail(file, record, f"the name of the image is not a valid URL: {error}.")
    path = unquote(url.path)
    if not has_image_ending(path):
        # Some servers, such as Label Studio's, are asked for a path in a parameter.
        values = [value for _, value in parse_qsl(url.query) if has_image_ending(value)]
        path = f"{path}/{values[0]}" if len(values) == 1 else path
    last = path.rstrip("/").rpartition("/")[2]
    if last in ("", ".", "..") or "\0" in path or "\\" in path:
        _fail(file, record, f"the URL contains no image name. Received: {name[:80]!r}.")
    return f"{url.netloc}{path}", last


def _is_foreign(name: str) -> bool:
    """Whether a name is a path of another computer: absolute, or from a folder above."""
    if "\0" in name:
        return False
    is_above = ".." in name.split("/")
    return is_above or name[1:3] == ":/" or (name[0] == "/" and not os.path.exists(name))


def _make_relative(name: str, folder: Path) -> str | None:
    """The name relative to a folder, or None if it is outside."""
    if "\0" in name or name[1:3] == ":/":
        return None
    if name[0] != "/":
        return None if ".." in name.split("/") else name
    relative = os.path.relpath(os.path.normpath(name), folder.absolute())
    return None if relative.split(os.sep)[0] == ".." else relative


def _join(folder: Path, name: str) -> str:
    above = str(folder)
    return name if above == "." else f"{above}/{name}"


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
