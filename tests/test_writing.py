"""Writing boxes in the formats of annotation tools, and reading them again."""

import json
import os
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from skbbox import TARGET_COLUMNS, DummyLocalizer, read_annotations, write_annotations
from skbbox.annotations.writing import FOLDER_FORMATS, WRITTEN_FORMATS
from skbbox.exceptions import AnnotationError, BoxError

SIDES = list(TARGET_COLUMNS[1:])
SIZES = {f"{name}.jpg": (200, 100) for name in "abc"}
#: Formats that store one confidence per box.
SCORED = ("coco", "labelbox", "label_studio", "labelme")


@pytest.fixture(autouse=True)
def change_to_empty_folder(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def table(*rows, **extra):
    return pd.DataFrame(rows, columns=["image", *TARGET_COLUMNS]).assign(**extra)


BOXES = table(
    ("b.jpg", "dog", 0.1, 0.3, 0.1, 0.5),
    ("a.jpg", "cat, black", 0.0, 1.0, 0.0, 1.0),
    ("b.jpg", "cat, black", 0.5, 0.75, 0.2, 0.25),
)
WITH_EMPTY = pd.concat([BOXES, table(("c.jpg", None, *[np.nan] * 4))], ignore_index=True)


def get_target(folder, format):
    """Path that a format is written to."""
    endings = {"snacks": ".csv", "labelbox": ".ndjson", "cvat": ".xml", "coco": ".json"}
    endings |= {"label_studio": ".json", "hugging_face": ".jsonl"}
    return folder / f"boxes{endings.get(format, '')}"


def write_and_read(boxes, folder, format, sizes=SIZES):
    path = get_target(folder, format)
    write_annotations(boxes, path, format, images_dir=".", sizes=sizes)
    return read_annotations(path, images_dir=".", sizes=sizes)


# ---------------------------------------------------------------- content of the files


def test_coco(tmp_path):
    write_annotations(BOXES, tmp_path / "a.json", "coco", images_dir=".", sizes=SIZES)
    # By hand: x .1 to .3 of 200 pixels is 20 to 60, and y .1 to .5 of 100 pixels is 10 to 50.
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["images"] == [
        {"id": 1, "file_name": "b.jpg", "width": 200, "height": 100},
        {"id": 2, "file_name": "a.jpg", "width": 200, "height": 100},
    ]
    assert written["categories"] == [{"id": 1, "name": "cat, black"}, {"id": 2, "name": "dog"}]
    first = written["annotations"][0]
    assert first["bbox"] == pytest.approx([20, 10, 40, 40])
    assert (first["id"], first["image_id"], first["category_id"]) == (1, 1, 2)
    assert first["area"] == pytest.approx(1600)


def test_yolo(tmp_path):
    write_annotations(BOXES, tmp_path, "yolo", images_dir=".")
    assert (tmp_path / "classes.txt").read_text() == "cat, black\ndog\n"
    assert (tmp_path / "a.txt").read_text() == "0 0.500000 0.500000 1.000000 1.000000\n"
    assert (tmp_path / "b.txt").read_text() == (
        "1 0.200000 0.300000 0.200000 0.400000\n0 0.625000 0.225000 0.250000 0.050000\n"
    )


def test_pascal_voc_has_numbers_of_pixels(tmp_path):
    write_annotations(BOXES, tmp_path, "pascal_voc", images_dir=".", sizes=SIZES)
    text = re.sub(r"\s", "", (tmp_path / "b.xml").read_text())
    assert "<filename>b.jpg</filename>" in text
    # Edges at 20 and 60 enclose the 21st to the 60th pixel.
    assert "<xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax>" in text


def test_cvat(tmp_path):
    write_annotations(BOXES[:1], tmp_path / "a.xml", "cvat", images_dir=".", sizes=SIZES)
    image = ElementTree.parse(tmp_path / "a.xml").find("image")
    assert image.attrib == {"id": "0", "name": "b.jpg", "width": "200", "height": "100"}
    (box,) = image
    corners = [float(box.attrib.pop(name)) for name in ("xtl", "ytl", "xbr", "ybr")]
    assert corners == pytest.approx([20, 10, 60, 50])
    assert box.attrib == {"label": "dog", "occluded": "0", "source": "manual", "z_order": "0"}


def test_labelbox_gives_the_same_box_the_same_identifier(tmp_path):
    for name in ("1.ndjson", "2.ndjson"):
        write_annotations(BOXES, tmp_path / name, "labelbox", images_dir=".", sizes=SIZES)
    lines = (tmp_path / "1.ndjson").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["dataRow"] == {"globalKey": "b.jpg"}
    assert first["name"] == "dog"
    assert first["bbox"] == pytest.approx({"top": 10, "left": 20, "height": 40, "width": 40})
    assert (tmp_path / "1.ndjson").read_bytes() == (tmp_path / "2.ndjson").read_bytes()
    assert len({json.loads(line)["uuid"] for line in lines}) == 3


def test_label_studio_has_percent(tmp_path):
    path = tmp_path / "a.json"
    write_annotations(BOXES[:1], path, "label_studio", images_dir=".", sizes=SIZES)
    (task,) = json.loads(path.read_text())
    assert task["data"] == {"image": "/data/local-files/?d=b.jpg"}
    ((region,),) = [part["result"] for part in task["annotations"]]
    assert region.pop("id")
    value = region.pop("value")
    assert (value.pop("rectanglelabels"), value.pop("rotation")) == (["dog"], 0)
    # By hand: x .1 to .3 and y .1 to .5.
    assert value == pytest.approx({"x": 10, "y": 10, "width": 20, "height": 40})
    # Those of the template "Object Detection with Bounding Boxes".
    tags = {"type": "rectanglelabels", "from_name": "label", "to_name": "image"}
    sizes = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    assert region == tags | sizes


def test_boxes_with_a_confidence_are_predictions_of_label_studio(tmp_path):
    boxes = WITH_EMPTY.assign(confidence=[0.25, 0.5, 0.75, np.nan])
    path = tmp_path / "a.json"
    write_annotations(boxes, path, "label_studio", images_dir=".", sizes=SIZES)
    tasks = json.loads(path.read_text())
    assert not any("annotations" in task for task in tasks)
    first, _, empty = [task["predictions"][0] for task in tasks]
    assert [region["score"] for region in first["result"]] == [0.25, 0.75]
    assert (first["score"], first["model_version"]) == (0.5, "skbbox")
    assert empty == {"model_version": "skbbox", "result": []}


def test_identifiers_of_label_studio_differ_and_stay(tmp_path):
    for name in ("1.json", "2.json"):
        path = tmp_path / name
        write_annotations(BOXES, path, "label_studio", images_dir=".", sizes=SIZES)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    parts = [task["annotations"][0] for task in json.loads((tmp_path / "1.json").read_text())]
    assert len({region["id"] for part in parts for region in part["result"]}) == 3


def test_labelme(tmp_path):
    write_annotations(BOXES[:1], tmp_path / "files", "labelme", images_dir=".", sizes=SIZES)
    written = json.loads((tmp_path / "files" / "b.json").read_text())
    (shape,) = written.pop("shapes")
    np.testing.assert_allclose(shape.pop("points"), [[20, 10], [60, 50]])
    assert shape == {
        **{"label": "dog", "group_id": None, "description": "", "shape_type": "rectangle"},
        **{"flags": {}, "mask": None},
    }
    assert written.pop("imagePath") == os.path.relpath("b.jpg", tmp_path / "files")
    assert written == {
        **{"version": "5.5.0", "flags": {}, "imageData": None},
        **{"imageHeight": 100, "imageWidth": 200},
    }


def test_labelme_names_images_by_their_path_from_the_file(tmp_path):
    boxes = BOXES[:1].assign(image=f"{tmp_path}/photos/cats/b.jpg")
    sizes = {"b.jpg": (200, 100)}
    write_annotations(boxes, tmp_path / "photos", "labelme", sizes=sizes)
    write_annotations(
        boxes, tmp_path / "files", "labelme", images_dir=tmp_path / "photos", sizes=sizes
    )
    files = [tmp_path / folder / "cats" / "b.json" for folder in ("photos", "files")]
    paths = [json.loads(file.read_text())["imagePath"] for file in files]
    assert paths == ["b.jpg", "../../photos/cats/b.jpg"]


def test_hugging_face(tmp_path):
    boxes = WITH_EMPTY.iloc[[0, 3]]
    path = tmp_path / "metadata.jsonl"
    write_annotations(boxes, path, "hugging_face", images_dir=".", sizes=SIZES)
    first, empty = map(json.loads, path.read_text().splitlines())
    assert first["objects"]["bbox"] == [pytest.approx([20, 10, 40, 40])]
    assert first["objects"]["categories"] == ["dog"]
    assert empty == {
        **{"file_name": "c.jpg", "width": 200, "height": 100},
        **{"objects": {"bbox": [], "categories": []}},
    }


def test_ultralytics(tmp_path):
    boxes = WITH_EMPTY.assign(split=["train", "valid", "train", "test"])
    write_annotations(boxes, tmp_path, "ultralytics", images_dir=".")
    assert (tmp_path / "data.yaml").read_text() == (
        "train: train.txt\nval: val.txt\ntest: test.txt\nnames:\n  0: cat, black\n  1: dog\n"
    )
    assert (tmp_path / "train.txt").read_text() == "./images/b.jpg\n"
    assert (tmp_path / "val.txt").read_text() == "./images/a.jpg\n"
    assert (tmp_path / "test.txt").read_text() == "./images/c.jpg\n"
    assert (tmp_path / "labels" / "a.txt").read_text() == (
        "0 0.500000 0.500000 1.000000 1.000000\n"
    )


def test_ultralytics_validates_on_training_images_without_others(tmp_path):
    write_annotations(BOXES, tmp_path, "ultralytics", images_dir=".")
    text = (tmp_path / "data.yaml").read_text()
    assert text.startswith("train: train.txt\nval: train.txt\nnames:")
    assert (tmp_path / "train.txt").read_text() == "./images/b.jpg\n./images/a.jpg\n"


def test_csv_has_the_chapters_columns_if_all_images_fit(tmp_path):
    boxes = BOXES.assign(image="pets/" + BOXES["image"])
    write_annotations(boxes[:1], tmp_path / "a.csv", "snacks", images_dir=".")
    assert (tmp_path / "a.csv").read_text() == (
        "image_id,x_min,x_max,y_min,y_max,class_name,folder\nb,0.1,0.3,0.1,0.5,dog,pets\n"
    )


@pytest.mark.parametrize("image", ["b.jpg", "pets/b.png", "pets/small/b.jpg"])
def test_csv_has_a_column_image_if_one_does_not_fit(tmp_path, image):
    boxes = BOXES[:1].assign(image=image)
    write_annotations(boxes, tmp_path / "a.csv", "snacks", images_dir=".")
    assert (tmp_path / "a.csv").read_text() == (
        f"image,x_min,x_max,y_min,y_max,class_name\n{image},0.1,0.3,0.1,0.5,dog\n"
    )


# ---------------------------------------------------------------- reading written files


def assert_same(read, boxes, precision):
    """Assert that two tables hold the same rows, in any order of their images."""
    read, boxes = (
        frame.sort_values("image", kind="stable").reset_index(drop=True) for frame in (read, boxes)
    )
    assert read["image"].tolist() == boxes["image"].tolist()
    assert read["class_name"].fillna("-").tolist() == boxes["class_name"].fillna("-").tolist()
    np.testing.assert_allclose(read[SIDES], boxes[SIDES], rtol=0, atol=precision)


#: Largest change of an edge by writing: a pixel of 100, six digits, or rounding errors.
PRECISION = dict.fromkeys(WRITTEN_FORMATS, 1e-12) | {
    **{"pascal_voc": 0.01, "yolo": 1e-6, "ultralytics": 1e-6}
}
NO_EMPTY = ("labelbox",)
#: Formats that are tested with images in nested folders.
NESTED = ("label_studio", "labelme", "ultralytics", "hugging_face")
#: Random tables that each writer stores. After a change of a writer, run more.
N_TABLES = int(os.environ.get("SKBBOX_RANDOM_TABLES", "200"))


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_written_table_is_read_again(tmp_path, format):
    boxes = BOXES if format in NO_EMPTY else WITH_EMPTY
    assert_same(write_and_read(boxes, tmp_path, format), boxes, PRECISION[format])


@pytest.mark.parametrize("format", [name for name in WRITTEN_FORMATS if name not in NO_EMPTY])
def test_images_without_an_object_alone_are_read_again(tmp_path, format):
    boxes = table(*[(image, None, *[np.nan] * 4) for image in ("b.jpg", "a.jpg")])
    assert_same(write_and_read(boxes, tmp_path, format), boxes, 0)


def test_image_without_an_object_is_an_image_without_annotations(tmp_path):
    for format in ("coco", "cvat"):
        path = get_target(tmp_path, format)
        write_annotations(WITH_EMPTY, path, format, images_dir=".", sizes=SIZES)
    coco = json.loads(get_target(tmp_path, "coco").read_text())
    assert coco["images"][2] == {"id": 3, "file_name": "c.jpg", "width": 200, "height": 100}
    assert [annotation["image_id"] for annotation in coco["annotations"]] == [1, 1, 2]
    (image,) = ElementTree.parse(get_target(tmp_path, "cvat")).findall("image[@name='c.jpg']")
    assert len(image) == 0


def test_image_without_an_object_has_a_file_without_objects(tmp_path):
    for format in FOLDER_FORMATS:
        write_annotations(WITH_EMPTY, tmp_path, format, images_dir=".", sizes=SIZES)
    assert (tmp_path / "c.txt").read_bytes() == b""
    assert (tmp_path / "labels" / "c.txt").read_bytes() == b""
    assert json.loads((tmp_path / "c.json").read_text())["shapes"] == []
    assert "object" not in (tmp_path / "c.xml").read_text()


def test_image_without_an_object_is_a_row_without_values_in_csv(tmp_path):
    write_annotations(WITH_EMPTY[3:], tmp_path / "a.csv", "snacks", images_dir=".")
    assert (
        tmp_path / "a.csv"
    ).read_text() == "image,x_min,x_max,y_min,y_max,class_name\nc.jpg,,,,,\n"


def test_prediction_of_no_object_is_written_as_an_image_without_one(tmp_path):
    y = WITH_EMPTY.iloc[[0, 3, 3]]
    predicted = DummyLocalizer("prior").fit(y["image"], y).predict(["a.jpg"])
    read = write_and_read(predicted.assign(image="a.jpg"), tmp_path, "coco")
    assert read["image"].tolist() == ["a.jpg"]
    assert read[list(TARGET_COLUMNS)].isna().all(axis=None)


@pytest.mark.parametrize("format", ["snacks", *SCORED])
def test_confidence_is_written_and_read_again(tmp_path, format):
    boxes = BOXES.assign(confidence=[0.25, 0.5, 1.0])
    read = write_and_read(boxes, tmp_path, format)
    read = read.sort_values("image", ascending=False, kind="stable")
    assert read["class_name"].tolist() == ["dog", "cat, black", "cat, black"]
    assert read["confidence"].tolist() == [0.25, 1.0, 0.5]


def test_csv_stores_each_confidence_under_its_name(tmp_path):
    both = {"class_confidence": [0.25, 0.5, 1.0], "box_confidence": [0.75, np.nan, 0.5]}
    read = write_and_read(BOXES.assign(**both), tmp_path, "snacks")
    # All boxes of b.jpg come first.
    assert read["class_confidence"].tolist() == [0.25, 1.0, 0.5]
    assert read["box_confidence"].fillna(-1).tolist() == [0.75, 0.5, -1]
    assert "confidence" not in read


@pytest.mark.parametrize(
    ("columns", "written"),
    [
        # As predict returns them without and with the spatial head; and of a table of the user.
        (["class_confidence"], "class_confidence"),
        (["class_confidence", "box_confidence"], "box_confidence"),
        (["box_confidence"], "box_confidence"),
        (["confidence"], "confidence"),
        (["confidence", "class_confidence"], "class_confidence"),
        (["confidence", "class_confidence", "box_confidence"], "box_confidence"),
    ],
)
@pytest.mark.parametrize("format", SCORED)
def test_confidence_is_that_of_the_box_then_of_the_class(tmp_path, format, columns, written):
    values = {"confidence": 0.25, "class_confidence": 0.5, "box_confidence": 0.75}
    boxes = BOXES.assign(**{name: values[name] for name in columns})
    read = write_and_read(boxes, tmp_path, format)
    assert read["confidence"].tolist() == [values[written]] * 3


@pytest.mark.parametrize("format", ["snacks", *SCORED])
def test_confidence_may_be_missing(tmp_path, format):
    read = write_and_read(BOXES.assign(confidence=[0.25, np.nan, np.nan]), tmp_path, format)
    assert read["class_name"][read["confidence"].notna()].tolist() == ["dog"]
    assert read["confidence"].dropna().tolist() == [0.25]


@st.composite
def tables(draw):
    """Tables of boxes of at least three pixels, on images of 200 x 100."""
    letters = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp"))
    names = st.text(letters, min_size=1, max_size=8).filter(lambda name: name == name.strip())
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        box = []
        for least in (0.015, 0.03):
            low = draw(st.floats(0, 1 - least))
            box += [low, draw(st.floats(low + least, 1))]
        rows.append((f"{draw(st.sampled_from('abc'))}.jpg", draw(names), *box))
    return table(*rows)


@pytest.mark.slow
@pytest.mark.parametrize("format", [name for name in WRITTEN_FORMATS if name not in NESTED])
def test_random_tables_are_read_as_they_were_written(tmp_path_factory, format):
    @settings(
        max_examples=N_TABLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables())
    def check(boxes):
        folder = tmp_path_factory.mktemp("written")
        assert_same(write_and_read(boxes, folder, format), boxes, PRECISION[format])

    check()


@st.composite
def folder_tables(draw):
    """Tables of images in nested folders, some without an object, and their sizes."""
    letters = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
    names = st.text(letters, min_size=1, max_size=8)
    folders = st.lists(st.sampled_from(["a", "b c", "é", "images", "train"]), max_size=3)
    rows, sizes = [], {}
    n_images = draw(st.integers(1, 4))
    for number in range(n_images):
        path = "/".join([*draw(folders), f"{draw(st.sampled_from(['x', 'ü']))}.png"])
        if path in sizes:
            continue
        sizes[path] = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
        for _ in range(draw(st.integers(0 if number or n_images > 1 else 1, 3))):
            box = []
            for _ in range(2):
                low = draw(st.floats(0, 0.99))
                box += [low, draw(st.floats(low + 0.01, 1))]
            rows.append((path, draw(names), *box))
        if not rows or rows[-1][0] != path:
            rows.append((path, None, *[np.nan] * 4))
    return table(*rows), sizes


@pytest.mark.slow
@pytest.mark.parametrize("format", NESTED)
def test_random_tables_with_folders_are_read_as_they_were_written(tmp_path_factory, format):
    @settings(
        max_examples=N_TABLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(folder_tables())
    def check(drawn):
        boxes, sizes = drawn
        folder = tmp_path_factory.mktemp("written")
        images = folder / "images"
        for name in sizes:
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            (images / name).touch()
        sizes = {f"{images}/{name}": size for name, size in sizes.items()}
        boxes["image"] = f"{images}/" + boxes["image"]
        path = {
            "ultralytics": folder,
            "labelme": images,
            "hugging_face": images / "metadata.jsonl",
            "label_studio": images / "tasks.json",
        }[format]
        write_annotations(boxes, path, format, sizes=sizes)
        source = folder / "data.yaml" if format == "ultralytics" else path
        assert_same(read_annotations(source), boxes, PRECISION[format])
        assert_same(read_annotations(path, images_dir=images), boxes, PRECISION[format])
        shutil.rmtree(folder)

    check()


def test_space_at_the_beginning_of_a_class_is_kept_in_csv(tmp_path):
    boxes = BOXES.assign(class_name=[" dog", "cat ", ""])
    read = write_and_read(boxes, tmp_path, "snacks")
    assert sorted(read["class_name"]) == ["", " dog", "cat "]


def test_one_pixel_stays_one_pixel_in_pascal_voc(tmp_path):
    boxes = table(("a.jpg", "cat", 0.501, 0.5011, 0.999, 1.0))
    read = write_and_read(boxes, tmp_path, "pascal_voc")
    np.testing.assert_allclose(read[SIDES].iloc[0], [0.5, 0.505, 0.99, 1.0])


# ---------------------------------------------------------------- names and sizes of images


def test_names_are_relative_to_the_folder_of_the_file(tmp_path):
    boxes = BOXES.assign(image=[f"{tmp_path}/pets/{name}" for name in BOXES["image"]])
    write_annotations(boxes, tmp_path / "a.csv", "snacks")
    assert_same(read_annotations(tmp_path / "a.csv"), boxes, 0)


def test_tilde_in_paths_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    boxes = BOXES.assign(image=f"{tmp_path}/pets/" + BOXES["image"])
    with_tilde = BOXES.assign(image="~/pets/" + BOXES["image"])
    write_annotations(with_tilde, "~/a.csv", "snacks", images_dir="~/pets")
    assert_same(read_annotations(tmp_path / "a.csv", images_dir=tmp_path / "pets"), boxes, 0)


def test_size_is_that_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200)).save(tmp_path / "b.jpg", exif=exif)
    boxes = BOXES[:1].assign(image=str(tmp_path / "b.jpg"))
    write_annotations(boxes, tmp_path / "a.json", "coco")
    image = json.loads((tmp_path / "a.json").read_text())["images"][0]
    assert (image["width"], image["height"]) == (200, 100)


