"""Damaged image files give pixels or an ImageError, within limits of time and memory.

``python tests/test_image_fuzz.py FORMAT NUMBER FILE`` writes one case to a file and prints its
outcome.
"""

import io
import os
import random
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from skbbox.exceptions import ImageError
from skbbox.images import load_image, upright_size

#: Number of cases per format.
CASES = {
    **{"jpeg": 2600, "png": 2400, "tiff": 2400, "gif": 900, "webp": 700, "bmp": 600},
    **{"ppm": 200, "jpeg2000": 100, "avif": 100},
}
#: Limits: CPU seconds of one call, bytes of memory of all calls, and pixels of an image.
SECONDS, MEMORY, PIXELS = 2, 2**30, 2**24

#: Values at which sizes, counts and offsets often fail.
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


# ---------------------------------------------------------------- files to damage


def picture(mode="RGB", size=(45, 38)):
    """Draw smooth parts, edges and grain, which use all parts of a decoder."""
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([4 * x, 5 * y, 99 * ((x - 20) ** 2 + (y - 20) ** 2 < 99)], axis=2)
    pixels = pixels + np.random.default_rng(0).integers(0, 20, pixels.shape)
    image = Image.fromarray(pixels.astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "I;16B":
        data = np.asarray(image.convert("L")).astype(">u2") * 257
        return Image.frombytes(mode, size, data.astype(">u2").tobytes())
    if mode == "RGBA":
        image.putalpha(image.convert("L"))
        return image
    return image.convert(mode)


def encoded(format, mode="RGB", **options):
    file = io.BytesIO()
    picture(mode).save(file, format=format, **options)
    return file.getvalue()


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6  # Orientation
    tags[0x010F] = "A camera"
    tags[0x011A] = 72.0  # A rational, which is stored outside its entry.
    tags.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    tags.get_ifd(0x8825)[2] = (50.0, 30.0, 10.5)  # GPS
    return tags


def pages(n=3):
    return {"save_all": True, "append_images": [picture().rotate(9 * i) for i in range(1, n)]}


def interlaced_png():
    """Make an Adam7 PNG, which Pillow can read but not write."""
    pixels = np.asarray(picture())
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = b""
    for top, left, down, right in [*passes, (1, 0, 2, 1)]:
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right])
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(data)) + name + data + bytes(4) for name, data in parts]
    return fix_checksums(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def tiled_tiff(order):
    """Make a TIFF of 16 x 16 tiles, which Pillow can read but not write."""
    pixels = np.asarray(picture("L", (48, 32)))
    tiles = b"".join(
        pixels[top : top + 16, left : left + 16].tobytes()
        for top in (0, 16)
        for left in (0, 16, 32)
    )
    n_tags = 9
    end = 8 + 2 + 12 * n_tags + 4
    tags = [(256, 3, 1, 48), (257, 3, 1, 32), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(322, 3, 1, 16), (323, 3, 1, 16), (324, 4, 6, end), (325, 4, 6, end + 24)]
    content = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, n_tags)
    for tag, kind, count, value in tags:
        content += struct.pack(order + "HHI", tag, kind, count)
        content += struct.pack(order + ("HH" if kind == 3 else "I"), *(value, 0)[: 5 - kind])
    content += bytes(4)
    content += struct.pack(order + "6I", *range(end + 48, end + 48 + 6 * 256, 256))
    return content + struct.pack(order + "6I", *[256] * 6) + tiles


