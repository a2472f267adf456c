"""Drawn pictures with exact boxes, and annotated folders."""

import numpy as np
import pytest
from PIL import Image

from skbbox.boxes import TARGET_COLUMNS
from skbbox.datasets import load_annotated_folder, make_shapes, outlines, photographs, shapes
from skbbox.exceptions import AnnotationError

HEADER = "image_id,x_min,x_max,y_min,y_max,class_name,folder\n"
EIGHT_CLASSES = ["disc", "square", "triangle", "star", "cross", "ring", "heart", "crescent"]


# make_shapes


def test_same_random_state_gives_identical_pictures():
    first, second = make_shapes(12, random_state=3), make_shapes(12, random_state=3)
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1].equals(second[1])


def test_another_random_state_gives_other_pictures():
    assert not np.array_equal(make_shapes(4, random_state=0)[0], make_shapes(4, random_state=1)[0])


def test_random_state_instance_is_used_and_advanced():
    random_state = np.random.RandomState(3)
    np.testing.assert_array_equal(
        make_shapes(4, random_state=3)[0], make_shapes(4, random_state=random_state)[0]
    )
    assert not np.array_equal(
        make_shapes(4, random_state=3)[0], make_shapes(4, random_state=random_state)[0]
    )


def test_global_random_state_is_not_changed():
    np.random.seed(7)
    expected = np.random.random_sample()
    np.random.seed(7)
    make_shapes(3, random_state=0)
    assert np.random.random_sample() == expected


def test_pictures_are_uint8_rgb_of_height_and_width():
    X, _ = make_shapes(2, image_size=(40, 70), random_state=0)
    assert X.shape == (2, 40, 70, 3)
    assert X.dtype == np.uint8


def test_targets_have_the_target_columns():
    _, y = make_shapes(2, random_state=0)
    assert tuple(y.columns) == TARGET_COLUMNS
    assert (y.dtypes.iloc[1:] == np.float64).all()
    assert list(y.index) == [0, 1]


def test_numbers_of_classes_differ_by_at_most_one():
    _, y = make_shapes(10, n_classes=4, random_state=0)
    assert sorted(y["class_name"].value_counts()) == [2, 2, 3, 3]


def test_classes_are_shuffled():
    _, y = make_shapes(24, n_classes=2, random_state=0)
    assert list(y["class_name"]) not in (["disc", "square"] * 12, ["disc"] * 12 + ["square"] * 12)


@pytest.mark.parametrize("n_classes", range(1, 9))
def test_classes_are_the_first_names(n_classes):
    _, y = make_shapes(8, image_size=32, n_classes=n_classes, random_state=0)
    assert set(y["class_name"]) == set(EIGHT_CLASSES[:n_classes])


@pytest.fixture
def shapes_and_coverages(monkeypatch):
    """Pictures and boxes, and the share of each pixel that each object covers."""
    coverages = []
    draw_picture = shapes._draw_picture

    def record(*args):
        pixels, coverage = draw_picture(*args)
        coverages.append(coverage)
        return pixels, coverage

    monkeypatch.setattr(shapes, "_draw_picture", record)
    X, y = make_shapes(80, image_size=(48, 64), n_classes=8, random_state=5)
    return X, y, coverages


def test_box_is_tight_around_the_half_covered_pixels(shapes_and_coverages):
    _, y, coverages = shapes_and_coverages
    for (_, target), coverage in zip(y.iterrows(), coverages, strict=True):
        covered = [
            (row, column)
            for row in range(48)
            for column in range(64)
            if coverage[row, column] >= 0.5
        ]
        assert target["x_min"] == min(column for _, column in covered) / 64
        assert target["x_max"] == (max(column for _, column in covered) + 1) / 64
        assert target["y_min"] == min(row for row, _ in covered) / 48
        assert target["y_max"] == (max(row for row, _ in covered) + 1) / 48


def test_boxes_are_inside_the_image(shapes_and_coverages):
    _, y, _ = shapes_and_coverages
    assert (y[["x_min", "y_min"]] >= 0).all(axis=None)
    assert (y[["x_max", "y_max"]] <= 1).all(axis=None)


def test_longer_side_is_0_3_to_0_8_of_the_shorter_image_side(shapes_and_coverages):
    _, y, _ = shapes_and_coverages
    longer = np.maximum((y["x_max"] - y["x_min"]) * 64, (y["y_max"] - y["y_min"]) * 48)
    # Up to a pixel more at each end if the object begins inside it, or less at a pointed tip.
    assert longer.between(0.3 * 48 - 2, 0.8 * 48 + 2).all()


def test_object_differs_in_colour_from_its_background(monkeypatch):
    monkeypatch.setattr(shapes, "_add_clutter", lambda *args: None)
    random_state = np.random.RandomState(0)
    for outline in outlines.OUTLINES.values():
        pixels, coverage = shapes._draw_picture(random_state, outline, 64, 64)
        inside, outside = pixels[coverage == 1], pixels[coverage == 0]
        # The distance to both background colours is 90; their mixtures may be closer.
        assert np.linalg.norm(inside.mean(axis=0) - outside.mean(axis=0)) > 60


