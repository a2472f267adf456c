"""Files of labelling tools: further columns, images, options and errors.

Images are 200 pixels wide and 100 high, so that the box x 20..60 and y 10..50 is .1, .3, .1, .5.
"""

import json

import pytest
from PIL import Image
from test_format_fuzz import check_outcome
from test_formats import FILES, SIZES, coco, rows_of
from tool_files import (
    BOX,
    BRUSH,
    DARWIN_BOX,
    DETECTION,
    EDGES,
    LABEL_STUDIO_VOC,
    LABELME_VOC,
    NDJSON,
    NOTHING,
    PERCENT,
    TOOL_FILES,
    A,
    B,
    annotation,
    darwin,
    datumaro,
    datumaro_object,
    detections,
    encode_brush,
    instance,
    labelme,
    lines,
    manifest,
    ndjson_image,
    result,
    samples,
    shape,
    short,
    superannotate,
    supervisely,
    supervisely_object,
    task,
    vott_asset,
    vott_region,
)

from skbbox import TARGET_COLUMNS, read_annotations
from skbbox.exceptions import AnnotationError, SkbboxWarning

RECTANGLE = shape("rectangle", [[20, 10], [60, 50]])


@pytest.fixture
def write(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding=encoding)
        return path

    return write


@pytest.fixture
def draw(tmp_path):
    def draw(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (200, 100)).save(tmp_path / name)

    return draw


def columns_of(frame, *names):
    return frame[list(names)].values.tolist()


# ---------------------------------------------------------------- Label Studio


def test_annotators_of_a_task_are_columns(write):
    people = [
        annotation(result()),
        annotation(result(), id=10, completed_by={"id": 2, "email": "b@x"}),
    ]
    frame = read_annotations(write("a.json", [task(*people)]))
    expected = [["5", "9", "1"], ["5", "10", "b@x"]]
    assert columns_of(frame, "image_id", "annotation_id", "annotator") == expected


def test_annotators_are_columns_of_json_min(write):
    items = [short(PERCENT | {"labels": ["cat"]}), short(annotator="b@x", annotation_id=10)]
    frame = read_annotations(write("a.json", items))
    # The second person drew nothing, but the image is not without an object.
    assert columns_of(frame, "class_name", "annotation_id", "annotator") == [["cat", "9", "1"]]


def test_task_that_was_only_skipped_is_marked(write):
    tasks = [task(annotation(result(), was_cancelled=True)), task(annotation(), image="b.jpg")]
    frame = read_annotations(write("a.json", tasks))
    assert frame["class_name"].isna().all()
    assert frame["skipped"].fillna(0).tolist() == [1, 0]


def test_size_of_the_image_may_be_in_another_annotation(write, tmp_path):
    region = {"type": "rectanglelabels", "value": PERCENT | {"rectanglelabels": ["cat"]}}
    people = [annotation(region), annotation(result(labels=["dog"]))]
    frame = read_annotations(write("a.json", [task(*people)]))
    assert rows_of(frame, tmp_path) == [A, ("a.jpg", "dog", *BOX)]


def test_confidence_of_predictions_is_that_of_the_region_or_of_all(write):
    regions = [result() | {"id": "1", "score": 0.75}, result() | {"id": "2"}]
    prediction = {"model_version": "v2", "score": 0.5, "result": regions}
    source = write("a.json", [{"data": {"image": "a.jpg"}, "predictions": [prediction]}])
    frame = read_annotations(source)
    assert columns_of(frame, "confidence", "model_version") == [[0.75, "v2"], [0.5, "v2"]]


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ([], "a.jpg"),
        (["a.jpg"], "a.jpg"),
        (["0a1b2c3d-a.jpg", "a.jpg"], "0a1b2c3d-a.jpg"),
        (["upload/1/a.jpg"], "upload/1/a.jpg"),
    ],
)
def test_upload_is_found_with_its_prefix_or_without(write, draw, tmp_path, existing, expected):
    draw(*existing)
    frame = read_annotations(write("a.json", [task(annotation(result()))]))
    assert rows_of(frame, tmp_path) == [(expected, "cat", *BOX)]


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=photos/x/a.jpg",
        "http://localhost:8080/data/local-files/?d=photos%2Fx%2Fa.jpg",
        "/data/local-files/?d=photos\\x\\a.jpg",
        "s3://bucket/x/a.jpg",
    ],
)
def test_served_image_is_found_at_the_longest_end_of_its_path(write, draw, tmp_path, image):
    draw("images/a.jpg", "images/x/a.jpg")
    source = write("a.json", [task(annotation(result()), image=image)])
    frame = read_annotations(source, images_dir=tmp_path / "images")
    assert rows_of(frame, tmp_path / "images") == [("x/a.jpg", "cat", *BOX)]


