"""Tables of other libraries: read by column name, and returned as they came."""

from collections import namedtuple
from datetime import date

import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from skbbox import (
    TARGET_COLUMNS,
    DummyLocalizer,
    IoUDistributionDisplay,
    StratifiedBoxKFold,
    check_annotations,
    clean_annotations,
    from_xyxy,
    iou,
    localization_accuracy,
    one_box_per_image,
    rank_label_issues,
    read_annotations,
    to_xyxy,
    write_annotations,
)
from skbbox.exceptions import BoxError, DataError, ImageError, SkbboxWarning
from skbbox.inputs import check_images, check_sample_weight, check_targets

PATHS = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
Y = pd.DataFrame(
    [
        ("cat", 0.1, 0.5, 0.0, 0.9),
        ("dog", 0.2, 0.6, 0.1, 0.8),
        ("cat", 0.3, 0.7, 0.2, 0.9),
        ("dog", 0.0, 1.0, 0.0, 0.5),
    ],
    columns=TARGET_COLUMNS,
)
# Read by position, its boxes have y_max as x_min.
Z = Y[["y_max", "y_min", "class_name", "x_max", "x_min"]]

CONVERSIONS = {
    "polars": pl.from_pandas,
    "polars lazy": lambda table: pl.from_pandas(table).lazy(),
    "pyarrow": pa.Table.from_pandas,
    "pyarrow batch": pa.RecordBatch.from_pandas,
    "dask": lambda table: dask.dataframe.from_pandas(table, npartitions=2),
}
convert = pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)


# ---------------------------------------------------------------- reading


@convert
def test_measures_find_coordinates_by_name(convert):
    assert iou(convert(Z), Y).tolist() == [1, 1, 1, 1]


@convert
def test_classes_are_found_by_name(convert):
    assert localization_accuracy(convert(Z), Y) == 1


@convert
def test_to_xyxy_finds_coordinates_by_name(convert):
    assert to_xyxy(convert(Z))[0].tolist() == [0.1, 0, 0.5, 0.9]


@convert
def test_from_xyxy_refuses_tables_with_names(convert):
    with pytest.raises(BoxError, match="reorders an array without column names"):
        from_xyxy(convert(Y.drop(columns="class_name")))


@convert
def test_y_is_read_by_name(convert):
    targets = check_targets(convert(Z), 4)
    assert targets.boxes.tolist() == Y.iloc[:, 1:].to_numpy().tolist()
    assert targets.class_names.tolist() == ["cat", "dog", "cat", "dog"]


@convert
def test_fit_and_score_are_those_of_pandas(convert):
    expected = DummyLocalizer("mean").fit(PATHS, Y)
    dummy = DummyLocalizer("mean").fit(PATHS, convert(Z))
    assert dummy.box_.tolist() == expected.box_.tolist()
    assert dummy.score(PATHS, convert(Z)) == expected.score(PATHS, Y)


@convert
def test_splitters_read_classes_by_name(convert):
    folds = StratifiedBoxKFold(2).split(convert(pd.DataFrame({"image": PATHS})), convert(Z))
    # A cat and a dog in each test set.
    assert [test.tolist() for _, test in folds] == [[0, 1], [2, 3]]


@convert
def test_one_box_per_image_reads_by_name(convert):
    X, y = one_box_per_image(convert(Z.assign(image=["a.jpg", "a.jpg", "b.jpg", "c.jpg"])))
    # Of the two boxes of a.jpg, the first has the larger area: .36 and .28.
    assert list(X) == ["a.jpg", "b.jpg", "c.jpg"]
    assert list(y["x_min"]) == [0.1, 0.3, 0.0]


@convert
def test_problems_are_found_in_the_right_columns(convert):
    table = Z.assign(image=PATHS, x_max=[0.5, 0.1, 0.7, 1.0])
    problems = check_annotations(convert(table), open_images=False, min_images=1)
    assert problems[["row", "problem"]].to_numpy().tolist() == [[1, "inverted box"]]


@convert
def test_annotations_are_written_by_name(convert, tmp_path):
    path = tmp_path / "boxes.csv"
    write_annotations(convert(Z.assign(image=PATHS)), path, "snacks", images_dir=".")
    again = read_annotations(path, images_dir=".")
    assert again[list(TARGET_COLUMNS)].to_numpy().tolist() == Y.to_numpy().tolist()