def test_image_of_unknown_size_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"size of 'b.jpg'.*sizes=\{'b.jpg'"):
        write_annotations(BOXES, tmp_path / "a.json", "coco", images_dir=".")


def test_image_outside_the_folder_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"/elsewhere/b.jpg is outside"):
        boxes = BOXES.assign(image="/elsewhere/b.jpg")
        write_annotations(boxes, tmp_path / "a.csv", "snacks")


# ---------------------------------------------------------------- overwriting, and errors


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_existing_files_are_replaced_only_with_overwrite(tmp_path, format):
    path = get_target(tmp_path, format)
    write_annotations(BOXES, path, format, images_dir=".", sizes=SIZES)
    files = {file: file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()}
    other = BOXES.assign(class_name="owl")
    with pytest.raises(FileExistsError, match=r"exists.*overwrite=True"):
        write_annotations(other, path, format, images_dir=".", sizes=SIZES)
    assert all(file.read_bytes() == content for file, content in files.items())
    write_annotations(other, path, format, images_dir=".", sizes=SIZES, overwrite=True)
    assert read_annotations(path, images_dir=".", sizes=SIZES)["class_name"].unique() == ["owl"]
    assert sorted(file for file in tmp_path.rglob("*") if file.is_file()) == list(files)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x_max": [0.3, 1.0, 0.5]}, BoxError, r"Row 2 \(b.jpg\): the box is empty"),
        ({"x_max": [0.3, 1.0, 1.5]}, BoxError, r"Row 2 \(b.jpg\): an edge lies outside"),
        ({"x_max": [0.3, 1.0, np.nan]}, BoxError, r"Row 2 \(b.jpg\): half a box"),
        (
            {"class_name": ["a", 3, "b"]},
            AnnotationError,
            r"Row 1 \(a.jpg\): class_name must be .* Received: 3",
        ),
        (
            {"class_name": ["a", "b\n", "b"]},
            AnnotationError,
            r"Row 1 \(a.jpg\): class_name contains a char",
        ),
        (
            {"class_name": ["a", None, None]},
            AnnotationError,
            r"Row 1 \(a.jpg\): it has a box but no class \(1 more rows like it\)",
        ),
        (
            {side: BOXES[side].mask(BOXES.index == 1) for side in SIDES},
            AnnotationError,
            r"Row 1 \(a.jpg\): it has a class but no box, .* Add its box, or leave",
        ),
        (
            {"image": ["a.jpg", "b\n.jpg", "b.jpg"]},
            AnnotationError,
            "Row 1 .*: the name of the image",
        ),
    ],
)
@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_row_that_cannot_be_written_is_named(tmp_path, format, change, error, message):
    with pytest.raises(error, match=message):
        write_and_read(BOXES.assign(**change), tmp_path, format)
    assert not any(tmp_path.iterdir())