def base_files(format):
    """Make small files of a format, in the variants that its decoder supports."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "seen " * 9)
    texts.add_text("More", "seen " * 99, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", "<x tiff:Orientation='6'/>" * 9, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if format == "jpeg":
        return [
            encoded("JPEG"),
            encoded("JPEG", progressive=True, exif=exif()),
            encoded("JPEG", "CMYK"),
            encoded("JPEG", "L", exif=exif(), restart_marker_blocks=2),
            encoded("JPEG", subsampling=0, icc_profile=profile, exif=exif()),
            encoded("MPO", **pages()),
        ]
    if format == "png":
        return [
            encoded("PNG", pnginfo=texts, icc_profile=profile),
            encoded("PNG", "I;16"),
            encoded("PNG", "P", transparency=3),
            encoded("PNG", "1"),
            encoded("PNG", "RGBA", exif=exif()),
            encoded("PNG", **pages()),
            interlaced_png(),
        ]
    if format == "tiff":
        return [
            encoded("TIFF", exif=exif()),
            encoded("TIFF", tiffinfo={278: 5}),  # Strips of five rows.
            encoded("TIFF", compression="tiff_lzw", tiffinfo={278: 5}),
            encoded("TIFF", "RGBA", compression="tiff_adobe_deflate", exif=exif()),
            encoded("TIFF", compression="jpeg"),
            encoded("TIFF", "P", compression="packbits"),
            encoded("TIFF", "1", compression="group4"),
            encoded("TIFF", "I;16B"),
            encoded("TIFF", big_tiff=True),
            encoded("TIFF", compression="tiff_lzw", **pages()),
            tiled_tiff("<"),
            tiled_tiff(">"),
        ]
    if format == "gif":
        return [encoded("GIF", transparency=3), encoded("GIF", "L"), encoded("GIF", **pages())]
    if format == "webp":
        return [
            encoded("WEBP", exif=exif()),
            encoded("WEBP", "RGBA", lossless=True),
            encoded("WEBP", **pages()),
        ]
    if format == "bmp":
        return [encoded("BMP", mode) for mode in ("RGB", "RGBA", "P", "L", "1")]
    if format == "ppm":
        return [
            *(encoded("PPM", mode) for mode in ("RGB", "L", "1", "I;16")),
            b"P3 2 1 9 1 2 3 4 5 6",
        ]
    if format == "jpeg2000":
        return [encoded("JPEG2000"), encoded("JPEG2000", "RGBA", no_jp2=True)]
    return [encoded("AVIF", speed=10, exif=exif()), encoded("AVIF", "RGBA", speed=10)]


def without_avif(format):
    if format == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")


@pytest.mark.parametrize("format", CASES)
def test_files_are_valid_before_they_are_damaged(tmp_path, format):
    without_avif(format)
    for number, content in enumerate(base_files(format)):
        path = tmp_path / str(number)
        path.write_bytes(content)
        height, width, _ = load_image(path).shape
        assert upright_size(path) == (width, height)


# ---------------------------------------------------------------- damage


def fields(content):
    """Yield the places (offset, bytes, order) of sizes, counts and offsets in a file."""
    if content[:4] == b"\x89PNG":
        for start, length, name in chunks(content):
            yield from ((start, 4, "big"), (start + 4, 4, "big"))
            sides = [(start + 8, 4, "big"), (start + 12, 4, "big")]
            yield from sides if name in (b"IHDR", b"fcTL") else []
            yield from ((start + 8 + i, 1, "big") for i in range(min(length, 26)))
    elif content[:2] == b"\xff\xd8":
        start = 2
        while start + 4 < len(content) and content[start] == 0xFF:
            yield from ((start + 1, 1, "big"), (start + 2, 2, "big"), (start + 5, 2, "big"))
            yield from ((start + i, 1, "big") for i in range(4, 20))
            yield start + 7, 2, "big"
            if content[start + 1] == 0xDA:  # Pixels follow.
                break
            start += 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        yield from entries(content, content.find(b"Exif\0\0") + 6)
    elif content[:2] in (b"II", b"MM"):
        yield from entries(content, 0)
    elif content[:4] == b"GIF8":
        yield from ((6, 2, "little"), (8, 2, "little"), (10, 1, "little"))
        for start in (i for i, byte in enumerate(content) if byte == 0x2C):
            yield from ((start + i, 2, "little") for i in (1, 3, 5, 7))
            yield from ((start + i, 1, "little") for i in (9, 10, 11))
    elif content[:4] == b"RIFF":
        start = 12
        while start + 8 <= len(content):
            yield from ((start + 4, 4, "little"), (start, 4, "little"))
            yield from ((start + 8 + i, 3, "little") for i in range(0, 15, 3))
            yield from ((start + 8 + i, 1, "little") for i in range(16))
            start += 8 + int.from_bytes(content[start + 4 : start + 8], "little")
    else:
        yield from ((start, 4, "little") for start in range(2, min(54, len(content)), 4))
        yield from ((start, 4, "big") for start in range(2, min(99, len(content)), 4))
        yield from ((start, 2, "little") for start in range(2, min(54, len(content)), 2))


def chunks(content):
    """Yield start, length and name of each chunk of a PNG."""
    start = 8
    while start + 8 <= len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        yield start, length, bytes(content[start + 4 : start + 8])
        start += 12 + length


def entries(content, base):
    """Yield places in the first directories of a TIFF that begins at `base`."""
    order = "little" if content[base : base + 2] == b"II" else "big"
    start = base + int.from_bytes(content[base + 4 : base + 8], order)
    yield base + 4, 4, order
    for _ in range(3):
        n = int.from_bytes(content[start : start + 2], order)
        if start == base or n > 99:
            return
        yield start, 2, order
        for entry in range(start + 2, start + 2 + 12 * n, 12):
            yield from ((entry, 2, order), (entry + 2, 2, order))
            yield from ((entry + 4, 4, order), (entry + 8, 4, order))
        following = start + 2 + 12 * n
        yield following, 4, order
        start = base + int.from_bytes(content[following : following + 4], order)


def fix_checksums(content):
    """Write the correct checksum into each chunk of a PNG."""
    content = bytearray(content)
    for start, length, _ in list(chunks(content)):
        end = start + 8 + length
        if end + 4 <= len(content):
            content[end : end + 4] = zlib.crc32(content[start + 4 : end]).to_bytes(4, "big")
    return bytes(content)


def damage(content, other, generator):
    """Change the bytes of a file in one to three places."""
    content = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 3))):
        # Headers, where most damage matters, are at the beginning.
        end = generator.choice((64, 700, len(content)))
        start = generator.randrange(min(end, len(content)) + 1)
        length = generator.choice((1, 1, 2, 4, 16, 100))
        kind = generator.randrange(9)
        if kind == 0 and content:
            content[start % len(content)] ^= 1 << generator.randrange(8)
        elif kind == 1:
            content[start : start + length] = generator.randbytes(length)
        elif kind == 2:
            content[start : start + length] = generator.choice((b"\0", b"\xff")) * length
        elif kind == 3:
            del content[generator.randrange(len(content) + 1) :]
        elif kind == 4:
            content[start:start] = content[start : start + length]
        elif kind == 5:
            del content[start : start + length]
        elif kind == 6:
            content[start:start] = generator.randbytes(length)
        elif kind == 7 and generator.randrange(2):
            content[start:] = other[generator.randrange(len(other)) :]
        elif places := list(fields(content)):
            start, length, order = generator.choice(places)
            number = generator.choice((*NUMBERS, len(content), generator.getrandbits(32)))
            number %= 256**length
            content[start : start + length] = number.to_bytes(length, order)
    content = bytes(content) or b"\0"
    checked = content[:4] == b"\x89PNG" and generator.randrange(4)
    return fix_checksums(content) if checked else content


def make_case(format, number, files):
    """Make the content of one case, the same in each run."""
    generator = random.Random(f"{format} {number}")
    content, other = generator.choice(files), generator.choice(files)
    return damage(content, other, generator)


# ---------------------------------------------------------------- outcome


def load(path):
    """Read size and pixels of a file, or the error in place of each."""
    size, full, small = (
        call(upright_size, path),
        call(load_image, path),
        call(load_image, path, (16, 12)),
    )
    for pixels in (full, small):
        if isinstance(pixels, np.ndarray):
            width, height = (12, 16) if pixels is small else size
            assert pixels.shape == (height, width, 3)
            assert pixels.dtype == np.uint8
    assert read_peak_memory() < MEMORY
    return size, full, small


def call(function, path, *arguments):
    # The signal ends the process even inside a decoder.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return function(path, *arguments)
    except ImageError as error:
        assert str(path) in str(error)
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def read_peak_memory():
    """Peak memory of this process in bytes; 0 on systems other than Linux."""
    # The value of getrusage would include that of the parent process.
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 if status.exists() else 0


def run(format, numbers, path):
    """Print the number of each case before it can end the process, then its outcome."""
    Image.MAX_IMAGE_PIXELS = PIXELS
    files = base_files(format)
    for number in numbers:
        path.write_bytes(make_case(format, number, files))
        print(number, end=" ", flush=True)
        _, *pixels = load(path)
        print(*("pixels" if isinstance(found, np.ndarray) else "error" for found in pixels))


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="ends hanging calls with a POSIX timer"
)
@pytest.mark.parametrize("format", CASES)
def test_damaged_file_gives_pixels_or_an_error_that_names_it(tmp_path, format):
    without_avif(format)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run(
        [sys.executable, "-W", "error", __file__, format, f"0-{CASES[format]}", tmp_path / "image"],
        env=os.environ | paths,
        capture_output=True,
        text=True,
    )
    lines = child.stdout.splitlines()
    assert child.returncode == 0, f"{format} {lines[-1:]}: {child.returncode}\n{child.stderr}"
    assert len(lines) == CASES[format]
    # The damage is neither always too strong nor always too weak.
    assert CASES[format] / 20 < sum(line.endswith("pixels pixels") for line in lines)
    assert CASES[format] / 20 < sum(line.endswith("error error") for line in lines)


if __name__ == "__main__":
    first, _, end = sys.argv[2].partition("-")
    run(sys.argv[1], range(int(first), int(end or int(first) + 1)), Path(sys.argv[3]))