@convert
def test_displays_read_by_name(convert):
    display = IoUDistributionDisplay.from_predictions(convert(Z), convert(Y))
    assert display.iou.tolist() == [1, 1, 1, 1]


@convert
def test_images_are_read_from_a_table(convert):
    table = pd.DataFrame({"other": [1, 2, 3, 4], "image": PATHS})
    assert check_images(convert(table)).items == PATHS


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pl.Series(PATHS), id="polars"),
        pytest.param(pa.array(PATHS), id="pyarrow array"),
        pytest.param(pa.chunked_array([PATHS[:1], PATHS[1:]]), id="pyarrow chunks"),
        pytest.param(dask.dataframe.from_pandas(pd.Series(PATHS), npartitions=2), id="dask"),
    ],
)
def test_images_are_read_from_a_column(column):
    assert check_images(column).items == PATHS


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: [row for _, row in Z.iterrows()], id="Series"),
        pytest.param(lambda: Z.to_dict("records"), id="dicts"),
        pytest.param(lambda: list(Z.itertuples()), id="named tuples"),
        pytest.param(lambda: list(Z.to_records()), id="records"),
    ],
)
def test_rows_with_names_are_read_by_name(make):
    assert iou(make(), Y).tolist() == [1, 1, 1, 1]


def test_a_named_tuple_without_the_names_of_coordinates_is_refused():
    Box = namedtuple("Box", "left top right bottom")
    with pytest.raises(BoxError, match=r"missing: .*Received: .*'left', 'top'"):
        iou(Box(0, 0, 1, 1), Y)


def test_a_masked_coordinate_is_missing():
    boxes = np.ma.array([[0.0, 1.0, 0.0, 1.0]], mask=[[False, True, False, False]])
    with pytest.raises(BoxError, match=r"not finite. Received: x_min=0, x_max=nan"):
        iou(boxes, Y)


def test_a_missing_value_of_polars_is_missing():
    y = pl.from_pandas(Y).with_columns(x_max=pl.Series([0.5, None, 0.7, 1.0]))
    with pytest.raises(BoxError, match=r"Row 1: .*x_max=nan"):
        check_targets(y, 4)


# ---------------------------------------------------------------- polars in, polars out


def test_predictions_of_images_in_polars_are_of_polars():
    dummy = DummyLocalizer("full").fit(PATHS, Y)
    for X in (pl.Series(PATHS), pl.DataFrame({"image": PATHS})):
        predicted = dummy.predict(X)
        assert isinstance(predicted, pl.DataFrame)
        assert predicted.columns == [*TARGET_COLUMNS, "class_confidence"]
        assert predicted["x_max"].to_list() == [1, 1, 1, 1]


def test_a_selection_of_polars_keeps_the_types_of_its_columns():
    table = pl.from_pandas(Y.assign(image=PATHS)).with_columns(
        day=pl.Series([date(2026, 1, day) for day in (1, 2, 3, 4)])
    )
    X, y = one_box_per_image(table)
    assert isinstance(X, pl.Series)
    assert y.schema["day"] == pl.Date
    assert y["day"].to_list() == table["day"].to_list()


def test_labels_that_are_missing_in_polars_stay_missing():
    table = pl.from_pandas(Y.assign(image=PATHS)).with_columns(
        class_name=pl.Series(["cat", "dog", None, None]),
        **dict.fromkeys(("x_min", "y_min"), pl.Series([0.0, None] * 2)),
        **dict.fromkeys(("x_max", "y_max"), pl.Series([0.5, None] * 2)),
    )
    # A row of each kind, which nothing changes or drops.
    cleaned = clean_annotations(table, open_images=False)
    kinds = {"class and box": 1, "class only": 1, "box only": 1, "no object": 1}
    assert check_annotations(cleaned, open_images=False).kinds == kinds
    X, y = one_box_per_image(cleaned)
    assert y["class_name"].to_list() == ["cat", "dog", None, None]
    assert np.isnan(y["x_max"].to_numpy()).tolist() == [False, True, False, True]
    predicted = DummyLocalizer("prior").fit(X, y).predict(X)
    assert predicted["presence"].to_list() == [0.75] * 4