def test_rows_without_an_object_are_counted_in_messages(tmp_path):
    boxes = pd.concat([WITH_EMPTY[3:], BOXES.assign(x_max=[0.3, 1.0, 0.5])], ignore_index=True)
    with pytest.raises(BoxError, match=r"Row 3 \(b.jpg\): the box is empty"):
        write_and_read(boxes, tmp_path, "coco")


def test_images_with_the_same_name_are_distinguished_or_refused(tmp_path):
    boxes = BOXES[:2].assign(image=["one/a.jpg", "two/a.jpg"])
    sizes = dict.fromkeys(boxes["image"], (200, 100))
    write_annotations(boxes, tmp_path / "voc", "pascal_voc", images_dir=".", sizes=sizes)
    assert sorted(path.name for path in (tmp_path / "voc").iterdir()) == ["one_a.xml", "two_a.xml"]
    assert_same(read_annotations(tmp_path / "voc", images_dir="."), boxes, 0.01)
    boxes["image"] = ["a.jpg", "a.png"]
    sizes = dict.fromkeys(boxes["image"], (200, 100))
    taken_files = {"yolo": "a.txt", "pascal_voc": "a.xml", "labelme": "a.json"}
    for format, taken in (taken_files | {"ultralytics": "labels/a.txt"}).items():
        with pytest.raises(AnnotationError, match=rf"{taken} is already used\. Rename a.png"):
            write_annotations(boxes, tmp_path / format, format, images_dir=".", sizes=sizes)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train", "val", "val"], r"for b.jpg: \['train', 'val'\]"),
        (["train", None, "train"], r"for a.jpg: no value"),
        (["train", "holdout", "train"], r"for a.jpg: \['holdout'\]"),
        (["val", "test", "val"], r"none of the 2 images has the split 'train'"),
    ],
)
def test_split_that_ultralytics_cannot_store_is_named(tmp_path, splits, message):
    with pytest.raises(AnnotationError, match=message):
        write_annotations(BOXES.assign(split=splits), tmp_path, "ultralytics", images_dir=".")
    assert not any(tmp_path.iterdir())


