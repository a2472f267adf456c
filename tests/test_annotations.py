"""Reading the chapter's CSV, and selecting one box per image."""

import csv

import numpy as np
import pandas as pd
import pytest

from skbbox import TARGET_COLUMNS, one_box_per_image, read_annotations
from skbbox.exceptions import AnnotationError, SkbboxWarning

HEADER = "image_id,x_min,x_max,y_min,y_max,class_name,folder"


@pytest.fixture
def write(tmp_path):
    """Write a header and lines to a file, and return its path."""

    def write(*lines, header=HEADER, encoding="utf-8"):
        path = tmp_path / "boxes.csv"
        path.write_text("\n".join((header, *lines)) + "\n", encoding=encoding)
        return path

    return write


# ---------------------------------------------------------------- reading valid files


def test_snacks_file_becomes_one_row_for_each_box(write, tmp_path):
    source = write("007,0.1,0.5,0.2,0.9,cake,dessert", "007,0,1,0,1,ice cream,dessert")
    expected = pd.DataFrame(
        {
            "image": [str(tmp_path / "dessert" / "007.jpg")] * 2,
            "class_name": ["cake", "ice cream"],
            "x_min": [0.1, 0.0],
            "x_max": [0.5, 1.0],
            "y_min": [0.2, 0.0],
            "y_max": [0.9, 1.0],
            "image_id": ["007", "007"],
            "folder": ["dessert", "dessert"],
        }
    )
    pd.testing.assert_frame_equal(read_annotations(source), expected)


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize("format", [None, "snacks"])
def test_format_is_recognised_or_named(write, kind, format):
    boxes = read_annotations(kind(write("1,0,1,0,1,cake,a")), format=format)
    assert boxes["class_name"].tolist() == ["cake"]


def test_images_dir_replaces_the_folder_of_the_file(write, tmp_path):
    source = write("1,0,1,0,1,cake,a")
    boxes = read_annotations(source, images_dir=tmp_path / "elsewhere")
    assert boxes["image"].tolist() == [str(tmp_path / "elsewhere" / "a" / "1.jpg")]


def test_relative_images_dir_stays_relative(write):
    boxes = read_annotations(write("1,0,1,0,1,cake,a"), images_dir="train")
    assert boxes["image"].tolist() == ["train/a/1.jpg"]


@pytest.mark.parametrize("image_id", ["007", "1e5", "0x10", "00000000000000000001", "3.0", "NaN"])
def test_image_id_stays_text(write, image_id):
    boxes = read_annotations(write(f"{image_id},0,1,0,1,cake,a"))
    assert boxes["image_id"].tolist() == [image_id]


@pytest.mark.parametrize("name", ["NA", "null", "None", "nan", "", "1", "True", "crème brûlée"])
def test_class_stays_text(write, name):
    boxes = read_annotations(write(f"1,0,1,0,1,{name},a"))
    assert boxes["class_name"].tolist() == [name]
    assert not boxes["class_name"].isna().any()


def test_byte_order_mark_is_not_part_of_the_first_column(write):
    boxes = read_annotations(write("1,0,1,0,1,cake,a", encoding="utf-8-sig"))
    assert boxes["image_id"].tolist() == ["1"]


def test_quoted_comma_does_not_separate(write):
    boxes = read_annotations(write('1,0,1,0,1,"cake, with ""cream""",a'))
    assert boxes["class_name"].tolist() == ['cake, with "cream"']