def test_two_uploads_of_the_same_name_are_refused(write):
    tasks = [task(image=f"/data/upload/1/{key}-a.jpg") for key in ("0a1b2c3d", "4a1b2c3d")]
    with pytest.raises(AnnotationError, match=r"\[1\]: two images, .*4a1b2c3d.* would both be"):
        read_annotations(write("a.json", tasks))


@pytest.mark.parametrize("image", ["/data/local-files/?d=..", "/data/upload/1/", "/data/a\0.jpg"])
def test_served_image_without_a_name_is_refused(write, image):
    with pytest.raises(AnnotationError, match=r"a.json, \[0\].*: the URL contains no image name"):
        read_annotations(write("a.json", [task(annotation(result()), image=image)]))


def test_turned_box_is_that_of_label_studios_converter(write):
    # From the tests of label_studio_converter, convert_annotation_to_yolo_obb: the corners are
    # .1155, .8084; .2776, .7306; .3224, .7871 and .1603, .8648.
    value = {"x": 11.552474514692952, "y": 80.83731446979957, "width": 19.0454700246567}
    value |= {"height": 6.629026203797071, "rotation": 328.33240366032836}
    region = result(**value) | {"original_width": 597, "original_height": 768}
    frame = read_annotations(write("a.json", [task(annotation(region))]))
    expected = [0.115524745, 0.322392385, 0.730648963, 0.864793327]
    assert frame[list(TARGET_COLUMNS[1:])].iloc[0].tolist() == pytest.approx(expected, abs=1e-8)


def test_brush_is_where_alpha_is_above_0(write):
    # Pixel 41 is transparent; pixel 43 is not, in column 3 of row 1 of the 10 rows of 40 pixels.
    rle = encode_brush((4 * 41, 0), (3, 255), (1, 0), (4, 0), (3, 0), (1, 9), (4 * 356, 0))
    region = result("brushlabels", format="rle", rle=rle)
    region |= {"original_width": 40, "original_height": 10}
    frame = read_annotations(write("a.json", [task(annotation(region))]))
    box = frame[list(TARGET_COLUMNS[1:])].iloc[0].tolist()
    assert box == pytest.approx([3 / 40, 4 / 40, 0.1, 0.2])


def test_values_of_a_brush_that_are_stored_one_by_one_are_read(write):
    # A block of eight values, of which the last is the alpha of the second pixel; sizes of 3 bits.
    bits = f"{8:032b}{7:05b}" + f"{2:04b}" * 4 + f"0{0:02b}{7:03b}" + f"{0:08b}" * 7 + f"{255:08b}"
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    region = result("brushlabels", rle=rle) | {"original_width": 2, "original_height": 1}
    frame = read_annotations(write("a.json", [task(annotation(region))]))
    assert frame[list(TARGET_COLUMNS[1:])].iloc[0].tolist() == [0.5, 1, 0, 1]


def test_empty_brush_has_no_box(write):
    region = result("brushlabels", rle=encode_brush((65536, 0), (80_000 - 65536, 0)))
    with pytest.warns(SkbboxWarning, match="left out: 1 brush"):
        frame = read_annotations(write("a.json", [task(annotation(region))]))
    assert frame["class_name"].isna().tolist() == [True]


