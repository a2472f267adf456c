"""Files of public data sets: names of classes, options, and invalid records."""

import pytest
from format_files import CUB, KITTI, lines_of, voc_of
from test_formats import BOX, rows_of

from skbbox import read_annotations
from skbbox.exceptions import AnnotationError

SIZES = {name: (200, 100) for name in ("a.jpg", "b.jpg", "a.png", "n01440764_1.JPEG")}
LOC = "ImageId,PredictionString\n"
PETS = "#Image CLASS-ID SPECIES BREED ID\n"
DOG = voc_of("OXFORD-IIIT Pet Dataset", "dog", "Great_Pyrenees_1.jpg", (21, 60, 11, 50))


def write(folder, name, text, **others):
    for other, content in ({name: text} | others).items():
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        (folder / other).write_text(content)
    return folder / name


@pytest.mark.parametrize(
    "names",
    ["n02085620 Chihuahua\nn01440764 tench, Tinca tinca\n", "n01440764\ttench, Tinca tinca\n"],
)
def test_numbers_of_wordnet_get_names_from_the_file_of_the_data_set(tmp_path, names):
    mapping = write(tmp_path, "names/LOC_synset_mapping.txt", names)
    source = write(tmp_path, "a.csv", f"{LOC}n01440764_1,n01440764 20 10 60 50\n")
    frame = read_annotations(source, class_names=mapping, sizes=SIZES)
    assert frame["class_name"].tolist() == ["tench, Tinca tinca"]


def test_class_of_a_pet_can_be_its_breed(tmp_path):
    source = write(tmp_path, "Great_Pyrenees_1.xml", DOG)
    frame = read_annotations(source, class_attribute="breed")
    assert rows_of(frame, tmp_path) == [("Great_Pyrenees_1.jpg", "Great_Pyrenees", *BOX)]
    with pytest.raises(AnnotationError, match=r"one of \['species', 'breed'\]. Received: 'age'"):
        read_annotations(source, class_attribute="age")


def test_parts_of_the_split_of_cub_are_a_column(tmp_path):
    boxes = "1 20 10 40 40\n2 20 10 40 40\n"
    source = write(tmp_path, "bounding_boxes.txt", boxes, **CUB)
    sizes = {"images/001.Albatross/a.jpg": (200, 100), "b.jpg": (200, 100)}
    assert read_annotations(source, sizes=sizes)["split"].tolist() == ["test", "train"]


@pytest.mark.parametrize(
    ("options", "bbox"),
    [
        ({"box_format": "xyxy"}, [20, 10, 60, 50]),
        ({"units": "normalised"}, [0.1, 0.1, 0.2, 0.4]),
        ({"units": "percent", "box_format": "cxcywh"}, [20, 30, 20, 40]),
    ],
)
def test_boxes_of_hugging_face_may_have_another_format(tmp_path, options, bbox):
    record = {"file_name": "a.jpg", "objects": {"bbox": [bbox], "categories": [0]}}
    source = write(tmp_path, "metadata.jsonl", lines_of(record))
    frame = read_annotations(source, sizes=SIZES, class_names=["cat"], **options)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX)]


def test_empty_file_beside_those_of_kitti_has_no_object(tmp_path):
    write(tmp_path, "a.txt", f"{KITTI}\n", **{"b.txt": ""})
    rows = rows_of(read_annotations(tmp_path, sizes=SIZES), tmp_path)
    assert rows == [("a.jpg", "Car", *BOX), ("b.jpg", None, None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", f"{LOC}n01440764_1,n01440764 20 10 60\n", "line 2: PredictionString must hold"),
        ("a.csv", f"{LOC}n01440764_1,n01440764 20 10 60 x\n", "line 2: y_max is not a number"),
        (
            "val_annotations.txt",
            "a.JPEG\tn01440764\t1\t2\t3\t4\na.JPEG\t1\n",
            "line 2: expected",
        ),
        ("a.txt", f"{KITTI}\nCar 1 2\n", "line 2: expected a class and 14 or 15 numbers"),
        ("a.txt", f"{KITTI}\n{KITTI.replace('20.0', 'x')}\n", "line 2: left is not a number"),
        (
            "w.txt",
            "a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n",
            "10 numbers of face 2 of 2 on a.jpg",
        ),
        ("w.txt", "a.jpg\n1\n1 2 3 4 0 0 0 0 0 0\nb\n", "line 4: expected the name of an image"),
        (
            "w.txt",
            "a.jpg\n0\n" + "0 " * 10 + "\nb.jpg\nx\n",
            "line 5: expected the number",
        ),
        ("list.txt", f"{PETS}a_1 1 3 1\n", "line 2: expected an image, the numbers of its class"),
        (
            "metadata.jsonl",
            lines_of({"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "categories": []}}),
            "objects: 1 boxes, but 0 categories",
        ),
        (
            "metadata.jsonl",
            lines_of({"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3]], "categories": [0]}}),
            r"objects.bbox\[0\]: expected four numbers. Received 3",
        ),
        (
            "metadata.jsonl",
            lines_of({"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]]}}),
            r"objects: one of \['categories'",
        ),
        ("metadata.csv", "file_name,objects\na.jpg,{\n", "line 2: objects is not valid JSON"),
    ],
)
def test_invalid_record_is_named(tmp_path, name, text, message):
    with pytest.raises(AnnotationError, match=rf"{name}.*{message}"):
        read_annotations(write(tmp_path, name, text), sizes=SIZES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images.txt": "1 001.Albatross/a.jpg\n"}, "line 2: the id '2' is missing in images.txt"),
        ({"image_class_labels.txt": "1 1\n2 9\n"}, "line 2: the class '9' is missing in classes"),
        ({"train_test_split.txt": "1 0\n2 5\n"}, "train_test_split.txt must hold 0 or 1"),
        ({"images.txt": "1 a.jpg\n1 b.jpg\n"}, "line 2: expected an id that appears once"),
    ],
)
def test_invalid_file_of_cub_is_named(tmp_path, changes, message):
    source = write(tmp_path, "bounding_boxes.txt", "1 1 1 9 9\n2 1 1 9 9\n", **(CUB | changes))
    sizes = {"images/001.Albatross/a.jpg": (200, 100), "b.jpg": (200, 100)}
    with pytest.raises(AnnotationError, match=message):
        read_annotations(source, sizes=sizes)


def test_file_of_cub_that_is_missing_is_named(tmp_path):
    others = {name: text for name, text in CUB.items() if name != "classes.txt"}
    source = write(tmp_path, "bounding_boxes.txt", "1 1 1 9 9\n", **others)
    with pytest.raises(AnnotationError, match=r"bounding_boxes.txt: classes.txt, which belongs"):
        read_annotations(source)
