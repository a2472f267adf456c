"""From whatever holds an image to pixels of the size that the network takes."""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from .exceptions import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .typing import ImageLike, PathLikeStr, Pixels

__all__ = ["KINDS", "load_image", "load_row", "try_load_row", "upright_size"]

#: Kinds of files that are read, by Pillow's names. All of them begin with a signature of their
#: own, and hold pixels; Pillow hands PostScript, for one, to another program. HEIF needs a plugin.
KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")

#: EXIF's tag of the orientation, what turns an image of each upright, and those that exchange
#: width and height.
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)

#: Scans of a progressive JPEG, of which ten are usual; the limit of libjpeg-turbo's own fuzzers.
MOST_SCANS = 500

#: A filter of what Pillow warns of, such as odd tags, which do not change the pixels.
UNHEARD = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def load_image(image: ImageLike, size: tuple[int, int] | None = None) -> Pixels:
    """Decode an image, turn it upright and resize it.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        A file; or pixels as uint8 of shape (height, width), (height, width, 1),
        (height, width, 3) or (height, width, 4).
    size : (int, int), default=None
        Height and width to stretch the image to. None keeps its own.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB in 0..255. The EXIF orientation is applied, transparent pixels are
        laid over white, 16-bit images keep their upper 8 bits, and of an
        animation the first frame is taken.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, none of ``KINDS``, a directory or
        larger than ``PIL.Image.MAX_IMAGE_PIXELS``, or the array is not uint8 pixels.

    Notes
    -----
    A large JPEG is decoded at a half, a quarter or an eighth of its size as long
    as that leaves at least twice the pixels asked for on each side.

    Examples
    --------
    >>> import numpy as np
    >>> from skbbox.images import load_image
    >>> load_image(np.zeros((40, 60), dtype=np.uint8), size=(16, 16)).shape
    (16, 16, 3)
    """
    if isinstance(image, np.ndarray):
        return _resized_array(image, size)
    if isinstance(image, Image.Image):
        with _quiet():
            return _pixels(image, size, "the PIL image")
    if not isinstance(image, (str, os.PathLike)):
        raise ImageError(
            f"An image is a path, a uint8 array or a PIL image. Received: {type(image).__name__}."
        )
    path = Path(image)
    with _opened(path) as opened:
        if "progressive" in opened.info:
            _check_scans(opened, path)
        if size is not None and opened.format == "JPEG":
            # Orientation may exchange the sides, so both must stay large enough.
            opened.draft(None, (2 * max(size), 2 * max(size)))
        return _pixels(opened, size, path)


def upright_size(path: PathLikeStr) -> tuple[int, int]:
    """Width and height in pixels of an image file, turned upright.

    Its pixels are not decoded, but those of a PNG, whose orientation may come after them.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    (int, int)

    Raises
    ------
    ImageError
        If the file is missing, empty, none of ``KINDS``, a directory or too large.
    """
    with _opened(Path(path)) as opened:
        turned = _orientation(opened, path) in TURNED
        # Pillow exchanges the sides of a TIFF before it has been decoded, and of no other kind.
        tags = getattr(opened, "tag_v2", None)
        width, height = (tags[256], tags[257]) if tags else opened.size
        return (height, width) if turned else (width, height)


def load_row(items: Sequence[ImageLike], row: int, size: tuple[int, int] | None) -> Pixels:
    """:func:`load_image` of one of many, with its row in the message of an ImageError."""
    try:
        return load_image(items[row], size)
    except ImageError as error:
        raise ImageError(f"Row {row}: {error}") from error


def try_load_row(
    items: Sequence[ImageLike], row: int, size: tuple[int, int] | None
) -> tuple[Pixels, str | None]:
    """Pixels and None; or black pixels and why the image cannot be read."""
    try:
        return load_image(items[row], size), None
    except ImageError as error:
        return np.zeros((*(size or (1, 1)), 3), np.uint8), str(error)


@contextmanager
def _quiet():
    """Without Pillow's warnings, in any number of threads.

    ``warnings.catch_warnings`` is for one: the last to leave brings back what another had set.
    """
    warnings.filters.insert(0, UNHEARD)
    try:
        yield
    finally:
        with suppress(ValueError):  # Others may have set all filters back meanwhile.
            warnings.filters.remove(UNHEARD)


