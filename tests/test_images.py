"""Decode images that Pillow wrote, and compare with their known pixels."""

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skbbox.exceptions import ImageError
from skbbox.images import load_image, load_row, try_load_row, upright_size

RNG = np.random.default_rng(0)
#: Height 4, width 6: no two pixels alike, no symmetry.
UPRIGHT = RNG.permutation(4 * 6 * 3).astype(np.uint8).reshape(4, 6, 3)

# Pixels in the file for each orientation, from the table of tag 0x0112 in EXIF 2.3: which side of
# the picture the first row and the first column of the file show.
STORED = {
    1: UPRIGHT,  # row: top, column: left
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.swapaxes(0, 1),  # left, top
    6: UPRIGHT[:, ::-1].swapaxes(0, 1),  # right, top
    7: UPRIGHT[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: UPRIGHT[::-1].swapaxes(0, 1),  # left, bottom
}
#: A difference that is not visible: two levels of 255.
TWO_LEVELS = 2


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def one_colour(image):
    """Return the only colour of an image, and check that there is one."""
    colours = np.unique(image.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return tuple(colours[0].tolist())


def photograph(width, height):
    """Make an image with the smooth parts, edges and grain of a photograph."""
    y, x = np.mgrid[:height, :width] / height
    smooth = np.stack([x * 150, y * 200, 120 + 80 * np.sin(6 * x * y)], axis=2)
    smooth[(x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.1] += 50
    grain = np.random.default_rng(0).normal(0, 6, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(tmp_path, orientation):
    path = tmp_path / "turned.png"
    Image.fromarray(STORED[orientation]).save(path, exif=exif(orientation))
    np.testing.assert_array_equal(load_image(path), UPRIGHT)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied_to_a_reduced_jpeg(tmp_path, orientation):
    # Every pixel becomes a square of 64, so that compression preserves its colour.
    large = STORED[orientation].repeat(64, axis=0).repeat(64, axis=1)
    path = tmp_path / "turned.jpg"
    Image.fromarray(large).save(path, exif=exif(orientation), quality=100, subsampling=0)
    loaded = load_image(path, size=(8, 12))
    expected = UPRIGHT.repeat(2, axis=0).repeat(2, axis=1).astype(int)
    # Resizing mixes in a little of the neighbours; another orientation differs by about 20.
    assert np.abs(loaded - expected).mean() < 6


@pytest.mark.parametrize("orientation", [0, 9])
def test_undefined_orientation_is_ignored(tmp_path, orientation):
    path = tmp_path / "odd.png"
    Image.fromarray(UPRIGHT).save(path, exif=exif(orientation))
    np.testing.assert_array_equal(load_image(path), UPRIGHT)


def test_orientation_of_a_pil_image_is_applied(tmp_path):
    path = tmp_path / "turned.png"
    Image.fromarray(STORED[6]).save(path, exif=exif(6))
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(image), UPRIGHT)


# ---------------------------------------------------------------- kinds of pixels


def palette_image(**info):
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        pytest.param(Image.new("RGB", (3, 2), (9, 99, 199)), "png", (9, 99, 199), id="RGB"),
        pytest.param(Image.new("L", (3, 2), 77), "png", (77, 77, 77), id="gray"),
        pytest.param(Image.new("1", (3, 2), 1), "png", (255, 255, 255), id="1-bit white"),
        pytest.param(Image.new("1", (3, 2), 0), "png", (0, 0, 0), id="1-bit black"),
        pytest.param(palette_image(), "png", (200, 100, 50), id="palette"),
        pytest.param(palette_image(), "gif", (200, 100, 50), id="GIF"),
        # Colour 1 is transparent, and the only one in the image.
        pytest.param(
            palette_image(transparency=1), "png", (255, 255, 255), id="palette, transparent"
        ),
        pytest.param(
            palette_image(transparency=0), "png", (200, 100, 50), id="palette, another transparent"
        ),
        # Half-transparent black over white: 255 x (1 - 128 / 255).
        pytest.param(Image.new("RGBA", (3, 2), (0, 0, 0, 128)), "png", (127,) * 3, id="RGBA"),
        # A fifth of red: 255, and 255 x (1 - 51 / 255) for the other channels.
        pytest.param(Image.new("RGBA", (3, 2), (255, 0, 0, 51)), "png", (255, 204, 204), id="red"),
        pytest.param(Image.new("RGBA", (3, 2), (9, 9, 9, 0)), "png", (255,) * 3, id="clear"),
        pytest.param(Image.new("RGBA", (3, 2), (9, 99, 199, 255)), "png", (9, 99, 199), id="solid"),
        pytest.param(Image.new("LA", (3, 2), (0, 51)), "png", (204, 204, 204), id="LA"),
        # Only cyan ink, which absorbs red.
        pytest.param(Image.new("CMYK", (3, 2), (255, 0, 0, 0)), "tif", (0, 255, 255), id="CMYK"),
        pytest.param(Image.new("CMYK", (3, 2), (0, 0, 0, 0)), "tif", (255,) * 3, id="CMYK white"),
        pytest.param(Image.new("CMYK", (3, 2), (0, 0, 0, 255)), "tif", (0,) * 3, id="CMYK black"),
        # Green of BT.601 without luma and chroma: (0.344 + 0.714) x 128.
        pytest.param(Image.new("YCbCr", (3, 2), (0, 0, 0)), "tif", (0, 135, 0), id="YCbCr"),
        # L* of 50.2: a luminance of 0.186, which is 119 in sRGB.
        pytest.param(Image.new("LAB", (3, 2), (128,) * 3), "tif", (119,) * 3, id="LAB gray"),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(tmp_path, image, suffix, expected):
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    loaded = load_image(path)
    assert loaded.shape == (2, 3, 3)
    assert loaded.dtype == np.uint8
    assert one_colour(loaded) == expected


@pytest.mark.parametrize(
    ("mode", "colour"), [("RGB", (10, 20, 30)), ("L", 10)], ids=["RGB", "gray"]
)
def test_transparent_colour_of_a_png_becomes_white(tmp_path, mode, colour):
    path = tmp_path / "keyed.png"
    Image.new(mode, (3, 2), colour).save(path, transparency=colour)
    assert one_colour(load_image(path)) == (255, 255, 255)


def write_png(path, size, n_bits, colour_type, rows, transparent):
    """Write a PNG whose rows of pixels are given as bytes, with a transparent colour."""

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", *size, n_bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
    return path


# One row of two pixels, of which the first has the transparent value. Of 3 and 15 as the largest
# value, 2 and 7 are 170 and 119 of 255; of 16 bits, the upper eight are kept.
KEYED = [
    pytest.param(2, 0, bytes([0b01_10_0000]), [1], (170, 170, 170), id="gray of 2 bits"),
    pytest.param(4, 0, bytes([0x37]), [3], (119, 119, 119), id="gray of 4 bits"),
    # They differ in the lower byte only.
    pytest.param(16, 0, b"\x12\x34\x12\x35", [0x1234], (18, 18, 18), id="gray of 16 bits"),
    pytest.param(
        *(16, 2, b"\x12\x34\0\0\0\x07\x12\x35\0\0\0\x07", [0x1234, 0, 7], (18, 0, 0)),
        id="colours of 16 bits",
    ),
]


@pytest.mark.parametrize(("n_bits", "colour_type", "row", "transparent", "other"), KEYED)
def test_transparent_colour_is_compared_with_all_bits(
    tmp_path, n_bits, colour_type, row, transparent, other
):
    path = write_png(tmp_path / "keyed.png", (2, 1), n_bits, colour_type, [row], transparent)
    assert load_image(path).tolist() == [[[255, 255, 255], list(other)]]


def test_transparent_colour_of_a_pil_image_is_white_in_each_of_its_rows(tmp_path):
    path = write_png(tmp_path / "keyed.png", (2, 1), 4, 0, [bytes([0x37])], [3])
    image = Image.open(path)
    for _ in range(2):
        assert load_image(image).tolist() == [[[255] * 3, [119] * 3]]


def write_tiff(path, order, n_bits, photometric, pixels, size):
    """Write a gray TIFF with one strip, which begins after the header and nine tags."""
    end = {"II": "<", "MM": ">"}[order]
    start = 8 + 2 + 9 * 12 + 4
    tags = {256: size[0], 257: size[1], 258: n_bits, 259: 1, 262: photometric}
    tags |= {273: start, 277: 1, 278: size[1], 279: len(pixels)}
    entries = b"".join(struct.pack(f"{end}HHIHH", tag, 3, 1, n, 0) for tag, n in tags.items())
    header = order.encode() + struct.pack(f"{end}HIH", 42, 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + pixels)
    return path


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize(
    ("n_bits", "photometric", "expected"),
    [
        # 0xABCD is 43981: its upper byte is 171, and that of 65535 - 43981 = 21554 is 84.
        (16, 1, [171, 171]),
        (16, 0, [84, 84]),
        # 12 bits are packed: 0xABC and 0x123. 4095 - 0xABC = 0x543, and 4095 - 0x123 = 0xEDC.
        (12, 1, [0xAB, 0x12]),
        (12, 0, [0x54, 0xED]),
    ],
)
def test_upper_eight_bits_of_gray_tiff(tmp_path, order, n_bits, photometric, expected):
    two = 2 * (b"\xab\xcd" if order == "MM" else b"\xcd\xab")
    pixels = two if n_bits == 16 else b"\xab\xc1\x23"
    path = write_tiff(tmp_path / "gray.tif", order, n_bits, photometric, pixels, (2, 1))
    assert load_image(path)[0].tolist() == [[value] * 3 for value in expected]


def test_values_multiplied_by_alpha_are_blended_with_white():
    # Gray 100 at an alpha of 128 is stored as 50: 50 + 255 x (1 - 128 / 255) = 177.
    image = Image.frombytes("La", (3, 2), bytes([50, 128]) * 6)
    assert np.abs(load_image(image).astype(int) - 177).max() <= TWO_LEVELS


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_image_that_is_not_loaded_can_be_in_several_rows(tmp_path, suffix):
    path = tmp_path / f"lazy.{suffix}"
    photograph(400, 300).save(path, exif=exif(6))
    expected = load_image(path)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            image = Image.open(path)
            for pixels in pool.map(load_image, [image] * 4):
                np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("ink", "expected"), [((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 0), (255, 255, 255))]
)
def test_cmyk_jpeg_becomes_rgb(tmp_path, ink, expected):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), ink).save(path, quality=100)
    assert np.abs(load_image(path).astype(int) - expected).max() <= TWO_LEVELS


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    # 257 k of 65535 is k of 255.
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    path = tmp_path / "deep.png"
    Image.fromarray(levels * 257).save(path)
    expected = np.stack([levels] * 3, axis=2)
    np.testing.assert_array_equal(load_image(path), expected)