@pytest.mark.parametrize(
    "files",
    [
        {"labels/a.txt": "1 0.2 0.3 0.2 0.4\n", "classes.txt": "dog\ncat\n"},
        {"result.json": coco([{"image_id": 7, "category_id": 3, "bbox": [20, 10, 40, 40]}])},
        {"Annotations/a.xml": LABEL_STUDIO_VOC.replace(">a<", ">a.jpg<")},
    ],
    ids=["YOLO", "COCO", "VOC"],
)
@pytest.mark.parametrize("format", [None, "label_studio"])
def test_folders_of_label_studio_are_read(write, draw, tmp_path, files, format):
    info = {"year": 2024, "version": "1.0", "contributor": "Label Studio"}
    write("notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": info})
    for name, text in files.items():
        write(name, text)
    draw("images/a.jpg")
    frame = read_annotations(tmp_path, format=format)
    assert [row[1:] for row in rows_of(frame.dropna(subset=["x_min"]), "")] == [("cat", *BOX)]


# ---------------------------------------------------------------- labelme


@pytest.mark.parametrize("name", ["../images/x/a.jpg", r"..\images\x\a.jpg"])
@pytest.mark.parametrize("images_dir", [None, "images", "images/x"])
def test_image_above_the_labels_is_found_in_the_folder(write, draw, tmp_path, name, images_dir):
    draw("images/x/a.jpg")
    write("labels/a.json", labelme(RECTANGLE, imagePath=name))
    frame = read_annotations(tmp_path, images_dir=images_dir and tmp_path / images_dir)
    assert rows_of(frame, tmp_path) == [("images/x/a.jpg", "cat", *BOX)]


def test_image_above_the_labels_may_have_been_moved_with_them(write, draw, tmp_path):
    draw("labels/a.jpg")
    source = write("labels/a.json", labelme(RECTANGLE, imagePath="../images/a.jpg"))
    assert rows_of(read_annotations(source), tmp_path) == [("labels/a.jpg", "cat", *BOX)]


@pytest.mark.parametrize("folder", ["labels", "labels/a.json"])
def test_image_above_the_folder_that_is_read_is_refused(write, draw, tmp_path, folder):
    draw("images/a.jpg")
    write("labels/a.json", labelme(RECTANGLE, imagePath="../images/a.jpg"))
    with pytest.raises(AnnotationError, match=r"a.json.*outside.*Pass images_dir="):
        read_annotations(tmp_path / folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", coco([{"image_id": 7, "category_id": 3, "bbox": [20, 10, 40, 40]}])),
        ("a.xml", LABELME_VOC),
        FILES["CVAT's LabelMe, polygon"][0][::2],
    ],
)
def test_name_of_labelme_covers_its_converters_files(write, tmp_path, name, text):
    frame = read_annotations(write(name, text), format="labelme")
    assert rows_of(frame, tmp_path)[0] == A


def test_group_and_flags_of_a_shape_are_columns(write):
    flagged = RECTANGLE | {"group_id": 3, "flags": {"occluded": True, "blurred": True}}
    frame = read_annotations(write("a.json", labelme(flagged)))
    assert columns_of(frame, "group_id", "occluded") == [["3", 1]]


def test_difficulty_and_score_of_x_anylabeling_are_columns(write):
    turned = shape("rotation", [[20, 30], [40, 10], [60, 30], [40, 50]], difficult=True, score=0.5)
    frame = read_annotations(write("a.json", labelme(turned)))
    assert columns_of(frame, "difficult", "confidence", "x_min") == [[1, 0.5, 0.1]]


def test_folder_of_labelme_shows_progress(write, tmp_path, capsys):
    for number in range(3):
        write(f"{number}.json", labelme(RECTANGLE, imagePath=f"{number}.jpg"))
    assert len(read_annotations(tmp_path, verbose=1)) == 3
    output = capsys.readouterr().out
    assert "formats: 100%" in output
    assert "annotations: 100%" in output
    assert "3/3" in output


