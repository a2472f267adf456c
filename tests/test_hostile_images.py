"""Files made to fill memory, start a program or block, and files that change while read."""

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import small_localizer
from PIL import BmpImagePlugin, EpsImagePlugin, Image, features

from skbbox.exceptions import ImageError
from skbbox.images import KINDS, load_image, upright_size

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX has such files")


def encoded(format, image=None, **options):
    file = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(file, format=format, **options)
    return file.getvalue()


def run_python(program, *arguments):
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return child


def chunk(name, data):
    checksum = zlib.crc32(name + data).to_bytes(4, "big")
    return len(data).to_bytes(4, "big") + name + data + checksum


# ---------------------------------------------------------------- warnings

#: EXIF whose directory claims two entries, but ends after the first, the orientation.
CUT_OFF = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)


@pytest.fixture
def with_cut_off_exif(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(encoded("PNG", exif=CUT_OFF))
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(path) as image:
        image.getexif()
    return path


@pytest.mark.parametrize("action", ["always", "error"])
def test_warnings_of_pillow_are_ignored(with_cut_off_exif, action):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter(action)
        loaded = load_image(with_cut_off_exif)
        assert upright_size(with_cut_off_exif) == (6, 8)
        with Image.open(with_cut_off_exif) as image:
            np.testing.assert_array_equal(load_image(image), loaded)
    np.testing.assert_array_equal(loaded, np.rot90(PIXELS, -1))
    assert not heard


def test_threads_do_not_change_the_warning_filters(with_cut_off_exif):
    broken = with_cut_off_exif.with_name("broken.png")
    broken.write_bytes(b"broken")
    before = list(warnings.filters)

    def load(number):
        with pytest.raises(ImageError):
            load_image(broken)
        return load_image(with_cut_off_exif)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, range(400)))
    assert warnings.filters == before


# ---------------------------------------------------------------- kinds of files


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "HEIF"] + ["MPO"])
def test_documented_kinds_are_read(tmp_path, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / "image"
    path.write_bytes(encoded(kind, Image.new("RGB", (8, 6), (200, 100, 50))))
    assert np.abs(load_image(path).astype(int) - (200, 100, 50)).max() < 9


def test_heif_is_read_if_a_plugin_is_installed(tmp_path, monkeypatch):
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + encoded("BMP"))
    with pytest.raises(
        ImageError, match=r"phone.heic cannot be .* none of JPEG, .*, JPEG2000(, AVIF)?\. "
    ):
        load_image(path)

    def opened(file, name):
        return BmpImagePlugin.BmpImageFile(io.BytesIO(file.read()[12:]))

    monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda start: start[4:12] == b"ftypheic"))
    np.testing.assert_array_equal(load_image(path), PIXELS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", id="SVG"),
        pytest.param(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", id="PDF"),
        pytest.param(b"\xd7\xcd\xc6\x9a\0\0" + bytes(99), id="WMF"),
        pytest.param(b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800), id="FITS"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(99), id="HDF5"),
        pytest.param(b"GRIB\0\0\0\x01" + bytes(99), id="GRIB"),
        pytest.param(b"<!DOCTYPE html><title>Not found</title>", id="HTML"),
        pytest.param(b"PK\x03\x04" + bytes(99), id="ZIP"),
        *(pytest.param(encoded(kind), id=kind) for kind in ("TGA", "ICO", "PCX", "SGI")),
    ],
)
def test_other_kinds_raise_with_the_accepted_ones(tmp_path, content):
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    for function in (load_image, upright_size):
        with pytest.raises(ImageError, match=r"image.jpg .* none of JPEG, PNG, GIF, WEBP, BMP, TI"):
            function(path)


@posix
def test_postscript_starts_no_program(tmp_path, monkeypatch):
    started = tmp_path / "started"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    path = tmp_path / "image.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match=r"image.jpg cannot be read as an image"):
        load_image(path)
    assert not started.exists()


# ---------------------------------------------------------------- sizes


def tiff(*pages, following=0):
    """Make a TIFF of gray images of these sizes; the last page points to `following`."""
    parts = [b"II*\0" + struct.pack("<I", 10) + b"\x80\0"]
    for number, (width, height) in enumerate(pages, start=1):
        tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 1)]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        n_bytes = 2 + len(entries) + 4
        after = following if number == len(pages) else 10 + number * n_bytes
        parts.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", after))
    return b"".join(parts)


LARGE = {
    "png": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(99))),
    "gif": encoded("GIF").replace(struct.pack("<HH", 8, 6), b"\xff\xff\xff\xff"),
    # 14 bits of the width less 1, 14 of the height less 1.
    "webp": b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f" + bytes(9),
    "jpg": encoded("JPEG").replace(struct.pack(">HH", 6, 8), b"\xff\xff\xff\xff"),
    "bmp": encoded("BMP").replace(struct.pack("<II", 8, 6), struct.pack("<II", 10**9, 10**9)),
    "ppm": b"P6 100000 100000 255 \0",
    "tif": tiff((2**31, 2**31)),
    "jp2": encoded("JPEG2000").replace(struct.pack(">II", 6, 8), struct.pack(">II", 9**9, 9**9)),
}


