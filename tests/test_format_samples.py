"""Files written by the tools, compared with boxes calculated by hand and with counts."""

import csv
from pathlib import Path

import pytest

from skbbox import TARGET_COLUMNS, read_annotations
from skbbox.exceptions import SkbboxWarning

pytestmark = pytest.mark.filterwarnings("ignore:Shapes without a bounding box")

#: Image sizes that the files do not contain, from the notes of the samples.
SIZES = {
    "birds.jpg": (1000, 666),
    "crack.jpeg": (1280, 720),
    "shapes.jpg": (588, 643),
    "strawberry.jpg": (800, 800),
    "medium_test.jpeg": (1067, 800),
    "image1.jpg": (1024, 576),
    "2560px-Kitano_Street_Kobe01s5s4110.jpg": (2560, 1707),
}
#: Images of unknown size, whose boxes are only counted.
UNKNOWN = [
    "hard_test.jpeg",
    "MISC_TEST.jpg",
    "easy_test.png",
    "Red_Bay-1440.jpg",
    "2016-tesla-model-s-17-of-43.jpg",
    "2016-tesla-model-x_100554517_h.jpg",
]

#: Number of images and boxes of each sample, from the notes; other shapes are not counted.
COUNTS = {
    "coco/sample-1.json": (6, 36),
    "createml/sample-1.json": (5, 78),
    "cvat/sample-1.xml": (4, 18),
    "cvat/sample-2.xml": (1, 1),
    "cvat/sample-4.xml": (162, 0),
    "cvat/sample-6-coco.json": (4, 23),
    "cvat/sample-8-voc-birds.xml": (1, 0),
    "labelbox/sample-1.ndjson": (6, 11),
    "labelbox/sample-3.json": (1, 4),
    "labelbox/sample-5.json": (1, 1),
    "labelbox/sample-6.json": (2, 0),
    "labelbox/sample-8.json": (2, 0),
    "labelimg/sample-1.xml": (1, 5),
    "labelimg/sample-2.xml": (1, 0),
    "labelimg/sample-4-yolo": (4, 25),
    "labelimg/sample-5.json": (1, 5),
    "open_images/sample-1.csv": (6, 8),
    "open_images/sample-2.csv": (1, 1),
    "pascal_voc/sample-1.xml": (1, 2),
    "rectlabel/sample-1.xml": (1, 4),
    "rectlabel/sample-4.xml": (1, 0),
    "simple_image_annotator/sample-1.csv": (2, 3),
    "simple_image_annotator/sample-3.csv": (0, 0),
    "sloth/sample-1.json": (2, 2),
    "snacks/sample-1.csv": (2, 5),
    "tfod_csv/sample-1.csv": (200, 217),
    "via/sample-1.json": (4, 35),
    "via/sample-2.csv": (4, 18),
    "yolo/sample-1": (1, 5),
}


def read(shared, name, **options):
    sizes = SIZES | dict.fromkeys(UNKNOWN, (1000, 1000))
    if name in ("labelbox/sample-5.json", "labelbox/sample-6.json"):
        options["y_origin"] = "bottom"
    return read_annotations(shared / "formats" / name, sizes=sizes, **options)


@pytest.mark.parametrize("named", [False, True], ids=["recognised", "named"])
@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_images_and_boxes(shared, name, named):
    format = name.split("/")[0] if named else None
    boxes = read(shared, name, format=format, shapes="skip")
    assert (boxes["image"].nunique(), boxes["x_min"].notna().sum()) == COUNTS[name]


@pytest.mark.parametrize("named", [False, True], ids=["recognised", "named"])
@pytest.mark.parametrize("tool", sorted({name.split("/")[0] for name in COUNTS}))
def test_boxes_calculated_by_hand_are_read(shared, tool, named):
    with (shared / "formats" / tool / "expected.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert expected
    for row in expected:
        boxes = read(shared, f"{tool}/{row['sample']}", format=tool if named else None)
        box = [float(row[side]) for side in TARGET_COLUMNS[1:]]
        same = (
            (boxes["class_name"] == row["class_name"])
            & ((boxes[list(TARGET_COLUMNS[1:])] - box).abs() < 1e-6).all(axis=1)
            & boxes["image"].map(lambda image, row=row: _is_image(image, row))
        )
        assert same.any(), row["sample"]


def _is_image(path, row):
    # YOLO names a file after its image, but this sample was renamed.
    return row["image"] in (Path(path).name, Path(path).stem) or row["sample"] == "sample-7.txt"


def test_other_shapes_are_replaced_by_their_bounding_boxes(shared):
    # 6 polygons; 25 rectangles and other shapes.
    assert read(shared, "labelbox/sample-6.json")["x_min"].notna().sum() == 6
    assert read(shared, "cvat/sample-1.xml")["x_min"].notna().sum() == 25


def test_early_labelbox_is_measured_from_the_bottom(shared):
    # By hand: x 356..1198 of 1440 pixels and y 74..420 from the bottom of 900.
    path = shared / "formats" / "labelbox" / "sample-5.json"
    boxes = read_annotations(path, y_origin="bottom", sizes={"Red_Bay-1440.jpg": (1440, 900)})
    row = boxes[list(TARGET_COLUMNS)].iloc[0].tolist()
    assert row[0] == "Car"
    assert row[1:] == pytest.approx([356 / 1440, 1198 / 1440, 480 / 900, 826 / 900])


def test_shapes_without_a_box_are_counted_in_a_warning(shared):
    with pytest.warns(SkbboxWarning, match="left out: 1 mask, 1 point"):
        read(shared, "labelbox/sample-3.json")