def test_no_progress_is_shown_by_default(write, capsys):
    read_annotations(write("a.json", labelme(RECTANGLE)))
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- other tools


@pytest.mark.parametrize("existing", ["a b.jpg", "a%20b.jpg", None])
def test_name_of_vott_may_be_written_as_in_a_url(write, draw, tmp_path, existing):
    draw(*[existing] if existing else [])
    source = write("a.json", vott_asset("a%20b.jpg", vott_region()))
    expected = [(existing or "a b.jpg", "cat", *BOX)]
    assert rows_of(read_annotations(source), tmp_path) == expected


def test_manifest_of_two_jobs_needs_the_name_of_one(write, tmp_path):
    box = EDGES | {"class_id": 1}
    line = manifest("a.jpg", box) | manifest("a.jpg", box | {"class_id": 0}, job="checked")
    source = write("a.manifest", lines(line, manifest("b.jpg")))
    with pytest.raises(AnnotationError, match=r"\['pets', 'checked'\].*class_attribute='pets'"):
        read_annotations(source)
    rows = rows_of(read_annotations(source, class_attribute="checked"), tmp_path)
    assert rows == [("a.jpg", "dog", *BOX), ("b.jpg", *NOTHING)]


def test_line_of_a_manifest_that_was_not_labelled_is_marked(write):
    (name, _, text), _ = TOOL_FILES["Ground Truth"]
    frame = read_annotations(write(name, text))
    assert frame["skipped"].fillna(0).tolist() == [0, 0, 1]
    assert frame["confidence"].tolist()[0] == 0.5


def test_manifest_is_found_in_a_folder(write, tmp_path):
    write("output.manifest", lines(manifest("a.jpg", EDGES | {"class_id": 1})))
    assert rows_of(read_annotations(tmp_path), tmp_path) == [A]


@pytest.mark.parametrize("name", ["a.jpg.json", "a.json"])
@pytest.mark.parametrize("images_dir", [None, "ds/img", "."])
def test_project_of_supervisely_is_read(write, draw, tmp_path, name, images_dir):
    write("meta.json", {"classes": [{"title": "cat", "shape": "rectangle"}], "tags": []})
    write(f"ds/ann/{name}", supervisely(supervisely_object("rectangle", [[20, 10], [60, 50]])))
    draw("ds/img/a.jpg")
    frame = read_annotations(tmp_path, images_dir=images_dir and tmp_path / images_dir)
    assert rows_of(frame, tmp_path) in (
        [("ds/img/a.jpg", "cat", *BOX)],
        # Names are relative to images_dir, even if the image is in a folder below it.
        [("a.jpg", "cat", *BOX)],
    )


def test_class_of_superannotate_without_a_name_is_its_number(write, tmp_path):
    write("classes/classes.json", [{"id": 7, "name": "cat"}])
    box = instance("bbox", {"x1": 20, "x2": 60, "y1": 10, "y2": 50}, className=None)
    write("a.jpg.json", superannotate(box))
    assert read_annotations(tmp_path)["class_name"].tolist() == ["7"]
    assert rows_of(read_annotations(tmp_path, class_names={7: "cat"}), tmp_path) == [A]


@pytest.mark.parametrize("images_dir", [None, "images/train", "images"])
def test_images_of_datumaro_are_in_the_folder_of_the_subset(write, draw, tmp_path, images_dir):
    if images_dir == "images":
        draw("images/a.jpg", "images/b.jpg")
    else:
        draw("images/train/a.jpg", "images/train/b.jpg")
    write("annotations/train.json", datumaro(datumaro_object("bbox", bbox=[20, 10, 40, 40])))
    frame = read_annotations(tmp_path, images_dir=images_dir and tmp_path / images_dir)
    folder = tmp_path / (images_dir or "images/train")
    assert rows_of(frame, folder) == [A, B]


