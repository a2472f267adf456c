"""From whatever holds an image to pixels of the size that the network takes."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .exceptions import ImageError

__all__ = ["load_image", "load_row", "upright_size"]

#: EXIF's tag of the orientation, and its values that exchange width and height.
ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)


def load_image(image, size=None):
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
        If the file is missing, empty, truncated, not an image, a directory or
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
        return _pixels(image, size, "the PIL image")
    if not isinstance(image, (str, os.PathLike)):
        raise ImageError(
            f"An image is a path, a uint8 array or a PIL image. Received: {type(image).__name__}."
        )
    with _opened(Path(image)) as opened:
        if size is not None and opened.format == "JPEG":
            # Orientation may exchange the sides, so both must stay large enough.
            opened.draft(None, (2 * max(size), 2 * max(size)))
        return _pixels(opened, size, str(image))


def upright_size(path):
    """Width and height in pixels of an image file, turned upright; its pixels are not decoded.

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
        If the file is missing, empty, not an image, a directory or too large.
    """
    with _opened(Path(path)) as opened:
        try:
            orientation = opened.getexif().get(ORIENTATION)
        except Exception as error:  # Pillow raises many kinds on damaged tags.
            raise ImageError(
                f"the EXIF tags of {path} cannot be read: {error}. Restore the file."
            ) from error
        return opened.size[::-1] if orientation in TURNED else opened.size


def load_row(items, row, size, bad=None):
    """:func:`load_image` of one of many, with its row in the message of an ImageError.

    Where there is a dict `bad`, the message is put there instead, and the image is black.
    """
    try:
        return load_image(items[row], size)
    except ImageError as error:
        if bad is None:
            raise ImageError(f"Row {row}: {error}") from error
        bad[row] = str(error)
        return np.zeros((*(size or (1, 1)), 3), np.uint8)


def _opened(path):
    if os.path.isdir(path):  # Path.is_dir raises on a name that is too long.
        raise ImageError(f"{path} is a directory; pass the image files in it.")
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes); restore the file or leave out its row.")
        opened = Image.open(path)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(
            f"{path} does not exist (working directory: {Path.cwd()}); "
            "correct the path, or images_dir= of read_annotations."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, str(error)) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as an image: {error}.") from error
    width, height = opened.size
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        opened.close()
        raise _too_large(path, f"{width} x {height} pixels")
    return opened


def _too_large(path, found):
    return ImageError(
        f"{path} is above the limit of {Image.MAX_IMAGE_PIXELS} pixels ({found}). If you trust "
        "it, raise PIL.Image.MAX_IMAGE_PIXELS; otherwise leave it out."
    )


def _pixels(image, size, name):
    try:
        image = _rgb(ImageOps.exif_transpose(image), name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds on a damaged file.
        raise ImageError(
            f"{name} cannot be decoded: {error}. The file is damaged or truncated; restore it "
            "or leave out its row."
        ) from error
    return np.asarray(_resized(image, size))


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
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
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