@contextmanager
def _opened(path):
    """An image file of which only the beginning has been read."""
    with _quiet(), _file(path) as file:
        Image.init()
        kinds = [kind for kind in KINDS if kind in Image.OPEN]
        try:
            opened = Image.open(file, formats=kinds)
        except UnidentifiedImageError:
            raise ImageError(
                f"{path} cannot be read as an image: it is damaged or none of {', '.join(kinds)}. "
                "Restore or convert it, or leave out its row."
            ) from None
        except Image.DecompressionBombError as error:
            raise _too_large(path, str(error)) from None
        except Exception as error:  # Pillow's plugins raise many kinds on a damaged file.
            raise ImageError(f"{path} cannot be read as an image: {_reason(error)}.") from error
        width, height = opened.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            raise _too_large(path, f"{width} x {height} pixels")
        yield opened


def _file(path):
    """A file, opened to be read."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImageError(f"{path} is a directory; pass the image files in it.")
        if not stat.S_ISREG(found.st_mode):
            raise ImageError(f"{path} is no file but a pipe, a device or a socket; pass a file.")
        if found.st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes); restore the file or leave out its row.")
        return io.BufferedReader(_UnmappedFile(path))
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(
            f"{path} does not exist (working directory: {Path.cwd()}); "
            "correct the path, or images_dir= of read_annotations."
        ) from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as an image: {error}.") from error


class _UnmappedFile(io.FileIO):
    """A file that decoders read and do not map into the memory.

    Where a mapped file is cut off meanwhile, the system ends the process (Pillow's issue 3496).
    """

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


def _check_scans(opened, path):
    """Refuse a progressive JPEG that takes minutes, as each scan goes through all of the image."""
    opened.fp.seek(0)
    n_scans = opened.fp.read().count(b"\xff\xda")
    if n_scans > MOST_SCANS:
        raise ImageError(
            f"{path} has {n_scans} scans, which is above {MOST_SCANS} and takes a decoder very "
            "long. Save it again, or leave out its row."
        )


def _reason(error):
    return str(error) or type(error).__name__


def _too_large(path, found):
    return ImageError(
        f"{path} is above the limit of {Image.MAX_IMAGE_PIXELS} pixels ({found}). If you trust "
        "it, raise PIL.Image.MAX_IMAGE_PIXELS; otherwise leave it out."
    )


def _pixels(image, size, name):
    try:
        image.load()
        turn = TURNS.get(_orientation(image, name))
        image = _rgb(image if turn is None else image.transpose(turn), name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds on a damaged file.
        raise ImageError(
            f"{name} cannot be decoded: {_reason(error)}. The file is damaged or truncated; "
            "restore it or leave out its row."
        ) from error
    return np.asarray(_resized(image, size))


def _orientation(image, name):
    try:
        return image.getexif().get(ORIENTATION)
    except Exception as error:  # As many kinds on damaged tags.
        raise ImageError(
            f"the EXIF tags of {name} cannot be read: {_reason(error)}. Restore the file."
        ) from error


def _resized(image, size):
    if size is None or image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _rgb(image, name):
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _sixteen_bit(np.asarray(image), name)
    if image.mode == "F":
        raise ImageError(
            f"{name} holds floating-point pixels, whose range cannot be known; "
            "convert it to an 8-bit image."
        )
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("RGB")


def _sixteen_bit(values, name):
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name} holds values from {values.min()} to {values.max()}, more than 16 bits; "
            "convert it to an 8-bit image."
        )
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")


def _resized_array(image, size):
    if image.dtype != np.uint8:
        hint = (
            "multiply by 255 and convert with .astype(np.uint8)"
            if image.dtype.kind == "f" and image.size and image.min() >= 0 and image.max() <= 1
            else "convert it with .astype(np.uint8)"
        )
        raise ImageError(
            f"An image array holds uint8 pixels in 0..255; {hint}. Received dtype {image.dtype}."
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))) or not image.size:
        raise ImageError(
            "An image array has the shape (height, width), (height, width, 1), "
            f"(height, width, 3) or (height, width, 4). Received: {image.shape}."
        )
    if image.ndim == 3 and image.shape[2] == 3 and size in (None, image.shape[:2]):
        return image
    return np.asarray(_resized(_rgb(Image.fromarray(image), "the array"), size))