def test_samples_with_two_fields_need_the_name_of_one(write, tmp_path):
    dog = DETECTION | {"label": "dog", "confidence": 0.5}
    text = samples(ground_truth=detections(DETECTION), yolo=detections(dog))
    source = write("samples.json", text)
    with pytest.raises(AnnotationError, match=r"\['ground_truth', 'yolo'\].*class_attribute="):
        read_annotations(source)
    rows = rows_of(read_annotations(source, class_attribute="yolo"), tmp_path)
    assert rows == [("a.jpg", "dog", *BOX), B]


def test_tag_of_a_sample_is_its_split(write):
    frame = read_annotations(write("samples.json", samples(ground_truth=detections(DETECTION))))
    assert frame["split"].iloc[0] == "val"


def test_detections_of_fiftyone_are_of_images_in_data(write, draw, tmp_path):
    draw("data/a.png")
    labels = {"a": [{"label": 1, "bounding_box": [0.1, 0.1, 0.2, 0.4]}]}
    write("labels.json", {"classes": ["dog", "cat"], "labels": labels})
    for images_dir in (None, tmp_path / "data"):
        frame = read_annotations(tmp_path, images_dir=images_dir)
        assert rows_of(frame, tmp_path) == [("data/a.png", "cat", *BOX)]


def test_splits_of_ndjson_are_a_column(write):
    (name, _, text), _ = TOOL_FILES["Ultralytics NDJSON"]
    assert read_annotations(write(name, text))["split"].tolist() == ["train", "val"]


def test_classes_of_roboflow_are_in_a_file_next_to_the_annotations(write, tmp_path):
    write("_classes.txt", "dog\ncat\n")
    write("_annotations.txt", "b.jpg\na.jpg 20,10,60,50,1\n")
    assert rows_of(read_annotations(tmp_path, sizes=SIZES), tmp_path) == [B, A]


def test_empty_file_among_oriented_boxes_is_an_image_without_an_object(write, tmp_path):
    write("a.txt", "20 10 60 10 60 50 20 50 cat 0\n")
    write("b.txt", "")
    assert rows_of(read_annotations(tmp_path, sizes=SIZES), tmp_path) == [A, B]


def test_images_of_oriented_boxes_are_in_the_folder_next_to_them(write, draw, tmp_path):
    draw("train/images/a.png")
    write("train/labelTxt/a.txt", "20 10 60 10 60 50 20 50 cat 0\n")
    assert rows_of(read_annotations(tmp_path), tmp_path) == [("train/images/a.png", "cat", *BOX)]


def test_difficulty_of_an_oriented_box_is_a_column(write):
    source = write("a.txt", "20 10 60 10 60 50 20 50 cat 1\n")
    assert read_annotations(source, sizes=SIZES)["difficult"].tolist() == [1]


# ---------------------------------------------------------------- options and errors


@pytest.mark.parametrize(
    "file",
    [
        "labelme, other shapes",
        "Supervisely",
        "Label Studio, turned box, ellipse, polygon and brush",
        "SuperAnnotate",
        "V7 Darwin",
    ],
)
def test_other_shapes_can_be_skipped_or_refused(write, file):
    (name, _, text), _ = TOOL_FILES[file]
    source = write(name, text)
    boxes = read_annotations(source, shapes="skip")["x_min"].notna().sum()
    assert boxes == {"Supervisely": 1, "SuperAnnotate": 1, "V7 Darwin": 1}.get(file, 0)
    with pytest.raises(AnnotationError, match=rf"{name}, .*: a .* is not a box"):
        read_annotations(source, shapes="error")


