"""Data sets of Hugging Face's library ``datasets`` as tables, without importing it."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ..exceptions import DataError

__all__ = ["find_other_count", "to_pandas"]

#: Keys of the classes among the objects of an image.
CATEGORIES = ("category", "categories", "label", "labels")
#: EXIF's tag of the orientation, and the values with which width and height are exchanged.
ORIENTATION, TURNED = 274, (5, 6, 7, 8)


def to_pandas(dataset: Any) -> Any:
    """Convert a data set or one of its columns to pandas.

    Parameters
    ----------
    dataset : datasets.Dataset or a column of it
        Images become paths, or PIL images that are decoded when they are used. The column
        ``objects``, with lists ``bbox`` (x, y, width, height in pixels, as in COCO) and
        ``category``, becomes the columns of ``TARGET_COLUMNS`` if no image has several objects.
        They are missing for an image without an object.

    Returns
    -------
    DataFrame or Series

    Raises
    ------
    DataError
        If it is a dictionary of data sets, or has no length.
    """
    if hasattr(dataset, "keys"):
        part = next(iter(dataset), "train")
        raise DataError(
            f"This is a dictionary of the data sets {list(dataset)}. Pass one of them, such as "
            f"data[{part!r}]."
        )
    if not hasattr(dataset, "__len__"):
        raise DataError(
            "A data set that is streamed has no length. Load it without streaming=True."
        )
    if not hasattr(dataset, "column_names"):
        return pd.Series(list(dataset), dtype=object)
    features = dataset.features
    dataset = dataset.with_format(None)
    for name, feature in features.items():
        if type(feature).__name__ == "Image":
            dataset = dataset.cast_column(name, type(feature)(decode=False))
    columns: dict[str, Any] = {}
    for name, feature in features.items():
        values = list(dataset[name])
        if type(feature).__name__ == "Image":
            values = [_open_image(value) for value in values]
        elif names := _get_names(feature):
            values = [_get_name(names, value) for value in values]
        columns[name] = pd.Series(values, dtype=object).infer_objects()
    table = pd.DataFrame(columns)
    if "objects" in table and "x_min" not in table and find_other_count(table) is None:
        targets = _read_objects(table, features["objects"])
        return pd.concat(
            [table.drop(columns=["objects", *targets], errors="ignore"), targets], axis=1
        )
    return table


def find_other_count(table: pd.DataFrame) -> tuple[int, int] | None:
    """Row and number of objects of the first image that has several."""
    for row, objects in enumerate(table["objects"]):
        if (n := _count(_to_dict(objects))) > 1:
            return row, n
    return None


def _open_image(value: Any) -> Any:
    """Path of an image if the file exists, else a PIL image that is not decoded yet."""
    if value is None:
        return None
    if value["bytes"] is None or (value["path"] and os.path.isfile(value["path"])):
        return value["path"]
    return Image.open(io.BytesIO(value["bytes"]))


def _read_objects(table: pd.DataFrame, feature: Any) -> pd.DataFrame:
    """The columns of ``TARGET_COLUMNS``, of images with at most one object each."""
    objects = [_to_dict(value) for value in table["objects"]]
    rows = [row for row, value in enumerate(objects) if _count(value)]
    boxes, sizes = np.full((len(objects), 4), np.nan), np.ones((len(objects), 2))
    for row in rows:
        boxes[row] = objects[row]["bbox"][0]
        sizes[row] = _get_size(table.iloc[row].to_dict())
    if rows and np.nanmax(boxes) <= 1:
        raise DataError(
            "objects.bbox must hold x, y, width and height in pixels, as in COCO. Received: "
            f"{boxes[rows[0]].tolist()} in row {rows[0]}. Build y as a DataFrame instead."
        )
    low, high = boxes[:, :2] / sizes, (boxes[:, :2] + boxes[:, 2:]) / sizes
    columns = {"x_min": low[:, 0], "x_max": high[:, 0], "y_min": low[:, 1], "y_max": high[:, 1]}
    first = objects[rows[0]] if rows else objects[0] if objects else {}
    key = next((key for key in CATEGORIES if key in first), None)
    if key is None:
        return pd.DataFrame(columns)
    inner = feature if isinstance(feature, dict) else feature.feature
    inner = inner[0] if isinstance(inner, list) else inner
    names = _get_names(getattr(inner.get(key), "feature", inner.get(key)))
    values = [value[key][0] if _count(value) else None for value in objects]
    classes = pd.Series([_get_name(names, value) for value in values], dtype=object)
    return pd.DataFrame({"class_name": classes, **columns})


def _get_size(row: dict[Any, Any]) -> tuple[float, float]:
    """Width and height of the upright image of a row."""
    if row.get("width") and row.get("height"):
        return float(row["width"]), float(row["height"])
    image = row.get("image")
    if image is None:
        raise DataError("The size of the images is needed: a column image, or width and height.")
    if isinstance(image, str):
        with Image.open(image) as opened:
            return _get_upright_size(opened)
    return _get_upright_size(image)


def _get_upright_size(image: Image.Image) -> tuple[float, float]:
    width, height = image.size
    return (height, width) if image.getexif().get(ORIENTATION) in TURNED else (width, height)


def _to_dict(objects: Any) -> dict[str, Any]:
    """Lists by key, also of a list of objects with these keys."""
    if isinstance(objects, list):
        keys = objects[0] if objects else ()
        return {key: [value[key] for value in objects] for key in keys}
    return objects or {}


def _count(objects: dict[str, Any]) -> int:
    """Number of objects of an image."""
    return len(objects.get("bbox") or ())


def _get_names(feature: Any) -> list[str] | None:
    """Names of classes that are stored as numbers."""
    return list(feature.names) if type(feature).__name__ == "ClassLabel" else None


def _get_name(names: list[str] | None, value: Any) -> Any:
    if names is None:
        return value
    # The number -1 stands for a missing class.
    return None if value is None or value < 0 else names[value]
