"""Folders as tools and data sets are downloaded: what is read, its split, and what is skipped."""

import json

import pytest
from format_files import CUB, KITTI, voc_of
from PIL import Image
from test_formats import BOX, CVAT, OCCLUDED, REGION, TFOD, coco, cvat, rows_of, thing, via, voc

from skbbox import read_annotations
from skbbox.exceptions import AnnotationError, SkbboxWarning

YOLO = "0 0.2 0.3 0.2 0.4\n"
COCO = coco([{"image_id": 7, "category_id": 3, "bbox": [20, 10, 40, 40]}])
NAMES = "names: [cat, dog]\nnc: 2\n"
LOC = "ImageId,PredictionString\nn01440764_1,n01440764 20 10 60 50\n"
METADATA = (
    '{"file_name": "a.jpg", "objects": {"bbox": [[20, 10, 40, 40]], "categories": ["cat"]}}\n'
)

#: Files, images of 200 x 100 pixels, and the expected images, classes and parts of the split; all
#: boxes are BOX.
FOLDERS = {
    "Roboflow, COCO": (
        {
            "README.dataset.txt": "# birds\n",
            "README.roboflow.txt": "birds\n",
            "train/_annotations.coco.json": COCO,
            "valid/_annotations.coco.json": COCO,
        },
        ["train/a.jpg", "valid/a.jpg"],
        [("train/a.jpg", "cat", "train"), ("valid/a.jpg", "cat", "valid")],
    ),
    "Roboflow, YOLO": (
        {
            "README.roboflow.txt": "birds\n",
            "data.yaml": "train: ../train/images\nval: ../valid/images\n" + NAMES,
            "train/labels/a.txt": YOLO,
            "valid/labels/b.txt": YOLO,
        },
        ["train/images/a.jpg", "valid/images/b.jpg"],
        [("train/images/a.jpg", "cat", "train"), ("valid/images/b.jpg", "cat", "valid")],
    ),
    "Roboflow, VOC": (
        {
            "train/a.xml": voc(thing("cat", 20, 60, 10, 50), CVAT),
            "test/a.xml": voc(thing("cat", 20, 60, 10, 50), CVAT),
        },
        ["train/a.jpg", "test/a.jpg"],
        [("test/a.jpg", "cat", "test"), ("train/a.jpg", "cat", "train")],
    ),
    "Roboflow, CSV of TensorFlow": (
        {
            "train/_annotations.csv": TFOD + "a.jpg,200,100,cat,20,10,60,50\n",
            "valid/_annotations.csv": TFOD + "b.jpg,200,100,cat,20,10,60,50\n",
        },
        ["train/a.jpg", "valid/b.jpg"],
        [("train/a.jpg", "cat", "train"), ("valid/b.jpg", "cat", "valid")],
    ),
    "Roboflow, CSV of keras-retinanet": (
        {"train/_annotations.csv": "a.jpg,20,10,60,50,cat\n"},
        ["train/a.jpg"],
        [("train/a.jpg", "cat", "train")],
    ),
    "Ultralytics": (
        {"data.yaml": "path: .\ntrain: images/train\nval: images/val\n" + NAMES}
        | {"labels/train/a.txt": YOLO, "labels/val/b.txt": YOLO, "train.txt": "images/train/a.jpg"},
        ["images/train/a.jpg", "images/val/b.jpg"],
        [("images/train/a.jpg", "cat", "train"), ("images/val/b.jpg", "cat", "val")],
    ),
    "Label Studio, YOLO": (
        {"classes.txt": "cat\n", "notes.json": '{"categories": []}', "labels/a.txt": YOLO},
        ["images/a.jpg"],
        [("images/a.jpg", "cat", None)],
    ),
    "Label Studio, COCO": (
        {"result.json": COCO.replace("a.jpg", "images/a.jpg").replace("b.jpg", "images/b.jpg")},
        ["images/a.jpg", "images/b.jpg"],
        [("images/a.jpg", "cat", None)],
    ),
    "Label Studio, VOC": (
        {"Annotations/a.xml": voc(thing("cat", 20, 60, 10, 50, OCCLUDED), CVAT)},
        ["images/a.jpg"],
        [("images/a.jpg", "cat", None)],
    ),
    "CVAT, YOLO": (
        {
            "obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n",
            "obj.names": "cat\n",
            "train.txt": "data/obj_train_data/a.jpg\n",
            "obj_train_data/a.txt": YOLO,
            "obj_valid_data/b.txt": YOLO,
        },
        ["obj_train_data/a.jpg", "obj_valid_data/b.jpg"],
        [("obj_train_data/a.jpg", "cat", "train"), ("obj_valid_data/b.jpg", "cat", "valid")],
    ),
    "CVAT, VOC": (
        {
            "Annotations/a.xml": voc(thing("cat", 20, 60, 10, 50, OCCLUDED), CVAT),
            "ImageSets/Main/default.txt": "a\n",
            "labelmap.txt": "# label:color_rgb:parts:actions\ncat:1,2,3::\n",
        },
        ["JPEGImages/a.jpg"],
        [("JPEGImages/a.jpg", "cat", None)],
    ),
    "CVAT, images": (
        {
            "annotations.xml": cvat(
                '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="50"/>', images=True
            )
        },
        ["images/a.jpg", "images/b.jpg"],
        [("images/a.jpg", "cat", None)],
    ),
    "COCO": (
        {"annotations/instances_train2017.json": COCO},
        ["train2017/a.jpg"],
        [("train2017/a.jpg", "cat", "train")],
    ),
    "Kaggle": (
        {
            "train.csv": "image_id,class,x_center,y_center,width,height\na,cat,0.2,0.3,0.2,0.4\n",
            "sample_submission.csv": "image_id,PredictionString\nz,\n",
        },
        ["train/a.jpg", "test/z.jpg"],
        [("train/a.jpg", "cat", "train")],
    ),
    "ImageNet": (
        {
            "ILSVRC/Annotations/CLS-LOC/train/n01440764/n01440764_1.xml": voc_of(
                "ILSVRC_2012", "n01440764", "n01440764_1"
            ),
            "ILSVRC/ImageSets/CLS-LOC/train_cls.txt": "n01440764/n01440764_1 1\n",
            "LOC_train_solution.csv": LOC,
            "LOC_synset_mapping.txt": "n01440764 tench, Tinca tinca\n",
        },
        ["ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_1.JPEG"],
        [("ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_1.JPEG", "n01440764", "train")],
    ),
    "CUB": (
        CUB
        | {
            "README": "Caltech\n",
            "bounding_boxes.txt": "1 20.0 10.0 40.0 40.0\n2 20.0 10.0 40.0 40.0\n",
            "parts/part_locs.txt": "1 1 0.0 0.0 0\n",
            "attributes/certainties.txt": "1 not visible\n",
        },
        [f"images/001.Albatross/{name}.jpg" for name in "ab"],
        [
            ("images/001.Albatross/a.jpg", "001.Albatross", "test"),
            ("images/001.Albatross/b.jpg", "001.Albatross", "train"),
        ],
    ),
    "Stanford Dogs": (
        {"Annotation/n02-Chihuahua/n02_1": voc_of("ImageNet database", "Chihuahua", "n02_1")},
        ["Images/n02-Chihuahua/n02_1.jpg"],
        [("Images/n02-Chihuahua/n02_1.jpg", "Chihuahua", None)],
    ),
    "Oxford-IIIT Pet": (
        {
            "annotations/README": "pets\n",
            "annotations/list.txt": "#Image CLASS-ID SPECIES BREED ID\nAbyssinian_1 1 1 1\n",
            "annotations/trainval.txt": "Abyssinian_1 1 1 1\n",
            "annotations/xmls/Abyssinian_1.xml": voc_of(
                "OXFORD-IIIT Pet Dataset", "cat", "Abyssinian_1.jpg", (21, 60, 11, 50)
            ),
        },
        ["images/Abyssinian_1.jpg"],
        [("images/Abyssinian_1.jpg", "cat", None)],
    ),
    "KITTI": (
        {"training/label_2/000001.txt": f"{KITTI}\n"},
        ["training/image_2/000001.png"],
        [("training/image_2/000001.png", "Car", "training")],
    ),
    "WIDER FACE": (
        {
            "wider_face_split/wider_face_train_bbx_gt.txt": (
                "0--Parade/a.jpg\n1\n20 10 40 40 0 0 0 0 0 0 \n"
            ),
            "wider_face_split/wider_face_test_filelist.txt": "0--Parade/z.jpg\n",
        },
        ["WIDER_train/images/0--Parade/a.jpg"],
        [("WIDER_train/images/0--Parade/a.jpg", "face", None)],
    ),
    "Hugging Face": (
        {"train/metadata.jsonl": METADATA, "test/metadata.jsonl": METADATA},
        ["train/a.jpg", "test/a.jpg"],
        [("test/a.jpg", "cat", "test"), ("train/a.jpg", "cat", "train")],
    ),
    "VIA": (
        {"train/via_region_data.json": via({"0": REGION})},
        ["train/a.jpg"],
        [("train/a.jpg", "cat", "train")],
    ),
}