TWO_IMAGES = {"left": "https://h.example/1.jpg", "right": "https://h.example/2.jpg"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json",
            [task(annotation(result()), data=TWO_IMAGES)],
            r"\[0\].data: expected one name of an image.*\['left', 'right'\]",
        ),
        (
            "a.json",
            [task(annotation(result("rectanglelabels", x=1, y=2, width="3", height=4)))],
            r"\[0\].annotations\[0\].result\[0\].value.width: expected a number. Received: '3'",
        ),
        (
            "a.json",
            [
                {
                    "data": {"image": "a.jpg"},
                    "annotations": [{"result": [{"value": PERCENT | {"rotation": 5}}]}],
                }
            ],
            "original_width and original_height are missing, which a rotated shape needs",
        ),
        (
            "a.json",
            [
                {
                    "data": {"image": "a.jpg"},
                    "annotations": [{"result": [{"value": {"rle": BRUSH}}]}],
                }
            ],
            "original_width and original_height are missing, the size of the mask",
        ),
        (
            "a.json",
            [task(annotation(result("brushlabels", rle=BRUSH[:-20])))],
            "value.rle: the mask is cut off",
        ),
        (
            "a.json",
            [task(annotation(result("brushlabels", rle=[256])))],
            "value.rle: expected a list of bytes",
        ),
        (
            "a.json",
            [task(annotation(result("brushlabels", rle=encode_brush((4, 0)))))],
            "value.rle: the mask has 4 values. Expected 4 for each of 200 x 100 pixels",
        ),
        (
            "a.json",
            [task(annotation(result("videorectangle", sequence=[{"frame": 1, "x": 1}])))],
            "value: this annotates a video",
        ),
        ("a.json", [task(annotation()), {"id": 6}], r"\[1\]: data is missing"),
        (
            "a.csv",
            "image,label,annotator,annotation_id,lead_time\na.jpg,[{x,1,2,3\n",
            "line 2: label is not valid JSON",
        ),
        (
            "a.json",
            labelme(shape("star", [[1, 2]])),
            r"shapes\[0\].shape_type: unknown shape 'star'",
        ),
        (
            "a.json",
            labelme(shape("rectangle", [[1, 2]])),
            r"shapes\[0\].points: expected the two points of a rectangle. Received 1",
        ),
        (
            "a.json",
            labelme(shape("circle", [[1, 2], [3, 4], [5, 6]])),
            r"shapes\[0\].points: expected the two points of a circle. Received 3",
        ),
        (
            "a.json",
            labelme(shape("polygon", [[1, 2], [3]])),
            r"shapes\[0\].points\[1\]: expected two numbers, x and y. Received 1",
        ),
        ("a.json", labelme(shape("polygon", [], label=None)), r"shapes\[0\]: label is missing"),
        (
            "a.json",
            vott_asset("a.jpg", vott_region(box={"left": 1})),
            r"regions\[0\].boundingBox: top is missing",
        ),
        (
            "a.json",
            {"frames": {"0": []}, "inputTags": ""},
            "frames.0: VoTT 1 named this image by its number",
        ),
        (
            "a.json",
            {"frames": {"a.jpg": [{"width": 0, "height": 5}]}, "inputTags": ""},
            r"frames.a.jpg\[0\]: the size must be positive. Received: 0 x 5",
        ),
        (
            "a.manifest",
            lines(manifest("a.jpg", EDGES | {"class_id": 2})),
            r"pets.annotations\[0\]: there is no name for class '2' among the 2",
        ),
        (
            "a.jpg.json",
            supervisely(supervisely_object("bitmap", bitmap={"data": "AAAA", "origin": [1, 2]})),
            r"objects\[0\].bitmap.data: expected a compressed PNG",
        ),
        (
            "a.jpg.json",
            supervisely(supervisely_object("rectangle", [[1, 2]])),
            r"objects\[0\].points: expected the two corners of a rectangle. Received 1",
        ),
        (
            "a.json",
            superannotate(instance("star")),
            r"instances\[0\].type: unknown shape 'star'",
        ),
        (
            "a.json",
            darwin({"name": "cat", "frames": {}, "bounding_box": DARWIN_BOX}),
            r"annotations\[0\]: this annotates a video",
        ),
        (
            "a.json",
            darwin({"name": "cat", "ellipse": {"angle": 1, "center": {}, "radius": {}}}),
            r"annotations\[0\].ellipse.angle: V7 does not say",
        ),
        (
            "a.json",
            {"item": {"name": "a", "slots": []}, "annotations": []},
            "item.slots: expected one slot with one image. Received 0",
        ),
        (
            "a.json",
            datumaro(datumaro_object("bbox", bbox=[1, 2, 3, 4], label_id=2)),
            r"items\[0\].annotations\[0\]: there is no name for class '2'",
        ),
        (
            "a.json",
            datumaro(datumaro_object("star")),
            r"annotations\[0\].type: unknown annotation 'star'",
        ),
        (
            "labels.json",
            {"labels": {"a": [DETECTION | {"bounding_box": [1, 2, 3]}]}},
            r"labels.a\[0\].bounding_box: expected four numbers. Received 3",
        ),
        (
            "a.ndjson",
            lines(NDJSON, {"type": "video"}),
            r"\[1\].type: expected image. Received: 'video'",
        ),
        (
            "a.ndjson",
            lines(NDJSON, ndjson_image("a.jpg", boxes=[[0.5, 1, 1, 1, 1]])),
            r"\[1\].annotations.boxes\[0\]: the class must be an integer",
        ),
        (
            "a.ndjson",
            lines(NDJSON, ndjson_image("a.jpg", boxes=[[0, 1, 1, 1]])),
            r"annotations.boxes\[0\]: expected a class and four numbers. Received 4 values",
        ),
        (
            "a.ndjson",
            lines(NDJSON, ndjson_image("a.jpg", depth=[])),
            r"\[1\].annotations.depth: unknown annotations 'depth'",
        ),
        (
            "_annotations.txt",
            "a.jpg 20,10,60,50,1\nb.jpg 1,2,3\n",
            "line 2: expected the name of an image and, for each box",
        ),
        (
            "a.txt",
            "20 10 60 10 60 50 20 50 cat 0\n20 10 60 10 60 50 20 50 cat 7\n",
            "line 2: the difficulty must be one of",
        ),
        (
            "a.txt",
            "20 10 60 10 60 50 20 50 cat 0\n20 10 60\n",
            "line 2: expected eight numbers.*Received 3 fields",
        ),
    ],
)
def test_invalid_record_of_a_tool_is_named(write, name, content, message):
    with pytest.raises(AnnotationError, match=rf"{name}.*{message}"):
        read_annotations(write(name, content), sizes=SIZES)


