"""Decode images from files, arrays and PIL images into RGB pixels of a given size."""

from __future__ import annotations

import io
import math
import os
import re
import stat
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from .exceptions import ImageError
from .files import as_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.ImageFile import ImageFile

    from .typing import FloatArray, ImageLike, PathLikeStr, Pixels

__all__ = ["KINDS", "load_image", "load_parts", "load_row", "try_load_row", "upright_size"]

#: Accepted file formats, by Pillow's names. Each has a signature at its beginning and holds pixels;
#: Pillow passes others, such as PostScript, to another program. HEIF needs a plugin.
KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")

#: EXIF tag of the orientation, the operation that turns each orientation upright, and the
#: orientations that swap width and height.
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
SWAPPED_SIDES = (5, 6, 7, 8)

#: Most scans of a progressive JPEG; ten are usual. The limit of libjpeg-turbo's own fuzzers.
MAX_SCANS = 500

#: TIFFs that Pillow does not open, though it decodes others of their kind: big-endian
#: ones and those where 0 is white, by byte order, photometric interpretation and bits.
TIFFS = {
    (b"MM", 0, 16): ("I;16B", "I;16B"),
    (b"MM", 0, 12): ("I;16", "I;12"),
    (b"MM", 1, 12): ("I;16", "I;12"),
    (b"II", 0, 12): ("I;16", "I;12"),
}
#: TIFF tags, and the photometric interpretation in which 0 is white.
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0

#: Largest value of a pixel in Pillow's raw modes of PNG for gray of 2 and 4 bits.
LARGEST_GRAY = {"L;2": 3, "L;4": 15}

#: Locks of PIL images, one of which is chosen by the address of the image.
_LOCKS = [threading.Lock() for _ in range(64)]

#: Warning filter for Pillow's warnings, such as odd tags, which do not affect the pixels.
PILLOW_FILTER = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def load_image(image: ImageLike, size: tuple[int, int] | None = None) -> Pixels:
    """Decode an image, turn it upright and resize it.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        A file (``~`` is expanded); or pixels as uint8 of shape (height, width),
        (height, width, 1), (height, width, 3) or (height, width, 4).
    size : (int, int), default=None
        Height and width in pixels to stretch the image to. None keeps its own size.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB in 0..255. The EXIF orientation is applied, transparent pixels are
        blended with white, 16-bit images keep their upper 8 bits, and an animation
        gives its first frame.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, a directory, of a format not in ``KINDS`` or
        larger than ``PIL.Image.MAX_IMAGE_PIXELS``, or the array is not uint8 pixels.

    Notes
    -----
    A large JPEG is decoded at a half, a quarter or an eighth of its size, as long
    as that leaves at least twice the requested pixels on each side.

    Examples
    --------
    >>> import numpy as np
    >>> from skbbox.images import load_image
    >>> load_image(np.zeros((40, 60), dtype=np.uint8), size=(16, 16)).shape
    (16, 16, 3)
    """
    if isinstance(image, np.ndarray) and _is_ready(image, size):
        return image
    return np.asarray(_resize(_decode(image, None if size is None else 2 * max(size)), size))


def load_parts(
    image: ImageLike, size: tuple[int, int] | None, windows: Sequence[FloatArray | None]
) -> list[Pixels]:
    """Parts of an image, which is decoded once for all windows and once as a whole.

    Parameters
    ----------
    image : str, Path, ndarray or PIL image
        As for :func:`load_image`.
    size : (int, int) or None
        Height and width in pixels to stretch each part to.
    windows : sequence of ndarray of shape (4,), or None
        ``x_min, x_max, y_min, y_max`` of each part, normalised, within 0..1. None is the whole
        image, as :func:`load_image` returns it.

    Returns
    -------
    list of ndarray of shape (height, width, 3), uint8
    """
    shown = [window for window in windows if window is not None]
    whole = [load_image(image, size)] if len(shown) < len(windows) else []
    parts: list[Pixels] = []
    if shown:
        assert size is not None
        smallest = min(float((window[1::2] - window[::2]).min()) for window in shown)
        decoded = _decode(image, math.ceil(2 * max(size) / max(smallest, 1e-3)))
        parts = [_crop(decoded, size, window) for window in shown]
    remaining = iter(parts)
    return [whole[0] if window is None else next(remaining) for window in windows]


def upright_size(path: PathLikeStr) -> tuple[int, int]:
    """Read the width and height in pixels of an image file, turned upright.

    Pixels are not decoded, except those of a PNG, whose orientation may be stored after them.

    Parameters
    ----------
    path : str or Path
        The file; ``~`` is expanded.

    Returns
    -------
    (int, int)
        Width and height.

    Raises
    ------
    ImageError
        If the file is missing, empty, a directory, too large or of a format not in ``KINDS``.
    """
    path = as_path(path)
    with _open_image(path) as opened:
        is_swapped = _read_orientation(opened, path) in SWAPPED_SIDES
        # Until a TIFF is decoded, Pillow gives its size with the sides already swapped. Only
        # TIFF images have this attribute.
        tags = getattr(opened, "tag_v2", None)
        width, height = (tags[256], tags[257]) if tags else opened.size
        return (height, width) if is_swapped else (width, height)


