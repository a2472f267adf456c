"""A loader for annotated folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..annotations import read_annotations
from ..exceptions import AnnotationError
from ..files import as_path

if TYPE_CHECKING:
    from ..typing import PathLikeStr

__all__ = ["load_annotated_folder"]


def load_annotated_folder(path: PathLikeStr) -> pd.DataFrame:
    r"""Read a folder of images, their boxes and groups of images that belong together.

    The folder has this layout::

        path/
          annotations.csv             image_id, x_min, x_max, y_min, y_max, class_name, folder
          groups.csv                  image_id, group, split (optional)
          images/folder/image_id.jpg

    Parameters
    ----------
    path : str or Path
        The folder; ``~`` is expanded.

    Returns
    -------
    DataFrame
        One row per box in the order of ``annotations.csv``, with the columns
        ``image`` (path as str), ``class_name``, ``x_min, x_max, y_min, y_max``
        (normalised, half-open), ``image_id`` and ``folder``. With ``groups.csv``
        also ``group``, equal for near-duplicate images, and ``split``, the split
        that the source defines ("" if none), both str.

    Raises
    ------
    FileNotFoundError
        If the folder or its ``annotations.csv`` is missing.
    AnnotationError
        If a file cannot be read or ``groups.csv`` does not match the annotations.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skbbox.datasets import load_annotated_folder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "annotations.csv").write_text(
    ...     "image_id,x_min,x_max,y_min,y_max,class_name,folder\n"
    ...     "007,0.1,0.5,0.2,0.9,cake,dessert\n")
    >>> _ = (folder / "groups.csv").write_text("image_id,group,split\n007,12,train\n")
    >>> load_annotated_folder(folder).loc[0, ["image_id", "group", "split"]].tolist()
    ['007', '12', 'train']
    """
    path = as_path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder (working directory: {Path.cwd()}); pass the folder that "
            "contains annotations.csv and images/."
        )
    annotations = path / "annotations.csv"
    if not annotations.is_file():
        raise FileNotFoundError(
            f"{annotations} does not exist. The layout is annotations.csv, images/folder/"
            "image_id.jpg and optionally groups.csv; for other layouts use read_annotations."
        )
    boxes = read_annotations(annotations, images_dir=path / "images", format="snacks")
    if boxes.empty:
        raise AnnotationError(f"{annotations} has no boxes; nothing follows its first line.")
    groups = path / "groups.csv"
    return _add_groups(boxes, groups) if groups.is_file() else boxes


def _add_groups(boxes: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the columns group and split from the file `path`."""
    groups = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing = [name for name in ("image_id", "group", "split") if name not in groups.columns]
    if missing:
        raise AnnotationError(
            f"{path}: the columns {missing} are missing. Received: {list(groups.columns)}."
        )
    repeated = groups.loc[groups["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise AnnotationError(
            f"{path}: image_id {repeated.iloc[0]!r} occurs more than once; keep one of its lines."
        )
    unknown = boxes.loc[~boxes["image_id"].isin(groups["image_id"]), "image_id"]
    if len(unknown):
        raise AnnotationError(
            f"{path}: image_id {unknown.iloc[0]!r} of annotations.csv is missing"
            f"{f' ({unknown.nunique() - 1} more like it)' if unknown.nunique() > 1 else ''}; "
            "add a line for it, or remove groups.csv to load without groups."
        )
    return boxes.merge(groups[["image_id", "group", "split"]], on="image_id", how="left")
