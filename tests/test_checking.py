"""Checking and cleaning a table of boxes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skbbox import TARGET_COLUMNS, check_annotations, clean_annotations
from skbbox.annotations.checking import KINDS, Problems
from skbbox.annotations.near_duplicates import group_near_duplicates, hash_image
from skbbox.datasets import load_annotated_folder, make_shapes
from skbbox.exceptions import AnnotationError, SkbboxWarning

SIDES = list(TARGET_COLUMNS[1:])


def table(*rows, **extra):
    return pd.DataFrame(rows, columns=["image", *TARGET_COLUMNS]).assign(**extra)


NOTHING = (np.nan,) * 4


def row(class_name="cat", box=(0.1, 0.5, 0.1, 0.5), image="a.jpg"):
    return (image, class_name, *box)


#: A row of each kind: class and box, class only, box only, neither.
EACH_KIND = table(
    row(),
    row("cat", NOTHING, "b.jpg"),
    row(None, image="c.jpg"),
    row(None, NOTHING, "d.jpg"),
)


def find_problems(boxes, **options):
    """Row and kind of each problem, by default without reading images."""
    options = {"open_images": False, "min_images": 1} | options
    problems = check_annotations(boxes, **options)
    return list(zip(problems["row"], problems["problem"], strict=True))


@pytest.fixture
def pictures(tmp_path):
    """Paths of four pictures of 96 pixels that look different."""
    X, _ = make_shapes(4, image_size=96, random_state=0)
    paths = [str(tmp_path / f"{number}.png") for number in range(4)]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


# ---------------------------------------------------------------- problems of one box


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((0.5, 0.1, 0.1, 0.5), "inverted box"),
        ((0.1, 0.5, 0.5, 0.1), "inverted box"),
        ((0.1, 0.1, 0.1, 0.5), "empty box"),
        ((0.1, 0.5, 0.2, 0.2), "empty box"),
        ((-0.1, 0.5, 0.1, 0.5), "outside image"),
        ((0.1, 0.5, 0.1, 1.01), "outside image"),
        ((10, 50, 10, 50), "pixel coordinates"),
        ((np.nan, 0.5, 0.1, 0.5), "missing coordinate"),
        ((0.1, np.inf, 0.1, 0.5), "missing coordinate"),
        ((0.0, 1.0, 0.0, 1.0), "covers everything"),
    ],
)
def test_invalid_box_is_found(box, problem):
    assert find_problems(table(row(), row(box=box, image="b.jpg"))) == [(1, problem)]


@pytest.mark.parametrize("box", [(0.0, 0.9, 0.0, 1.0), (0.0, 1 + 1e-7, 0.1, 0.5), (0, 0.1, 0, 0.1)])
def test_valid_box_is_no_problem(box):
    assert find_problems(table(row(box=box))) == []


@pytest.mark.parametrize("box", [(0.1, 0.5, 0.1, 0.5), NOTHING])
@pytest.mark.parametrize("name", ["", " "])
def test_blank_class_is_found(name, box):
    assert find_problems(table(row(name, box), row(image="b.jpg"))) == [(0, "blank class")]


def test_rows_of_each_kind_are_no_problem():
    assert find_problems(EACH_KIND) == []


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_half_a_box_is_found_with_or_without_a_class(missing):
    half = (np.nan, 0.5, 0.1, 0.5)
    boxes = table(row(box=half), row(missing, half, "b.jpg"))
    assert find_problems(boxes) == [(0, "missing coordinate"), (1, "missing coordinate")]


@pytest.mark.parametrize(
    ("class_name", "box"),
    [("cat", (0.1, 0.5, 0.1, 0.5)), ("cat", NOTHING), (None, (0.1, 0.5, 0.1, 0.5))],
)
def test_row_without_an_object_beside_one_with_an_object_is_found(class_name, box):
    boxes = table(row(None, NOTHING), row(class_name, box), row(None, NOTHING, "b.jpg"))
    assert find_problems(boxes) == [(0, "contradicted by a row")]


def test_folder_that_differs_from_the_class_is_found():
    boxes = table(row(), row(image="b.jpg"), folder=["cat", "dog"])
    assert find_problems(boxes) == [(1, "folder differs")]


def test_folder_that_differs_from_a_class_without_a_box_is_found():
    boxes = table(row(), row("cat", NOTHING, "b.jpg"), folder=["cat", "dog"])
    assert find_problems(boxes) == [(1, "folder differs")]


def test_folder_of_the_photographs_is_no_problem():
    # In Pascal VOC's files, <folder> says where the photographs were.
    boxes = table(row(), row("dog", image="b.jpg"), folder=["snaps", "snaps"])
    assert find_problems(boxes) == []


def test_edge_far_outside_says_by_how_much():
    # 999 of 233 pixels are 4.2876 widths, 3.2876 more than the image.
    problems = check_annotations(
        table(row(box=(0.1, 999 / 233, 0.1, 0.5))), open_images=False, min_images=1
    )
    assert problems["problem"].tolist() == ["outside image"]
    assert "x_max is 3.29 times the width beyond the image" in problems["detail"].item()


# ---------------------------------------------------------------- problems of several rows


def test_boxes_that_repeat_are_found():
    # The IoU of .4 x .4 and the .4 x .38 inside it is .95.
    boxes = table(
        row(),
        row("dog", (0.6, 0.9, 0.6, 0.9)),
        row(),
        row(box=(0.1, 0.5, 0.1, 0.48)),
        row("dog", (0.1, 0.5, 0.1, 0.48)),
    )
    assert find_problems(boxes) == [
        (0, "several boxes"),
        (0, "several classes"),
        (2, "duplicate"),
        (3, "near duplicate"),
        (4, "conflicting classes"),
    ]
    assert (3, "near duplicate") not in find_problems(boxes, duplicate_iou=0.96)


@pytest.mark.parametrize("names", [("cat", None), (None, "cat"), (None, None)])
def test_box_without_a_class_contradicts_no_other_class(names):
    boxes = table(row(names[0]), row(names[1]))
    assert find_problems(boxes) == [(0, "several boxes"), (1, "duplicate")]


def test_same_box_on_another_image_is_no_problem():
    assert find_problems(table(row(), row(image="b.jpg"))) == []


def test_names_that_differ_by_case_or_space_are_found_at_their_first_row():
    names = ["car", "Car", "car ", "car", "race  car", "race car", "cart", "Car"]
    boxes = table(*[row(name, image=f"{i}.jpg") for i, name in enumerate(names)])
    assert find_problems(boxes) == [(i, "similar class names") for i in (1, 2, 5)]


@pytest.mark.parametrize(
    ("rare", "usual", "is_similar"),
    [
        ("racoon", "raccoon", True),
        ("Raccon", "raccoon", True),
        ("raccoom", "raccoon", True),
        ("raccono", "raccoon", True),
        ("class 2", "class 1", False),
        ("car", "cat", False),
        ("rabbit", "raccoon", False),
    ],
)
def test_rare_name_that_looks_like_a_frequent_one_is_found(rare, usual, is_similar):
    boxes = table(row(rare, image="a.jpg"), *[row(usual, image=f"{i}.jpg") for i in range(10)])
    problems = check_annotations(boxes, open_images=False, min_images=1)
    expected = [f"{rare!r} (1 rows) looks like {usual!r} (10 rows)"] if is_similar else []
    assert problems["detail"].tolist() == expected


def test_class_on_few_images_is_found():
    # Five images of cats, and two boxes of dogs on one image.
    dogs = [row("dog", (x, x + 0.1, 0.1, 0.5)) for x in (0.1, 0.5)]
    boxes = table(*[row(image=f"{i}.jpg") for i in range(5)], *dogs)
    for min_images, expected in ((1, []), (2, [5]), (5, [5]), (6, [0, 5])):
        rare = [
            row for row, kind in find_problems(boxes, min_images=min_images) if kind == "rare class"
        ]
        assert rare == expected


# ---------------------------------------------------------------- problems of images


def test_image_that_is_missing_or_damaged_is_found_once(tmp_path, pictures):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(Path(pictures[0]).read_bytes()[:200])
    missing = str(tmp_path / "missing.png")
    images = [pictures[0], missing, str(damaged), missing]
    boxes = table(
        *[
            row(image=image, box=(0.1, 0.5, 0.1, y))
            for image, y in zip(images, (0.5, 0.6, 0.5, 0.9), strict=True)
        ]
    )
    problems = check_annotations(boxes, min_images=1)
    of_files = problems[problems["problem"].str.endswith(" image")]
    assert list(zip(of_files["row"], of_files["problem"], strict=True)) == [
        (1, "missing image"),
        (2, "unreadable image"),
    ]
    assert problems["image"].tolist() == [images[i] for i in problems["row"]]


def test_pictures_that_look_different_may_be_on_both_sides_of_the_split(pictures):
    boxes = table(*[row(image=path) for path in pictures])
    assert find_problems(boxes, open_images=True, split=["train", "val"] * 2) == []


def test_inverted_box_is_not_called_tiny_as_well(pictures):
    boxes = table(row(box=(0.11, 0.1, 0.1, 0.5), image=pictures[0]))
    assert find_problems(boxes, open_images=True) == [(0, "inverted box")]


def test_box_of_few_pixels_is_found(pictures):
    # 3 of 96 pixels.
    boxes = table(row(image=pictures[0], box=(0.5, 0.53125, 0.1, 0.5)))
    assert find_problems(boxes, open_images=True) == [(0, "tiny box")]
    assert find_problems(boxes, open_images=True, min_side=3) == []


def test_same_file_under_another_name_is_found(tmp_path, pictures):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(pictures[1]).read_bytes())
    boxes = table(*[row(image=image) for image in (*pictures, str(copy))])
    problems = check_annotations(boxes, min_images=1)
    assert problems[["row", "problem", "detail"]].values.tolist() == [
        [4, "identical images", f"the same as {pictures[1]}"]
    ]


def test_nearly_identical_picture_is_found_only_across_the_split(tmp_path, pictures):
    copy = str(tmp_path / "copy.jpg")
    Image.open(pictures[1]).save(copy, quality=85)
    boxes = table(*[row(image=image) for image in (*pictures, copy)])
    split = ["train"] * 4 + ["val"]
    assert find_problems(boxes, open_images=True, split=split) == [(4, "near-identical images")]
    assert find_problems(boxes.assign(split=split), open_images=True) == [
        (4, "near-identical images")
    ]
    assert find_problems(boxes, open_images=True, split=["train"] * 5) == []
    assert find_problems(boxes, open_images=True) == []


def test_same_path_in_two_parts_of_the_split_is_found():
    boxes = table(row(), row(image="b.jpg"), row("dog", (0.6, 0.9, 0.6, 0.9)))
    problems = find_problems(boxes, split=["train", "train", "val"])
    assert (2, "identical images") in problems
    assert (2, "identical images") not in find_problems(boxes, split=["train"] * 3)


def test_tilde_in_paths_of_images_is_the_home_folder(tmp_path, pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(pictures[1]).read_bytes())
    boxes = table(row(image="~/1.png"), row(image="~/copy.png"), row(image="~/missing.png"))
    expected = [(1, "identical images"), (2, "missing image")]
    assert find_problems(boxes, open_images=True) == expected
    result, actions = clean(boxes, open_images=True)
    assert result["image"].tolist() == ["~/1.png", "~/copy.png"]
    assert actions == [[2, "missing image", "dropped"]]


def test_classes_may_be_numbers():
    boxes = table(row(3), row(5, image="b.jpg"))
    assert find_problems(boxes) == []
    result = clean_annotations(boxes, open_images=False)
    assert result["class_name"].tolist() == [3, 5]


def test_split_of_another_length_is_refused():
    with pytest.raises(AnnotationError, match=r"each of the 1 rows\. Received 2 names"):
        check_annotations(table(row()), split=["train", "val"])


def test_missing_column_is_named():
    with pytest.raises(AnnotationError, match=r"missing: \['image'\]"):
        check_annotations(table(row()).drop(columns="image"))


# ---------------------------------------------------------------- the table of problems


def test_problems_have_severities():
    boxes = table(
        row(box=(0.5, 0.1, 0.1, 0.5)),
        row("Cat", image="b.jpg"),
        row("owl", (0.6, 0.9, 0.6, 0.9), "b.jpg"),
    )
    problems = check_annotations(boxes, open_images=False, min_images=1)
    assert list(problems.columns) == ["row", "image", "problem", "detail", "severity"]
    assert dict(zip(problems["problem"], problems["severity"], strict=True)) == {
        "inverted box": "error",
        "similar class names": "warning",
        "several boxes": "info",
        "several classes": "info",
    }
    assert set(problems["problem"]) <= set(KINDS)


def test_summary_counts_the_severest_first():
    boxes = table(
        row(), row(box=(0.5, 0.1, 0.1, 0.5), image="b.jpg"), row("owl", (0.6, 0.9, 0.6, 0.9))
    )
    lines = check_annotations(boxes, open_images=False, min_images=2).summary().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["error", "1"],
        ["warning", "1"],
        ["info", "1"],
        ["info", "1"],
    ]
    assert "inverted box" in lines[0]
    assert "rare class" in lines[1]


def test_summary_counts_the_rows_of_each_kind():
    half = row("cat", (np.nan, 0.5, 0.1, 0.5), "f.jpg")
    boxes = pd.concat([EACH_KIND, table(row(None, NOTHING, "e.jpg"), half)], ignore_index=True)
    problems = check_annotations(boxes, open_images=False, min_images=1)
    assert problems.kinds == {"class and box": 1, "class only": 1, "box only": 1, "no object": 2}
    assert problems.summary().splitlines() == [
        "rows          1  class and box",
        "rows          1  class only",
        "rows          1  box only",
        "rows          2  no object",
        "error         1  missing coordinate: half a box, or a coordinate is not finite",
    ]
    assert "1 class only, 1 box only, 2 no object." in problems._repr_html_()


def test_kinds_stay_with_selected_problems_and_may_be_lost():
    problems = check_annotations(EACH_KIND, open_images=False, min_images=5)
    assert problems[problems["row"] > 5].summary().endswith("no object\nNo problems found.")
    joined = pd.concat([problems, Problems(problems.to_dict("list"))])
    assert joined.summary() == "warning       2  rare class: too few images to train on"


def test_summary_of_no_problems():
    problems = check_annotations(table(row()), open_images=False, min_images=1)
    assert len(problems) == 0
    assert problems.summary() == "No problems found."


def test_selected_problems_have_a_summary():
    boxes = table(row(), row(box=(0.5, 0.1, 0.1, 0.5), image="b.jpg"))
    problems = check_annotations(boxes, open_images=False)
    errors = problems[problems["severity"] == "error"]
    assert errors.summary() == "error         1  inverted box: an edge is beyond the opposite edge"


def test_rows_are_positions_and_the_table_is_not_changed():
    boxes = table(row(), row(box=(0.5, 0.1, 0.1, 0.5))).set_axis([7, 7])
    before = boxes.copy()
    assert (1, "inverted box") in find_problems(boxes)
    pd.testing.assert_frame_equal(boxes, before)


# ---------------------------------------------------------------- cleaning


def clean(boxes, **options):
    """The cleaned boxes; and row, problem and action of each repair."""
    with pytest.warns(SkbboxWarning, match="clean_annotations: "):
        result = clean_annotations(boxes, **({"open_images": False} | options))
    return result, result.actions[["row", "problem", "action"]].values.tolist()


@pytest.mark.parametrize(
    ("box", "expected", "problem"),
    [
        ((0.5, 0.1, 0.1, 0.5), (0.1, 0.5, 0.1, 0.5), "inverted box"),
        ((-0.1, 0.5, 0.1, 1.5), (0.0, 0.5, 0.1, 1.0), "outside image"),
    ],
)
def test_box_is_repaired_by_rule(box, expected, problem):
    result, actions = clean(table(row(box=box)))
    assert result[SIDES].values.tolist() == [list(expected)]
    assert actions == [[0, problem, "repaired"]]


@pytest.mark.parametrize(
    ("class_name", "box", "problem"),
    [
        ("cat", (0.1, 0.1, 0.1, 0.5), "empty box"),
        ("cat", (1.1, 1.5, 0.1, 0.5), "outside image"),
        ("cat", (np.nan, 0.5, 0.1, 0.5), "missing coordinate"),
        (None, (np.nan, 0.5, 0.1, 0.5), "missing coordinate"),
        (" ", NOTHING, "blank class"),
        ("cat", (10, 50, 10, 50), "pixel coordinates"),
        ("cat", (0.1, 0.5, 0.2, 2.5), "pixel coordinates"),
    ],
)
def test_unusable_row_is_dropped(class_name, box, problem):
    result, actions = clean(table(row(), row(class_name, box, "b.jpg")))
    assert result["image"].tolist() == ["a.jpg"]
    assert actions == [[1, problem, "dropped"]]


def test_rows_of_each_kind_stay():
    # SkbboxWarning is an error in these tests.
    result = clean_annotations(EACH_KIND, open_images=False)
    pd.testing.assert_frame_equal(pd.DataFrame(result), EACH_KIND)


def test_blank_class_of_a_box_becomes_missing():
    result, actions = clean(table(row(" ")))
    assert result["class_name"].tolist() == [None]
    assert actions == [[0, "blank class", "repaired"]]


def test_row_without_an_object_is_dropped_beside_one_with_an_object():
    boxes = table(row(None, NOTHING), row("cat", NOTHING), row(None, NOTHING, "b.jpg"))
    result, actions = clean(boxes)
    assert result.index.tolist() == [1, 2]
    assert actions == [[0, "contradicted by a row", "dropped"]]


def test_box_without_a_class_is_dropped_if_another_row_has_its_class():
    boxes = table(row(None), row(), row(None, (0.6, 0.9, 0.6, 0.9)))
    result, actions = clean(boxes)
    assert result.index.tolist() == [1, 2]
    assert actions == [[0, "duplicate", "dropped"]]


def test_rounding_overshoot_is_clipped_silently():
    # SkbboxWarning is an error in these tests.
    result = clean_annotations(table(row(box=(0.1, 1 + 1e-7, 0.0, 0.5))), open_images=False)
    assert result["x_max"].tolist() == [1.0]
    assert len(result.actions) == 0


def test_pixels_are_divided_by_the_size_of_the_image(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    boxes = table(row(box=(20, 60, 10, 50), image=str(tmp_path / "a.png")))
    result, actions = clean(boxes, open_images=True)
    assert result[SIDES].values.tolist() == [[0.1, 0.3, 0.1, 0.5]]
    assert actions == [[0, "pixel coordinates", "repaired"]]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((20, 60, 0.1, 0.5), "only x or only y may be in pixels"),
        ((20, 6000, 10, 50), "does not fit 200 x 100 pixels"),
    ],
)
def test_pixels_that_do_not_fit_the_image_are_dropped(tmp_path, box, reason):
    image = str(tmp_path / "a.png")
    Image.new("RGB", (200, 100)).save(image)
    with pytest.warns(SkbboxWarning, match="1 pixel coordinates dropped"):
        result = clean_annotations(table(row(image=image), row(box=box, image=image)))
    assert result.index.tolist() == [0]
    assert reason in result.actions["detail"].item()


def test_spellings_become_the_most_frequent_one():
    names = ["car", "Car", "car ", "car", "Owl "]
    boxes = table(*[row(name, image=f"{i}.jpg") for i, name in enumerate(names)])
    result, actions = clean(boxes)
    assert result["class_name"].tolist() == ["car"] * 4 + ["Owl"]
    assert actions == [[i, "similar class names", "repaired"] for i in (1, 2, 4)]


def test_boxes_that_repeat_are_dropped_and_other_classes_stay():
    boxes = table(row(), row(), row(box=(0.1, 0.5, 0.1, 0.48)), row("dog"))
    result, actions = clean(boxes)
    assert result["class_name"].tolist() == ["cat", "dog"]
    assert actions == [[1, "duplicate", "dropped"], [2, "near duplicate", "dropped"]]


def test_image_that_cannot_be_read_is_dropped_with_all_its_boxes(pictures):
    boxes = table(row(image=pictures[0]), row(image="nowhere.png"), row("dog", image="nowhere.png"))
    result, actions = clean(boxes, open_images=True)
    assert result["image"].tolist() == [pictures[0]]
    assert actions == [[1, "missing image", "dropped"], [2, "missing image", "dropped"]]


def test_wrong_folder_does_not_drop_all_rows():
    with pytest.warns(SkbboxWarning, match=r"none of the images exists, the first being a\.jpg"):
        result = clean_annotations(table(row(), row(image="b.jpg")))
    assert result["image"].tolist() == ["a.jpg", "b.jpg"]


def test_images_without_an_object_index_and_columns_stay():
    boxes = table(row(None, NOTHING, "b.jpg"), row(), row(), note=list("xyz")).set_axis([5, 6, 6])
    result, _ = clean(boxes)
    assert result.index.tolist() == [5, 6]
    assert result["note"].tolist() == ["x", "y"]
    assert result["class_name"].isna().tolist() == [True, False]


def test_cleaned_table_has_no_repairable_problem():
    random = np.random.RandomState(0)
    boxes = table(
        *[
            row(
                random.choice(["cat", "Cat ", "dog"]), random.uniform(-0.3, 1.3, 4), f"{i % 20}.jpg"
            )
            for i in range(200)
        ]
    )
    result, _ = clean(boxes)
    problems = check_annotations(result, open_images=False, min_images=1)
    allowed = {"several boxes", "several classes", "covers everything", "conflicting classes"}
    assert set(problems["problem"]) <= allowed
    assert 100 < len(result) < 200


def test_table_that_is_cleaned_is_not_changed():
    boxes = table(row(), row("Cat", (0.5, 0.1, 0.1, 0.5), "b.jpg"))
    before = boxes.copy()
    clean(boxes)
    pd.testing.assert_frame_equal(boxes, before)


# ---------------------------------------------------------------- real data


@pytest.mark.parametrize(
    ("name", "problem", "n"),
    [
        # Numbers from the notes of the data sets.
        ("fruit3", "several classes", 24),
        ("kangaroo_voc", "identical images", 1),
        ("raccoon_voc", "identical images", 4),
    ],
)
def test_known_defects_of_real_data_are_found(shared, name, problem, n):
    boxes = load_annotated_folder(shared / "datasets" / name)
    problems = check_annotations(boxes.drop(columns="split"))
    assert (problems["problem"] == problem).sum() == n
    assert not problems["problem"].isin(["missing image", "unreadable image"]).any()


@pytest.mark.slow
def test_pictures_of_one_pose_are_found_across_the_split_of_real_data(shared):
    boxes = load_annotated_folder(shared / "datasets" / "asl_letters")
    problems = check_annotations(boxes)
    assert set(problems["problem"]) <= {"near-identical images", "tiny box"}
    near = problems.loc[problems["problem"] == "near-identical images", "row"]
    # Some groups of near-copies in the notes are in both parts of the split.
    across = boxes.groupby("group")["split"].transform("nunique") > 1
    assert across.iloc[near].mean() > 0.5
    assert len(near) > 0


def test_notebook_shows_the_summary_before_the_rows():
    boxes = pd.DataFrame({"image": ["a.jpg", "<b>.jpg"], "class_name": ["cat", "cat"]})
    boxes[["x_min", "x_max", "y_min", "y_max"]] = [[0.5, 0.5, 0, 1], [0.5, 0.2, 0, 1]]
    html = check_annotations(boxes, open_images=False, min_images=1)._repr_html_()
    inverted = (
        "<td>error</td><td>inverted box</td><td>1</td><td>an edge is beyond the opposite edge"
    )
    empty = "<td>error</td><td>empty box</td><td>1</td><td>the box has no width or no height"
    assert html.index(inverted) < html.index(empty) < html.index("<summary>All 2 rows</summary>")
    assert "&lt;b&gt;.jpg" in html
    assert "<b>" not in html


def test_notebook_shows_no_problems_and_selected_columns():
    boxes = pd.DataFrame({"image": ["a.jpg"], "class_name": ["cat"]})
    boxes[["x_min", "x_max", "y_min", "y_max"]] = [[0.1, 0.5, 0, 0.9]]
    problems = check_annotations(boxes, open_images=False, min_images=1)
    assert problems._repr_html_() == "<p>No problems found.</p>"
    assert "<summary>" not in problems[["row", "problem"]]._repr_html_()


# ---------------------------------------------------------------- near-duplicates


def test_groups_are_joined_by_an_image_between_them():
    ends = np.zeros(3, np.uint64), np.array([0b1111_1111_1111, 0, 0], np.uint64)
    between = np.array([0b11_1111, 0, 0], np.uint64)
    assert group_near_duplicates(ends).tolist() == [0, 1]
    # 6 bits from each of the two, which differ in 12.
    assert group_near_duplicates([*ends, between]).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("name", "n_groups"), [("kangaroo_voc", 163), ("raccoon_voc", 193)])
def test_near_duplicates_are_those_of_the_notes(shared, name, n_groups):
    """The notes of these data sets join images by the same rule, with another program."""
    folder = shared / "datasets" / name
    notes = pd.read_csv(folder / "groups.csv").set_index("image_id")["group"]
    images = sorted(path for path in folder.rglob("*.jpg") if path.stem in notes.index)
    found = group_near_duplicates([hash_image(path) for path in images])
    expected = notes[[path.stem for path in images]].to_numpy()
    assert len(set(found)) == len(set(expected)) == n_groups
    assert len(set(zip(found, expected, strict=True))) == n_groups
