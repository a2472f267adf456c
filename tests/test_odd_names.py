"""File names that cause problems in shells, tables and annotation files."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox import (
    DummyLocalizer,
    check_annotations,
    clean_annotations,
    one_box_per_image,
    rank_label_issues,
    read_annotations,
    write_annotations,
)
from skbbox.annotations.writing import WRITTEN_FORMATS
from skbbox.command_line import main
from skbbox.exceptions import AnnotationError, ImageError
from skbbox.images import load_image, upright_size

#: Names that every format can store. All files are PNG, whatever their extension.
COMMON = [
    *("a b.jpg", "a  b .jpg", "100%.jpg", "%s%n.jpg", "%20.jpg", "-a.jpg", "--help.jpg", "~.jpg"),
    *('"a".jpg', "it's.jpg", "`a`.jpg", "$HOME.jpg", "a|b&c;d.jpg", "<a>&amp;.jpg", "]]>.jpg"),
    *("[a]*?.jpg", "**.jpg", "{a,b}.jpg", "#a.jpg", "=1+1.jpg", "a:b.jpg", "a,b.jpg", "1e5.jpg"),
    *("\u00e9.jpg", "e\u0301.jpg", "日本語.jpg", "\U0001f370.jpg", "\ufeffa.jpg", "a\u200fb.jpg"),
    *("a\u2028b.jpg", "a\u00a0b.jpg", "\ufffd.jpg", "a\x85b.jpg", "x" * 251 + ".jpg", "null.jpg"),
    *("a.b.c.png", "a..png", "sub/[a].jpg", "sub./a.jpg", "sub /b.jpg", "C:.jpg"),
]
#: Names that some formats cannot store.
NO_EXTENSION = ["a", "a.", "a..", "a.jpg.", "1", "nan", "a.xml", "a.txt", "a.jp2"]
SPACE_AROUND = [" a.jpg", "a.jpg ", "\u3000a.jpg"]
IGNORED = ["README.jpg", "license.v2.jpg", ".hidden.jpg", "class-descriptions.jpg"]
IN_IGNORED_FOLDERS = [".sub/a.jpg", "ImageSets/a.jpg"]
SIDE_FILES = ["classes.jpg", "Labels.jpg"]
#: Names that no format can store: control characters, and folders and drives on Windows.
UNWRITABLE = [
    "a\nb.jpg",
    "a\rb.jpg",
    "a\tb.jpg",
    "a\x1b[2J.jpg",
    "a\x7f.jpg",
    "a\\b.jpg",
    "C:/a.jpg",
]
NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")

REFUSED = dict.fromkeys(WRITTEN_FORMATS, UNWRITABLE) | {
    "pascal_voc": UNWRITABLE + SPACE_AROUND + IGNORED,
    "yolo": UNWRITABLE + NO_EXTENSION + ["a.jpg "] + IGNORED + IN_IGNORED_FOLDERS + SIDE_FILES,
    "labelme": [*UNWRITABLE, *IGNORED, *IN_IGNORED_FOLDERS, "x" * 251 + ".jpg"],
}
REFUSED["ultralytics"] = [*REFUSED["yolo"], "sub./a.jpg", "a\u2028b.jpg", "a\x85b.jpg"]
NAMES = (
    COMMON + NO_EXTENSION + SPACE_AROUND + IGNORED + IN_IGNORED_FOLDERS + SIDE_FILES + UNWRITABLE
)


def make_image(folder, name, pixels=None):
    """Write an image of that name, or skip the test if the file system refuses the name."""
    path = os.path.join(folder, name)
    pixels = np.zeros((10, 20, 3), np.uint8) if pixels is None else pixels
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "wb") as file:
            Image.fromarray(pixels).save(file, "PNG")
    except OSError as error:
        pytest.skip(f"the file system refuses {name!r}: {error}")
    return path


def table(*paths):
    """A table with one box per image; dtype object, as pandas' text type must be UTF-8."""
    frame = pd.DataFrame({"image": pd.Series(paths, dtype=object), "class_name": "dog"})
    return frame.assign(x_min=0.1, x_max=0.3, y_min=0.1, y_max=0.5)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("name", [*NAMES, NOT_UTF8], ids=ascii)
