"""Files of each tool, written by hand from the definition of its format.

Images are 200 pixels wide and 100 high unless a test says otherwise, so that a box of
x 20..60 and y 10..50 is .1, .3, .1, .5.
"""

import json

import format_files
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tool_files import TOOL_FILES

from skbbox import check_annotations, read_annotations
from skbbox.annotations.registry import FORMATS
from skbbox.exceptions import AnnotationError, SkbboxWarning

SIZES = {"a.jpg": (200, 100), "b.jpg": (200, 100)}
BOX = (0.1, 0.3, 0.1, 0.5)
NOTHING = (None, None)


def voc(objects, source="", path="", size=(200, 100), name="a.jpg"):
    return (
        f"<annotation><folder>snaps</folder><filename>{name}</filename>{path}{source}"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth/></size>"
        f"<segmented>0</segmented>{objects}</annotation>"
    )


def thing(name, xmin, xmax, ymin, ymax, before="", after=""):
    return (
        f"<object><name>{name}</name>{before}<bndbox><ymin>{ymin}</ymin><xmin>{xmin}</xmin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>{after}</object>"
    )


DEVKIT = "<source><database>The VOC2007 Database</database></source>"
LABELIMG = "<source><database>Unknown</database></source>"
CVAT = (
    "<source><database>Unknown</database><annotation>Unknown</annotation>"
    "<image>Unknown</image></source>"
)
PATH = "<path>/home/anna/a.jpg</path>"
OCCLUDED = "<occluded>0</occluded>"


def labelme(x_min, x_max, y_min, y_max, attributes=""):
    corners = [(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)]
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in corners)
    return (
        "<annotation><filename>a.jpg</filename><folder/><source><sourceImage/><sourceAnnotation>"
        "CVAT</sourceAnnotation></source><imagesize><nrows>100</nrows><ncols>200</ncols>"
        "</imagesize><object><name>cat</name><deleted>0</deleted><occluded>no</occluded>"
        f"<type>bounding_box</type><polygon>{points}</polygon>"
        f"<attributes>{attributes}</attributes></object></annotation>"
    )


def cvat(shapes, meta="", images=True):
    image = f'<image id="0" name="a.jpg" width="200" height="100">{shapes}</image>'
    empty = '<image id="1" name="b.jpg" width="200" height="100"></image>'
    content = image + empty if images else shapes
    return f"<annotations><version>1.1</version>{meta}{content}</annotations>"