def test_ultralytics_finds_the_labels_of_the_images_that_it_lists(tmp_path):
    names = ["a.jpg", "b c/a.png", "images/a.jpg", "labels/a.webp"]
    boxes = table(*[(name, "cat", 0.1, 0.3, 0.1, 0.5) for name in names])
    write_annotations(boxes, tmp_path, "ultralytics", images_dir=".")
    # As `get_img_files` and `img2label_paths` of Ultralytics do it.
    lines = (tmp_path / "train.txt").read_text().strip().splitlines()
    paths = [line.replace("./", f"{tmp_path}/") for line in lines]
    assert paths == [f"{tmp_path}/images/{name}" for name in names]
    labels = ["/labels/".join(path.rsplit("/images/", 1)).rsplit(".", 1)[0] for path in paths]
    for label in labels:
        with open(f"{label}.txt") as file:
            assert file.read() == "0 0.200000 0.300000 0.200000 0.400000\n"


def test_split_of_ultralytics_is_read_again(tmp_path):
    boxes = WITH_EMPTY.assign(split=["train", "val", "train", "test"])
    for image in boxes["image"]:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / image).touch()
    boxes["image"] = f"{tmp_path}/images/" + boxes["image"]
    write_annotations(boxes, tmp_path, "ultralytics")
    read = read_annotations(tmp_path / "data.yaml")
    assert read["split"].tolist() == ["train", "train", "val", "test"]