def test_columns_may_come_in_another_order_with_others_between(write):
    header = "folder,note,class_name,y_max,y_min,x_max,x_min,image_id"
    row = read_annotations(write("a,x,cake,0.4,0.3,0.2,0.1,7", header=header)).iloc[0]
    assert row[["x_min", "x_max", "y_min", "y_max"]].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert row[["class_name", "image_id", "folder"]].tolist() == ["cake", "7", "a"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_and_blank_lines_do_not_matter(tmp_path, ending):
    path = tmp_path / "boxes.csv"
    path.write_bytes(ending.join([HEADER, "1,0,1,0,1,cake,a", "", "2,0,1,0,1,pie,a"]).encode())
    assert read_annotations(path)["class_name"].tolist() == ["cake", "pie"]


def test_space_after_a_comma_is_not_part_of_the_field(write):
    source = write("1, 0, 1, 0, 1, cake, a", header=HEADER.replace(",", ", "))
    assert read_annotations(source)["class_name"].tolist() == ["cake"]


def test_file_with_a_header_alone_is_an_empty_table(write):
    boxes = read_annotations(write())
    assert len(boxes) == 0
    assert list(boxes.columns)[:6] == ["image", *TARGET_COLUMNS]


def test_box_is_returned_as_stored(write):
    # Inverted and out of range: fit raises an error, reading does not repair it.
    row = read_annotations(write("1,0.9,0.1,-0.5,1.5,cake,a")).iloc[0]
    assert row[["x_min", "x_max", "y_min", "y_max"]].tolist() == [0.9, 0.1, -0.5, 1.5]


def test_sample_of_the_tool_is_read_as_expected(shared):
    folder = shared / "formats" / "snacks"
    read = read_annotations(folder / "sample-1.csv")
    # expected.csv was written independently and holds the first box of the sample.
    with (folder / "expected.csv").open(newline="") as file:
        expected = [row for row in csv.DictReader(file) if row["sample"] == "sample-1.csv"]
    assert len(expected) == 1
    assert read.loc[0, "image_id"] == expected[0]["image"]
    assert read.loc[0, list(TARGET_COLUMNS)].tolist() == [
        expected[0]["class_name"],
        *(float(expected[0][name]) for name in TARGET_COLUMNS[1:]),
    ]


def test_sample_of_the_tool_finds_images_by_folder_not_by_class(shared):
    read = read_annotations(shared / "formats" / "snacks" / "sample-1.csv", images_dir="images")
    # From the five lines of the file.
    cakes, muffins = "images/cake/009218ad38ab2010.jpg", "images/muffin/00c7515143b32051.jpg"
    assert read["image"].tolist() == [cakes] * 3 + [muffins] * 2
    assert read["class_name"].tolist() == ["cake", "ice cream", "ice cream", "cake", "muffin"]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("2,0,1,0,1,cake", "line 3: expected 7 fields, .*Received 6", id="too few"),
        pytest.param(
            "2,0,1,0,1,cake,a,b", "line 3: expected 7 fields, .*Received 8", id="too many"
        ),
        pytest.param(
            "2,0,wide,0,1,cake,a", "line 3: x_max is not a number. Received: 'wide'", id="text"
        ),
        pytest.param("2,0,1,,1,cake,a", "line 3: y_min is not a number. Received: ''", id="empty"),
        pytest.param(
            '2,0,"0,5",0,1,cake,a', "line 3: x_max is not a number. Received: '0,5'", id="comma"
        ),
        pytest.param("2,0,1,0,1,cake,..", "line 3: the image is outside", id="parent"),
        pytest.param(
            "../2,0,1,0,1,cake,a/..", "line 3: the image is outside", id="parent in the id"
        ),
        pytest.param(
            "2,0,1,0,1,cake,a/../../b", "line 3: the image is outside", id="up and down again"
        ),
        pytest.param(
            "2,0,1,0,1,cake,/etc", "line 3: .* is outside .*'/etc/2.jpg'", id="absolute folder"
        ),
        pytest.param(
            "/etc/passwd,0,1,0,1,cake,a", "line 3: the image is outside", id="absolute id"
        ),
    ],
)
@pytest.mark.parametrize("images_dir", [None, "images", "."])
def test_invalid_line_is_named(write, line, message, images_dir):
    source = write("1,0,1,0,1,cake,a", line)
    with pytest.raises(AnnotationError, match=rf"boxes.csv, {message}"):
        read_annotations(source, images_dir=images_dir)


def test_line_is_counted_in_the_file_not_in_records(write):
    source = write('1,0,1,0,1,"cake\nand pie",a', "", "2,0,wide,0,1,cake,a")
    # Line 1 is the header, 2 and 3 are one record, 4 is blank.
    with pytest.raises(AnnotationError, match=r"line 5: x_max"):
        read_annotations(source)


def test_tilde_in_paths_is_the_home_folder(write, tmp_path, monkeypatch):
    write("1,0,1,0,1,cake,a")
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("~/boxes.csv", "~/*.csv", "~"):
        boxes = read_annotations(source, images_dir="~/images")
        assert boxes["image"].tolist() == [f"{tmp_path}/images/a/1.jpg"]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv does not exist"):
        read_annotations(tmp_path / "nowhere.csv")


def test_unknown_format_shows_the_known_ones(write):
    with pytest.raises(AnnotationError, match=r"one of \[None, 'snacks'.*Received: 'snack'"):
        read_annotations(write(), format="snack")


@pytest.mark.parametrize("content", ["a,b,c\n1,2,3\n", HEADER.replace(",", ":"), "\x00\xff"])
def test_file_of_another_kind_is_not_recognised(tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"other.csv has none of the known formats"):
        read_annotations(path)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file_is_not_recognised(tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"other.csv: the file is empty, so its format"):
        read_annotations(path)


def test_folder_without_annotation_files_is_named(tmp_path):
    with pytest.raises(AnnotationError, match="contains no annotation file"):
        read_annotations(tmp_path)


def test_columns_missing_from_a_named_format_are_named(write):
    source = write("1,0,1,0,1,cake", header=HEADER.removesuffix(",folder"))
    with pytest.raises(AnnotationError, match=r"boxes.csv: the columns \['folder'\] are missing"):
        read_annotations(source, format="snacks")


