"""Tables with a row per box and named columns, such as hand-made CSV.

This also covers the CSV of VoTT, makesense.ai, keras-retinanet and Roboflow, and the lines of
Azure and Vertex AI.

References
----------
.. [1] "Data schemas to train computer vision models with automated machine learning",
   https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema: JSON lines
   with ``image_url`` and a list ``label`` of normalised corners.
.. [2] "Prepare image training data for object detection",
   https://cloud.google.com/vertex-ai/docs/image-data/object-detection/prepare-data: JSON lines with
   ``boundingBoxAnnotations``, or CSV without a header, both normalised.
.. [3] keras-retinanet, "CSV datasets", https://github.com/fizyr/keras-retinanet: no header,
   ``path,x1,y1,x2,y2,class_name`` in pixels; an image without an object has empty fields.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...exceptions import AnnotationError
from ..box_readings import choose_reading
from ..cells import find_header, flatten_records, read_cells
from ..columns import has_layout
from ..row_table import RowTable
from ..splits import FolderSplits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...typing import FloatArray
    from ..documents import Document
    from ..image_files import ImageFiles
    from ..nodes import Place
    from ..options import Options
    from ..stated_sizes import StatedSizes

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read_frame", "recognises"]

FILES = "CSV, TSV, JSON lines, DataFrame"
COORDINATES = "found from the names, the numbers and the image sizes"
SIZE = "columns, or from the image"
EMPTY = "row with empty box and class"

#: Number of objects of JSON that the names of columns are looked for in.
N_RECORDS = 20


def recognises(document: Document) -> bool:
    """Whether the columns of `document` have usual names, or are those of a known tool."""
    if document.kind == "json":
        try:
            records = list(islice(flatten_records(document), N_RECORDS))
        except AnnotationError:
            return False
        return has_layout([name for name in dict.fromkeys(n for _, row in records for n in row)])
    if document.kind not in ("csv", "text") or document.is_empty:
        return False
    _, names, has_header = find_header(document)
    return not has_header or has_layout(names)


def read_frame(
    documents: Sequence[Document], options: Options, images: ImageFiles, stated: StatedSizes
) -> pd.DataFrame:
    """Read tables; those with the same columns of numbers are read in the same way."""
    tables = [RowTable(read_cells(document, options.columns), images) for document in documents]
    frames = []
    splits = FolderSplits(options.root)
    for document, table in zip(documents, tables, strict=True):
        formats = table.cells.layout.formats
        alike = [other for other in tables if other.cells.layout.formats == formats]
        reading = _choose_reading(tuple(alike), options)
        frame = table.to_frame(*reading, options, stated)
        split = splits.find(document)
        if split is not None and "split" not in frame:
            frame["split"] = split
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _choose_reading(tables: tuple[RowTable, ...], options: Options) -> tuple[str, str]:
    formats = (options.box_format,) if options.box_format else tables[0].cells.layout.formats
    values = np.concatenate([table.values for table in tables])
    starts = np.cumsum([0, *(len(table.values) for table in tables)])

    def find_place(row: int) -> Place:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return tables[number].find_place(row - int(starts[number]))

    def get_sizes() -> FloatArray:
        return np.concatenate([table.get_sizes(formats) for table in tables])

    return choose_reading(values, find_place, formats, options.units, get_sizes)