def make_folder(folder, files, images=()):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 100)).save(folder / name)


@pytest.mark.parametrize("kind", FOLDERS)
def test_folder_is_read_as_it_is_downloaded(tmp_path, kind):
    files, images, expected = FOLDERS[kind]
    make_folder(tmp_path, files, images)
    frame = read_annotations(tmp_path)
    frame = frame[frame["x_min"].notna()]
    assert rows_of(frame, tmp_path) == [(image, name, *BOX) for image, name, _ in expected]
    splits = frame["split"].tolist() if "split" in frame else [None] * len(frame)
    assert splits == [split for _, _, split in expected]


@pytest.mark.parametrize("kind", ["Roboflow, YOLO", "Ultralytics"])
def test_yaml_of_a_data_set_is_read(tmp_path, kind):
    files, images, expected = FOLDERS[kind]
    make_folder(tmp_path, files, images)
    frame = read_annotations(tmp_path / "data.yaml")
    assert rows_of(frame, tmp_path) == [(image, name, *BOX) for image, name, _ in expected]


def test_images_of_yaml_without_labels_are_rows_without_an_object(tmp_path):
    files, images, _ = FOLDERS["Ultralytics"]
    make_folder(tmp_path, files, [*images, "images/val/empty.jpg"])
    row = read_annotations(tmp_path / "data.yaml").iloc[-1]
    assert row["image"] == f"{tmp_path}/images/val/empty.jpg"
    assert row.isna()[["class_name", "x_min"]].all() and row["split"] == "val"


