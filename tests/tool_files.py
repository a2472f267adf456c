"""Files of labelling tools, written by hand from the definitions that their readers cite.

As in ``test_formats``, images are 200 pixels wide and 100 high, so that the box x 20..60 and
y 10..50 is .1, .3, .1, .5; in percent, x 10, y 10, width 20 and height 40.
"""

import base64
import json
import struct
import zlib

BOX = (0.1, 0.3, 0.1, 0.5)
NOTHING = (None, None)
A, B = ("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)
#: Corners of a triangle with the bounds of the box.
TRIANGLE = [[20, 50], [60, 10], [30, 12]]


def lines(*values):
    return "".join(f"{json.dumps(value)}\n" for value in values)


# ---------------------------------------------------------------- Label Studio

PERCENT = {"x": 10, "y": 10, "width": 20, "height": 40}
ORIGINAL = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def result(kind="rectanglelabels", labels=("cat",), **value):
    value = value or PERCENT | {"rotation": 0}
    key = {kind: list(labels)} if kind.endswith("labels") else {}
    return {"id": f"r{kind}", "from_name": "tag", "to_name": "img", "type": kind} | (
        ORIGINAL | {"value": value | key}
    )


def annotation(*results, **more):
    return {"id": 9, "completed_by": 1, "was_cancelled": False, "result": list(results)} | more


def task(*annotations, image="/data/upload/1/0a1b2c3d-a.jpg", **more):
    return {"id": 5, "data": {"image": image}, "annotations": list(annotations)} | more


EMPTY_TASK = task(annotation(), image="https://images.example/x/b.jpg?key=1", id=6)


def short(*regions, image="/data/upload/1/0a1b2c3d-a.jpg", **more):
    item = {"image": image, "id": 5, "label": list(regions), "annotator": 1, "annotation_id": 9}
    item |= {"created_at": "2024-01-01T00:00:00Z", "lead_time": 3.5} | more
    return {key: value for key, value in item.items() if value is not None}


SHORT_BOX = PERCENT | {"rotation": 0, "rectanglelabels": ["cat"]} | ORIGINAL


def encode_brush(*runs):
    """A mask of Label Studio: runs (number of values, value), each in a block of one value."""
    bits = f"{sum(n for n, _ in runs):032b}" + f"{8 - 1:05b}"
    bits += "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    # The fourth size, 16 bits.
    bits += "".join(f"1{3:02b}{n - 1:016b}{value:08b}" for n, value in runs)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


#: The box: 40 rows of 40 pixels, with 4 values each.
BRUSH = encode_brush(
    (4 * (10 * 200 + 20), 0),
    *([(4 * 40, 255), (4 * 160, 0)] * 39),
    (4 * 40, 255),
    (4 * (50 * 200 + 140), 0),
)

LABEL_STUDIO_VOC = (
    "<annotation><folder>images</folder><filename>a</filename><source><database>MyDatabase"
    "</database><annotation>COCO2017</annotation><image>flickr</image></source><owner><flickrid>"
    "NULL</flickrid><name>Label Studio</name></owner><size><width>200</width><height>100</height>"
    "<depth>3</depth></size><segmented>0</segmented><object><name>cat</name><truncated>0"
    "</truncated><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
    "</object></annotation>"
)
CSV_HEADER = "image,id,label,annotator,annotation_id,created_at,updated_at,lead_time\n"

# ---------------------------------------------------------------- labelme


def labelme(*shapes, **more):
    content = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg"}
    content |= {"imageData": None, "imageHeight": 100, "imageWidth": 200}
    return json.dumps(content | more)


def shape(kind, points, **more):
    common = {"label": "cat", "group_id": None, "shape_type": kind, "flags": {}}
    return common | {"points": points} | more


LABELME_VOC = (
    "<annotation><folder/><filename>a.jpg</filename><database/><annotation/><image/><size><height>"
    "100</height><width>200</width><depth>3</depth></size><segmented/><object><name>cat</name>"
    "<pose/><truncated/><difficult/><bndbox><xmin>20.0</xmin><ymin>10.0</ymin><xmax>60.0</xmax>"
    "<ymax>50.0</ymax></bndbox></object></annotation>"
)

# ---------------------------------------------------------------- other tools

EDGES = {"left": 20, "top": 10, "width": 40, "height": 40}


def vott_asset(name, *regions):
    asset = {"id": name, "name": name, "path": f"file:/home/anna/{name}", "format": "jpg"}
    asset |= {"size": {"width": 200, "height": 100}, "state": 2, "type": 1}
    return {"asset": asset, "regions": list(regions), "version": "2.2.0"}


def vott_region(kind="RECTANGLE", tags=("cat",), box=EDGES):
    points = [{"x": x, "y": y} for x, y in TRIANGLE]
    return {"id": "r", "type": kind, "tags": list(tags), "boundingBox": box, "points": points}


def manifest(name, *boxes, job="pets", **metadata):
    labels = {"image_size": [{"width": 200, "height": 100, "depth": 3}], "annotations": list(boxes)}
    metadata = {
        "objects": [{"confidence": 0.5} for _ in boxes],
        "class-map": {"0": "dog", "1": "cat"},
        "type": "groundtruth/object-detection",
        "human-annotated": "yes",
    } | metadata
    return {"source-ref": f"s3://bucket/x/{name}", job: labels, f"{job}-metadata": metadata}


def supervisely(*objects):
    size = {"height": 100, "width": 200}
    return json.dumps({"description": "", "tags": [], "size": size, "objects": list(objects)})


def supervisely_object(kind, exterior=None, **more):
    common = {"id": 1, "classId": 2, "geometryType": kind, "classTitle": "cat", "tags": []}
    points = {} if exterior is None else {"points": {"exterior": exterior, "interior": []}}
    return common | points | more


#: Start of a PNG of 40 x 40 pixels, compressed; the pixels are not needed.
BITMAP = base64.b64encode(
    zlib.compress(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 40, 40, 1, 3, 0, 0, 0)
    )
).decode()