def coco(annotations, **image):
    images = [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100} | image]
    images.append({"id": 900, "file_name": "b.jpg", "width": 200, "height": 100})
    categories = [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def via(regions, **more):
    images = {
        "a.jpg1234": {"filename": "a.jpg", "size": 1234, "regions": regions},
        "b.jpg99": {"filename": "b.jpg", "size": 99, "regions": type(regions)()},
    }
    return json.dumps({"_via_settings": {}, "_via_img_metadata": images} if more else images)


RECT = {"name": "rect", "x": 20, "y": 10, "width": 40, "height": 40}
REGION = {"shape_attributes": RECT, "region_attributes": {"kind": "cat"}}


def labelbox_2(*objects, **data_row):
    row = {"external_id": "a.jpg", "row_data": "https://images.example/x/a.jpg?key=1"} | data_row
    label = {"id": "l1", "annotations": {"objects": list(objects)}}
    return json.dumps(
        {
            "data_row": {k: v for k, v in row.items() if v is not None},
            "media_attributes": {"width": 200, "height": 100},
            "projects": {"p1": {"labels": [label]}},
        }
    )


LABELBOX_2_BOX = {
    "name": "cat",
    "bounding_box": {"top": 10, "left": 20, "height": 40, "width": 40},
}


def labelbox_1(label, **more):
    row = {"Labeled Data": "https://images.example/x/a.jpg?key=1%2F", "Label": label}
    return row | more


LABELBOX_1_BOX = {"title": "cat", "bbox": {"top": 10, "left": 20, "height": 40, "width": 40}}
TFOD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsInside\n"
VIA_CSV = (
    "filename,file_size,file_attributes,region_count,region_id,"
    "region_shape_attributes,region_attributes\n"
)

#: Name, format and text of a file, and the expected rows: image, class and box.
FILES = {
    "devkit": (
        # Pixel 21 is the first inside the box and 60 the last: (21 - 1) / 200 and 60 / 200.
        ("a.xml", "pascal_voc", voc(thing("cat", 21, 60, 11, 50), DEVKIT)),
        [("a.jpg", "cat", *BOX)],
    ),
    "devkit, a part has a box and a name as well": (
        (
            "a.xml",
            "pascal_voc",
            voc(
                thing(
                    "cat", 21, 60, 11, 50, after="<part>" + thing("head", 1, 2, 1, 2) + "</part>"
                ),
                DEVKIT,
            ),
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "RectLabel XML": (
        ("a.xml", "rectlabel", voc(thing("cat", 21, 60, 11, 50, OCCLUDED))),
        [("a.jpg", "cat", *BOX)],
    ),
    "RectLabel XML, polygon and curve": (
        (
            "a.xml",
            "rectlabel",
            voc(
                "<object><name>cat</name><polygon><x1>21</x1><y1>50</y1><x2>60</x2><y2>11</y2>"
                "<x3>30</x3><y3>12</y3></polygon></object>"
                "<object><name>dog</name><cubic_bezier><x1>21</x1><y1>11</y1><x1_c1>1</x1_c1>"
                "<y1_c1>1</y1_c1><x2>60</x2><y2>50</y2></cubic_bezier></object>"
            ),
        ),
        [("a.jpg", "cat", *BOX), ("a.jpg", "dog", *BOX)],
    ),
    "RectLabel CSV, Python literal": (
        (
            "a.csv",
            "rectlabel",
            "path,annotations\n/Users/anna/a.jpg,\"[{'label':'cat','type':'rectangle',"
            "'coordinates':{'height':40,'width':40,'x':40,'y':30}}]\"\n",
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "RectLabel CSV, JSON without quotes": (
        (
            "a.csv",
            "rectlabel",
            'path,annotations\na.jpg,[{"label":"bare feet","type":"rectangle",'
            '"coordinates":{"x":40,"y":30,"width":40,"height":40}}]\nb.jpg,[]\n',
        ),
        [("a.jpg", "bare feet", *BOX), ("b.jpg", *NOTHING)],
    ),
    "RectLabel CSV, other shapes": (
        (
            "a.csv",
            "rectlabel",
            'path,annotations\na.jpg,[{"label":"cat","type":"polygon","coordinates":'
            '[{"x":20,"y":10},{"x":60,"y":30},{"x":30,"y":50}]},{"label":"dog","type":"ellipse",'
            '"coordinates":{"x":40,"y":30,"width":40,"height":40}}]\n',
        ),
        [("a.jpg", "cat", *BOX), ("a.jpg", "dog", *BOX)],
    ),
    "VOC of CVAT, turned box": (
        (
            "a.xml",
            "cvat",
            voc(
                thing(
                    "cat",
                    *(20, 60, 20, 40),
                    after="<attributes><attribute><name>rotation</name><value>90.0</value>"
                    "</attribute></attributes>",
                ),
                CVAT,
            ),
        ),
        [("a.jpg", "cat", 0.15, 0.25, 0.1, 0.5)],
    ),
    "VOC, the end of the name is in the path": (
        ("a.xml", "labelimg", voc(thing("cat", 20, 60, 10, 50), LABELIMG, PATH, name="a")),
        [("a.jpg", "cat", *BOX)],
    ),
    "LabelImg XML": (
        ("a.xml", "labelimg", voc(thing("cat", 20, 60, 10, 50), LABELIMG, PATH)),
        [("a.jpg", "cat", *BOX)],
    ),
    "LabelImg XML, nothing seen": (
        ("a.xml", "labelimg", voc("", LABELIMG, PATH)),
        [("a.jpg", *NOTHING)],
    ),
    "CVAT's VOC": (
        ("a.xml", "cvat", voc(thing("cat", "20.0", "60.0", "10.0", "50.0", OCCLUDED), CVAT)),
        [("a.jpg", "cat", *BOX)],
    ),
    "CVAT images": (
        ("a.xml", "cvat", cvat('<box label="cat" xtl="20" ytl="10.0" xbr="60.00" ybr="50"/>')),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "CVAT images, a tag is no object": (
        ("a.xml", "cvat", cvat('<tag label="blurred"/>')),
        [("a.jpg", *NOTHING), ("b.jpg", *NOTHING)],
    ),
    # Rotated by 90 degrees about its centre (40, 30), the box of 40 x 20 becomes 20 x 40.
    "CVAT images, turned box": (
        (
            "a.xml",
            "cvat",
            cvat('<box label="cat" xtl="20" ytl="20" xbr="60" ybr="40" rotation="90.0"/>'),
        ),
        [("a.jpg", "cat", 0.15, 0.25, 0.1, 0.5), ("b.jpg", *NOTHING)],
    ),
    "CVAT images, other shapes": (
        (
            "a.xml",
            "cvat",
            cvat(
                '<polygon label="p" points="20,10;60,20.5;30,50"/>'
                '<polyline label="l" points="20,50;60,10"/>'
                '<points label="o" points="60,10;20,50"/>'
                '<ellipse label="e" cx="40" cy="30" rx="20" ry="20"/>'
                '<ellipse label="t" cx="40" cy="30" rx="20" ry="10" rotation="90"/>'
                '<mask label="m" rle="0, 1600" left="20" top="10" width="40" height="40"/>'
                '<skeleton label="s"><points label="1" points="20,10"/>'
                '<points label="2" points="60,50"/></skeleton>'
                '<cuboid label="c" xtl1="20" ytl1="10" xbl1="20" ybl1="40" xtr1="50" ytr1="12" '
                'xbr1="50" ybr1="50" xtl2="60" ytl2="15" xbl2="60" ybl2="45" xtr2="30" ytr2="15" '
                'xbr2="30" ybr2="45"/>'
            ),
        ),
        [
            *(("a.jpg", name, *BOX) for name in "ploe"),
            ("a.jpg", "t", 0.15, 0.25, 0.1, 0.5),
            *(("a.jpg", name, *BOX) for name in "msc"),
            ("b.jpg", *NOTHING),
        ],
    ),
    "CVAT video": (
        (
            "a.xml",
            "cvat",
            cvat(
                '<track id="0" label="cat">'
                '<box frame="12" outside="0" keyframe="0" xtl="20" ytl="10" xbr="60" ybr="50"/>'
                '<box frame="15" outside="1" keyframe="1" xtl="0" ytl="0" xbr="9" ybr="9"/></track>'
                '<track id="1" label="dog">'
                '<box frame="3" outside="0" keyframe="1" xtl="20" ytl="10" xbr="60" ybr="50"/>'
                "</track>",
                "<meta><original_size><width>200</width><height>100</height></original_size></meta>",
                images=False,
            ),
        ),
        [("frame_000003", "dog", *BOX), ("frame_000012", "cat", *BOX)],
    ),
    "CVAT video, skeleton": (
        (
            "a.xml",
            "cvat",
            cvat(
                '<track id="0" label="cat"><skeleton frame="1"><points label="1" outside="0" '
                'points="20,10"/><points label="2" outside="0" points="60,50"/><points label="3" '
                'outside="1" points="199,99"/></skeleton><skeleton frame="2"><points label="1" '
                'outside="1" points="20,10"/></skeleton></track>',
                "<meta><task><original_size><width>200</width><height>100</height>"
                "</original_size></task></meta>",
                images=False,
            ),
        ),
        [("frame_000001", "cat", *BOX)],
    ),
    "CVAT's LabelMe, turned box, deleted object": (
        (
            "a.xml",
            "cvat",
            labelme(20, 60, 20, 40, "rotation=90.0, colour=red").removesuffix("</annotation>")
            + "<object><name>dog</name><deleted>1</deleted></object></annotation>",
        ),
        [("a.jpg", "cat", 0.15, 0.25, 0.1, 0.5)],
    ),
    "CVAT's LabelMe, polygon": (
        ("a.xml", "cvat", labelme(20, 60, 10, 50).replace("bounding_box", "polygon")),
        [("a.jpg", "cat", *BOX)],
    ),
    "CVAT's LabelMe, mask": (
        (
            "a.xml",
            "cvat",
            "<annotation><filename>a.jpg</filename><imagesize><nrows>100</nrows><ncols>200</ncols>"
            "</imagesize><object><name>cat</name><segm><box><xmin>20</xmin><ymin>10</ymin><xmax>60"
            "</xmax><ymax>50</ymax></box><mask>m.png</mask></segm></object></annotation>",
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    # In a frame of 40 x 2 pixels, the pixels 21 to 39 of the first row and 0 to 9 of the second.
    "CVAT's mask over two rows": (
        (
            "a.xml",
            "cvat",
            cvat('<mask label="m" rle="21, 29, 30" left="20" top="10" width="40" height="2"/>'),
        ),
        [("a.jpg", "m", 0.1, 0.3, 0.1, 0.12), ("b.jpg", *NOTHING)],
    ),
    # Pixels 30 to 34 of the first row, and 32 to 36 of the second.
    "CVAT's mask with a frame that is too wide": (
        (
            "a.xml",
            "cvat",
            cvat('<mask label="m" rle="10,5,37,5,23" left="20" top="10" width="40" height="2"/>'),
        ),
        [("a.jpg", "m", 0.15, 0.185, 0.1, 0.12), ("b.jpg", *NOTHING)],
    ),
    "CVAT images of two videos": (
        (
            "a.xml",
            "cvat",
            cvat(
                '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="50"/>',
                2 * "<original_size><width>200</width><height>100</height></original_size>",
            ),
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "COCO, iscrowd as a bool, the user's attribute rotation": (
        (
            "a.json",
            "coco",
            coco(
                [
                    {
                        "image_id": 7,
                        "category_id": 3,
                        "bbox": [20, 10, 40, 40],
                        "iscrowd": False,
                        "attributes": {"rotation": rotation},
                    }
                    for rotation in ("left", "90", True, None)
                ]
            ),
        ),
        [("a.jpg", "cat", *BOX)] * 4 + [("b.jpg", *NOTHING)],
    ),
    "VOC of CVAT, the user's attribute rotation": (
        (
            "a.xml",
            "cvat",
            voc(
                thing(
                    "cat",
                    *(20, 60, 10, 50),
                    after="<attributes><attribute><name>rotation</name><value>left</value>"
                    "</attribute></attributes>",
                ),
                CVAT,
            ),
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "Open Images, flags as bools": (
        ("a.csv", "open_images", "\n" + OPEN_IMAGES + "a,x,/m/01,1,0.1,0.3,0.1,0.5,True,-1.0\n"),
        [("a.jpg", "/m/01", *BOX)],
    ),
    "COCO": (
        (
            "a.json",
            "coco",
            coco(
                [
                    {"image_id": 7, "category_id": 90, "bbox": [20, 10, 40, 40.0]},
                    {
                        "image_id": 7,
                        "category_id": 3,
                        "segmentation": [[20, 10, 60, 20], [30, 50, 40, 15]],
                    },
                ]
            ),
        ),
        [("a.jpg", "dog", *BOX), ("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "COCO of CVAT, turned box": (
        (
            "a.json",
            "coco",
            coco(
                [
                    {
                        "image_id": 7,
                        "category_id": 3,
                        "bbox": [20, 20, 40, 20],
                        "attributes": {"rotation": 90.0},
                    }
                ]
            ),
        ),
        [("a.jpg", "cat", 0.15, 0.25, 0.1, 0.5), ("b.jpg", *NOTHING)],
    ),
    "YOLO": (
        # Centre .2, .3 and sides .2, .4.
        ("a.txt", "yolo", "0 0.2 0.3 0.2 0.4\n\n1 0.2 0.3 2e-1 .4 0.95\n"),
        [("a.jpg", "0", *BOX), ("a.jpg", "1", *BOX)],
    ),
    "YOLO, polygon and keypoints": (
        (
            "a.txt",
            "yolo",
            "0 0.1 0.5 0.3 0.2 0.2 0.1\n"
            "1 0.2 0.3 0.2 0.4 0.9 0.9 2 0.8 0.8 0\n"
            "2 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n",
        ),
        [("a.jpg", name, *BOX) for name in "012"],
    ),
    # Visibility as 2.000000, and an even number of values, like a polygon.
    "YOLO, four keypoints": (
        ("a.txt", "yolo", "0 0.2 0.3 0.2 0.4" + " 0.2 0.3 2.000000" * 4 + "\n"),
        [("a.jpg", "0", *BOX)],
    ),
    "YOLO, nothing seen": (("a.txt", "yolo", ""), [("a.jpg", *NOTHING)]),
    "CreateML": (
        (
            "a.json",
            "createml",
            json.dumps(
                [
                    {
                        "image": "a.jpg",
                        "annotations": [
                            {
                                "label": "cat",
                                "coordinates": {"x": 40, "y": 30, "width": 40, "height": 40},
                            }
                        ],
                    },
                    {"image": "b.jpg", "annotations": []},
                ]
            ),
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Sloth": (
        (
            "a.json",
            "sloth",
            json.dumps(
                [
                    {
                        "class": "image",
                        "filename": "a.jpg",
                        "annotations": [
                            {"class": "rect", "x": 20.0, "y": 10.0, "width": 40.0, "height": 40.0},
                            {"class": "cat", "type": "polygon", "xn": "20;60;30", "yn": "10;20;50"},
                        ],
                    },
                    {"class": "image", "filename": "b.jpg", "annotations": []},
                ]
            ),
        ),
        [("a.jpg", "rect", *BOX), ("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "VIA 1": (
        ("a.json", "via", via({"0": REGION})),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "VIA 2": (("a.json", "via", via([REGION])), [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)]),
    "VIA project": (
        ("a.json", "via", via([REGION], project=True)),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "VIA, other shapes and kinds of attributes": (
        (
            "a.json",
            "via",
            via(
                [
                    {
                        "shape_attributes": {"name": "circle", "cx": 40, "cy": 30, "r": 20},
                        "region_attributes": {"kind": {"red": True, "blue": False, "dry": True}},
                    },
                    {
                        "shape_attributes": {
                            "name": "ellipse",
                            "cx": 40,
                            "cy": 30,
                            "rx": 20,
                            "ry": 10,
                            "theta": np.pi / 2,
                        },
                        "region_attributes": {},
                    },
                    {
                        "shape_attributes": {
                            "name": "polygon",
                            "all_points_x": [20, 60, 30],
                            "all_points_y": [10, 20, 50],
                        },
                        "region_attributes": {"kind": 5},
                    },
                ]
            ),
        ),
        [
            ("a.jpg", "red,dry", *BOX),
            ("a.jpg", "", 0.15, 0.25, 0.1, 0.5),
            ("a.jpg", "5", *BOX),
            ("b.jpg", *NOTHING),
        ],
    ),
    "VIA CSV": (
        (
            "a.csv",
            "via",
            VIA_CSV + 'a.jpg,1,{},1,0,"{""name"":""rect"",""x"":20,""y"":10,""width"":40,'
            '""height"":40}","{""kind"":""cat""}"\nb.jpg,1,{},0,0,{},{}\n',
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Simple Image Annotator": (
        (
            "a.csv",
            "simple_image_annotator",
            "image,id,name,xMin,xMax,yMin,yMax\na.jpg,1,cat,20,60,10,50\nb.jpg,1,,20,60,10,50\n",
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", "", *BOX)],
    ),
    "Simple Image Annotator, no header, commas in names": (
        (
            "a.csv",
            "simple_image_annotator",
            "a.jpg,1,cat, black,20,60,10,50\none, two.jpg,1,cat,20,60,10,50\n",
        ),
        [("a.jpg", "cat, black", *BOX), ("one, two.jpg", "cat", *BOX)],
    ),
    "TF Object Detection": (
        ("a.csv", "tfod_csv", TFOD + "a.jpg,200,100,cat,20,10,60,50\n"),
        [("a.jpg", "cat", *BOX)],
    ),
    "Open Images": (
        ("a.csv", "open_images", OPEN_IMAGES + "a,xclick,/m/01,1,0.1,0.3,0.1,0.5,1,-1\n"),
        [("a.jpg", "/m/01", *BOX)],
    ),
    "Labelbox import": (
        (
            "a.ndjson",
            "labelbox",
            "\n".join(
                json.dumps(
                    {"uuid": str(n), "dataRow": {"globalKey": "a.jpg"}, "name": "cat"} | more
                )
                for n, more in enumerate([{"bbox": LABELBOX_1_BOX["bbox"]}, {"answer": "wet"}])
            ),
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "Labelbox 2": (
        (
            "a.ndjson",
            "labelbox",
            labelbox_2(LABELBOX_2_BOX)
            + "\n"
            + labelbox_2(external_id=None, row_data="https://images.example/d%20r/b.jpg?x=/y"),
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Labelbox 2, other shapes": (
        (
            "a.ndjson",
            "labelbox",
            labelbox_2(
                {
                    "name": "cat",
                    "polygon": [{"x": 20, "y": 10}, {"x": 60, "y": 20}, {"x": 30, "y": 50}],
                },
                {"name": "dog", "line": [{"x": 60, "y": 10}, {"x": 20, "y": 50}]},
            ),
        ),
        [("a.jpg", "cat", *BOX), ("a.jpg", "dog", *BOX)],
    ),
    "Labelbox 1": (
        (
            "a.json",
            "labelbox",
            json.dumps(
                [
                    labelbox_1({"objects": [LABELBOX_1_BOX]}),
                    labelbox_1("Skip", **{"External ID": "b.jpg"}),
                ]
            ),
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Labelbox 1, CSV": (
        (
            "a.csv",
            "labelbox",
            "ID,Labeled Data,Label,External ID\n"
            'x,https://images.example/a.jpg?k,"{""objects"":[{""value"":""cat"",""bbox"":'
            '{""top"":10,""left"":20,""height"":40,""width"":40}}]}",\n'
            "y,https://images.example/1.jpg,Skip,b.jpg\n",
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "chapter": (
        (
            "a.csv",
            "snacks",
            "image_id,x_min,x_max,y_min,y_max,class_name,folder\n01,.1,.3,.1,.5,cat,pets\n",
        ),
        [("pets/01.jpg", "cat", *BOX)],
    ),
}


FILES |= format_files.FILES | TOOL_FILES


def rows_of(frame, folder):
    """Rows of a table in the form of FILES."""
    names = [image.removeprefix(f"{folder}/") for image in frame["image"]]
    classes = [None if pd.isna(name) else name for name in frame["class_name"]]
    boxes = frame[["x_min", "x_max", "y_min", "y_max"]].to_numpy()
    boxes = [(None,) if np.isnan(box).all() else tuple(box.round(12).tolist()) for box in boxes]
    return [(name, label, *box) for name, label, box in zip(names, classes, boxes, strict=True)]


@pytest.fixture
def write(tmp_path):
    def write(name, text, encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding=encoding)
        return path

    return write


SIZED = SIZES | {
    name: (200, 100)
    for name in ("one, two.jpg", "n02017213_7894.JPEG", "images/001.Albatross/a.jpg")
}


def write_all(write, kind, encoding="utf-8"):
    """Write a file of FILES and those next to it; returns the path of the first."""
    (name, _, text, *others), _ = FILES[kind]
    for other in others:
        for path, content in other.items():
            write(path, content)
    return write(name, text, encoding)


@pytest.mark.parametrize("named", [False, True], ids=["recognised", "named"])
@pytest.mark.parametrize("kind", FILES)
def test_file_becomes_rows(write, tmp_path, kind, named):
    (_, format, *_), expected = FILES[kind]
    source = write_all(write, kind)
    frame = read_annotations(source, format=format if named else None, sizes=SIZED)
    assert rows_of(frame, tmp_path) == expected


def test_every_format_is_written_here():
    assert {format for (_, format, *_), _ in FILES.values()} == set(FORMATS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", FILES)
def test_byte_order_mark_is_accepted(write, tmp_path, kind, encoding):
    (_, _, text, *_), expected = FILES[kind]
    if not text:
        pytest.skip("an empty file has no mark")
    source = write_all(write, kind, encoding)
    assert rows_of(read_annotations(source, sizes=SIZED), tmp_path) == expected


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("rectlabel", "COCO"),
        ("rectlabel", "YOLO, polygon and keypoints"),
        ("cvat", "COCO of CVAT, turned box"),
        ("cvat", "YOLO"),
        ("labelimg", "YOLO"),
        ("labelimg", "CreateML"),
    ],
)
def test_name_of_a_tool_covers_its_other_files(write, tmp_path, tool, file):
    (name, _, text), expected = FILES[file]
    frame = read_annotations(write(name, text), format=tool, sizes=SIZES)
    assert rows_of(frame, tmp_path) == expected


# ---------------------------------------------------------------- conventions of corners


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"format": "rectlabel"}, (0.095, 0.3, 0.09, 0.5)),
        ({"format": "pascal_voc"}, (0.095, 0.3, 0.09, 0.5)),
        ({"format": "labelimg"}, BOX),
        ({"format": "cvat"}, BOX),
        ({"format": "rectlabel", "corners": "edges"}, BOX),
        ({"format": "cvat", "corners": "voc"}, (0.095, 0.3, 0.09, 0.5)),
        ({"corners": "voc"}, (0.095, 0.3, 0.09, 0.5)),
        ({"corners": "edges"}, BOX),
    ],
)
def test_corners_are_those_of_the_tool_by_default(write, tmp_path, options, expected):
    # (20 - 1) / 200 is .095 and (10 - 1) / 100 is .09.
    source = write("a.xml", voc(thing("cat", 20, 60, 10, 50)))
    assert rows_of(read_annotations(source, **options), tmp_path) == [("a.jpg", "cat", *expected)]


def test_xml_that_does_not_show_its_tool_is_read_as_edges_with_a_warning(write, tmp_path):
    source = write("a.xml", voc(thing("cat", 20, 60, 10, 50)))
    with pytest.warns(SkbboxWarning, match=r"a.xml does not show.*Pass format=") as warned:
        frame = read_annotations(source)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX)]
    assert warned[0].filename == __file__


def test_files_of_an_unknown_tool_are_read_like_the_others(write, tmp_path):
    write("1.xml", voc(thing("cat", 21, 60, 11, 50), name="1.jpg"))
    write("2.xml", voc(thing("cat", 21, 60, 11, 50, OCCLUDED), name="2.jpg"))
    expected = [("1.jpg", "cat", *BOX), ("2.jpg", "cat", *BOX)]
    assert rows_of(read_annotations(tmp_path), tmp_path) == expected


def test_corner_of_zero_is_not_counted_from_1_in_any_file_of_the_folder(write, tmp_path):
    write("1.xml", voc(thing("cat", 20, 60, 10, 50, OCCLUDED), name="1.jpg"))
    write("2.xml", voc(thing("cat", 0, 60, 10, 50, OCCLUDED), name="2.jpg"))
    with pytest.warns(SkbboxWarning, match=r"2.xml has a corner of 0.*Pass corners='voc'"):
        frame = read_annotations(tmp_path)
    assert rows_of(frame, tmp_path) == [("1.jpg", "cat", *BOX), ("2.jpg", "cat", 0, 0.3, 0.1, 0.5)]


@pytest.mark.parametrize("format", ["rectlabel", "pascal_voc"])
def test_corner_of_zero_in_a_format_that_counts_from_1_is_refused(write, format):
    source = write("a.xml", voc(thing("cat", 0, 60, 10, 50)))
    with pytest.raises(AnnotationError, match=r"a.xml, object 1: a corner is 0.*corners='edges'"):
        read_annotations(source, format=format)


# ---------------------------------------------------------------- options


TURNED = cvat('<box label="cat" xtl="20" ytl="20" xbr="60" ybr="40" rotation="90"/>')


@pytest.mark.parametrize(
    "file", ["RectLabel XML, polygon and curve", "VIA, other shapes and kinds of attributes"]
)
def test_shapes_that_are_skipped_leave_the_image_as_a_row(write, tmp_path, file):
    (name, _, text), expected = FILES[file]
    frame = read_annotations(write(name, text), shapes="skip", sizes=SIZES)
    names = dict.fromkeys(row[0] for row in expected)
    assert rows_of(frame, tmp_path) == [(name, *NOTHING) for name in names]


def test_polygons_of_yolo_that_are_skipped_leave_the_image_as_a_row(write, tmp_path):
    source = write("a.txt", "0 0.1 0.1 0.3 0.1 0.2 0.5\n")
    frame = read_annotations(source, shapes="skip")
    assert rows_of(frame, tmp_path) == [("a.jpg", *NOTHING)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", TURNED, "image 1, box 1: a rotated box is not a box"),
        (*FILES["Sloth"][0][::2], r"\[0\].annotations\[1\]: a polygon is not a box"),
        (*FILES["YOLO, polygon and keypoints"][0][::2], "line 1: a polygon is not a box"),
    ],
)
def test_shapes_are_refused_by_name(write, name, text, message):
    with pytest.raises(AnnotationError, match=message):
        read_annotations(write(name, text), shapes="error", sizes=SIZES)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.json", coco([{"image_id": 7, "category_id": 3, "segmentation": {}}]), "mask"),
        ("a.xml", voc("<object><name>a</name></object>", DEVKIT), "object without <bndbox>"),
        (
            "a.json",
            via([REGION | {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}}]),
            "point",
        ),
    ],
)
def test_kind_of_a_shape_without_a_box_is_in_the_warning(write, name, text, kind):
    with pytest.warns(SkbboxWarning, match=f"left out: 1 {kind}"):
        read_annotations(write(name, text), sizes=SIZES)


def test_shapes_without_a_box_are_counted_in_a_warning(write, tmp_path):
    point = {"class": "point", "x": 1.0, "y": 2.0}
    text = json.dumps([{"filename": "a.jpg", "annotations": [point, point]}])
    with pytest.warns(SkbboxWarning, match="left out: 2 point"):
        frame = read_annotations(write("a.json", text))
    assert rows_of(frame, tmp_path) == [("a.jpg", *NOTHING)]


EARLY = {
    "polygon in text": {"cat": "MULTIPOLYGON (((20 90, 60 80, 30 50, 20 90)))"},
    "rectangle in a list": {"cat": [{"geometry": "POLYGON ((20 90, 60 90, 60 50, 20 50, 20 90))"}]},
    "points": {"cat": [[{"x": 20, "y": 90}, {"x": 60, "y": 50}, {"x": 30, "y": 60}]]},
}


@pytest.mark.parametrize(
    ("y_origin", "expected"), [("top", (0.1, 0.3, 0.5, 0.9)), ("bottom", (0.1, 0.3, 0.1, 0.5))]
)
@pytest.mark.parametrize("label", EARLY.values(), ids=EARLY)
def test_early_labelbox_is_read_from_the_given_side(write, tmp_path, label, y_origin, expected):
    source = write("a.json", json.dumps([labelbox_1(label), labelbox_1({})]))
    frame = read_annotations(source, y_origin=y_origin, sizes=SIZES)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *expected), ("a.jpg", *NOTHING)]


def test_points_of_early_labelbox_have_no_box(write, tmp_path):
    label = {"cat": [{"geometry": {"x": 20, "y": 10}}]}
    with pytest.warns(SkbboxWarning, match="left out: 1 point"):
        frame = read_annotations(write("a.json", json.dumps([labelbox_1(label)])), sizes=SIZES)
    assert rows_of(frame, tmp_path) == [("a.jpg", *NOTHING)]


def test_early_labelbox_requires_y_origin(write):
    source = write("a.json", json.dumps([labelbox_1(EARLY["points"])]))
    with pytest.raises(AnnotationError, match=r"\[0\].Label.cat\[0\].*y_origin='bottom'"):
        read_annotations(source, sizes=SIZES)


def test_early_labelbox_gives_a_box_for_each_outer_ring(write, tmp_path):
    rings = "MULTIPOLYGON (((20 10, 60 20, 30 50), (1 1, 2 2, 3 1)), ((20 10, 60 20, 30 50)))"
    source = write("a.json", json.dumps([labelbox_1({"cat": rings, "weather": "rain"})]))
    frame = read_annotations(source, y_origin="top", sizes=SIZES)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX)] * 2


def test_attribute_that_no_region_has_is_refused(write):
    with pytest.raises(AnnotationError, match=r"no region has the attribute 'Kind'.*\['kind'\]"):
        read_annotations(write("a.json", via([REGION])), sizes=SIZES, class_attribute="Kind")


def test_tfod_csv_without_a_header_is_not_recognised(write):
    source = write("a.csv", "a.jpg,200,100,cat,20,10,60,50\n")
    with pytest.raises(AnnotationError, match="none of the known formats"):
        read_annotations(source)


def test_class_attribute_is_required_if_there_are_several(write, tmp_path):
    region = REGION | {"region_attributes": {"kind": "cat", "colour": "red"}}
    source = write("a.json", via([region]))
    with pytest.raises(AnnotationError, match=r"\['kind', 'colour'\].*class_attribute='kind'"):
        read_annotations(source, sizes=SIZES)
    frame = read_annotations(source, sizes=SIZES, class_attribute="colour")
    assert frame["class_name"].iloc[0] == "red"


@pytest.mark.parametrize(
    "side_files",
    [
        {"classes.txt": "cat\ndog\n"},
        {"obj.names": "cat\ndog"},
        {"data.yaml": "names: [cat, dog]\n"},
        {"data.yaml": "path: .\nnames:\n  0: cat\n  1: dog\n"},
        {"data.yaml": "names: [cat, dog]\n", "a.yaml": "names:\n"},
    ],
)
@pytest.mark.parametrize("folder", ["", "labels/", "labels/train/"])
def test_names_of_yolo_are_found_next_to_or_above_the_boxes(write, tmp_path, side_files, folder):
    for name, text in side_files.items():
        write(name, text)
    source = write(f"{folder}a.txt", "1 0.2 0.3 0.2 0.4\n")
    assert read_annotations(source)["class_name"].tolist() == ["dog"]


@pytest.mark.parametrize("names", [["cat", "dog"], {1: "dog"}, {"1": "dog"}])
def test_names_of_classes_can_be_given(write, names):
    write("classes.txt", "wrong\nwrong\n")
    source = write("a.txt", "1 0.2 0.3 0.2 0.4\n")
    assert read_annotations(source, class_names=names)["class_name"].tolist() == ["dog"]


def test_class_descriptions_of_open_images_can_be_given(write):
    source = write(*FILES["Open Images"][0][::2])
    names = write("class-descriptions.csv", 'LabelName,DisplayName\n/m/01,"Cat, tabby"\n')
    assert read_annotations(source, class_names=names)["class_name"].tolist() == ["Cat, tabby"]


def test_names_of_classes_can_be_in_yaml_of_any_name(write):
    names = write("given.yaml", "names: [cat, dog]\n")
    source = write("labels/a.txt", "1 0.2 0.3 0.2 0.4\n")
    assert read_annotations(source, class_names=names)["class_name"].tolist() == ["dog"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("names.yaml", "nc: 2\n", "the key names is missing"),
        ("names.yaml", "names: [cat\n", "not valid YAML"),
        ("names.yaml", "names: cat\n", "names must be a list of names"),
        ("names.yaml", "names: [yes, no]\n", "names yes, no, on and off in quotation marks"),
        ("names.csv", "/m/01,cat\n/m/02\n", "line 2: expected a code and a class name. Received 1"),
        ("names.csv", "/m/01," + "cat" * 50_000, "field larger than field limit"),
        ("names.txt", "cat\n" * 300_000, "at most 1048576 bytes"),
        ("names.txt", "crème\n", "not UTF-8: .*save it as UTF-8"),
    ],
)
def test_names_of_classes_that_cannot_be_read_are_refused(write, name, text, message):
    source = write("a.txt", "0 0.2 0.3 0.2 0.4\n")
    with pytest.raises(AnnotationError, match=rf"{name}.*{message}"):
        read_annotations(source, class_names=write(name, text, "latin-1"))


def test_tilde_in_the_path_of_class_names_is_the_home_folder(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("given.txt", "cat\ndog\n")
    source = write("labels/a.txt", "1 0.2 0.3 0.2 0.4\n")
    assert read_annotations(source, class_names="~/given.txt")["class_name"].tolist() == ["dog"]


def test_missing_file_of_class_names_is_named(write, tmp_path):
    source = write("a.txt", "0 0.2 0.3 0.2 0.4\n")
    with pytest.raises(FileNotFoundError, match=r"class_names: .*nowhere.txt does not exist"):
        read_annotations(source, class_names=tmp_path / "nowhere.txt")


def test_blank_line_among_the_names_of_classes_is_refused(write):
    write("classes.txt", "cat\n\ndog\n")
    with pytest.raises(AnnotationError, match=r"classes.txt, line 2: the class name is missing"):
        read_annotations(write("a.txt", "1 0.2 0.3 0.2 0.4\n"))


@pytest.mark.parametrize("names", [None, {0: "cat", 1: "dog"}])
def test_class_without_a_name_is_refused(write, names):
    write("classes.txt", "cat\ndog\n")
    source = write("a.txt", "2 0.2 0.3 0.2 0.4\n")
    with pytest.raises(AnnotationError, match=r"a.txt, line 1: there is no name for class '2'"):
        read_annotations(source, class_names=names)


def test_class_of_sloth_can_be_in_another_attribute(write, tmp_path):
    thing = {"class": "rect", "animal": "cat", "x": 20, "y": 10, "width": 40, "height": 40}
    text = json.dumps([{"filename": "a.jpg", "annotations": [thing]}])
    frame = read_annotations(write("a.json", text), class_attribute="animal", sizes=SIZES)
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX)]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("corners", "inside"),
        ("y_origin", "left"),
        ("shapes", "keep"),
        ("format", "voc"),
        ("yolo_rows", "pose"),
    ],
)
def test_unknown_value_of_an_option_shows_the_known_ones(write, option, value):
    with pytest.raises(AnnotationError, match=f"{option} must be one of .*Received: '{value}'"):
        read_annotations(write("a.txt", ""), **{option: value})


@pytest.mark.parametrize("sizes", [[("a.jpg", 1, 2)], {"a.jpg": 3}, {"a.jpg": (0, 5)}])
def test_invalid_sizes_are_refused(write, sizes):
    with pytest.raises(AnnotationError, match=r"sizes.*Received"):
        read_annotations(write("a.txt", ""), sizes=sizes)


# ---------------------------------------------------------------- sizes and images


def test_size_comes_from_the_upright_image_if_the_file_has_none(write, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotated by 90 degrees: 200 wide and 100 high when upright.
    Image.new("RGB", (100, 200)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (200, 100)).save(tmp_path / "b.jpg")
    source = write(*FILES["CreateML"][0][::2])
    assert rows_of(read_annotations(source), tmp_path) == FILES["CreateML"][1]


@pytest.mark.parametrize("size", [(0, 0), (200, 0), ("", "")])
def test_size_of_zero_is_looked_up_in_the_image(write, tmp_path, size):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg")
    source = write("a.xml", voc(thing("cat", 20, 60, 10, 50), LABELIMG, PATH, size=size))
    assert rows_of(read_annotations(source), tmp_path) == [("a.jpg", "cat", *BOX)]


def test_unknown_size_is_an_error(write):
    source = write(*FILES["CreateML"][0][::2])
    with pytest.raises(
        AnnotationError,
        match=r"a.json, \[0\].annotations\[0\]: the size of 'a.jpg'.*does not exist"
        r".*sizes=\{'a.jpg': \(width, height\)\}.*images_dir=",
    ):
        read_annotations(source)


@pytest.mark.parametrize("ending", [".jpeg", ".PNG", ".webp"])
def test_yolo_finds_images_with_any_extension(write, tmp_path, ending):
    Image.new("RGB", (20, 10)).save(tmp_path / f"a{ending}")
    source = write("a.txt", "0 0.2 0.3 0.2 0.4\n")
    assert rows_of(read_annotations(source), tmp_path) == [(f"a{ending}", "0", *BOX)]


def test_several_images_that_match_a_file_of_yolo_are_named(write, tmp_path):
    for name in ("x/a.jpg", "y/a.png"):
        write(f"images/{name}", "")
    source = write("labels/a.txt", "0 0.2 0.3 0.2 0.4\n")
    with pytest.raises(AnnotationError, match=r"several images match a: .*x/a.jpg.*y/a.png"):
        read_annotations(source, images_dir=tmp_path / "images")


def test_yolo_finds_images_in_the_folder_next_to_labels(write, tmp_path):
    (tmp_path / "images" / "train").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "train" / "a.png")
    source = write("labels/train/a.txt", "0 0.2 0.3 0.2 0.4\n")
    expected = [("images/train/a.png", "0", *BOX)]
    assert rows_of(read_annotations(source), tmp_path) == expected


def test_image_without_a_file_of_boxes_is_a_row_of_yolo(write, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (20, 10)).save(tmp_path / "images" / name)
    source = write("labels/a.txt", "0 0.2 0.3 0.2 0.4\n").parent
    frame = read_annotations(source, images_dir=tmp_path / "images")
    assert rows_of(frame, tmp_path / "images") == [("a.jpg", "0", *BOX), ("b.jpg", *NOTHING)]


def test_images_of_a_project_of_cvat_lie_in_folders_of_their_subsets(write, tmp_path):
    box = '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="50"/>'
    text = cvat(box).replace('id="0"', 'id="0" subset="Train"')
    source = write("a.xml", text)
    assert rows_of(read_annotations(source), tmp_path)[0] == ("a.jpg", "cat", *BOX)
    (tmp_path / "Train").mkdir()
    Image.new("RGB", (200, 100)).save(tmp_path / "Train" / "a.jpg")
    assert rows_of(read_annotations(source), tmp_path)[0] == ("Train/a.jpg", "cat", *BOX)


@pytest.mark.parametrize("subsets", [("Train", "Test"), ("Train", "")])
def test_images_of_several_subsets_may_have_the_same_name(write, tmp_path, subsets):
    box = '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="50"/>'
    text = cvat(box).replace("b.jpg", "a.jpg")
    for number, subset in enumerate(subsets):
        text = text.replace(f'id="{number}"', f'id="{number}" subset="{subset}"')
    expected = [f"{subset}/a.jpg".lstrip("/") for subset in subsets]
    rows = rows_of(read_annotations(write("a.xml", text)), tmp_path)
    assert rows == [(expected[0], "cat", *BOX), (expected[1], *NOTHING)]


def test_images_of_several_videos_of_the_same_name_are_refused(write):
    with pytest.raises(AnnotationError, match=r"image 2: several images are called 'a.jpg'"):
        read_annotations(write("a.xml", cvat("").replace("b.jpg", "a.jpg")))


def test_frames_of_a_video_are_found_with_any_extension(write, tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "frame_000003.PNG")
    frame = read_annotations(write(*FILES["CVAT video"][0][::2]))
    assert [row[0] for row in rows_of(frame, tmp_path)] == ["frame_000003.PNG", "frame_000012"]


@pytest.mark.parametrize("image", ["n01_18.JPEG", "n01_18.png"])
@pytest.mark.parametrize("images_dir", [None, "images"])
def test_name_without_an_ending_is_that_of_the_image(write, tmp_path, image, images_dir):
    folder = tmp_path if images_dir is None else tmp_path / images_dir / "n01"
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 100)).save(folder / image)
    source = write("a.csv", TFOD + "n01_18,200,100,cat,20,10,60,50\n")
    frame = read_annotations(source, images_dir=images_dir and tmp_path / images_dir)
    assert rows_of(frame, folder) == [(image, "cat", *BOX)]


def test_name_without_an_ending_that_two_images_have_is_refused(write, tmp_path):
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (200, 100)).save(tmp_path / name)
    with pytest.raises(AnnotationError, match=r"several images match a: .*a.png"):
        read_annotations(write("b.csv", TFOD + "a,200,100,cat,20,10,60,50\n"))


@pytest.mark.parametrize(
    "name",
    [
        "https://images.example/x%20y/a.jpg?key=1",
        "s3://bucket/p/a.jpg",
        "file:///p/a.jpg",
        "http://localhost:8080/data/local-files/?d=x%2Fy/a.jpg",
    ],
)
def test_url_names_its_last_part(write, tmp_path, name):
    source = write("a.csv", TFOD + f"{name},200,100,cat,20,10,60,50\n")
    assert rows_of(read_annotations(source), tmp_path) == [("a.jpg", "cat", *BOX)]


@pytest.mark.parametrize(
    "name",
    ["https://images.example/x/a.jpg", "C:/data/x/a.jpg", r"C:\data\x\a.jpg", "/nowhere/x/a.jpg"],
)
def test_longest_end_of_a_foreign_path_that_exists_is_the_image(write, tmp_path, name):
    (tmp_path / "images" / "x").mkdir(parents=True)
    for image in ("images/a.jpg", "images/x/a.jpg"):
        Image.new("RGB", (200, 100)).save(tmp_path / image)
    source = write("a.csv", TFOD + f"{name},200,100,cat,20,10,60,50\n")
    frame = read_annotations(source, images_dir=tmp_path / "images")
    assert rows_of(frame, tmp_path / "images") == [("x/a.jpg", "cat", *BOX)]


@pytest.mark.parametrize("name", ["https://images.example/x/a", "C:/data/x/a"])
def test_foreign_path_without_an_ending_is_the_image_of_that_name(write, tmp_path, name):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    source = write("a.csv", TFOD + f"{name},200,100,cat,20,10,60,50\n")
    assert rows_of(read_annotations(source), tmp_path) == [("a.png", "cat", *BOX)]


def test_two_urls_of_the_same_last_part_are_refused(write):
    rows = "".join(f"https://h.example/{n}/a.jpg,200,100,cat,20,10,60,50\n" for n in (1, 1, 2))
    with pytest.raises(AnnotationError, match=r"line 4: two images, .*1/a.jpg.*2/a.jpg.* would"):
        read_annotations(write("a.csv", TFOD + rows))


@pytest.mark.parametrize("url", ["https://h.example/", "https://[h/a.jpg", "https://h/.."])
def test_url_without_an_image_is_refused(write, url):
    with pytest.raises(
        AnnotationError, match=r"line 2: .*(is empty|contains no image|not a valid URL)"
    ):
        read_annotations(write("a.csv", TFOD + f"{url},200,100,cat,20,10,60,50\n"))


def test_key_of_labelbox_without_an_ending_has_that_of_its_url(write, tmp_path):
    url = "https://images.example/x/key.png?k=1"
    text = labelbox_2(LABELBOX_2_BOX, external_id=None, global_key="key", row_data=url)
    frame = read_annotations(write("a.ndjson", text))
    assert rows_of(frame, tmp_path) == [("key.png", "cat", *BOX)]


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_size_that_is_transposed_warns_and_is_a_problem(write, tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (200, 100)).save(tmp_path / f"a.{ending}", exif=exif)
    source = write("a.csv", TFOD + 2 * f"a.{ending},200,100,cat,20,10,60,50\n")
    if orientation == 1:
        assert "transposed_size" not in read_annotations(source)
        return
    with pytest.warns(SkbboxWarning, match=r"of 1 images exchanged.*200 x 100 in .*100 x 200 upr"):
        frame = read_annotations(source)
    problems = check_annotations(frame, min_images=1)
    assert problems.loc[problems["problem"] == "transposed size", "row"].tolist() == [0]


def test_orientation_behind_the_pixels_of_a_png_is_found(write, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (200, 100))
    image.save(tmp_path / "turned.png", exif=exif)
    image.save(tmp_path / "a.png")
    turned, plain = ((tmp_path / name).read_bytes() for name in ("turned.png", "a.png"))
    start = turned.index(b"eXIf") - 4
    chunk = turned[start : start + 12 + int.from_bytes(turned[start : start + 4], "big")]
    (tmp_path / "a.png").write_bytes(plain[:-12] + chunk + plain[-12:])
    source = write("a.csv", TFOD + "a.png,200,100,cat,20,10,60,50\n")
    with pytest.warns(SkbboxWarning, match="1 images exchanged"):
        read_annotations(source)


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "/etc/passwd", "b/../../a.jpg", "..\\\\a.jpg", "C:\\\\a.jpg", "a\\u0000.jpg"],
)
@pytest.mark.parametrize("images_dir", [None, "."])
def test_image_outside_the_folder_is_refused(write, name, images_dir):
    text = FILES["CreateML"][0][2].replace("a.jpg", name)
    with pytest.raises(AnnotationError, match=r"a.json, \[0\].*: the image is outside"):
        read_annotations(write("a.json", text), images_dir=images_dir, sizes=SIZES)


@pytest.mark.parametrize("name", ["", "a/"])
def test_empty_name_of_an_image_is_refused(write, name):
    text = FILES["CreateML"][0][2].replace("a.jpg", name)
    with pytest.raises(AnnotationError, match=r"a.json, \[0\].*: the name of the image is empty"):
        read_annotations(write("a.json", text), sizes=SIZES)


def test_image_outside_the_folder_is_named_with_its_place_in_xml(write):
    text = voc(thing("cat", 21, 60, 11, 50), DEVKIT, name="../a.jpg")
    with pytest.raises(AnnotationError, match=r"a.xml.*: the image is outside"):
        read_annotations(write("a.xml", text))


@pytest.mark.parametrize("name", ["./a.jpg", "x/./a.jpg", "x//a.jpg"])
def test_name_of_an_image_is_written_in_its_shortest_form(write, tmp_path, name):
    source = write("a.csv", TFOD + f"{name},200,100,cat,20,10,60,50\n")
    assert rows_of(read_annotations(source), tmp_path)[0][0] == name.replace("./", "").replace(
        "//", "/"
    )


def test_absolute_name_inside_the_folder_is_accepted(write, tmp_path):
    text = FILES["CreateML"][0][2].replace("a.jpg", f"{tmp_path}/pets/a.jpg")
    frame = read_annotations(write("a.json", text), sizes=SIZES, images_dir=tmp_path)
    assert rows_of(frame, tmp_path)[0] == ("pets/a.jpg", "cat", *BOX)


# ---------------------------------------------------------------- several files


def test_folder_and_pattern_give_the_files_in_order_of_their_names(write, tmp_path):
    write("2.txt", "1 0.2 0.3 0.2 0.4\n")
    write("1.txt", "0 0.2 0.3 0.2 0.4\n")
    write("README.txt", "about\n")
    write("train.txt", "images/1.jpg\n")
    write("ImageSets/Main/cats.txt", "1\n2\n")
    expected = [("1.jpg", "0", *BOX), ("2.jpg", "1", *BOX)]
    assert rows_of(read_annotations(tmp_path), tmp_path) == expected
    assert rows_of(read_annotations(tmp_path / "[12].txt"), tmp_path) == expected
    assert rows_of(read_annotations(f"{tmp_path}/?.txt", format="yolo"), tmp_path) == expected


def test_folder_of_several_formats_is_refused(write, tmp_path):
    write("a.txt", "1 0.2 0.3 0.2 0.4\n")
    write(*FILES["COCO"][0][::2])
    with pytest.raises(AnnotationError, match=r"several formats.*coco.*yolo|several.*yolo.*coco"):
        read_annotations(tmp_path)


def test_pattern_of_one_file_gives_its_boxes(write, tmp_path):
    write("classes.txt", "cat\n")
    write("a.txt", "0 0.2 0.3 0.2 0.4\n")
    assert read_annotations(tmp_path / "a*.txt")["class_name"].tolist() == ["cat"]


def test_voc_of_an_unknown_tool_beside_another_format_is_refused(write, tmp_path):
    source = write("a.xml", voc(thing("cat", 20, 60, 10, 50)))
    write("b.csv", TFOD)
    with pytest.raises(AnnotationError, match=rf"'VOC of an unknown tool': '{source}'"):
        read_annotations(tmp_path)


def test_pattern_without_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\*.xml does not exist"):
        read_annotations(tmp_path / "*.xml")


@pytest.mark.parametrize("stem", ["train", "readme_2", "license_plate_1"])
def test_boxes_of_images_with_odd_names_are_read(write, tmp_path, stem):
    write(f"{stem}.txt", "0 0.2 0.3 0.2 0.4\n")
    write("classes.txt", "cat\n")
    for source in (tmp_path, tmp_path / "*.txt"):
        assert rows_of(read_annotations(source), tmp_path) == [(f"{stem}.jpg", "cat", *BOX)]


@pytest.mark.parametrize("folder", [".ipynb_checkpoints", "__MACOSX", ".git/x"])
def test_folders_that_are_not_the_users_are_left_out(write, tmp_path, folder):
    write(f"{folder}/b.txt", "0 0.2 0.3 0.2 0.4\n")
    write("a.txt", "0 0.2 0.3 0.2 0.4\n")
    assert rows_of(read_annotations(tmp_path), tmp_path) == [("a.jpg", "0", *BOX)]


def test_yaml_of_other_tools_is_ignored(write, tmp_path):
    write("mkdocs.yml", "a: !!python/name:os.system\n--- {")
    source = write("labels/a.txt", "0 0.2 0.3 0.2 0.4\n")
    assert read_annotations(source)["class_name"].tolist() == ["0"]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", voc(thing("cat", 21, 60, 11, 50), DEVKIT)[:-30], "not well-formed XML"),
        (
            "a.xml",
            voc(thing("cat", "one", 60, 11, 50), DEVKIT),
            "object 1, bndbox: <xmin> is not a number. Received: 'one'",
        ),
        ("a.xml", voc(thing("cat", "nan", 60, 11, 50), DEVKIT), "<xmin> is not a number"),
        ("a.xml", voc(thing("cat", "1_0", 60, 11, 50), DEVKIT), "<xmin> is not a number"),
        ("a.xml", voc("<object><bndbox/></object>", DEVKIT), "object 1: <name> is missing"),
        (
            "a.xml",
            voc("<object><name>a</name><bndbox/></object>", DEVKIT),
            "object 1, bndbox: <xmin> is missing",
        ),
        (
            "a.xml",
            voc(thing("cat", 1, 2, 1, 2), DEVKIT).replace("filename", "file"),
            "<filename> is missing",
        ),
        (
            "a.xml",
            cvat('<box label="cat" xtl="1" ytl="1" xbr="2"/>'),
            "image 1, box 1: the attribute ybr is missing",
        ),
        (
            "a.xml",
            cvat('<polygon label="cat" points="1,2;3"/>'),
            "image 1, polygon 1: expected a point with two numbers. Received: ",
        ),
        (
            "a.xml",
            cvat(
                '<track label="a"><box frame="x" xtl="1" ytl="1" xbr="2" ybr="2"/></track>',
                images=False,
            ),
            "track 1, box 1: frame must be an integer",
        ),
        (
            "a.xml",
            cvat(
                "<track/>",
                2 * "<original_size><width>200</width><height>100</height></original_size>",
                images=False,
            ),
            "this is a project of several videos",
        ),
        (
            "a.xml",
            voc("<object><name>a</name><polygon><x1>20</x1></polygon></object>", DEVKIT),
            "object 1, polygon 1: point 1 has no y",
        ),
        (
            "a.xml",
            '<?xml version="1.0" encoding="klingon"?><annotation/>',
            "the encoding of this XML file cannot be read",
        ),
        (
            "a.xml",
            cvat('<mask label="m" rle="1, 2" left="20" top="10" width="40" height="40"/>'),
            "image 1, mask 1: rle must be the lengths of runs .* add up to 40 x 40.*'1, 2'",
        ),
        (
            "a.xml",
            cvat('<mask label="m" rle="1, -1, 2" left="20" top="10" width="2" height="1"/>'),
            "image 1, mask 1: rle must be the lengths of runs",
        ),
        (
            "a.json",
            coco([{"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]}]),
            r"annotations\[0\]: image_id 8 is not among",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]}]),
            r"annotations\[0\]: category_id 4 is not among",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3]}]),
            r"annotations\[0\].bbox: expected four numbers. Received 3",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, "4"]}]),
            r"annotations\[0\].bbox\[3\]: expected a number. Received: '4'",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, True]}]),
            r"bbox\[3\]: expected a number",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 10**400]}]),
            r"bbox\[3\]: expected a number",
        ),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "segmentation": [[1, 2, 3]]}]),
            r"segmentation\[0\]: expected pairs of x and y. Received 3 numbers",
        ),
        ("a.json", coco({}), "annotations: expected a list"),
        ("a.json", coco([], file_name=["a.jpg"]), r"images\[0\].file_name: expected text"),
        ("a.json", coco([])[:-5], "not valid JSON"),
        (
            "a.json",
            coco([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, float("nan")]}]),
            "NaN is not a number",
        ),
        (
            "a.json",
            '{"images": [], "annotations": [], "images": []}',
            "duplicate key 'images'",
        ),
        (
            "a.txt",
            "0 0.2 0.3 0.2 0.4\n0 0.2 0.3 0.2\n",
            "line 2: expected a class and four numbers. Received 4 fields",
        ),
        ("a.txt", "0 0.2 0.3 0.2 0.4\n0 0.2 0.3\n", "line 2: expected a class and four numbers"),
        (
            "a.txt",
            "0 0.2 0.3 0.2 0.4\ncat 0.2 0.3 0.2 0.4\n",
            "line 2: the class must be an integer",
        ),
        ("a.txt", "0 0.2 0.3 0.2 0.4\n0 0.2 0.3 0.2 x\n", "line 2: field 5 is not a number"),
        (
            "a.csv",
            TFOD + "a.jpg,200,100,cat,20,10,60\n",
            "line 2: expected 8 fields, as in the header. Received 7",
        ),
        ("a.csv", TFOD + "a.jpg,200,100,cat,20,ten,60,50\n", "line 2: ymin is not a number"),
        (
            "a.csv",
            "filename,width,width,height,class,xmin,ymin,xmax,ymax\n",
            "the column width appears 2 times",
        ),
        (
            "a.csv",
            OPEN_IMAGES + "a,x,/m/01,1,0.1,0.3,0.1,0.5,2,0\n",
            "line 2: IsOccluded must be 0, 1 or -1",
        ),
        (
            "a.csv",
            VIA_CSV + "a.jpg,1,{},1,0,{,{}\n",
            "line 2: region_shape_attributes is not valid JSON",
        ),
        ("a.csv", "path,annotations\na.jpg,[{\n", "line 2: annotations are neither JSON"),
        (
            "a.csv",
            "path,annotations\na.jpg\n",
            "line 2: expected a path and annotations. Received 1",
        ),
        (
            "a.csv",
            "path,annotations\na.jpg," + "x" * 140_000,
            "line 2: field larger than field limit",
        ),
        ("a.csv", "image,class\ra.jpg,cat\r", "none of the known formats"),
        ("a.json", via([{"shape_attributes": {"name": "star"}}]), r"unknown shape 'star'"),
        (
            "a.csv",
            "image,id,name,xMin,xMax,yMin,yMax\na.jpg,x,cat,1,2,3,4\n",
            "line 2: the number of the box",
        ),
        (
            "a.csv",
            "image,id,name,xMin,xMax,yMin,yMax\na.jpg,1,cat\n",
            "line 2: expected at least 7 fields. Received 3",
        ),
        (
            "a.json",
            json.dumps(
                [{"filename": "a.jpg", "annotations": [{"class": "a", "xn": "1;2", "yn": "3"}]}]
            ),
            r"annotations\[0\]: expected the same number of x and y. Received 2 and 1",
        ),
        ("a.json", via(5), "regions: expected a list. Received: 5"),
        (
            "a.json",
            via(
                [
                    {
                        "shape_attributes": {
                            "name": "polygon",
                            "all_points_x": [1, 2],
                            "all_points_y": [3],
                        }
                    }
                ]
            ),
            "shape_attributes: expected the same number of x and y. Received 2 and 1",
        ),
        (
            "a.json",
            json.dumps([labelbox_1("cat")]),
            "Label: expected an object or Skip. Received: 'cat'",
        ),
        (
            "a.json",
            json.dumps([labelbox_1({"cat": "POLYGON ((1 2"})]),
            "not valid well-known text",
        ),
        (
            "a.json",
            json.dumps([labelbox_1("Skip", **{"Labeled Data": "https://[x/a.jpg"})]),
            "not a valid URL",
        ),
        (
            "a.json",
            json.dumps([labelbox_1("Skip", **{"Labeled Data": "https://images.example/"})]),
            "the URL contains no image name",
        ),
        (
            "a.csv",
            "ID,Labeled Data,Label,External ID\nx,https://images.example/a.jpg,{,\n",
            "line 2: Label is neither JSON nor Skip",
        ),
        (
            "a.json",
            labelbox_2({"name": "cat", "bounding_box": {"top": 1}}),
            r"projects.p1.labels\[0\].annotations.objects\[0\].bounding_box: left is missing",
        ),
        (
            "a.json",
            '{"annotations": [], "images": [{"id": 1}, {"id": 1}]}',
            r"images\[1\]: duplicate id 1",
        ),
        (
            "a.csv",
            TFOD + 'a.jpg,200,100,"cat,20,10,60,50\n' * 2,
            "a quotation mark may be unclosed",
        ),
        (
            "a.json",
            via(
                [
                    REGION
                    | {
                        "shape_attributes": {
                            "name": "ellipse",
                            "cx": 1,
                            "cy": 1,
                            "rx": 1,
                            "ry": 1,
                            "theta": 1e308,
                        }
                    }
                ]
            ),
            "a number is too large",
        ),
        (
            "a.json",
            labelbox_2(LABELBOX_2_BOX).replace('"objects"', '"frames"'),
            "this annotates a video",
        ),
        ("a.json", "", "is empty"),
        ("a.xml", "  \n", "is empty"),
        ("a.xml", "<html></html>", "none of the known formats"),
        ("a.json", "[[1, 2]]", "none of the known formats"),
        ("a.txt", "Notes of the day", "none of the known formats"),
    ],
)
def test_invalid_record_is_named(write, name, text, message):
    with pytest.raises(AnnotationError, match=rf"{name}.*{message}"):
        read_annotations(write(name, text), sizes=SIZES)