def test_list_of_images_in_yaml_is_read(tmp_path):
    files = {"data.yaml": f"train: train.txt\n{NAMES}", "train.txt": "./images/a.jpg\n"}
    make_folder(tmp_path, files | {"labels/a.txt": YOLO}, ["images/a.jpg"])
    frame = read_annotations(tmp_path / "data.yaml")
    assert rows_of(frame, tmp_path) == [("images/a.jpg", "cat", *BOX)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("theme: dark\n", "none of the keys"),
        ("train: images/train\n", "no labels were found"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_yaml_without_labels_is_refused(tmp_path, text, message):
    make_folder(tmp_path, {"data.yaml": text})
    with pytest.raises(AnnotationError, match=rf"data.yaml: {message}"):
        read_annotations(tmp_path / "data.yaml")


def test_folders_of_yaml_that_are_elsewhere_or_missing_are_skipped(tmp_path):
    make_folder(tmp_path / "elsewhere", {"labels/b.txt": YOLO}, ["images/b.jpg"])
    names = f"train: images\nval: {tmp_path}/elsewhere/images\ntest: gone\n{NAMES}"
    make_folder(tmp_path / "a/b", {"data.yaml": names, "labels/a.txt": YOLO}, ["images/a.jpg"])
    with pytest.warns(SkbboxWarning, match=r"not found in or beside .*elsewhere/images, gone"):
        frame = read_annotations(tmp_path / "a/b/data.yaml")
    assert rows_of(frame, tmp_path / "a/b") == [("images/a.jpg", "cat", *BOX)]
    assert list(frame.attrs["skipped"]) == [f"{tmp_path}/elsewhere/images", "gone"]


def test_skipped_files_and_the_reason_are_listed(tmp_path):
    files = {
        "a.txt": YOLO,
        "classes.txt": "cat\n",
        "README.md": "# Birds\n",
        "weights.bin": "0",
        "settings.json": '{"theme": "dark"}',
        "meta.json": '{"classes": []}',
    }
    make_folder(tmp_path, files)
    with pytest.warns(
        SkbboxWarning, match=r"Skipped \(of no known format\): .*settings.json\. The"
    ):
        frame = read_annotations(tmp_path)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX)]
    skipped = frame.attrs["skipped"]
    assert {path.removeprefix(f"{tmp_path}/"): reason for path, reason in skipped.items()} == {
        "README.md": "describes the data",
        "classes.txt": "a list of classes, images or groups",
        "meta.json": "a list of classes, images or groups",
        "settings.json": "of no known format",
        "weights.bin": "not a kind of file with boxes",
    }


