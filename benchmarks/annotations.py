"""Measure the time and memory to read large annotation files and folders of many files.

Each is read in its own process, with a progress bar. Prints a table.

    python benchmarks/annotations.py
    python benchmarks/annotations.py --rows 100000
    python benchmarks/annotations.py --only labelme
"""

import argparse
import json
import os
import resource
import shutil
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
    parser.add_argument("--files", type=int, default=100_000, help="files in each folder")
    parser.add_argument("--only", choices=[*FILES, *FOLDERS], help="read this file or folder only")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [arguments.only] if arguments.only else [*FILES, *FOLDERS]:
            path = Path(folder, name)
            if name in FILES:
                with path.open("w") as file:
                    FILES[name](file, arguments.rows)
            else:
                path.mkdir()
                FOLDERS[name](path, arguments.files)
            results.append({"source": name, **measure_in_new_process(path)})
            path.unlink() if path.is_file() else shutil.rmtree(path)
    print(pd.DataFrame(results).to_string(index=False))


def measure_in_new_process(path):
    """Size in megabytes, and what `read` gives in another process."""
    files = [path] if path.is_file() else [path / entry.name for entry in os.scandir(path)]
    size = sum(file.stat().st_size for file in files) / 2**20
    command = [sys.executable, __file__, "--read", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # The progress bar comes first.
    return {"MB": round(size)} | json.loads(done.stdout.splitlines()[-1])


def read(path):
    """Number of rows, seconds and peak memory for one file or folder."""
    from skbbox import read_annotations
    from skbbox.exceptions import AnnotationError

    begun, cpu_begun = time.perf_counter(), time.process_time()
    try:
        outcome = f"{len(read_annotations(path, verbose=1))} rows"
    except AnnotationError:
        outcome = "AnnotationError"
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    # ru_maxrss is in bytes on macOS and in kilobytes elsewhere.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    times = {"seconds": round(seconds, 2), "CPU seconds": round(cpu_seconds, 2)}
    return {"outcome": outcome, **times, "peak MB": round(peak)}


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


def write_table(file, n):
    """A table of no tool, with two boxes per image."""
    file.write("filename,xmin,ymin,xmax,ymax,label,image_width,image_height\n")
    for i in range(n):
        left, top = i % 300, i % 299
        box = f"{left},{top},{left + 300},{top + 280}"
        file.write(f"train/{i // 2:07}.jpg,{box},class {i % 20},800,600\n")


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


def write_labelme(folder, n):
    """A folder with one JSON file of two rectangles per image."""
    for i in range(n):
        shapes = [
            {
                "label": f"class {i % 20}",
                "points": [[12.5, 13.25], [400.0, 401.5]],
                "group_id": None,
                "description": "",
                "shape_type": "rectangle",
                "flags": {},
                "mask": None,
            }
        ] * 2
        content = {
            "version": "5.8.1",
            "flags": {},
            "shapes": shapes,
            "imagePath": f"{i:08}.jpg",
            "imageData": None,
            "imageHeight": 480,
            "imageWidth": 640,
        }
        (folder / f"{i:08}.json").write_text(json.dumps(content, indent=2))


FILES = {
    "snacks.csv": write_snacks,
    "tfod.csv": write_tfod,
    "table.csv": write_table,
    "coco.json": write_coco,
    "brackets.json": write_brackets,
    "brackets.csv": write_brackets,
    "brackets.txt": write_brackets,
}

FOLDERS = {
    "labelme": write_labelme,
}


if __name__ == "__main__":
    main()