def test_images_for_training_and_validation_are_read_once(tmp_path):
    boxes = BOXES.assign(image=f"{tmp_path}/images/" + BOXES["image"])
    write_annotations(boxes, tmp_path, "ultralytics")
    (tmp_path / "images").mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.jpg").touch()
    assert_same(read_annotations(tmp_path / "data.yaml"), boxes, 1e-6)


@pytest.mark.parametrize(
    ("format", "image", "message"),
    [
        ("ultralytics", "a.gif", "does not read GIF"),
        ("ultralytics", "a./b.jpg", "one per line"),
        ("labelme", f"{'x' * 251}.png", "longer than 255 bytes"),
        ("labelme", "Readme.png", "ignores files named Readme.json"),
    ],
)
def test_name_of_an_image_that_a_format_cannot_store_is_refused(tmp_path, format, image, message):
    sizes = {image: (200, 100)}
    with pytest.raises(AnnotationError, match=message):
        write_annotations(
            BOXES[:1].assign(image=image), tmp_path, format, images_dir=".", sizes=sizes
        )
    assert not any(tmp_path.iterdir())


def test_image_called_notes_is_read_again_from_labelme(tmp_path):
    boxes = BOXES[:1].assign(image=f"{tmp_path}/notes.jpg")
    write_annotations(boxes, tmp_path, "labelme", sizes={"notes.jpg": (200, 100)})
    assert_same(read_annotations(tmp_path), boxes, 1e-12)