def superannotate(*instances):
    metadata = {"name": "a.jpg", "width": 200, "height": 100, "status": "Completed"}
    return json.dumps({"metadata": metadata, "instances": list(instances), "tags": []})


def instance(kind, points=None, **more):
    common = {"type": kind, "classId": 7, "className": "cat", "probability": 100}
    return common | ({} if points is None else {"points": points}) | more


def darwin(*annotations, path="/"):
    slot = {"type": "image", "slot_name": "0", "width": 200, "height": 100, "source_files": []}
    item = {"name": "a.jpg", "path": path, "slots": [slot]}
    return json.dumps({"version": "2.0", "item": item, "annotations": list(annotations)})


DARWIN_BOX = {"x": 20, "y": 10, "w": 40, "h": 40}


def datumaro(*annotations, **image):
    labels = [{"name": "dog", "parent": "", "attributes": []}, {"name": "cat", "parent": ""}]
    items = [
        {"id": "a", "annotations": list(annotations), "image": {"path": "a.jpg"} | image},
        {"id": "b", "annotations": [], "image": {"path": "b.jpg", "size": [100, 200]}},
    ]
    return json.dumps({"info": {}, "categories": {"label": {"labels": labels}}, "items": items})


def datumaro_object(kind, **more):
    return {"id": 0, "type": kind, "attributes": {"occluded": False}, "label_id": 1} | more


def detections(*found):
    return {"_cls": "Detections", "detections": list(found)}


RELATIVE = [0.1, 0.1, 0.2, 0.4]
DETECTION = {"_cls": "Detection", "label": "cat", "bounding_box": RELATIVE}


def samples(**fields):
    first = {"filepath": "a.jpg", "tags": ["val"], "metadata": {"width": 200}} | fields
    empty = {"filepath": "b.jpg", "ground_truth": detections()}
    return json.dumps({"samples": [first, empty]})


NDJSON = {"type": "dataset", "task": "detect", "class_names": {"0": "dog", "1": "cat"}}


def ndjson_image(name, split="train", **annotations):
    line = {"type": "image", "file": name, "url": f"https://images.example/{name}", "split": split}
    return line | {"width": 200, "height": 100, "annotations": annotations}


def as_json(value):
    return json.dumps(value)


PREDICTED = result(labels=["dog"])
TURNED = {"x": 30, "y": 10, "width": 20, "height": 20, "rotation": 90}
POINTS_PERCENT = [[10, 50], [30, 10], [15, 12]]