def test_cleaned_boxes_of_polars_are_of_polars():
    table = pl.from_pandas(Y.assign(image=PATHS, x_max=[0.5, 0.1, 0.7, 1.5]))
    with pytest.warns(SkbboxWarning, match="1 inverted box repaired, 1 outside image repaired"):
        cleaned = clean_annotations(table, open_images=False)
    assert isinstance(cleaned, pl.DataFrame)
    assert cleaned["x_max"].to_list() == [0.5, 0.2, 0.7, 1.0]
    assert cleaned.actions["row"].to_list() == [1, 3]


def test_label_issues_of_polars_are_of_polars():
    issues = rank_label_issues(DummyLocalizer(), pl.Series(PATHS), pl.from_pandas(Z), cv=2)
    expected = rank_label_issues(DummyLocalizer(), PATHS, Y, cv=2)
    assert isinstance(issues, pl.DataFrame)
    assert issues["row"].to_list() == expected["row"].tolist()


# ---------------------------------------------------------------- refusals


class Relation:
    """A table of a library that is not read."""

    column_names = ["image"]

    def to_pandas(self):
        raise NotImplementedError


def test_a_table_of_an_unknown_library_is_refused_with_its_conversion():
    with pytest.raises(BoxError, match=r"Received: test_tables.Relation. Pass boxes.to_pandas\(\)"):
        iou(Relation(), Y)
    with pytest.raises(BoxError, match=r"test_tables.Relation. Pass y.to_pandas\(\)"):
        check_targets(Relation(), 4)
    with pytest.raises(ImageError, match=r'test_tables.Relation. Pass list\(X\["image"\]\)'):
        check_images(Relation())


def test_a_dict_of_columns_is_refused_with_its_conversion():
    with pytest.raises(BoxError, match=r"Received: dict. Pass pandas.DataFrame\(boxes\)"):
        iou(Y.to_dict("list"), Y)


def test_a_column_that_is_there_twice_is_refused():
    twice = pd.concat([Y, Y[["x_min"]]], axis=1)
    with pytest.raises(BoxError, match="y has the column x_min 2 times"):
        check_targets(twice, 4)
    with pytest.raises(BoxError, match="boxes has the column x_min 2 times"):
        iou(twice, Y)
    with pytest.raises(DataError, match=r"x_min.* more than once"):
        one_box_per_image(twice.assign(image=PATHS))
    with pytest.raises(DataError, match="duplicate columns"):
        iou(pa.Table.from_arrays([[0.0]] * 5, names=["x_min", *TARGET_COLUMNS[1:]]), Y)


# ---------------------------------------------------------------- order of labels


def test_labels_in_another_order_give_a_warning():
    images = check_images(pd.Series(PATHS))
    with pytest.warns(SkbboxWarning, match="row 0 is 0 in X and 3 in y.*reset_index"):
        check_targets(Y[::-1], 4, images)
    with pytest.warns(SkbboxWarning, match="X and sample_weight have the same index labels"):
        check_sample_weight(pd.Series([1, 2, 3, 4], index=[3, 2, 1, 0]), 4, images.index)


def test_measures_warn_of_labels_in_another_order():
    y = Y.set_index(pd.Index(PATHS))
    with pytest.warns(SkbboxWarning, match="y_true and y_pred have the same index labels"):
        localization_accuracy(y, y[::-1])


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [9, 8, 7, 6]])
def test_equal_or_other_labels_give_no_warning(labels):
    check_targets(Y.set_axis(labels), 4, check_images(pd.Series(PATHS)))


def test_a_table_without_labels_gives_no_warning():
    check_targets(Y[::-1], 4, check_images(pl.Series(PATHS)))


# ---------------------------------------------------------------- Hugging Face


@pytest.fixture
def hub():
    """The library ``datasets``; skips the test without it."""
    return pytest.importorskip("datasets")


def make_dataset(hub, folder, boxes, **columns):
    """A data set with an image of 200 x 100 pixels and a list of boxes in each row."""
    for i in range(len(boxes)):
        Image.new("RGB", (200, 100), (i, 20, 30)).save(folder / f"{i}.png")
    numbers = hub.Sequence(hub.Value("float32"), 4)
    objects = {"bbox": numbers, "category": hub.ClassLabel(names=["cat", "dog"])}
    features = {"image": hub.Image(), "objects": hub.Sequence(objects)}
    paths = [str(folder / f"{i}.png") for i in range(len(boxes))]
    rows = [{"bbox": row, "category": [1] * len(row)} for row in boxes]
    return hub.Dataset.from_dict({"image": paths, "objects": rows}, features=hub.Features(features))