def test_class_that_yolo_cannot_store_is_named(tmp_path):
    with pytest.raises(
        AnnotationError, match=r"begin or end with space\. Received the class 'cat '"
    ):
        write_and_read(BOXES.assign(class_name="cat "), tmp_path, "yolo")


def test_yolo_distinguishes_images_with_the_same_name_by_folder(tmp_path):
    boxes = BOXES[:2].assign(image=["one/a.jpg", "two/a.jpg"])
    for image in boxes["image"]:
        path = tmp_path / "images" / image
        path.parent.mkdir(parents=True)
        Image.new("RGB", (20, 10)).save(path)
    boxes["image"] = f"{tmp_path}/images/" + boxes["image"]
    write_annotations(boxes, tmp_path / "texts", "yolo", images_dir=tmp_path / "images")
    read = read_annotations(tmp_path / "texts", images_dir=tmp_path / "images")
    assert_same(read, boxes, 1e-6)


def test_image_without_an_object_is_refused_for_labelbox(tmp_path):
    with pytest.raises(AnnotationError, match=r"image without an object\. Received: c.jpg"):
        write_and_read(WITH_EMPTY, tmp_path, "labelbox")


def test_missing_column_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"missing: \['image'\]"):
        write_annotations(BOXES.drop(columns="image"), tmp_path / "a.csv", "snacks")