def test_folder_without_a_known_format_is_refused(tmp_path):
    make_folder(tmp_path, {"settings.json": json.dumps({"theme": "dark"})})
    with pytest.raises(AnnotationError, match=r"settings.json has none of the known formats"):
        read_annotations(tmp_path)


def test_truncated_file_of_a_folder_is_not_skipped(tmp_path):
    make_folder(tmp_path, {"train/a.json": COCO, "valid/b.json": COCO[:-9]})
    with pytest.raises(AnnotationError, match=r"b.json: not valid JSON"):
        read_annotations(tmp_path)


# ---------------------------------------------------------------- images of files in subfolders


def test_files_in_a_subfolder_have_their_images_in_that_of_images_dir(tmp_path):
    shape = {"label": "cat", "points": [[20, 10], [60, 50]], "shape_type": "rectangle"}
    text = json.dumps(
        {"shapes": [shape], "imagePath": "a.jpg", "imageWidth": 200, "imageHeight": 100}
    )
    make_folder(tmp_path, {"files/b/a.json": text}, ["photos/a.jpg", "photos/b/a.jpg"])
    frame = read_annotations(tmp_path / "files", images_dir=tmp_path / "photos")
    assert rows_of(frame, tmp_path) == [("photos/b/a.jpg", "cat", *BOX)]


def test_labels_are_those_of_the_image_that_ultralytics_finds_them_for(tmp_path):
    labels = {f"labels/{name}.txt": YOLO for name in ("x/a", "x/x/a")}
    images = ["images/x/a.jpg", "images/x/x/a.jpg"]
    make_folder(tmp_path, {"data.yaml": f"train: images\n{NAMES}"} | labels, images)
    for source in (tmp_path / "data.yaml", tmp_path):
        frame = read_annotations(source)
        assert rows_of(frame, tmp_path) == [(image, "cat", *BOX) for image in images]


def test_split_of_yaml_is_the_first_key_that_lists_an_image(tmp_path):
    text = f"train: all.txt\nval: some.txt\ntest: test.txt\n{NAMES}"
    lists = {
        "all.txt": "./images/a.jpg\n./images/b.jpg\n",
        "some.txt": "./images/b.jpg\n",
        "test.txt": "./images/c.jpg\n",
    }
    labels = {f"labels/{name}.txt": YOLO for name in "abc"}
    images = [f"images/{name}.jpg" for name in "abc"]
    make_folder(tmp_path, {"data.yaml": text} | lists | labels, images)
    frame = read_annotations(tmp_path / "data.yaml")
    assert rows_of(frame, tmp_path) == [(image, "cat", *BOX) for image in images]
    assert frame["split"].tolist() == ["train", "train", "test"]
