"""Measure the time and memory to read large annotation files.

Each file is read in its own process. Prints a table.

    python benchmarks/annotations.py
    python benchmarks/annotations.py --rows 100000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

#: Size in megabytes of files of brackets, which raise an error.
BRACKETS = 500


def main():
    """Write the files, read each of them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="boxes in each file")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write in FILES.items():
            path = Path(folder, name)
            with path.open("w") as file:
                write(file, arguments.rows)
            command = [sys.executable, __file__, "--read", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            size = {"file": name, "file MB": round(path.stat().st_size / 2**20)}
            results.append(size | json.loads(done.stdout))
            path.unlink()
    print(pd.DataFrame(results).to_string(index=False))


def read(path):
    """Number of rows, seconds and peak memory for one file."""
    from skbbox import read_annotations
    from skbbox.exceptions import AnnotationError

    begun = time.perf_counter()
    try:
        outcome = f"{len(read_annotations(path))} rows"
    except AnnotationError:
        outcome = "AnnotationError"
    seconds = time.perf_counter() - begun
    # ru_maxrss is in bytes on macOS and in kilobytes elsewhere.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"outcome": outcome, "seconds": round(seconds, 2), "peak MB": round(peak)}


def write_snacks(file, n):
    """The chapter's CSV."""
    file.write("image_id,x_min,x_max,y_min,y_max,class_name,folder\n")
    for i in range(n):
        file.write(f"{i:08},0.1234567,0.7654321,0.2345678,0.8765432,class {i % 20},{i % 20}\n")


def write_tfod(file, n):
    """CSV in pixels."""
    file.write("filename,width,height,class,xmin,ymin,xmax,ymax\n")
    for i in range(n):
        file.write(f"image-{i:08}.jpg,640,480,class {i % 20},12,13,400,401\n")


def write_coco(file, n):
    """A JSON file with five boxes per image."""
    file.write('{"images": [')
    for i in range(n // 5):
        image = {"id": i, "file_name": f"{i:08}.jpg", "width": 640, "height": 480}
        file.write(", " * (i > 0) + json.dumps(image))
    file.write('], "annotations": [')
    for i in range(n // 5 * 5):
        box = {"id": i, "image_id": i // 5, "category_id": i % 20, "bbox": [1.5, 2.5, 100.25, 9]}
        file.write(", " * (i > 0) + json.dumps(box))
    categories = [{"id": i, "name": f"class {i}"} for i in range(20)]
    file.write(f'], "categories": {json.dumps(categories)}}}')


def write_brackets(file, n):
    """Only brackets, on one line."""
    for _ in range(BRACKETS):
        file.write("[" * 2**20)


FILES = {
    "snacks.csv": write_snacks,
    "tfod.csv": write_tfod,
    "coco.json": write_coco,
    "brackets.json": write_brackets,
    "brackets.csv": write_brackets,
    "brackets.txt": write_brackets,
}


if __name__ == "__main__":
    main()