def test_entities_of_xml_are_refused(write):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]>' + voc(thing("&b;", 1, 2, 1, 2), DEVKIT)
    with pytest.raises(AnnotationError, match=r"a.xml: XML entities are refused"):
        read_annotations(write("a.xml", bomb))


@pytest.mark.parametrize("character", ["[", "{", "<a>", '{"a":[', "[1,["])
def test_deep_nesting_is_refused(write, character):
    with pytest.raises(AnnotationError, match=r"a.x: nested (deeper than 100|too deep)"):
        read_annotations(write("a.x", character * 100_000))


def test_text_in_latin_1_is_named_and_xml_may_say_so(write, tmp_path):
    text = voc(thing("crème", 21, 60, 11, 50), DEVKIT)
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?>' + text
    frame = read_annotations(write("a.xml", declared, "latin-1"))
    assert rows_of(frame, tmp_path) == [("a.jpg", "crème", *BOX)]
    with pytest.raises(AnnotationError, match=r"a.xml: .*not well-formed XML"):
        read_annotations(write("a.xml", text, "latin-1"))
    with pytest.raises(AnnotationError, match=r"a.csv is not UTF-8"):
        read_annotations(write("a.csv", TFOD + "a.jpg,200,100,crème,20,10,60,50\n", "latin-1"))
    with pytest.raises(AnnotationError, match=r"a.json is not UTF-8"):
        read_annotations(write("a.json", '["crème"]', "latin-1"))