def test_text_in_another_encoding_is_named(write):
    source = write("1,0,1,0,1,crème,a", encoding="latin-1")
    with pytest.raises(AnnotationError, match=r"boxes.csv is not UTF-8"):
        read_annotations(source)


def test_quotation_mark_left_open_in_a_long_file_is_named(write):
    # The csv module accepts fields of up to 131072 characters.
    source = write('1,0,1,0,1,"cake,a', *["2,0,1,0,1,cake,a"] * 10_000)
    with pytest.raises(AnnotationError, match=r"boxes.csv, line \d+: .*quotation mark"):
        read_annotations(source)


# ---------------------------------------------------------------- one box per image


def table(*rows, **extra):
    return pd.DataFrame(rows, columns=["image", *TARGET_COLUMNS]).assign(**extra)


# Areas: a 0.01, 0.81, 0.25; b 0.36; c 0.04, 0.04 (the same).
BOXES = table(
    ("a.jpg", "cat", 0.0, 0.1, 0.0, 0.1),
    ("b.jpg", "cat", 0.2, 0.8, 0.2, 0.8),
    ("a.jpg", "dog", 0.0, 0.9, 0.0, 0.9),
    ("c.jpg", "owl", 0.0, 0.2, 0.0, 0.2),
    ("a.jpg", "owl", 0.5, 1.0, 0.5, 1.0),
    ("c.jpg", "cat", 0.5, 0.7, 0.5, 0.7),
).set_axis([10, 20, 30, 40, 50, 60])
MISSING = ("d.jpg", None, *[np.nan] * 4)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        # c has two boxes of equal area; the first is kept.
        ("largest", [20, 30, 40]),
        ("first", [10, 20, 40]),
        ("all", [10, 20, 30, 40, 50, 60]),
    ],
)
def test_keep_chooses_the_rows_and_leaves_their_order_and_index(keep, expected):
    X, y = one_box_per_image(BOXES, keep=keep)
    assert X.index.tolist() == y.index.tolist() == expected
    pd.testing.assert_series_equal(X, BOXES.loc[expected, "image"])
    pd.testing.assert_frame_equal(y, BOXES.loc[expected, list(TARGET_COLUMNS)])


def test_the_largest_is_kept_by_default():
    pd.testing.assert_frame_equal(
        one_box_per_image(BOXES)[1], one_box_per_image(BOXES, "largest")[1]
    )


def test_first_of_many_equals_is_the_largest():
    # Enough rows, with small boxes between the large ones, for an unstable sort to swap equals.
    edges = [0.1, 0.2, 0.5, 0.3] * 200
    boxes = table(*[("a.jpg", "cat", 0.0, edge, 0.0, edge) for edge in edges])
    assert one_box_per_image(boxes)[0].index.tolist() == [2]


def test_only_leaves_images_with_several_boxes_out_and_warns_with_their_number():
    with pytest.warns(SkbboxWarning, match="^2 images with several objects left out"):
        X, y = one_box_per_image(BOXES, keep="only")
    assert X.tolist() == ["b.jpg"]
    assert y.index.tolist() == [20]


def test_only_is_silent_when_nothing_is_left_out():
    # SkbboxWarning is an error in these tests.
    X, _ = one_box_per_image(BOXES.loc[[10, 20]], keep="only")
    assert X.tolist() == ["a.jpg", "b.jpg"]


KEEP = ["largest", "first", "only", "all"]
NOTHING = [np.nan] * 4
#: A row of each kind: class and box, class only, box only, neither.
EACH_KIND = table(
    ("a.jpg", "cat", 0, 1, 0, 1),
    ("b.jpg", "dog", *NOTHING),
    ("c.jpg", None, 0.2, 0.8, 0.2, 0.8),
    ("d.jpg", None, *NOTHING),
)


@pytest.mark.parametrize("keep", KEEP)
def test_rows_of_each_kind_are_kept(keep):
    # SkbboxWarning is an error in these tests.
    X, y = one_box_per_image(EACH_KIND, keep=keep)
    assert X.tolist() == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    pd.testing.assert_frame_equal(y, EACH_KIND[list(TARGET_COLUMNS)])


@pytest.mark.parametrize("keep", KEEP)
def test_only_images_with_neither_class_nor_box_are_dropped(keep):
    boxes = pd.concat([EACH_KIND, table(("e.jpg", None, *NOTHING))], ignore_index=True)
    with pytest.warns(SkbboxWarning, match="^2 images without an object left out"):
        X, y = one_box_per_image(boxes, keep=keep, empty="drop")
    assert X.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert y["class_name"].isna().tolist() == [False, False, True]