def test_image_of_any_name_is_read(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    path = make_image(tmp_path, name, pixels)
    np.testing.assert_array_equal(load_image(path), pixels)
    assert upright_size(path) == (8, 6)


@pytest.mark.parametrize("name", [*UNWRITABLE, NOT_UTF8, "a\u200fb.jpg", "a\u2028b.jpg"], ids=ascii)
@pytest.mark.parametrize("content", [None, b"", b"no image"], ids=["missing", "empty", "text"])
def test_message_about_an_image_of_any_name_can_be_printed(tmp_path, name, content):
    path = os.path.join(tmp_path, name)
    if content is not None:
        make_image(tmp_path, name)
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(ImageError) as raised:
        load_image(path)
    assert str(raised.value).isprintable()
    # The printable parts, folder and extension, are unchanged.
    assert all(part in str(raised.value) for part in path.split(name[1:-4]))


@pytest.mark.slow
def test_estimator_does_not_mind_names(tmp_path, shapes):
    X, y = shapes
    names = [*COMMON, *NO_EXTENSION, *UNWRITABLE, NOT_UTF8][: len(X) - 1]
    names.append(NOT_UTF8)
    paths = [make_image(tmp_path, name, pixels) for name, pixels in zip(names, X, strict=True)]
    plain, odd = (small_localizer(epochs=1).fit(images, y) for images in (X, paths))
    pd.testing.assert_frame_equal(odd.predict(paths), plain.predict(X))


# ---------------------------------------------------------------- annotation files


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
@pytest.mark.parametrize("name", [*NAMES, NOT_UTF8], ids=ascii)
def test_name_is_read_as_it_was_written_or_refused(tmp_path, format, name):
    images = tmp_path / "images"
    paths = [make_image(images, name), make_image(images, "plain.jpg")]
    endings = {"snacks": ".csv", "labelbox": ".ndjson", "cvat": ".xml", "coco": ".json"}
    endings |= {"label_studio": ".json", "hugging_face": ".jsonl"}
    target = tmp_path / f"boxes{endings.get(format, '')}"
    if name in (*REFUSED[format], NOT_UTF8):
        with pytest.raises(AnnotationError, match=r"[Rr]ename|end with space") as raised:
            write_annotations(table(*paths), target, format, images_dir=images)
        assert str(raised.value).isprintable()
        assert not target.exists()
    else:
        write_annotations(table(*paths), target, format, images_dir=images)
        read = read_annotations(target, images_dir=images)
        assert sorted(read["image"]) == sorted(paths)
        assert read["class_name"].tolist() == ["dog", "dog"]


def test_space_around_a_class_is_refused_for_pascal_voc(tmp_path):
    boxes = table(make_image(tmp_path, "a.jpg")).assign(class_name="dog ")
    with pytest.raises(AnnotationError, match=r"end with space\. Received: 'dog '"):
        write_annotations(boxes, tmp_path / "boxes", "pascal_voc", images_dir=tmp_path)


def test_names_that_are_not_utf_8_are_read_and_checked(tmp_path):
    paths = [make_image(tmp_path, name) for name in (NOT_UTF8, "b.jpg")]
    for path in paths:
        with open(path.removesuffix("jpg") + "txt", "w") as file:
            file.write("0 .5 .5 .2 .2\n")
    boxes = read_annotations(tmp_path)
    assert sorted(boxes["image"]) == sorted(paths)
    problems = check_annotations(boxes)
    assert "identical images" in set(problems["problem"])
    assert set(problems["image"]) <= set(paths)
    os.unlink(paths[0])
    with pytest.warns(UserWarning, match="1 missing image dropped"):
        actions = clean_annotations(boxes).actions
    assert actions["image"].tolist() == paths[:1]
    assert actions["detail"].map(str.isprintable).all()


def test_rows_of_names_that_are_not_utf_8_are_ranked():
    X, y = one_box_per_image(table(NOT_UTF8, "b.jpg", "c.jpg", "d.jpg"))
    ranked = rank_label_issues(DummyLocalizer(), X, y.drop(columns="class_name"), cv=2)
    assert sorted(ranked["image"]) == sorted(X)


@pytest.mark.parametrize("where", ["images", "categories"])
def test_lone_surrogate_in_json_is_read(tmp_path, where):
    # As Python writes a file name that is not UTF-8.
    root = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    root[where][0]["file_name" if where == "images" else "name"] = NOT_UTF8
    (tmp_path / "a.json").write_text(json.dumps(root))
    read = read_annotations(tmp_path / "a.json", images_dir=".")
    assert NOT_UTF8 in read.loc[0, ["image", "class_name"]].tolist()


# ---------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.skbbox"
    fitted.save(path)
    return str(path)


def test_command_predicts_images_of_any_name(tmp_path, model, capsys):
    names = [name for name in (*COMMON, *NO_EXTENSION, *SPACE_AROUND, *IGNORED) if "/" not in name]
    paths = [make_image(tmp_path / "images", name) for name in names]
    target = tmp_path / "boxes.csv"
    assert main(["predict", model, *paths, "-o", str(target), "--quiet"]) == 0
    read = read_annotations(target)
    assert sorted(read["image"]) == sorted(paths)


def test_command_predicts_images_whose_names_begin_with_a_dash(tmp_path, model, monkeypatch):
    make_image(tmp_path, "-o.jpg")
    monkeypatch.chdir(tmp_path)
    assert main(["predict", model, "-o", "boxes.csv", "--quiet", "--", "-o.jpg"]) == 0
    assert read_annotations("boxes.csv", images_dir=".")["image"].tolist() == ["-o.jpg"]


@pytest.mark.parametrize("name", ["a\nb.jpg", NOT_UTF8], ids=ascii)
def test_command_refuses_a_name_that_cannot_be_written_before_it_predicts(
    tmp_path, model, name, capsys
):
    make_image(tmp_path / "images", name)
    with open(tmp_path / "broken.skbbox", "wb"):
        pass
    # The model is broken, but it is not opened.
    arguments = ["predict", str(tmp_path / "broken.skbbox"), str(tmp_path / "images")]
    assert main([*arguments, "-o", str(tmp_path / "boxes.csv")]) == 1
    printed = capsys.readouterr().err
    assert "contains a character that annotation files cannot store; rename it." in printed
    assert printed.removesuffix("\n").isprintable()
    assert not (tmp_path / "boxes.csv").exists()


def test_command_prints_a_folder_whose_name_is_not_utf_8(tmp_path, model, capfd):
    path = make_image(tmp_path / os.fsdecode(b"caf\xe9"), "a.jpg")
    target = os.path.join(os.path.dirname(path), "boxes.csv")
    assert main(["predict", model, path, "-o", target, "--quiet"]) == 0
    assert "caf\\udce9" in capfd.readouterr().out


def test_name_that_the_encoding_of_file_names_lacks_is_an_error_with_the_setting():
    code = "from skbbox.images import load_image; load_image('ph\\xf6tos.jpg')"
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | ascii_only, capture_output=True, text=True
    )
    assert "cannot be written as ascii" in done.stderr
    assert "PYTHONUTF8=1" in done.stderr
