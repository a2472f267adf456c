"""Read folders laid out as tools and data sets do, and print what is found in each.

The folders are those of tests/test_folders.py, with images of 200 x 100 pixels.

    python benchmarks/folders.py
"""

import sys
import tempfile
import warnings
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_folders import FOLDERS, make_folder

from skbbox import read_annotations
from skbbox.annotations.folders import find_documents
from skbbox.annotations.reading import UNKNOWN, _recognise_format
from skbbox.exceptions import SkbboxWarning


def main():
    """Print one row per folder."""
    results = []
    for name, (files, images, _) in FOLDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            make_folder(Path(folder), files, images)
            results.append({"folder": name, "files": len(files), **describe(folder)})
    print(pd.DataFrame(results).to_string(index=False))


def describe(folder):
    """Rows, images, classes, format, warnings and skipped files of a folder."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkbboxWarning)
        frame = read_annotations(folder)
    documents = find_documents(Path(folder)).documents
    # Without a name: XML of Pascal VOC by an unknown tool.
    formats = {_recognise_format(document) or "pascal_voc" for document in documents}
    skipped = frame.attrs.get("skipped", {})
    return {
        "rows": len(frame),
        "images": frame["image"].nunique(),
        "classes": ", ".join(sorted(frame["class_name"].dropna().unique())),
        "format": ", ".join(sorted(formats - {UNKNOWN})),
        "warnings": len(caught),
        "skipped": ", ".join(Path(path).name for path in skipped) or "-",
    }


if __name__ == "__main__":
    main()