def test_dropping_is_silent_if_each_image_has_an_object():
    assert len(one_box_per_image(EACH_KIND[:3], empty="drop")[0]) == 3


def test_unknown_empty_shows_the_known_ones():
    with pytest.raises(ValueError, match=r"empty must be one of \['keep', 'drop'\].*'skip'"):
        one_box_per_image(BOXES, empty="skip")


@pytest.mark.parametrize("keep", KEEP)
def test_box_wins_over_a_class_without_a_box(keep):
    # The box has no class, and the class without a box stands before it.
    boxes = table(("a.jpg", "cat", *NOTHING), ("a.jpg", None, 0, 1, 0, 1))
    _, y = one_box_per_image(boxes, keep=keep)
    assert y.index.tolist() == [1]


@pytest.mark.parametrize(
    ("keep", "expected"), [("largest", ["cat"]), ("first", ["cat"]), ("all", ["cat", "dog"])]
)
def test_several_classes_without_a_box_are_selected_like_boxes(keep, expected):
    boxes = table(("a.jpg", "cat", *NOTHING), ("a.jpg", "dog", *NOTHING))
    assert one_box_per_image(boxes, keep=keep)[1]["class_name"].tolist() == expected


def test_only_leaves_images_with_several_classes_out():
    boxes = table(
        ("a.jpg", "cat", *NOTHING), ("a.jpg", "dog", *NOTHING), ("b.jpg", "cat", *NOTHING)
    )
    with pytest.warns(SkbboxWarning, match="^1 images with several objects left out"):
        assert one_box_per_image(boxes, keep="only")[0].tolist() == ["b.jpg"]


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("other", [("cat", 0, 1, 0, 1), ("cat", *NOTHING), (None, 0, 1, 0, 1)])
def test_object_wins_over_a_row_without_one_with_a_warning(keep, other):
    boxes = table(("a.jpg", None, *NOTHING), ("a.jpg", *other), ("b.jpg", None, *NOTHING))
    with pytest.warns(SkbboxWarning, match=r"^1 images have a row without .* first is a\.jpg"):
        X, y = one_box_per_image(boxes, keep=keep)
    assert X.tolist() == ["a.jpg", "b.jpg"]
    assert y.index.tolist() == [1, 2]


@pytest.mark.parametrize("keep", KEEP)
def test_image_that_is_twice_without_an_object_becomes_one_row(keep):
    assert one_box_per_image(table(MISSING, MISSING), keep=keep)[0].index.tolist() == [0]


def test_warning_points_to_the_line_of_the_caller():
    for boxes in (table(MISSING), table(MISSING, ("d.jpg", "cat", 0, 1, 0, 1))):
        with pytest.warns(SkbboxWarning) as warned:
            one_box_per_image(boxes, empty="drop")
        assert warned[0].filename == __file__


def test_box_with_one_edge_missing_is_left_for_fit_to_refuse():
    boxes = table(("b.jpg", "cat", 0, 1, 0, 1), ("a.jpg", "cat", 0, 1, 0, 1))
    boxes = pd.concat([boxes, table(("a.jpg", "cat", 0, np.nan, 0, 1))], ignore_index=True)
    assert one_box_per_image(boxes)[0].index.tolist() == [0, 2]


def test_target_columns_come_first_then_the_others():
    boxes = BOXES.assign(difficult=True)[["difficult", *BOXES.columns[::-1]]].assign(note="x")
    _, y = one_box_per_image(boxes)
    assert list(y.columns) == [*TARGET_COLUMNS, "difficult", "note"]


def test_duplicate_index_labels_do_not_mix_rows_up():
    _, y = one_box_per_image(BOXES.set_axis([0] * 6))
    assert y["class_name"].tolist() == ["cat", "dog", "owl"]


def test_table_is_not_changed():
    before = BOXES.copy()
    one_box_per_image(BOXES)
    pd.testing.assert_frame_equal(BOXES, before)


def test_unknown_keep_shows_the_known_ones():
    with pytest.raises(ValueError, match=r"keep must be one of \['largest'.*Received: 'smallest'"):
        one_box_per_image(BOXES, keep="smallest")


def test_missing_column_is_named():
    with pytest.raises(ValueError, match=r"missing: \['image', 'y_max'\]"):
        one_box_per_image(BOXES.drop(columns=["image", "y_max"]))


def test_result_of_read_annotations_is_accepted(write, tmp_path):
    source = write("1,0,0.5,0,0.5,cake,a", "1,0,1,0,1,pie,a", "2,0,1,0,1,cake,b")
    X, y = one_box_per_image(read_annotations(source))
    assert X.tolist() == [str(tmp_path / "a" / "1.jpg"), str(tmp_path / "b" / "2.jpg")]
    assert y["class_name"].tolist() == ["pie", "cake"]
    assert list(y.columns) == [*TARGET_COLUMNS, "image_id", "folder"]