#: Name, format and text of a file, and the expected rows: image, class and box.
TOOL_FILES = {
    "Label Studio, with a prediction": (
        (
            "a.json",
            "label_studio",
            as_json(
                [task(annotation(result()), predictions=[{"result": [PREDICTED]}]), EMPTY_TASK]
            ),
        ),
        [A, B],
    ),
    "Label Studio, completions of an early version": (
        (
            "a.json",
            "label_studio",
            as_json([{"id": 1, "data": {"img": "a.jpg"}, "completions": [annotation(result())]}]),
        ),
        [A],
    ),
    "Label Studio, local files, a single task": (
        (
            "a.json",
            "label_studio",
            as_json(task(annotation(result()), image="/data/local-files/?d=pets%5Cx%2Fa.jpg")),
        ),
        [A],
    ),
    "Label Studio, several annotators, one of whom skips": (
        (
            "a.json",
            "label_studio",
            as_json(
                [
                    task(
                        annotation(result()),
                        annotation(result(labels=["dog"]), was_cancelled=True),
                        annotation(result(labels=["cow"]), completed_by={"id": 2, "email": "b@x"}),
                    ),
                    task(annotation(result(), was_cancelled=True), image="b.jpg"),
                ]
            ),
        ),
        [A, ("a.jpg", "cow", *BOX), B],
    ),
    "Label Studio, turned box, ellipse, polygon and brush": (
        (
            "a.json",
            "label_studio",
            as_json(
                [
                    task(
                        annotation(
                            # 40 x 20 pixels at 60, 10; after a quarter turn clockwise about this
                            # corner 20 x 40 pixels to the left of and below it.
                            result(**TURNED) | {"id": "1"},
                            # The centre is at 40, 30 and both radii are 20 pixels.
                            result("ellipselabels", x=20, y=30, radiusX=10, radiusY=20, rotation=45)
                            | {"id": "2"},
                            result("polygonlabels", points=POINTS_PERCENT, closed=True)
                            | {"id": "3"},
                            result("brushlabels", format="rle", rle=BRUSH) | {"id": "4"},
                        )
                    )
                ]
            ),
        ),
        [("a.jpg", "cat", 0.2, 0.3, 0.1, 0.5), A, A, A],
    ),
    "Label Studio, box and label as two results; choices of the image": (
        (
            "a.json",
            "label_studio",
            as_json(
                [
                    task(
                        annotation(
                            result("rectangle") | {"id": "1"},
                            result("labels", ["cat", "pet"], **PERCENT) | {"id": "1"},
                            {"id": "2", "type": "choices", "value": {"choices": ["sharp"]}},
                            {"type": "relation", "from_id": "1", "to_id": "2"},
                        )
                    )
                ]
            ),
        ),
        [A, ("a.jpg", "pet", *BOX)],
    ),
    "Label Studio, predictions for an import, without sizes": (
        (
            "a.json",
            "label_studio",
            as_json(
                [
                    {
                        "data": {"image": "a.jpg"},
                        "predictions": [
                            {
                                "model_version": "1",
                                "score": 0.5,
                                "result": [
                                    {
                                        "type": "rectanglelabels",
                                        "value": PERCENT | {"rectanglelabels": ["cat"]},
                                    }
                                ],
                            }
                        ],
                    }
                ]
            ),
        ),
        [A],
    ),
    "Label Studio JSON-MIN": (
        (
            "a.json",
            "label_studio",
            as_json([short(SHORT_BOX), short(label=None, id=6, image="b.jpg", choice="sharp")]),
        ),
        [A, B],
    ),
    "Label Studio CSV": (
        (
            "a.csv",
            "label_studio",
            CSV_HEADER
            + '/data/upload/1/0a1b2c3d-a.jpg,5,"'
            + as_json([SHORT_BOX]).replace('"', '""')
            + '",anna@example.org,9,2024,2024,3.5\n'
            + "b.jpg,6,,1,10,2024,2024,1.5\n",
        ),
        [A, B],
    ),
    "Label Studio VOC": (
        ("a.xml", "label_studio", LABEL_STUDIO_VOC),
        [A],
    ),
    "labelme": (
        (
            "a.json",
            "labelme",
            labelme(shape("rectangle", [[60.0, 10.0], [20.0, 50.0]]), imageData="aGVsbG8="),
        ),
        [A],
    ),
    "labelme, image without an object": (("a.json", "labelme", labelme(imagePath="b.jpg")), [B]),
    "labelme, other shapes": (
        (
            "a.json",
            "labelme",
            labelme(
                shape("polygon", TRIANGLE),
                {"label": "cat", "points": TRIANGLE},
                # The centre, and a point at a distance of 20 pixels.
                shape("circle", [[40, 30], [52, 46]]),
                # The mask has the columns 20..59 and the rows 10..49.
                shape("mask", [[20, 10], [59, 49]], mask="aGVsbG8="),
                shape("oriented_rectangle", [[20, 30], [40, 10], [60, 30], [40, 50]]),
                shape("linestrip", TRIANGLE, group_id=3),
            ),
        ),
        [A] * 6,
    ),
    "labelme, without size": (
        (
            "a.json",
            "labelme",
            labelme(shape("rectangle", [[20, 10], [60, 50]]), imageHeight=None, imageWidth=None),
        ),
        [A],
    ),
    "labelme VOC": (("a.xml", "labelme", LABELME_VOC), [A]),
    "VoTT": (
        (
            "a.json",
            "vott",
            as_json(
                {
                    "name": "pets",
                    "tags": [{"name": "cat", "color": "#fff"}],
                    "assets": {
                        "1": vott_asset(
                            "a.jpg", vott_region(), vott_region("POLYGON", ["cat", "x"])
                        ),
                        "2": vott_asset("b.jpg"),
                    },
                }
            ),
        ),
        [A, A, ("a.jpg", "x", *BOX), B],
    ),
    "VoTT 1": (
        (
            "a.json",
            "vott",
            as_json(
                {
                    "frames": {
                        # In the size of the editor, which showed the image at half its size.
                        "a.jpg": [
                            {"x1": 10, "x2": 30, "y1": 25, "y2": 5, "width": 100, "height": 50}
                            | {"type": "Rectangle", "tags": ["cat"], "id": 0}
                        ],
                        "b.jpg": [],
                    },
                    "inputTags": "cat,dog",
                }
            ),
        ),
        [A, B],
    ),
    "VoTT, one asset": (
        ("a.json", "vott", as_json(vott_asset("a.jpg", vott_region()))),
        [A],
    ),
    "Ground Truth": (
        (
            "a.manifest",
            "ground_truth",
            lines(
                manifest("a.jpg", EDGES | {"class_id": 1}),
                manifest("b.jpg"),
                {
                    "source-ref": "s3://bucket/x/c.jpg",
                    "pets-metadata": {"failure-reason": "the task expired"},
                },
            ),
        ),
        [A, B, ("c.jpg", *NOTHING)],
    ),
    "Supervisely": (
        (
            "a.jpg.json",
            "supervisely",
            supervisely(
                supervisely_object("rectangle", [[20, 10], [60, 50]]),
                supervisely_object("polygon", TRIANGLE),
                supervisely_object("bitmap", bitmap={"data": BITMAP, "origin": [20, 10]}),
                supervisely_object("graph", nodes={"n": {"loc": [20, 50]}, "m": {"loc": [60, 10]}}),
            ),
        ),
        [A] * 4,
    ),
    "Supervisely, image without an object": (
        ("b.jpg.json", "supervisely", supervisely()),
        [B],
    ),
    "SuperAnnotate": (
        (
            "a.jpg.json",
            "superannotate",
            superannotate(
                instance("bbox", {"x1": 60, "x2": 20, "y1": 10, "y2": 50}),
                instance("polygon", [20, 50, 60, 10, 30, 12], probability=0.5),
                # Two corners are at 20, 30 and 60, 30.
                instance(
                    "rbbox",
                    {
                        "x1": 20,
                        "y1": 30,
                        "x2": 40,
                        "y2": 10,
                        "x3": 60,
                        "y3": 30,
                        "x4": 40,
                        "y4": 50,
                    },
                ),
                instance("ellipse", cx=40, cy=30, rx=20, ry=20, angle=30),
                instance("template", [{"id": 1, "x": 20, "y": 10}, {"id": 2, "x": 60, "y": 50}]),
                instance(
                    "cuboid",
                    {
                        "f1": {"x": 20, "y": 20},
                        "f2": {"x": 50, "y": 50},
                        "r1": {"x": 30, "y": 10},
                        "r2": {"x": 60, "y": 40},
                    },
                ),
                {"type": "tag", "className": "outdoors"},
            ),
        ),
        [A] * 6,
    ),
    "V7 Darwin": (
        (
            "a.json",
            "darwin",
            darwin(
                {"id": "1", "name": "cat", "bounding_box": DARWIN_BOX, "slot_names": ["0"]},
                {"name": "cat", "bounding_box": DARWIN_BOX, "polygon": {"paths": [[]]}},
                {
                    "name": "cat",
                    "polygon": {"paths": [[{"x": x, "y": y} for x, y in TRIANGLE]]},
                },
                {
                    "name": "cat",
                    "ellipse": {"center": {"x": 40, "y": 30}, "radius": {"x": 20, "y": 20}},
                },
                {
                    "name": "cat",
                    "skeleton": {"nodes": [{"name": "n", "x": x, "y": y} for x, y in TRIANGLE]},
                },
                {"name": "outdoors", "tag": {}},
                {"name": "__raster_layer__", "raster_layer": {"dense_rle": [0, 1]}},
            ),
        ),
        [A] * 5,
    ),
    "V7 Darwin 1, in a folder": (
        (
            "a.json",
            "darwin",
            as_json(
                {
                    "dataset": "pets",
                    "image": {
                        "filename": "1.jpg",
                        "original_filename": "a.jpg",
                        "path": "/x",
                        "width": 200,
                        "height": 100,
                    },
                    "annotations": [
                        {"name": "cat", "bounding_box": DARWIN_BOX},
                        {
                            "name": "cat",
                            "polygon": {"path": [{"x": x, "y": y} for x, y in TRIANGLE]},
                        },
                    ],
                }
            ),
        ),
        [("x/a.jpg", "cat", *BOX)] * 2,
    ),
    "V7 Darwin, image without an object": (("a.json", "darwin", darwin()), [("a.jpg", *NOTHING)]),
    "Datumaro": (
        (
            "a.json",
            "datumaro",
            datumaro(
                datumaro_object("bbox", bbox=[20, 10, 40, 40]),
                datumaro_object("polygon", points=[20, 50, 60, 10, 30, 12]),
                datumaro_object("ellipse", points=[20, 10, 60, 50]),
                # The centre is 40, 30, and the box turns by a quarter: 40 x 40 stays.
                datumaro_object("bbox", bbox=[20, 10, 40, 40], attributes={"rotation": 90.0}),
                datumaro_object("label"),
                size=[100, 200],
            ),
        ),
        [A, A, A, A, B],
    ),
    "FiftyOne samples": (
        (
            "samples.json",
            "fiftyone",
            samples(
                ground_truth=detections(DETECTION, DETECTION | {"confidence": 0.5}),
                uniqueness=0.5,
                weather={"_cls": "Classification", "label": "sunny"},
            ),
        ),
        [A, A, B],
    ),
    "FiftyOne samples, polygons": (
        (
            "samples.json",
            "fiftyone",
            samples(
                ground_truth={
                    "_cls": "Polylines",
                    "polylines": [
                        {"label": "cat", "points": [[[0.1, 0.5], [0.3, 0.1], [0.15, 0.12]]]}
                    ],
                }
            ),
        ),
        [A, B],
    ),
    "FiftyOne labels": (
        (
            "labels.json",
            "fiftyone",
            as_json(
                {
                    "classes": ["dog", "cat"],
                    "labels": {
                        "a": [{"label": 1, "bounding_box": RELATIVE}],
                        "b": None,
                        "c": [{"label": "cat", "bounding_box": RELATIVE, "confidence": 0.5}],
                    },
                }
            ),
        ),
        [("data/a.jpg", "cat", *BOX), ("data/b.jpg", *NOTHING), ("data/c", "cat", *BOX)],
    ),
    "Ultralytics NDJSON": (
        (
            "a.ndjson",
            "yolo",
            lines(
                NDJSON,
                ndjson_image("a.jpg", boxes=[[1, 0.2, 0.3, 0.2, 0.4]]),
                ndjson_image("b.jpg", "val"),
            ),
        ),
        [A, B],
    ),
    "Ultralytics NDJSON, other tasks": (
        (
            "a.ndjson",
            "yolo",
            lines(
                NDJSON,
                ndjson_image(
                    "a.jpg",
                    segments=[[1, 0.1, 0.5, 0.3, 0.1, 0.15, 0.12]],
                    obb=[[1, 0.1, 0.3, 0.2, 0.1, 0.3, 0.3, 0.2, 0.5]],
                    pose=[[1, 0.2, 0.3, 0.2, 0.4, 0.2, 0.2, 2]],
                    classification=[0],
                ),
            ),
        ),
        [A] * 3,
    ),
    "Roboflow, one line per image": (
        ("_annotations.txt", "roboflow", "a.jpg 20,10,60,50,1 20,10,60,50,0\nb.jpg\n"),
        [("a.jpg", "1", *BOX), ("a.jpg", "0", *BOX), B],
    ),
    "Roboflow, oriented boxes": (
        (
            "a.txt",
            "roboflow",
            "imagesource:GoogleEarth\ngsd:0.14\n20 10 60 10 60 50 20 50 cat 0\n"
            "20 30 40 10 60 30 40 50 small cat 1\n",
        ),
        [A, ("a.jpg", "small cat", *BOX)],
    ),
}
