"""The readers of all formats by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .formats import (
    coco,
    createml,
    cub,
    cvat,
    darwin,
    datumaro,
    fiftyone,
    ground_truth,
    hugging_face,
    imagenet,
    kitti,
    label_studio,
    labelbox,
    labelimg,
    labelme,
    open_images,
    oxford_pet,
    pascal_voc,
    rectlabel,
    roboflow,
    simple_image_annotator,
    sloth,
    snacks,
    stanford_dogs,
    superannotate,
    supervisely,
    table,
    tfod_csv,
    tiny_imagenet,
    via,
    vott,
    wider_face,
    yolo,
)

if TYPE_CHECKING:
    from .formats import Format

__all__ = ["COUNTED_FROM_1", "FORMATS", "VOC_TOOLS"]

#: Readers by the name of their format. Each is a module; see :class:`formats.Reader`.
FORMATS: dict[str, Format] = {
    "snacks": snacks,
    "rectlabel": rectlabel,
    "labelbox": labelbox,
    "simple_image_annotator": simple_image_annotator,
    "sloth": sloth,
    "cvat": cvat,
    "labelimg": labelimg,
    "pascal_voc": pascal_voc,
    "coco": coco,
    "yolo": yolo,
    "createml": createml,
    "tfod_csv": tfod_csv,
    "via": via,
    "open_images": open_images,
    "imagenet": imagenet,
    "tiny_imagenet": tiny_imagenet,
    "cub": cub,
    "stanford_dogs": stanford_dogs,
    "oxford_pet": oxford_pet,
    "kitti": kitti,
    "wider_face": wider_face,
    "hugging_face": hugging_face,
    "label_studio": label_studio,
    "labelme": labelme,
    "vott": vott,
    "ground_truth": ground_truth,
    "supervisely": supervisely,
    "superannotate": superannotate,
    "darwin": darwin,
    "datumaro": datumaro,
    "fiftyone": fiftyone,
    "roboflow": roboflow,
    # The last, because it reads the columns of many others.
    "table": table,
}

#: Formats of the tools that write Pascal VOC's XML.
VOC_TOOLS = ("rectlabel", "cvat", "labelimg", "pascal_voc", "label_studio", "labelme")
#: Those of them that count pixels from 1.
COUNTED_FROM_1 = ("rectlabel", "pascal_voc", "oxford_pet")