def test_data_set_of_hugging_face_is_x_and_y(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[[20, 10, 40, 40]], [[0, 0, 200, 100]]])
    assert check_images(data).items == [str(tmp_path / "0.png"), str(tmp_path / "1.png")]
    targets = check_targets(data, 2)
    # x 20..60 of 200 and y 10..50 of 100.
    assert targets.boxes.round(6).tolist() == [[0.1, 0.3, 0.1, 0.5], [0, 1, 0, 1]]
    assert targets.class_names.tolist() == ["dog", "dog"]
    assert DummyLocalizer().fit(data, data).score(data, data).mean_iou > 0


def test_images_within_a_data_set_of_hugging_face_are_opened(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[[20, 10, 40, 40]]])
    content = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").unlink()
    data = hub.Dataset.from_dict(
        {"image": [{"bytes": content, "path": None}], "objects": data["objects"][:]},
        features=data.features,
    )
    assert np.asarray(check_images(data).items[0]).shape == (100, 200, 3)
    assert check_targets(data, 1).boxes.round(6).tolist() == [[0.1, 0.3, 0.1, 0.5]]


def test_image_with_several_objects_in_a_data_set_of_hugging_face_is_named(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[[20, 10, 40, 40]], [[0, 0, 9, 9]] * 2])
    with pytest.raises(BoxError, match="row 1 of y has 2"):
        check_targets(data, 2)


def test_image_without_an_object_in_a_data_set_of_hugging_face_is_a_missing_row(hub, tmp_path):
    targets = check_targets(make_dataset(hub, tmp_path, [[], [[20, 10, 40, 40]]]), 2)
    assert np.isnan(targets.boxes[0]).all()
    assert targets.boxes[1].round(6).tolist() == [0.1, 0.3, 0.1, 0.5]
    assert targets.class_names.tolist() == [None, "dog"]


def test_data_set_of_hugging_face_without_any_object_is_of_missing_rows(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[], []])
    targets = check_targets(data, 2)
    assert np.isnan(targets.boxes).all()
    assert targets.class_names is None


def test_written_image_folder_is_loaded_by_hugging_face(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(hub.config, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", (200, 100)).save(folder / f"{i}.png")
    boxes = pd.DataFrame({"image": [f"{folder}/0.png", f"{folder}/1.png"]})
    boxes = boxes.assign(class_name=["dog", None], x_min=[0.1, np.nan], x_max=[0.3, np.nan])
    boxes = boxes.assign(y_min=[0.1, np.nan], y_max=[0.5, np.nan])
    write_annotations(boxes, folder / "metadata.jsonl", "hugging_face")
    cache = str(tmp_path / "cache")
    data = hub.load_dataset("imagefolder", data_dir=str(folder.parent), cache_dir=cache)["train"]
    assert check_images(data).items == boxes["image"].tolist()
    targets = check_targets(data, 2)
    assert targets.boxes[0].round(6).tolist() == [0.1, 0.3, 0.1, 0.5]
    assert targets.class_names.tolist() == ["dog", None]


def test_column_of_a_data_set_of_hugging_face_is_x(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[], []])
    assert [np.asarray(image).shape for image in check_images(data["image"]).items] == [
        (100, 200, 3),
        (100, 200, 3),
    ]


def test_streamed_data_set_of_hugging_face_is_refused(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[]]).to_iterable_dataset()
    with pytest.raises(DataError, match="without streaming=True"):
        check_images(data)


def test_dictionary_of_data_sets_is_refused(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[[20, 10, 40, 40]]])
    with pytest.raises(DataError, match=r"such as data\['train'\]"):
        check_images(hub.DatasetDict(train=data))


def test_boxes_of_a_data_set_of_hugging_face_must_be_in_pixels(hub, tmp_path):
    data = make_dataset(hub, tmp_path, [[[0.1, 0.1, 0.2, 0.4]]])
    with pytest.raises(DataError, match="in pixels"):
        check_targets(data, 1)