def test_sixteen_bits_in_the_other_byte_order_keep_the_upper_eight(tmp_path):
    path = tmp_path / "deep.tif"
    Image.frombytes("I;16B", (3, 2), (257 * 200).to_bytes(2, "big") * 6).save(path)
    assert one_colour(load_image(path)) == (200, 200, 200)


@pytest.mark.parametrize("value", [70_000, -1])
def test_more_than_sixteen_bits_raise_with_their_range(tmp_path, value):
    path = tmp_path / "deeper.tif"
    Image.new("I", (3, 2), value).save(path)
    with pytest.raises(ImageError, match=f"deeper.tif has values from {value} to {value}"):
        load_image(path)


def test_floating_point_pixels_raise(tmp_path):
    path = tmp_path / "real.tif"
    Image.new("F", (3, 2), 0.5).save(path)
    with pytest.raises(ImageError, match=r"real.tif has floating-point pixels.*8-bit"):
        load_image(path)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert one_colour(load_image(path)) == (255, 0, 0)


# ---------------------------------------------------------------- size


@pytest.mark.parametrize("size", [(2, 3), (8, 6), (5, 5)])
def test_size_is_height_and_width(tmp_path, size):
    path = tmp_path / "image.png"
    Image.fromarray(UPRIGHT).save(path)
    assert load_image(path, size=size).shape == (*size, 3)