def load_row(
    items: Sequence[ImageLike],
    row: int,
    size: tuple[int, int] | None,
    windows: Sequence[FloatArray | None] = (None,),
) -> list[Pixels]:
    """Call :func:`load_parts` for one of several images; errors name its row."""
    try:
        return load_parts(items[row], size, windows)
    except ImageError as error:
        raise ImageError(f"Row {row}: {error}") from error


def try_load_row(
    items: Sequence[ImageLike],
    row: int,
    size: tuple[int, int] | None,
    windows: Sequence[FloatArray | None] = (None,),
) -> tuple[list[Pixels], str | None]:
    """Call :func:`load_parts` for one of several images, and return an error as text.

    Parameters
    ----------
    items : sequence of images
    row : int
    size, windows
        As for :func:`load_parts`.

    Returns
    -------
    parts : list of ndarray of shape (height, width, 3), uint8
        Black if the image cannot be read; with ``size=None``, a single black pixel.
    error : str or None
        Why the image cannot be read.
    """
    try:
        return load_parts(items[row], size, windows), None
    except ImageError as error:
        return [np.zeros((*(size or (1, 1)), 3), np.uint8)] * len(windows), str(error)


@contextmanager
def _ignore_pillow_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings, in any number of threads.

    ``warnings.catch_warnings`` is not thread-safe: the last thread to leave would restore filters
    that another thread had set.
    """
    # typeshed calls the list a Sequence.
    filters: list[object] = warnings.filters  # type: ignore[assignment]
    filters.insert(0, PILLOW_FILTER)
    try:
        yield
    finally:
        with suppress(ValueError):  # Another thread may have reset all filters.
            filters.remove(PILLOW_FILTER)


@contextmanager
def _open_image(path: Path) -> Iterator[ImageFile]:
    """Open an image file and read its header."""
    with _ignore_pillow_warnings(), _open_file(path) as file:
        _init_pillow()
        kinds = [kind for kind in KINDS if kind in Image.OPEN]
        try:
            opened = Image.open(file, formats=kinds)
        except UnidentifiedImageError:
            raise ImageError(
                f"{path} cannot be read as an image: it is damaged or none of {', '.join(kinds)}. "
                "Restore or convert it, or leave out its row."
            ) from None
        except Image.DecompressionBombError as error:
            _raise_too_large(path, str(error))
        except Exception as error:  # Pillow's plugins raise many types on a damaged file.
            raise ImageError(f"{path} cannot be read as an image: {_get_reason(error)}.") from error
        width, height = opened.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            _raise_too_large(path, f"{width} x {height} pixels")
        yield opened


def _init_pillow() -> None:
    Image.init()
    for (order, photometric, bits), modes in TIFFS.items():
        TiffImagePlugin.OPEN_INFO.setdefault((order, photometric, (1,), 1, (bits,), ()), modes)


def _open_file(path: Path) -> io.BufferedReader:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImageError(f"{path} is a directory; pass the image files in it.")
        if not stat.S_ISREG(found.st_mode):
            raise ImageError(f"{path} is not a file but a pipe, a device or a socket; pass a file.")
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
    except UnicodeEncodeError as error:
        if sys.getfilesystemencoding() == "utf-8":
            remedy = "Rename the file and correct its path."
        else:
            remedy = "Set the environment variable PYTHONUTF8=1."
        raise ImageError(
            f"The name of {path} cannot be written as {error.encoding}, the encoding of file names "
            f"in this environment. {remedy}"
        ) from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as an image: {error}.") from error


class _UnmappedFile(io.FileIO):
    """A file that decoders read instead of mapping it into memory.

    If a file is truncated while it is mapped, the operating system ends the process (Pillow's
    issue 3496).
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _check_scans(opened: ImageFile, path: Path) -> None:
    """Raise for a progressive JPEG that would take minutes, because each scan covers all pixels."""
    file = opened.fp
    assert file is not None  # It is closed only when the image is decoded.
    file.seek(0)
    n_scans = file.read().count(b"\xff\xda")
    if n_scans > MAX_SCANS:
        raise ImageError(
            f"{path} has {n_scans} scans; more than {MAX_SCANS} take very long to decode. "
            "Save it again, or leave out its row."
        )


def _get_reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _raise_too_large(path: Path, found: str) -> NoReturn:
    raise ImageError(
        f"{path} is above the limit of {Image.MAX_IMAGE_PIXELS} pixels ({found}). If you trust "
        "it, raise PIL.Image.MAX_IMAGE_PIXELS; otherwise leave it out."
    ) from None