@pytest.mark.parametrize("suffix", LARGE)
def test_header_of_a_huge_image_raises_before_decoding(tmp_path, suffix):
    path = tmp_path / f"large.{suffix}"
    path.write_bytes(LARGE[suffix])
    for function in (load_image, upright_size):
        with pytest.raises(ImageError, match=rf"large.{suffix} is above the limit of \d+ pixels"):
            function(path)


def zeros(n_bytes):
    """Compress zeros, to about a thousandth of their size."""
    compressor, part = zlib.compressobj(), bytes(2**20)
    parts = [compressor.compress(part) for _ in range(n_bytes // len(part))]
    return b"".join(parts) + compressor.flush()


@pytest.mark.parametrize(
    ("name", "start"),
    [(b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\x01\0\0\0"), (b"iCCP", b"profile\0\0")],
)
def test_text_in_a_png_does_not_fill_the_memory(tmp_path, name, start):
    png = encoded("PNG")
    path = tmp_path / "text.png"
    path.write_bytes(png[:33] + chunk(name, start + zeros(2**28)) + png[33:])
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"text.png cannot be read .*MAX_TEXT_CHUNK"):
            load_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from Linux")
@pytest.mark.parametrize("transparent", [False, True])
def test_memory_of_decoding_is_in_proportion_to_the_pixels(tmp_path, transparent):
    path, n_pixels = tmp_path / "plain.png", 5000 * 5000
    Image.new("RGBA" if transparent else "RGB", (5000, 5000)).save(path, compress_level=1)
    program = "import sys\nfrom skbbox.images import load_image\n"
    program += "from test_image_fuzz import read_peak_memory\nbefore = read_peak_memory()\n"
    program += "load_image(sys.argv[1], (16, 16))\nprint(read_peak_memory() - before)"
    # Pillow stores four bytes per pixel, and transparent images need a second image as background.
    assert int(run_python(program, path).stdout) < n_pixels * (12 if transparent else 8)


# ---------------------------------------------------------------- many frames and scans


def gif_of(n_frames):
    first = encoded("GIF", Image.new("P", (8, 6)))
    frame = b"!\xf9\x04\0\x01\0\0\0" + first[first.index(b",") : -1]
    return first[:-1] + frame * (n_frames - 1) + b";"


def tiff_of(n_pages):
    return tiff(*[(1, 1)] * n_pages)


@pytest.mark.parametrize(("suffix", "of"), [("gif", gif_of), ("tif", tiff_of)])
def test_only_the_first_of_many_frames_takes_time(tmp_path, suffix, of):
    path = tmp_path / f"many.{suffix}"
    path.write_bytes(of(100_000))
    begun = time.process_time()
    load_image(path)
    upright_size(path)
    # Reading all frames would take between a quarter of a second and minutes.
    assert time.process_time() - begun < 0.1


def test_page_of_a_tiff_that_points_to_itself_is_read(tmp_path):
    path = tmp_path / "loop.tif"
    path.write_bytes(tiff((1, 1), following=10))
    assert load_image(path).tolist() == [[[128] * 3]]
    assert upright_size(path) == (1, 1)


def test_exif_that_points_to_itself_is_read(tmp_path):
    # The EXIF directory, the GPS directory and the next directory are all the first one.
    loop = b"Exif\0\0MM\0*\0\0\0\x08\0\x03" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    loop += struct.pack(">HHIIHHIII", 0x8769, 4, 1, 8, 0x8825, 4, 1, 8, 8)
    path = tmp_path / "loop.png"
    path.write_bytes(encoded("PNG", exif=loop))
    assert upright_size(path) == (6, 8)
    np.testing.assert_array_equal(load_image(path), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("n_more", [0, 400, 600])
def test_progressive_jpeg_with_too_many_scans_raises(tmp_path, n_more):
    content = encoded("JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    path = tmp_path / "scans.jpg"
    path.write_bytes(content[:last] + content[last:-2] * (1 + n_more) + content[-2:])
    if n_more < 500:
        assert load_image(path).shape == (6, 8, 3)
    else:
        with pytest.raises(ImageError, match=r"scans.jpg has 6\d\d scans; more than 500 take"):
            load_image(path)


# ---------------------------------------------------------------- orientation and tags


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_of_a_turned_tiff_is_that_of_its_pixels(tmp_path, orientation, compression):
    path = tmp_path / "turned.tif"
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=tags, compression=compression)
    # Orientations 5 to 8 swap the sides.
    assert upright_size(path) == ((8, 6) if orientation < 5 else (6, 8))
    assert load_image(path).shape == ((6, 8, 3) if orientation < 5 else (8, 6, 3))


def test_tags_that_pillow_cannot_write_are_ignored(tmp_path):
    # The orientation, and a rational that has only a numerator.
    tags = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    tags += struct.pack(">HHII", 0x0100, 2, 3, 0x61620000) + bytes(4)
    path = tmp_path / "odd.png"
    path.write_bytes(encoded("PNG", exif=tags))
    np.testing.assert_array_equal(load_image(path), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("function", [load_image, upright_size])
def test_invalid_exif_raises_with_the_reason(tmp_path, function):
    path = tmp_path / "odd.png"
    path.write_bytes(encoded("PNG", exif=b"Exif\0\0nothing of the kind"))
    with pytest.raises(ImageError, match=r"the EXIF tags of .*odd.png cannot be read: not a TIFF"):
        function(path)


# ---------------------------------------------------------------- other than files


@pytest.fixture
def special(tmp_path):
    """Paths that are not readable files, and the errors for them."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        # The names of sockets must be short.
        before = os.getcwd()
        os.chdir(tmp_path)
        server.bind("socket")
        os.chdir(before)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to folder").symlink_to(tmp_path / "folder")
    return {
        tmp_path / "pipe": "pipe is not a file",
        "/dev/zero": "/dev/zero is not a file",
        tmp_path / "socket": "socket is not a file",
        tmp_path / "broken": "broken does not exist",
        tmp_path / "loop": "loop cannot be read as an image: .*symbolic links",
        tmp_path / "folder": "folder is a directory",
        tmp_path / "to folder": "to folder is a directory",
        tmp_path / "pipe" / "a.jpg": "a.jpg cannot be read as an image: .*directory",
        "a\0b.jpg": r"a\\x00b.jpg cannot be read as an image: embedded null",
        "a\ud800b.jpg": r"a\\ud800b.jpg cannot be written as utf-8.* Rename the file",
    }


@pytest.fixture
def alarm():
    """Fails the test if it blocks."""
    signal.signal(signal.SIGALRM, lambda number, frame: pytest.fail("this blocks"))
    signal.alarm(60)
    yield
    signal.alarm(0)


@posix
def test_path_that_is_not_a_file_raises_with_its_name(special, alarm):
    for path, message in special.items():
        for function in (load_image, upright_size):
            with pytest.raises(ImageError, match=message) as raised:
                function(path)
            assert str(raised.value).isprintable()


@posix
def test_fit_raises_with_the_row_of_a_path_that_is_not_a_file(
    special, alarm, frozen_backbone, shapes
):
    X, y = shapes
    localizer = small_localizer(backbone=frozen_backbone, epochs=1)
    for path, message in special.items():
        with pytest.raises(ImageError, match=f"Row 1: .*{message}"):
            localizer.fit([X[0], path], y[:2])


@posix
def test_file_without_read_permission_raises_with_its_name(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    tmp_path.chmod(0o755)
    # Root can read everything, so the child gives up its rights.
    program = "import os, sys\nfrom skbbox.images import load_image\nos.chdir(sys.argv[1])\n"
    program += "os.getuid() or os.setuid(65534)\n"
    program += "try: load_image('secret.png')\nexcept ValueError as error: print(error)"
    printed = run_python(program, tmp_path).stdout
    assert printed.startswith("secret.png cannot be read as an image: [Errno 13]")


def test_link_to_an_image_is_read(tmp_path):
    (tmp_path / "image.png").write_bytes(encoded("PNG"))
    (tmp_path / "link").symlink_to("image.png")
    np.testing.assert_array_equal(load_image(tmp_path / "link"), PIXELS)


# ---------------------------------------------------------------- files that change

#: Loads an image, ten times and for three seconds at least, while a thread changes it.
WHILE_CHANGED = """
import os, sys, threading, time
from skbbox.exceptions import ImageError
from skbbox.images import load_image
path, how = sys.argv[1:]
content = open(path, "rb").read()
ends = time.monotonic() + 3
outcomes = {"pixels": 0, "error": 0}

def change():
    while time.monotonic() < ends or sum(outcomes.values()) < 10:
        if how == "cut off":
            os.truncate(path, 1000)
        elif how == "gone":
            os.unlink(path)
        time.sleep(0.001)
        with open(path, "ab" if how == "grown" else "wb") as file:
            file.write(content)
        if how == "grown" and os.path.getsize(path) > 2**28:
            os.truncate(path, len(content))
        time.sleep(0.01)

changing = threading.Thread(target=change)
changing.start()
while changing.is_alive():
    try:
        load_image(path, (16, 16))
        outcomes["pixels"] += 1
    except ImageError:
        outcomes["error"] += 1
print(*outcomes.values())
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut off", "gone", "grown"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_file_that_changes_gives_pixels_or_an_error(tmp_path, how, compression):
    path = tmp_path / "changing.tif"
    grain = np.random.default_rng(0).integers(0, 256, (1000, 1000)).astype(np.uint8)
    Image.fromarray(grain).save(path, compression=compression)
    pixels, errors = map(int, run_python(WHILE_CHANGED, path, how).stdout.split())
    assert pixels + errors >= 10