@pytest.mark.parametrize(
    "file",
    [
        FILES["Sloth"][0],
        FILES["TF Object Detection"][0],
        ("page.xml", None, "<html/>"),
        ("notes.md", None, "Notes of the day\n"),
    ],
    ids=["JSON", "CSV", "XML", "text"],
)
@pytest.mark.parametrize("format", FORMATS)
def test_file_of_another_tool_or_of_none_is_refused_by_name(write, format, file):
    name, own, text = file
    # A table may have any columns.
    if format not in (own, "table") or name in ("page.xml", "notes.md"):
        with pytest.raises(AnnotationError, match=name):
            read_annotations(write(name, text), format=format, sizes=SIZES)


def test_identifiers_of_coco_may_be_text(write, tmp_path):
    text = coco([{"image_id": "a1", "category_id": 3, "bbox": [20, 10, 40, 40]}], id="a1")
    frame = read_annotations(write("a.json", text))
    assert rows_of(frame, tmp_path) == [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)]


def test_further_values_of_the_format_become_columns(write):
    source = write("tags.xml", cvat('<tag label="blurred"/><tag label="dark"/>'))
    assert read_annotations(source)["tags"].iloc[0] == "blurred,dark"
    flags = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
    source = write("a.xml", voc(thing("cat", 21, 60, 11, 50, flags), DEVKIT))
    row = read_annotations(source).iloc[0]
    assert row[["folder", "pose", "truncated", "difficult"]].tolist() == ["snaps", "Left", 1, 0]
    row = read_annotations(write(*FILES["Open Images"][0][::2])).iloc[0]
    assert row["occluded"] == 1
    assert row["inside"] is None or np.isnan(row["inside"])


# ---------------------------------------------------------------- columns about the split


@pytest.mark.parametrize(
    "text",
    [
        "image_id,x_min,x_max,y_min,y_max,class_name,folder,group,split\n"
        "a,0.1,0.5,0.2,0.9,cat,f,7,train\nb,0.1,0.5,0.2,0.9,cat,f,,val\n",
        "group,split,image,x_min,x_max,y_min,y_max,class_name\n"
        "7,train,f/a.jpg,0.1,0.5,0.2,0.9,cat\n,val,f/b.jpg,,,,,\n",
    ],
)
def test_split_and_group_of_the_chapters_csv_are_kept(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    boxes = read_annotations(tmp_path / "labels.csv")
    assert boxes["split"].tolist() == ["train", "val"]
    assert boxes["group"][0] == "7"
    assert boxes["group"].isna().tolist() == [False, True]
    assert boxes["image"].str.endswith("b.jpg").tolist() == [False, True]