def _decode(image: ImageLike, n_pixels: int | None) -> Image.Image:
    """An upright RGB image; of a large JPEG, each side keeps at least `n_pixels`."""
    if isinstance(image, np.ndarray):
        return _convert_to_rgb(_read_array(image), "the array")
    if isinstance(image, Image.Image):
        # The image may be in several rows, and Pillow cannot load one in several threads.
        with _ignore_pillow_warnings(), _LOCKS[id(image) // 16 % len(_LOCKS)]:
            return _decode_pixels(image, "the PIL image")
    if not isinstance(image, (str, os.PathLike)):
        raise ImageError(
            "An image must be a path, a uint8 array or a PIL image. "
            f"Received: {type(image).__name__}."
        )
    path = as_path(image)
    with _open_image(path) as opened:
        if "progressive" in opened.info:
            _check_scans(opened, path)
        if n_pixels is not None and opened.format == "JPEG":
            # The orientation may swap the sides, so both must stay large enough.
            opened.draft(None, (n_pixels, n_pixels))
        if _read_raw_mode(opened) == "RGB;16B" and "transparency" in opened.info:
            return _decode_keyed(opened, path)
        return _decode_pixels(opened, path)


def _decode_pixels(image: Image.Image, name: Path | str) -> Image.Image:
    try:
        _convert_transparency(image)
        image.load()
        turn = TURNS.get(_read_orientation(image, name))
        rgb = _convert_to_rgb(image, name)
        return rgb if turn is None else rgb.transpose(turn)
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise many types on a damaged file.
        raise ImageError(
            f"{name} cannot be decoded: {_get_reason(error)}. The file is damaged or truncated; "
            "restore it or leave out its row."
        ) from error


def _decode_keyed(opened: ImageFile, path: Path) -> Image.Image:
    """Decode a PNG with 16 bits per colour, one of which is transparent.

    Pillow keeps the upper byte of each value, and compares it with all 16 bits of the colour.
    """
    key = opened.info.pop("transparency")
    upper = _decode_pixels(opened, path)
    with _open_image(path) as again:
        del again.info["transparency"]
        # In the other byte order, the upper byte is the lower one of the file.
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
        lower = _decode_pixels(again, path)
    values = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
    pixels = np.array(upper)
    pixels[(values == key).all(axis=2)] = 255
    return Image.fromarray(pixels)


def _read_raw_mode(image: Image.Image) -> object:
    """Pillow's mode of the pixels in the file of an image that is not loaded, else None."""
    tiles = getattr(image, "tile", None)
    return tiles[0].args if tiles else None


def _convert_transparency(image: Image.Image) -> None:
    """Convert the transparent colour of an image that is not loaded to that of its pixels.

    Pillow leaves the value as in the file, but scales pixels of 2, 4 and 16 bits to 8.
    """
    raw_mode, key = _read_raw_mode(image), image.info.get("transparency")
    if key is None:
        return
    if isinstance(raw_mode, str) and raw_mode in LARGEST_GRAY:
        image.info["transparency"] = key * 255 // LARGEST_GRAY[raw_mode]
    elif raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _read_orientation(image: Image.Image, name: Path | str) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # Damaged tags raise as many types.
        raise ImageError(
            f"the EXIF tags of {name} cannot be read: {_get_reason(error)}. Restore the file."
        ) from error


def _resize(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    if size is None or image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _crop(image: Image.Image, size: tuple[int, int], window: FloatArray) -> Pixels:
    x_min, x_max, y_min, y_max = map(float, window * np.repeat(image.size, 2))
    part = (x_min, y_min, x_max, y_max)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR, part))


def _convert_to_rgb(image: Image.Image, name: Path | str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _convert_sixteen_bit(image, name)
    if image.mode == "F":
        raise ImageError(
            f"{name} has floating-point pixels, whose range is unknown; "
            "convert it to an 8-bit image."
        )
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # Pillow converts La, whose values are multiplied by alpha, to LA only.
        image = image.convert("LA") if image.mode == "La" else image
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("RGB")


def _convert_sixteen_bit(image: Image.Image, name: Path | str) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name} has values from {values.min()} to {values.max()}, more than 16 bits; "
            "convert it to an 8-bit image."
        )
    # Only TIFF images have tags.
    tags = getattr(image, "tag_v2", {})
    n_bits = 12 if tags.get(BITS_PER_SAMPLE) == (12,) else 16
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        values = 2**n_bits - 1 - values
    pixels = (values >> (n_bits - 8)).astype(np.uint8)
    if (key := image.info.get("transparency")) is not None:
        pixels[values == key] = 255
    return Image.fromarray(pixels).convert("RGB")


def _is_ready(image: Pixels, size: tuple[int, int] | None) -> bool:
    """Whether an array already has the pixels that :func:`load_image` returns."""
    is_rgb = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    return is_rgb and image.size > 0 and size in (None, image.shape[:2])


def _read_array(image: Pixels) -> Image.Image:
    if image.dtype != np.uint8:
        hint = (
            "multiply by 255 and convert with .astype(np.uint8)"
            if image.dtype.kind == "f" and image.size and image.min() >= 0 and image.max() <= 1
            else "convert it with .astype(np.uint8)"
        )
        raise ImageError(
            f"An image array must have uint8 pixels in 0..255; {hint}. "
            f"Received dtype {image.dtype}."
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))) or not image.size:
        raise ImageError(
            "An image array must have the shape (height, width), (height, width, 1), "
            f"(height, width, 3) or (height, width, 4). Received: {image.shape}."
        )
    return Image.fromarray(image)