def test_size_is_preserved_by_default(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(UPRIGHT).save(path)
    np.testing.assert_array_equal(load_image(path), UPRIGHT)


def test_array_file_and_pil_image_are_resized_alike(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(UPRIGHT).save(path)
    expected = load_image(path, size=(3, 5))
    np.testing.assert_array_equal(load_image(UPRIGHT, size=(3, 5)), expected)
    np.testing.assert_array_equal(load_image(Image.fromarray(UPRIGHT), size=(3, 5)), expected)


@pytest.fixture(scope="module")
def large_jpeg(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    photograph(1600, 1200).save(path, quality=90)
    return path


def test_large_jpeg_is_decoded_at_an_eighth(large_jpeg):
    # Each side needs at least 2 x 64 pixels, and 1200 / 8 = 150.
    with Image.open(large_jpeg) as eighth:
        eighth.draft(None, (200, 150))
        assert eighth.size == (200, 150)
        expected = np.asarray(eighth.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(load_image(large_jpeg, size=(64, 64)), expected)


def test_reduced_decoding_is_close_to_the_full_one(large_jpeg):
    with Image.open(large_jpeg) as image:
        full = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(load_image(large_jpeg, size=(64, 64)) - full)
    assert difference.mean() < TWO_LEVELS


def test_jpeg_below_twice_the_size_is_decoded_in_full(large_jpeg):
    # 1200 / 2 = 600 is less than twice 301.
    with Image.open(large_jpeg) as image:
        expected = np.asarray(image.resize((301, 301), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(load_image(large_jpeg, size=(301, 301)), expected)


def test_large_jpeg_is_not_reduced_by_default(large_jpeg):
    assert load_image(large_jpeg).shape == (1200, 1600, 3)


def test_pil_image_itself_is_not_resized(large_jpeg):
    with Image.open(large_jpeg) as image:
        load_image(image, size=(64, 64))
        assert image.size == (1600, 1200)


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.full((2, 3), 7, np.uint8), (7, 7, 7), id="gray"),
        pytest.param(np.full((2, 3, 1), 7, np.uint8), (7, 7, 7), id="gray with a channel"),
        pytest.param(np.full((2, 3, 3), 7, np.uint8), (7, 7, 7), id="RGB"),
        pytest.param(
            np.full((2, 3, 4), (255, 0, 0, 51), np.uint8), (255, 204, 204), id="RGBA over white"
        ),
        pytest.param(np.full((4, 6, 3), 7, np.uint8)[::2, ::-2], (7, 7, 7), id="not contiguous"),
    ],
)
def test_array_of_pixels_becomes_rgb(array, expected):
    loaded = load_image(array)
    assert loaded.shape == (2, 3, 3)
    assert one_colour(loaded) == expected


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("size", [None, (2, 2)])
def test_read_only_array_is_accepted_and_not_changed(channels, size):
    array = RNG.integers(0, 256, (4, 6, *channels)).astype(np.uint8)
    before = array.copy()
    array.setflags(write=False)
    load_image(array, size=size)
    np.testing.assert_array_equal(array, before)


def test_read_only_memory_map_is_accepted(tmp_path):
    np.save(tmp_path / "pixels.npy", UPRIGHT)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    assert load_image(mapped, size=(2, 3)).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("array", "fix"),
    [
        pytest.param(np.full((2, 3, 3), 0.5), "multiply by 255 and convert", id="float 0..1"),
        pytest.param(np.full((2, 3, 3), 127.5), r"convert it with .astype\(np.uint8\)", id="float"),
        pytest.param(np.full((2, 3, 3), 7), r"convert it with .astype\(np.uint8\)", id="int64"),
        pytest.param(np.full((2, 3, 3), True), r"convert it with .astype\(np.uint8\)", id="bool"),
    ],
)
def test_array_of_another_type_raises_with_the_fix(array, fix):
    with pytest.raises(ImageError, match=rf"{fix}.*Received dtype {array.dtype}"):
        load_image(array)


@pytest.mark.parametrize("shape", [(4,), (4, 6, 2), (3, 4, 6), (1, 4, 6, 3), (0, 6, 3)], ids=str)
def test_array_of_another_shape_raises(shape):
    with pytest.raises(ImageError, match="An image array must have the shape"):
        load_image(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("thing", [None, 3, b"a.jpg", [[1]]])
def test_other_types_raise_with_their_name(thing):
    with pytest.raises(ImageError, match=f"Received: {type(thing).__name__}"):
        load_image(thing)


# ---------------------------------------------------------------- invalid files


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere.jpg does not exist .*images_dir="):
        load_image(tmp_path / "nowhere.jpg")


def test_directory_is_named(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ImageError, match=r"folder.jpg is a directory"):
        load_image(tmp_path / "folder.jpg")


def test_file_of_zero_bytes_is_named(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty.jpg is empty \(0 bytes\)"):
        load_image(tmp_path / "empty.jpg")


def test_unreadable_exif_tags_raise_with_the_file(tmp_path):
    # ImageMagick writes the tags of a PNG as hexadecimal text of this name.
    tags = PngInfo()
    tags.add_text("Raw profile type exif", "\nexif\n2\nno hexadecimal text")
    Image.new("RGB", (8, 4)).save(tmp_path / "tags.png", pnginfo=tags)
    with pytest.raises(ImageError, match=r"the EXIF tags of .*tags.png cannot be read"):
        upright_size(tmp_path / "tags.png")


def test_text_in_place_of_an_image_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("This is not an image.\n" * 100)
    with pytest.raises(ImageError, match=r"text.jpg cannot be read as an image"):
        load_image(tmp_path / "text.jpg")


@pytest.mark.parametrize("size", [None, (16, 16)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "bmp", "webp"])
def test_truncated_file_is_named(tmp_path, suffix, size):
    path = tmp_path / f"cut.{suffix}"
    photograph(160, 120).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=rf"cut.{suffix} cannot be"):
        load_image(path, size=size)


def test_name_that_the_file_system_does_not_allow_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match=r"xxx.jpg cannot be read as an image.*too long"):
        load_image(tmp_path / ("x" * 300 + ".jpg"))


@pytest.mark.parametrize("limit", [2999, 1499], ids=["above the limit", "above twice the limit"])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_image_above_pillows_limit_raises(tmp_path, monkeypatch, limit, action):
    path = tmp_path / "bomb.png"
    Image.new("L", (60, 50)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        # Pillow itself only warns up to twice the limit.
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match=rf"bomb.png is above the limit of {limit} pixels"):
            load_image(path)


def test_image_at_pillows_limit_is_accepted(tmp_path, monkeypatch):
    path = tmp_path / "full.png"
    Image.new("L", (60, 50)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    assert load_image(path).shape == (50, 60, 3)


def test_without_pillows_limit_any_size_is_accepted(tmp_path, monkeypatch):
    path = tmp_path / "any.png"
    Image.new("L", (60, 50)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_image(path).shape == (50, 60, 3)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("日本語 ñandú 🍰.png", id="unicode"),
        pytest.param("a name  with spaces .png", id="spaces"),
        pytest.param("x" * 251 + ".png", id="255 bytes long"),
        pytest.param("100% [draft] #1 'quoted'.png", id="punctuation"),
        pytest.param("no suffix", id="no suffix"),
        pytest.param("wrong.jpg", id="wrong suffix"),
    ],
)
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_name_does_not_matter(tmp_path, name, kind):
    path = tmp_path / name
    Image.fromarray(UPRIGHT).save(path, format="PNG")
    np.testing.assert_array_equal(load_image(kind(path)), UPRIGHT)


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_home_folder_is_expanded(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(UPRIGHT).save(tmp_path / "image.png")
    path = kind(Path("~/image.png"))
    np.testing.assert_array_equal(load_image(path), UPRIGHT)
    assert upright_size(path) == (6, 4)


def test_name_that_begins_with_a_tilde_but_names_no_user_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(UPRIGHT).save("~draft.png")
    np.testing.assert_array_equal(load_image("~draft.png"), UPRIGHT)


# ---------------------------------------------------------------- rows


def test_load_row_gives_the_pixels_of_its_row():
    (pixels,) = load_row([UPRIGHT * 0, UPRIGHT], 1, None)
    np.testing.assert_array_equal(pixels, UPRIGHT)


def test_load_row_raises_with_the_row():
    with pytest.raises(ImageError, match=r"^Row 1: nowhere.jpg does not exist"):
        load_row([UPRIGHT, "nowhere.jpg"], 1, None)


def test_try_load_row_gives_pixels_and_no_error():
    (pixels,), error = try_load_row([UPRIGHT * 0, UPRIGHT], 1, (4, 6))
    np.testing.assert_array_equal(pixels, UPRIGHT)
    assert error is None


@pytest.mark.parametrize(("size", "shape"), [((2, 3), (2, 3, 3)), (None, (1, 1, 3))])
def test_try_load_row_gives_black_pixels_and_the_error(size, shape):
    (pixels,), error = try_load_row([UPRIGHT, "nowhere.jpg"], 1, size)
    assert pixels.shape == shape
    assert pixels.dtype == np.uint8
    assert not pixels.any()
    assert error.startswith("nowhere.jpg does not exist")