def test_objects_in_the_smallest_images_have_two_pixels():
    _, y = make_shapes(400, image_size=16, n_classes=8, random_state=0)
    assert (y["x_max"] - y["x_min"]).min() >= 2 / 16
    assert (y["y_max"] - y["y_min"]).min() >= 2 / 16


def test_coverage_of_a_rectangle_is_its_area_in_each_pixel():
    # x from 1.25 to 4.75, y from 2 to 4: 3/4 of columns 1 and 4, all of columns 2 and 3, in rows 2
    # and 3. Drawing widens an outline by half a sub-pixel, 1/16 pixel, on each side.
    corners = np.array([(1.25, 2.0), (4.75, 2.0), (4.75, 4.0), (1.25, 4.0)])
    coverage, (rows, columns) = outlines.measure_coverage(corners, 10, 10)
    everywhere = np.zeros((10, 10))
    everywhere[rows, columns] = coverage
    expected = np.zeros((10, 10))
    expected[2:4, 1:5] = [0.75, 1, 1, 0.75]
    np.testing.assert_allclose(everywhere, expected, atol=0.15)


@pytest.mark.parametrize("x_min, first_column", [(2.3, 2), (2.7, 3)])
def test_pixel_belongs_to_the_box_if_half_covered(x_min, first_column):
    corners = np.array([(x_min, 1.0), (6.0, 1.0), (6.0, 3.9), (x_min, 3.9)])
    coverage, window = outlines.measure_coverage(corners, 8, 10)
    everywhere = np.zeros((8, 10))
    everywhere[window] = coverage
    assert outlines.find_tight_box(everywhere) == (first_column / 10, 6 / 10, 1 / 8, 4 / 8)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_classes": 0}, "n_classes must be an integer from 1 to 8. Received: n_classes=0"),
        ({"n_classes": 9}, "n_classes=9"),
        ({"n_classes": 2.0}, "n_classes=2.0"),
        ({"n_samples": 0}, "n_samples must be an integer of at least 1. Received: n_samples=0"),
        ({"n_samples": True}, "n_samples=True"),
        (
            {"image_size": 15},
            "image_size must be an integer of at least 16. Received: image_size=15",
        ),
        ({"image_size": (64, 12)}, "image_size=12"),
        (
            {"image_size": (64, 64, 3)},
            r"pair \(height, width\). Received: image_size=\(64, 64, 3\)",
        ),
    ],
)
def test_parameter_out_of_range_raises(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_shapes(**parameters)


# make_shapes(background="photo")


@pytest.fixture(scope="module")
def on_photographs():
    return make_shapes(24, image_size=(96, 128), n_classes=8, random_state=2, background="photo")


def test_same_random_state_gives_identical_photographs(on_photographs):
    again = make_shapes(24, (96, 128), 8, random_state=2, background="photo")
    np.testing.assert_array_equal(again[0], on_photographs[0])
    assert again[1].equals(on_photographs[1])


def test_global_random_state_is_not_changed_by_photographs():
    np.random.seed(7)
    expected = np.random.random_sample()
    np.random.seed(7)
    make_shapes(2, random_state=0, background="photo")
    assert np.random.random_sample() == expected


def test_photographs_are_like_drawn_pictures_in_shape_and_targets(on_photographs):
    X, y = on_photographs
    assert X.shape == (24, 96, 128, 3)
    assert X.dtype == np.uint8
    assert tuple(y.columns) == TARGET_COLUMNS
    assert (y.dtypes.iloc[1:] == np.float64).all()
    assert dict(y["class_name"].value_counts()) == dict.fromkeys(EIGHT_CLASSES, 3)


def test_object_changes_the_pixels_of_its_box(monkeypatch):
    changes = []
    blend_over = photographs.blend_over

    def record(part, *args):
        before = part.base.copy()
        blend_over(part, *args)
        changes.append(part.base - before)

    monkeypatch.setattr(photographs, "blend_over", record)
    _, y = make_shapes(40, (96, 128), 2, random_state=5, background="photo")
    for (_, target), change in zip(y.iterrows(), changes, strict=True):
        rows, columns = np.nonzero(change.any(axis=2))
        edges = np.array([columns.min(), columns.max() + 1, rows.min(), rows.max() + 1])
        box = (target[list(TARGET_COLUMNS[1:])] * [128, 128, 96, 96]).to_numpy(dtype=float)
        # Pixels of which the object covers less than half: discs and squares have no sharp tips.
        beyond = np.rint((edges - box) * [-1, 1, -1, 1])
        assert set(beyond) <= {0, 1}


def test_colour_is_the_first_that_is_far_from_the_background():
    candidates = np.array([[0.0, 0, 0], [0, 0, 90], [0, 0, 200]])
    background = np.array([[0.0, 0, 10], [0, 0, 40]])
    for distance, expected in [(5, 0), (50, 1), (90, 2), (500, 2)]:
        colour = outlines.choose_contrasting_colour(candidates, background, distance)
        assert list(colour) == list(candidates[expected])


def test_every_class_has_a_usual_colour():
    assert list(photographs.HUES) == EIGHT_CLASSES


def test_pictures_are_parts_of_both_photographs(monkeypatch):
    red, green = (Image.new("RGB", (640, 427), name) for name in ("red", "green"))
    monkeypatch.setattr(shapes, "load_photographs", lambda: [red, green])
    X, _ = make_shapes(12, 64, n_classes=1, random_state=0, background="photo")
    corners = X[:, [0, 0, -1, -1], [0, -1, 0, -1]].reshape(12, -1, 3)
    # At least one corner is free: an object is at most 0.8 of the picture wide and high.
    is_red = (corners[..., 0] > corners[..., 1] + 40).any(axis=1)
    is_green = (corners[..., 1] > corners[..., 0] + 40).any(axis=1)
    assert is_red.any() and is_green.any()


def test_unknown_background_raises():
    with pytest.raises(ValueError, match=r"'drawn' or 'photo'. Received: background='plain'"):
        make_shapes(2, background="plain")


# load_annotated_folder


@pytest.fixture
def folder(tmp_path):
    for name in ("cake/007", "cake/12", "tea/a"):
        image = tmp_path / "images" / f"{name}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(image)
    (tmp_path / "annotations.csv").write_text(
        HEADER
        + "12,0.1,0.5,0.2,0.9,cake,cake\n"
        + "a,0,1,0,1,tea,tea\n"
        + "007,0.25,0.5,0.25,0.75,cake,cake\n"
        + "12,0.5,0.75,0,0.5,tea,cake\n"
    )
    return tmp_path


def _write_groups(folder, lines):
    (folder / "groups.csv").write_text("image_id,group,split,n_boxes\n" + lines)


def test_rows_are_the_boxes_in_the_order_of_the_file(folder):
    _write_groups(folder, "007,0,train,1\n12,0,,2\na,03,val,1\n")
    boxes = load_annotated_folder(folder)
    assert list(boxes["image_id"]) == ["12", "a", "007", "12"]
    assert list(boxes["class_name"]) == ["cake", "tea", "cake", "tea"]
    assert list(boxes["x_max"]) == [0.5, 1.0, 0.5, 0.75]


def test_images_are_in_the_folder_images(folder):
    boxes = load_annotated_folder(str(folder))
    assert boxes.loc[2, "image"] == str(folder / "images" / "cake" / "007.jpg")


def test_home_folder_is_expanded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    boxes = load_annotated_folder(f"~/{folder.name}")
    assert boxes.loc[2, "image"] == str(folder / "images" / "cake" / "007.jpg")


def test_leading_zeros_are_preserved(folder):
    _write_groups(folder, "007,0,train,1\n12,0,,2\na,03,val,1\n")
    boxes = load_annotated_folder(folder)
    assert boxes.loc[2, "image_id"] == "007"
    assert boxes.loc[1, "group"] == "03"


def test_groups_and_splits_are_joined_as_text(folder):
    _write_groups(folder, "007,0,train,1\n12,0,,2\na,03,val,1\n")
    boxes = load_annotated_folder(folder)
    assert list(boxes["group"]) == ["0", "03", "0", "0"]
    assert list(boxes["split"]) == ["", "val", "train", ""]
    assert "n_boxes" not in boxes.columns


def test_image_named_na_is_not_missing(folder):
    (folder / "annotations.csv").write_text(HEADER + "NA,0,1,0,1,cake,cake\n")
    _write_groups(folder, "NA,nan,NA,1\n")
    assert load_annotated_folder(folder).loc[0, ["image_id", "group", "split"]].tolist() == [
        "NA",
        "nan",
        "NA",
    ]


def test_without_groups_csv_its_columns_are_absent(folder):
    assert list(load_annotated_folder(folder).columns) == [
        "image",
        *TARGET_COLUMNS,
        "image_id",
        "folder",
    ]


def test_missing_folder_raises_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        load_annotated_folder(tmp_path / "nowhere")


def test_missing_annotations_raise_with_the_layout(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"The layout is annotations.csv, images/folder/image_id.jpg"
    ):
        load_annotated_folder(tmp_path)


def test_annotations_without_boxes_raise(folder):
    (folder / "annotations.csv").write_text(HEADER)
    with pytest.raises(AnnotationError, match=r"annotations.csv has no boxes"):
        load_annotated_folder(folder)


def test_image_without_group_raises_with_its_name(folder):
    _write_groups(folder, "12,0,,2\n")
    with pytest.raises(AnnotationError, match=r"groups.csv: image_id 'a' .* \(1 more like it\)"):
        load_annotated_folder(folder)


def test_image_with_two_groups_raises(folder):
    _write_groups(folder, "007,0,train,1\n12,0,,2\na,1,,1\n12,1,,2\n")
    with pytest.raises(AnnotationError, match="image_id '12' occurs more than once"):
        load_annotated_folder(folder)


def test_groups_without_their_columns_raise(folder):
    (folder / "groups.csv").write_text("image_id,fold\n007,1\n")
    with pytest.raises(AnnotationError, match=r"columns \['group', 'split'\] are missing"):
        load_annotated_folder(folder)
