"""Damaged annotation files give a table or an AnnotationError, within a time limit."""

import os
import random
import re
import time

import numpy as np
import pandas as pd
import pytest
from test_formats import FILES, SIZED

from skbbox import TARGET_COLUMNS, read_annotations
from skbbox.exceptions import AnnotationError

pytestmark = pytest.mark.filterwarnings("ignore::skbbox.exceptions.SkbboxWarning")

#: Damaged copies of each file. After a change of the readers, run more: the first stay the same.
MUTATIONS = int(os.environ.get("SKBBOX_FUZZ_MUTATIONS", "250"))
#: Parts of the samples of the tools, which can be tested at the same time.
N_PARTS = 8
#: Bytes that replace a part of a file.
PIECES = [
    *(b'"', b"'", b"<", b">", b"{", b"}", b"[", b"]", b",", b":", b"/", b"\\", b"\n", b"\0"),
    *(b"-1", b"0", b"1e999", b"nan", b"null", b"true", b"[]", b"{}", b'""', b"9" * 5000),
    *(b"../", b"\xff", b"\xef\xbb\xbf", b"\xfe\xff", "é".encode("latin-1"), "٣".encode()),
    *(b"<!DOCTYPE a>", b"&amp;", b"&b;", b"<a>", b"</a>", b"{" * 200, b"[" * 2000, b"\\u0000"),
]


def mutate(content, rng):
    """Change, delete, repeat or cut off one to four parts of a file."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((0, 1, 1, 2, 5, 20, 200)))
        kind = rng.randrange(6)
        if kind == 0:
            content[start:end] = rng.choice(PIECES)
        elif kind == 1:
            del content[start:end]
        elif kind == 2:
            content[start:start] = content[start:end]
        elif kind == 3:
            del content[start:]
        elif kind == 4 and content:
            content[start % len(content)] = rng.randrange(256)
        else:
            # Replace a number or a string by a value of another kind.
            values = list(re.finditer(rb'-?\d[\d.]*|"[^"]*"', bytes(content)))
            if values:
                value = rng.choice(values)
                content[value.start() : value.end()] = rng.choice(PIECES)
    return bytes(content)


def check_outcome(path, **options):
    """Assert that reading gives a valid table or an AnnotationError that names the file."""
    start_time = time.process_time()
    try:
        table = read_annotations(path, **options)
    except AnnotationError as error:
        assert str(path) in str(error)
    else:
        assert list(table.columns[:6]) == ["image", *TARGET_COLUMNS]
        boxes = table[list(TARGET_COLUMNS[1:])].to_numpy()
        assert boxes.dtype == np.float64
        is_complete = np.isfinite(boxes).all(axis=1)
        is_missing = np.isnan(boxes).all(axis=1)
        # In a table or a list of images, a class may have no box.
        if options["format"] not in (None, "table", "oxford_pet"):
            is_missing &= pd.isna(table["class_name"])
        assert (is_complete | is_missing).all()
        assert all(".." not in str(image).split("/") for image in table["image"])
    # One second, and one more per 100 kB; the files are far smaller.
    assert time.process_time() - start_time < 1 + path.stat().st_size / 100_000


def check_damaged_copies(path, content, rng, format, **options):
    """Check the outcome for damaged copies, every second one with the format named."""
    path.write_bytes(content)
    with path.open("r+b") as file:
        for number in range(MUTATIONS):
            # Opening a file with content for writing anew takes milliseconds on ext4.
            file.seek(0)
            file.write(mutate(content, rng))
            file.truncate()
            file.flush()
            check_outcome(path, format=format if number % 2 else None, y_origin="top", **options)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("kind", FILES)
def test_damaged_file_gives_a_table_or_an_error_that_names_it(tmp_path, kind):
    (name, format, text, *others), _ = FILES[kind]
    for other, content in others[0].items() if others else ():
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_text(content)
    content = text.encode() or b" "
    check_damaged_copies(tmp_path / name, content, random.Random(kind), format, sizes=SIZED)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("part", range(N_PARTS))
def test_damaged_samples_of_the_tools_give_a_table_or_an_error_that_names_it(
    shared, tmp_path, part
):
    folder = shared / "formats"
    samples = [path for path in sorted(folder.glob("*/sample-*")) if path.is_file()]
    assert len(samples) > 25
    sizes = {name: (1000, 1000) for name in SIZED}
    for sample in samples[part::N_PARTS]:
        rng = random.Random(sample.name)
        path, format = tmp_path / sample.name, sample.parent.name
        check_damaged_copies(path, sample.read_bytes(), rng, format, sizes=sizes, shapes="hull")


def test_name_in_the_list_of_oxford_pet_leads_to_no_other_folder(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("../../secret_1 1 1 1\n")
    with pytest.raises(AnnotationError, match=r"list\.txt.*line 1.*expected an image"):
        read_annotations(path, format="oxford_pet")


def test_name_in_the_list_of_oxford_pet_may_be_too_long_for_a_file(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{'a' * 5000}_1 1 1 1\n")
    assert read_annotations(path, format="oxford_pet")["class_name"].tolist() == ["cat"]


def test_number_instead_of_the_url_of_labelbox_is_a_name(tmp_path):
    path = tmp_path / "export.json"
    path.write_text('[{"ID": "1", "Labeled Data": 0, "Label": {}}]')
    table = read_annotations(path, format="labelbox")
    assert table["image"].tolist() == [str(tmp_path / "0")]


@pytest.mark.parametrize("entry", ["a" * 5000, "\\0"])
def test_impossible_name_in_the_yaml_of_yolo_is_skipped(tmp_path, entry):
    path = tmp_path / "data.yaml"
    path.write_text(f'train: "{entry}"\nnames: [cat]\n')
    with pytest.raises(AnnotationError, match="no labels were found"):
        read_annotations(path)