@pytest.mark.parametrize("kind", TOOL_FILES)
def test_truncated_file_of_a_tool_is_refused(write, kind):
    (name, format, text), _ = TOOL_FILES[kind]
    if text[0] not in "[{<":
        pytest.skip("the first lines of a text are complete")
    with pytest.raises(AnnotationError, match=rf"{name}"):
        read_annotations(write(name, text[: len(text) * 2 // 3]), format=format, sizes=SIZES)


def list_places(value, *place):
    """Places of all values in JSON: the keys that lead to each."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        yield (*place, key)
        if isinstance(child, (dict, list)):
            yield from list_places(child, *place, key)


@pytest.mark.filterwarnings("ignore::skbbox.exceptions.SkbboxWarning")
@pytest.mark.parametrize(
    "kind", [kind for kind, ((_, _, text), _) in TOOL_FILES.items() if text[0] in "[{"]
)
def test_missing_field_gives_a_table_or_an_error_that_names_the_file(tmp_path, kind):
    (name, format, text), _ = TOOL_FILES[kind]
    path = tmp_path / name
    values = [json.loads(line) for line in text.splitlines()]
    for *above, last in list(list_places(values))[:150]:
        if not above:
            continue
        changed = json.loads(json.dumps(values))
        parent = changed
        for key in above:
            parent = parent[key]
        del parent[last]
        path.write_text("\n".join(map(json.dumps, changed)))
        check_outcome(path, format=format, sizes=SIZES)
