"""Rows of YOLO's files, which do not say what they hold, and the class names next to them.

A box with the centre .2, .3 and the sides .2, .4 is .1, .3, .1, .5.
"""

import numpy as np
import pytest

from skbbox import read_annotations, write_annotations
from skbbox.exceptions import AnnotationError, SkbboxWarning

BOX = (0.1, 0.3, 0.1, 0.5)
BOX_ROW = "0 0.2 0.3 0.2 0.4"
#: Seventeen keypoints in the box, as a person's.
KEYPOINTS = [(0.2 + 0.08 * np.sin(3 * i), 0.3 + 0.16 * np.cos(5 * i)) for i in range(17)]


def keypoints(*last):
    """Text of the keypoints, each followed by one of the values."""
    values = [
        [x, y, *([last[i % len(last)]] if last else [])] for i, (x, y) in enumerate(KEYPOINTS)
    ]
    return " ".join(f"{value:g}" for point in values for value in point)


@pytest.fixture
def read(tmp_path):
    """Write files and read their folder; return the boxes."""

    def read(files, folder="", **options):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        frame = read_annotations(tmp_path / folder, **options)
        return [tuple(box) for box in frame[["x_min", "x_max", "y_min", "y_max"]].values.round(9)]

    return read


def read_classes(tmp_path, folder, files, **options):
    """Class of the only row of a folder."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return read_annotations(tmp_path / folder, **options)["class_name"].item()


# ---------------------------------------------------------------- boxes, polygons, keypoints


#: Rows of one file, all of which are the box or a polygon with its bounds.
ROWS = {
    # Track 2 is no coordinate of a polygon in the image.
    "boxes with confidence and track": [f"{BOX_ROW} 0.9 1", f"{BOX_ROW} 0.8 2"],
    # A frame without tracks has five numbers, which no label has.
    "boxes, some without a track": [f"{BOX_ROW} 0.9", f"{BOX_ROW} 0.8 1"],
    "polygons with a confidence": [
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.87",
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5 0.91",
    ],
    "polygons with confidence and track": [
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.87 1",
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5 0.91 7",
    ],
    "polygons, some without a track": [
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.87",
        "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5 0.91 2",
    ],
    "keypoints and their confidences": [f"{BOX_ROW} {keypoints(0.5, 0.75)}"],
    "keypoints, their confidences and that of the box": [f"{BOX_ROW} {keypoints(0.5, 0.75)} 0.9"],
    "keypoints, confidence and track": [f"{BOX_ROW} {keypoints(0.5, 0.75)} 0.9 3"],
    "keypoints that are seen or not": [f"{BOX_ROW} {keypoints(1, 0)}"],
    # A polygon may touch the edge of the image where keypoints have their visibility.
    "polygon of five points": ["0 0.1 0.5 0.3 0.3 0.2 0.1 0.1 0.2 0.1 0.3"],
    "rectangle": ["0 0.1 0.1 0.1 0.5 0.3 0.5 0.3 0.1"],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_layout_of_all_rows_is_found(read, rows):
    boxes = read({f"{i}.txt": f"{row}\n" for i, row in enumerate(rows)})
    assert boxes == [BOX] * len(rows)


def test_rectangle_around_the_middle_is_no_box_with_keypoints(read):
    # As a box, .4, .4, .6, .4 would be in the image, and around the points .6, .6 and .4, .6.
    assert read({"a.txt": "0 0.4 0.4 0.6 0.4 0.6 0.6 0.4 0.6\n"}) == [(0.4, 0.6, 0.4, 0.6)]


@pytest.mark.parametrize(
    ("row", "boxes"),
    [
        # A triangle with the corner .9, 1, or a box with the confidence .9 and the track 1.
        ("0 0.5 0.5 0.2 0.2 0.9 1", {"polygon": (0.2, 0.9, 0.2, 1), "box": (0.4, 0.6, 0.4, 0.6)}),
        # Four points, or three of them and a confidence and a track.
        (
            "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 1",
            {"polygon": (0.1, 0.3, 0.1, 1), "scored_polygon": (0.1, 0.3, 0.1, 0.5)},
        ),
        # A triangle and a confidence, or a box with a keypoint that is seen with confidence .7.
        (
            "0 0.5 0.5 0.2 0.2 0.45 0.55 0.7",
            {"scored_polygon": (0.2, 0.5, 0.2, 0.55), "box": (0.4, 0.6, 0.4, 0.6)},
        ),
    ],
)
def test_ambiguous_row_is_refused_with_the_option_that_decides(read, row, boxes):
    with pytest.raises(AnnotationError, match=r"a.txt, line 1: .*several ways: pass yolo_rows="):
        read({"a.txt": f"{row}\n"})
    for option, box in boxes.items():
        assert read({}, yolo_rows=option) == [box]


def test_another_file_of_the_folder_decides(read):
    # Many points in the first file: a row of five at the edge is a polygon, too.
    outline = " ".join(f"{0.5 + 0.3 * np.cos(t):.3f} {0.5 + 0.3 * np.sin(t):.3f}" for t in range(6))
    boxes = read({"a.txt": f"0 {outline}\n", "b.txt": "0 0.5 0.3 0.5 0.4 0.4 0.6 1 0.5 0.6 1\n"})
    assert boxes[1] == (0.4, 1.0, 0.3, 1.0)


@pytest.mark.parametrize(
    ("shape", "values"), [("[17, 2]", keypoints()), ("[17, 3]", keypoints(0.5))]
)
@pytest.mark.parametrize("scores", ["", " 0.9", " 0.9 1"])
def test_shape_of_keypoints_is_read_from_yaml(read, shape, values, scores):
    files = {
        "data.yaml": f"kpt_shape: {shape}\nnames: [tiger]\n",
        "labels/a.txt": f"{BOX_ROW} {values}{scores}\n",
    }
    assert read(files, "labels") == [BOX]


def test_yaml_given_as_class_names_has_the_shape_of_keypoints(read, tmp_path):
    (tmp_path / "given.yml").write_text("kpt_shape: [1, 2]\nnames: [tiger]\n")
    files = {"labels/a.txt": f"{BOX_ROW} 0.25 0.35\n"}
    assert read(files, "labels", class_names=tmp_path / "given.yml") == [BOX]


def test_invalid_shape_of_keypoints_is_refused(read):
    files = {"data.yaml": "kpt_shape: 17\nnames: [tiger]\n", "a.txt": f"{BOX_ROW}\n"}
    with pytest.raises(AnnotationError, match=r"data.yaml: kpt_shape must be .*Received: 17"):
        read(files)


def test_row_that_fits_no_option_is_refused(read):
    with pytest.raises(AnnotationError, match=r"expected pairs of x and y.*Received 7 numbers"):
        read({"a.txt": "0 0.1 0.1 0.3 0.1 0.3 0.5 0.87\n"}, yolo_rows="polygon")


# ---------------------------------------------------------------- which files are YOLO's


@pytest.mark.parametrize(
    "table",
    [
        "1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n",
        "1 1 312.0 182.0 1\n",
        "0.000 0.000 59.4 1.7 33.0\n",
    ],
)
def test_table_of_other_numbers_is_refused(read, table):
    with pytest.raises(AnnotationError, match=r"boxes.txt: a table of numbers, but not YOLO's"):
        read({"boxes.txt": table})


@pytest.mark.parametrize("number", ["1.000000e+00", "1.0", "01"])
def test_class_may_be_written_as_any_integer(tmp_path, number):
    files = {"a.txt": f"{number} 2.0e-01 3.0e-01 2.0e-01 4.0e-01\n", "classes.txt": "cat\ndog\n"}
    assert read_classes(tmp_path, "", files) == "dog"


def test_class_with_a_fraction_is_refused(read):
    with pytest.raises(AnnotationError, match=r"line 2: the class must be an integer.*'1.5'"):
        read({"a.txt": f"{BOX_ROW}\n1.5 0.2 0.3 0.2 0.4\n"})


@pytest.mark.parametrize("blank", ["\n", " \t\r\n\n"])
def test_first_line_may_be_blank(read, blank):
    assert read({"a.txt": f"{blank}{BOX_ROW}\n"}) == [BOX]


@pytest.mark.parametrize("name", ["class_names.txt", "predefined_classes.txt", "names.txt"])
def test_names_of_classes_in_other_files_are_read(tmp_path, name):
    files = {"labels/a.txt": f"{BOX_ROW}\n", f"labels/{name}": "cat\n"}
    assert read_classes(tmp_path, "labels", files) == "cat"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.json", '{"categories": [{"id": 0, "name": "cat"}], "info": {"year": 2026}}'),
        ("train2017.txt", "./images/a.jpg\n"),
    ],
)
def test_file_about_the_data_set_is_left_out(read, name, text):
    assert read({"labels/a.txt": f"{BOX_ROW}\n", name: text}) == [BOX]


# ---------------------------------------------------------------- class names of other data sets


def test_names_of_another_data_set_are_not_used(tmp_path):
    files = {
        "data/obj/a.txt": f"{BOX_ROW}\n",
        "data/obj.names": "cat\ndog\n",
        "data/coco.names": "person\nbicycle\n",
    }
    assert read_classes(tmp_path, "data/obj", files) == "cat"


def test_names_file_called_like_a_folder_is_used(tmp_path):
    files = {
        "pets/labels/a.txt": f"{BOX_ROW}\n",
        "coco.names": "person\n",
        "pets.names": "cat\n",
    }
    assert read_classes(tmp_path, "pets/labels", files) == "cat"


def test_several_names_files_that_contradict_each_other_are_refused(tmp_path):
    files = {"labels/a.txt": f"{BOX_ROW}\n", "x.names": "cat\n", "y.names": "person\n"}
    with pytest.raises(AnnotationError, match=r"x.names and y.names hold .*class_names="):
        read_classes(tmp_path, "labels", files)
    names = tmp_path / "y.names"
    assert read_classes(tmp_path, "labels", {}, class_names=names) == "person"


CATS, CARS = "names: [cat]\n", "names: [car]\n"
#: Files of class names beside a folder b/labels/train, and the class 0 in it.
YAML = {
    "of the folder": ({"a.yaml": f"path: a\ntrain: images/train\n{CATS}"}, "0"),
    "of two, the one that lists the folder": (
        {
            "a.yaml": f"path: a\ntrain: images/train\n{CATS}",
            "b.yaml": f"path: b\ntrain: images/train\n{CARS}",
        },
        "car",
    ),
    "moved from another computer": (
        {"b.yaml": f"path: /content/b\ntrain: images/train\n{CARS}"},
        "car",
    ),
    "a list of folders": ({"b.yaml": f"train: [x/images, b/images/train]\n{CARS}"}, "car"),
    "above its own folder": ({"b/data.yaml": f"train: ../images/train\n{CARS}"}, "car"),
    "without folders": ({"b/b.yaml": CARS}, "car"),
}


@pytest.mark.parametrize(("files", "expected"), list(YAML.values())[1:], ids=list(YAML)[1:])
def test_yaml_that_lists_the_folder_has_its_names(tmp_path, files, expected):
    files = files | {"b/labels/train/a.txt": f"{BOX_ROW}\n"}
    # Names in the same folder as a.txt, or above it, are also found for the folder of all files.
    for folder in ("b/labels/train", "."):
        assert read_classes(tmp_path, folder, files) == expected


def test_yaml_that_lists_other_folders_is_not_used_with_a_warning(tmp_path):
    files = YAML["of the folder"][0] | {"b/labels/train/a.txt": f"{BOX_ROW}\n"}
    with pytest.warns(SkbboxWarning, match=r"a.yaml were not used.*class_names="):
        assert read_classes(tmp_path, "", files) == "0"


@pytest.mark.parametrize("folder", [".", "data/train/labels"])
def test_yaml_three_folders_above_that_lists_the_folder_is_used(tmp_path, folder):
    files = {
        "data/train/labels/a.txt": f"{BOX_ROW}\n",
        "data.yaml": f"path: .\ntrain: data/train/images\n{CATS}",
    }
    assert read_classes(tmp_path, folder, files) == "cat"


def test_classes_that_contradict_yaml_are_refused(tmp_path):
    # LabelImg writes classes.txt again, with the classes that it knows.
    files = {
        "b/labels/train/a.txt": f"{BOX_ROW}\n",
        "classes.txt": "dog\n",
        "b.yaml": f"path: b\ntrain: images/train\n{CARS}",
    }
    with pytest.raises(AnnotationError, match=r"b.yaml and classes.txt hold different"):
        read_classes(tmp_path, "", files)


def test_names_that_were_written_are_read_in_deep_folders(tmp_path):
    import pandas as pd

    image = str(tmp_path / "one/two/three/four/a.jpg")
    boxes = pd.DataFrame(
        [(image, "cat", *BOX)], columns=["image", "class_name", "x_min", "x_max", "y_min", "y_max"]
    )
    write_annotations(boxes, tmp_path, "yolo")
    assert read_classes(tmp_path, "", {}) == "cat"
