"""The HTML of the report: its contents, worked out by hand, and what it must never do."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image
from sklearn.exceptions import NotFittedError

from skbbox import SingleBoxLocalizer
from skbbox.boxes import TARGET_COLUMNS
from skbbox.exceptions import BoxError, DataError
from skbbox.network import small_convnet
from skbbox.report import render_report, write_report
from skbbox.report.pictures import select_rows
from skbbox.report.results import collect_results

COLUMNS = list(TARGET_COLUMNS)
GREY = np.full((30, 40, 3), 128, np.uint8)

DASH = "\N{EN DASH}"

#: Names that would break out of the markup or the template if they were not escaped.
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "]]><!--",
    "$title ${script} {0} %s",
    "{{ title }}{% raw %}{# note #}",
    "<style>*{display:none}</style>",
]

VOID = {"meta", "link", "input", "br", "img"}


class Element:
    """A node of a page."""

    def __init__(self, name, attributes):
        self.name, self.attributes, self.content = name, attributes, []

    def all(self, name, **attributes):
        found = []
        for child in self.content:
            if isinstance(child, Element):
                found += [child] * child.matches(name, attributes)
                found += child.all(name, **attributes)
        return found

    def matches(self, name, attributes):
        return name in (self.name, "*") and attributes.items() <= self.attributes.items()

    def one(self, name, **attributes):
        (found,) = self.all(name, **attributes)
        return found

    @property
    def text(self):
        parts = (node if isinstance(node, str) else node.text for node in self.content)
        return "".join(parts)


class Parser(HTMLParser):
    """Reads the page like a browser, except for what it does not have, such as unclosed tags."""

    def __init__(self, text):
        super().__init__()
        self.open = [Element("page", {})]
        self.feed(text)
        self.close()
        assert len(self.open) == 1

    def handle_starttag(self, tag, attributes):
        node = Element(tag, dict(attributes))
        self.open[-1].content.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attributes):
        self.open[-1].content.append(Element(tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop().name == tag

    def handle_data(self, data):
        self.open[-1].content.append(data)


def parsed(text):
    return Parser(text).open[0]


def cells(table):
    return [[cell.text for cell in row.content] for row in table.one("tbody").all("tr")]


def table_named(page, words):
    (found,) = [node for node in page.all("table") if words in node.attributes["aria-label"]]
    return found


def without_date(text):
    return re.sub(r"<time.*?</time>", "", text)


def boxes(ious, names=None, predicted_names=None, class_confidence=None, box_confidence=None):
    """True boxes that cover the whole image, and predicted ones with the given IoUs."""
    true = pd.DataFrame({"x_min": 0.0, "x_max": 1.0, "y_min": 0.0, "y_max": 1.0}, range(len(ious)))
    predicted = true.assign(x_max=ious)
    for table, given in ((true, names), (predicted, predicted_names)):
        if given is not None:
            table.insert(0, "class_name", given)
    if class_confidence is not None:
        predicted["class_confidence"] = class_confidence
    if box_confidence is not None:
        predicted["box_confidence"] = box_confidence
    return true, predicted


def page_of(ious, *names, max_images=300, X=None, **options):
    y, predicted = boxes(ious, *names, **options)
    X = [GREY] * len(ious) if X is None else X
    return parsed(render_report(X, y, predicted, max_images=max_images))


class Counting(SingleBoxLocalizer):
    """Counts the calls of ``predict``, also of copies."""

    n_calls = 0

    def predict(self, X):
        Counting.n_calls += 1
        return super().predict(X)


# ---------------------------------------------------------------- the file


def test_home_folder_is_expanded(fitted, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert fitted.report(*shapes, "~/page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").is_file()


def test_path_of_the_page_is_returned(fitted, shapes, tmp_path):
    path = fitted.report(*shapes, tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_page_is_called_report_in_the_working_directory(fitted, shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fitted.report(*shapes).is_file()
    assert os.listdir() == ["report.html"]


def test_predict_is_called_once(shapes, tmp_path):
    localizer = Counting(small_convnet, weights=None, image_size=32, epochs=1, random_state=0)
    localizer.fit(*shapes)
    before = Counting.n_calls
    localizer.report(*shapes, tmp_path / "page.html")
    assert Counting.n_calls == before + 1


def test_data_do_not_change(fitted, shapes, tmp_path):
    X, y = list(shapes[0]), shapes[1].set_index(np.arange(100, 148)).assign(note="mine")
    X_before, y_before = [image.copy() for image in X], y.copy()
    fitted.report(X, y, tmp_path / "page.html")
    pd.testing.assert_frame_equal(y, y_before)
    assert all(map(np.array_equal, X, X_before))


def test_file_is_replaced_only_with_overwrite(fitted, shapes, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        fitted.report(*shapes, path)
    assert path.read_text() == "mine"
    fitted.report(*shapes, path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_existing_file_raises_before_predict_runs(shapes, tmp_path):
    (tmp_path / "page.html").touch()
    with pytest.raises(FileExistsError):
        write_report(None, *shapes, tmp_path / "page.html")


def test_missing_folder_is_named_in_the_error(fitted, shapes, tmp_path):
    with pytest.raises(DataError, match=r"the folder .*absent does not exist\. Create it"):
        fitted.report(*shapes, tmp_path / "absent" / "page.html")


def test_folder_instead_of_a_file_raises(fitted, shapes, tmp_path):
    with pytest.raises(DataError, match="is a folder; pass the path of a file"):
        fitted.report(*shapes, tmp_path, overwrite=True)


def test_nothing_is_written_if_predict_fails(fitted, shapes, tmp_path):
    with pytest.raises(DataError, match="Row 1"):
        fitted.report([shapes[0][0], "absent.jpg"], shapes[1][:2], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_estimator_must_be_fitted(shapes, tmp_path):
    with pytest.raises(NotFittedError):
        small_localizer().report(*shapes, tmp_path / "page.html")


@pytest.mark.parametrize("max_images", [-1, 1.5, True, "3", None])
def test_max_images_must_be_a_non_negative_integer(fitted, shapes, tmp_path, max_images):
    with pytest.raises(ValueError, match="max_images must be an integer of at least 0"):
        fitted.report(*shapes, tmp_path / "page.html", max_images=max_images)


# ---------------------------------------------------------------- numbers


def test_numbers_at_the_top():
    page = page_of([1.0, 0.5, 0.25, 0.25], list("aabb"), list("abbb"))
    tiles = page.one("dl", **{"class": "tiles"})
    assert [node.text for node in tiles.all("dt")] == [
        *("images", "classes", "mean IoU", "IoU ≥ 0.50", "localization accuracy")
    ]
    assert [node.text for node in tiles.all("dd")] == ["4", "2", "0.500", "50.0 %", "25.0 %"]


def test_counts_are_of_all_rows():
    page = page_of([1.0, 0.5, 0.25, 0.25], list("aabb"), list("abbb"), max_images=1)
    assert page.one("output", id="counts").text == (
        "2 of 4 images (50.0 %) have an IoU of at least 0.50; 1 (25.0 %) also have the right class."
    )


def test_each_class_has_its_numbers_and_the_worst_comes_first():
    # Of three cats two are recognised, and of three predicted cats two are cats; of one dog none.
    page = page_of([1.0, 0.5, 0.3, 0.2], ["cat"] * 3 + ["dog"], ["cat", "cat", "fox", "cat"])
    assert cells(table_named(page, "Each class")) == [
        ["dog", "1", "0.200", "0.0 %", "0.0 %", DASH],
        ["cat", "3", "0.600", "66.7 %", "66.7 %", "66.7 %"],
        ["fox", "0", DASH, DASH, DASH, "0.0 %"],
    ]


def test_confusion_has_true_classes_in_rows():
    page = page_of([0.5] * 4, ["a", "a", "b", "c"], ["a", "b", "b", "a"])
    table = table_named(page, "True classes (rows)")
    assert [node.text for node in table.one("thead").all("th")] == [
        *("true \\ predicted", "a", "b", "c")
    ]
    assert cells(table) == [["a", "1", "1", ""], ["b", "", "1", ""], ["c", "1", "", ""]]


def test_shade_is_the_share_of_the_true_class():
    page = page_of([0.5] * 4, ["a"] * 4, ["a", "a", "a", "b"])
    shades = [
        cell.attributes["style"]
        for cell in table_named(page, "True classes (rows)").all("td")
        if cell.text
    ]
    assert shades == ["--share:0.75", "--share:0.25"]


def test_with_many_classes_the_most_confused_pairs_are_listed():
    names = [f"c{number:02}" for number in range(61)]
    y, predicted = boxes([0.5] * 64, [*names, "c00", "c00", "c00"], [*names, "c07", "c07", "c05"])
    page = parsed(render_report([GREY] * 64, y, predicted, max_images=2))
    assert cells(table_named(page, "of 2 pairs of classes that were confused")) == [
        ["c00", "c07", "2"],
        ["c00", "c05", "1"],
    ]


def test_many_classes_without_confusion_have_an_empty_list():
    names = [f"c{number}" for number in range(61)]
    page = page_of([0.5] * 61, names, names, max_images=2)
    assert cells(table_named(page, "of 0 pairs of classes")) == []


def test_baselines_stand_below_the_model():
    y = pd.DataFrame([(0.0, 0.5, 0.0, 1.0)] * 3, columns=COLUMNS[1:])
    page = parsed(render_report([GREY] * 3, y, y.assign(x_max=0.25)))
    assert cells(table_named(page, "baselines")) == [
        ["this model", "0.500", "100.0 %"],
        ["median of the true boxes", "1.000", "100.0 %"],
        ["mean of the true boxes", "1.000", "100.0 %"],
        ["the whole image", "0.500", "100.0 %"],
        # 1/8 in common, of 1/4 + 1/2 - 1/8.
        ["the middle half", "0.200", "0.0 %"],
    ]


def test_levels_count_what_the_measure_counts():
    hundredths = np.arange(101) / 100
    ious = np.concatenate([hundredths, np.nextafter(hundredths, 0), np.nextafter(hundredths, 1)])
    results = collect_results([GREY] * 303, *boxes(np.clip(ious, 1e-9, 1)))
    for level, threshold in enumerate(hundredths):
        assert (results.levels >= level).sum() == (results.iou >= threshold).sum()


def test_script_gets_only_integers():
    page = page_of([1.0, 0.579, 0.58], list("abb"), list("aab"))
    assert json.loads(page.one("script", id="numbers").text) == {
        "level": [100, 57, 58],
        "right": [1, 0, 1],
        "true": [0, 1, 1],
    }


# ---------------------------------------------------------------- errors and calibration


def test_sections_go_from_scores_over_pictures_to_data(fitted, shapes):
    page = parsed(render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted))
    ids = [section.attributes["id"] for section in page.all("section")]
    assert ids == [
        *("scores", "predictions", "errors", "threshold", "classes"),
        *("calibration", "training", "data"),
    ]
    links = [link.attributes["href"] for link in page.one("nav").all("a")]
    assert links == [f"#{section}" for section in ids]


def test_kinds_of_errors_start_with_the_largest():
    # The left half of a square, in one of two rows. At the area of the square it is as wide as the
    # root of 1/2: an IoU of 0.707 / 1.293 = 0.547. The other row has an IoU of 1.
    table = table_named(page_of([0.5, 1.0], ["a", "b"], ["a", "a"]), "each kind of error")
    assert [[name.split(":")[0], lost] for name, lost in cells(table)] == [
        ["aspect", "0.227"],
        ["scale", "0.023"],
        ["wrong class", "0.500"],
    ]


def test_perfect_boxes_have_no_errors():
    page = page_of([1.0], ["a"], ["a"])
    assert not page.all("section", id="errors")


def test_errors_of_classes_name_rows_without_a_class():
    page = page_of([0.5] * 3, ["a", "b", None], ["a", "b", "a"])
    (plot,) = page.all("svg", **{"aria-label": "IoU lost to each kind of error, for each class"})
    assert {"a (1)", "b (1)", "box only (1)"} <= {node.text for node in plot.all("text")}


def test_many_classes_have_no_plot_of_errors():
    names = [f"c{number}" for number in range(13)]
    section = page_of([0.5] * 13, names, names, max_images=0).one("section", id="errors")
    assert len(section.all("svg", **{"class": "plot"})) == 1


def test_calibration_shows_the_confidences_that_can_be_compared():
    confidences = {"class_confidence": [0.5, 0.6], "box_confidence": [0.5, 0.6]}
    page = page_of([0.5, 0.7], None, ["a", "b"], **confidences)
    plots = page.one("section", id="calibration").all("svg")
    assert [plot.attributes["aria-label"] for plot in plots] == [
        "box_confidence against the mean IoU"
    ]


def test_predictions_without_confidence_have_no_calibration():
    page = page_of([0.5, 0.7], ["a", "b"], ["a", "b"])
    assert not page.all("section", id="calibration")


# ---------------------------------------------------------------- pictures


def test_typical_pictures_have_an_iou_near_the_median():
    page = page_of(np.linspace(0.2, 0.8, 21))
    rows = [int(card.attributes["data-row"]) for card in page.one("ul", id="typical").all("li")]
    assert (rows[0], sorted(rows)) == (10, [8, 9, 10, 11, 12])


def test_few_pictures_have_no_typical_ones():
    assert not page_of(np.linspace(0.2, 0.8, 19)).all("ul", id="typical")


def cards(page):
    return page.one("ul", id="cards").all("li")


def marks(card):
    spans = [span for span in card.all("span") if "mark" in span.attributes.get("class", "")]
    return [span.text for span in spans if "hidden" not in span.attributes]


def rows_of(page):
    return [int(card.attributes["data-row"]) for card in cards(page)]


def test_pictures_start_with_the_lowest_iou():
    assert rows_of(page_of([0.5, 0.9, 0.1])) == [2, 0, 1]


def test_half_of_the_pictures_are_the_worst_ones():
    iou = np.arange(100) / 100
    rows = select_rows(iou, 10)
    assert len(set(rows)) == 10
    assert list(rows[:5]) == [0, 1, 2, 3, 4]


def test_the_other_half_is_spread_over_the_rest():
    rows = select_rows(np.arange(1000) / 1000, 200)[100:]
    # Of 900 rows; the mean of 100 drawn at random is off by 26 on average.
    assert 450 < rows.mean() < 650


def test_pictures_are_the_same_each_time():
    iou = np.random.default_rng(0).random(50)
    assert list(select_rows(iou, 7)) == list(select_rows(iou, 7))


def test_page_states_which_pictures_it_has():
    page = page_of(np.linspace(0.1, 1, 10), max_images=5)
    assert len(cards(page)) == 5
    assert (
        "5 of 10 images are on this page: the 3 with the lowest IoU, and 2 of the others at random."
        in page.one("section", id="predictions").text
    )


def test_page_states_that_it_has_all_pictures():
    assert "All 2 images are on this page." in page_of([0.5, 0.6]).text


def test_pictures_can_be_left_out():
    page = page_of([0.5, 0.6], max_images=0)
    assert not page.all("image")
    assert page.one("output", id="counts").text.startswith("2 of 2 images")


def test_boxes_are_drawn_in_the_pixels_of_the_picture():
    y = pd.DataFrame([(0.25, 0.5, 0.5, 1.0)], columns=COLUMNS[1:])
    page = parsed(render_report([GREY], y, y.assign(x_min=0.0)))
    picture = cards(page)[0].one("svg")
    assert picture.attributes["viewbox"] == "0 0 40 30"
    drawn = {node.attributes["class"]: node.attributes for node in picture.all("rect")}
    places = {
        kind: [float(drawn[kind][key]) for key in ("x", "y", "width", "height")]
        for kind in ("true", "predicted")
    }
    assert places == {"true": [10, 15, 10, 15], "predicted": [0, 15, 20, 15]}


def decoded(picture):
    import io

    kind, data = picture.one("image").attributes["href"].split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_picture_is_turned_upright_as_predict_does(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees.
    Image.fromarray(GREY).save(tmp_path / "turned.jpg", exif=exif)
    page = page_of([0.5], X=[tmp_path / "turned.jpg"])
    assert decoded(cards(page)[0].one("svg")).size == (30, 40)


def test_picture_shows_its_row(shapes):
    X, y = shapes
    page = parsed(render_report(X[:5], y[:5], y[:5]))
    for card, row in zip(cards(page), rows_of(page), strict=True):
        difference = np.asarray(decoded(card.one("svg")), int) - X[row]
        # JPEG is off by some values of 255, and another picture by many.
        assert np.abs(difference).mean() < 12


def test_iou_of_a_picture_is_not_rounded_up():
    page = page_of([0.497, 0.5])
    below, above = cards(page)
    assert ("IoU 0.49" in below.text, "IoU 0.50" in above.text) == (True, True)
    assert "IoU 0.50" not in below.text


def test_wrong_predictions_are_marked():
    page = page_of([0.6, 0.4], list("aa"), list("ba"))
    found = dict(zip(rows_of(page), map(marks, cards(page)), strict=True))
    assert found == {0: ["wrong class"], 1: ["IoU too low"]}


@pytest.mark.parametrize(
    ("confidences", "expected"),
    [
        # 0.8 * (1 - 0.25), and 0.7 itself where the class is wrong.
        ({"class_confidence": [0.8, 0.7]}, {0: 0.6, 1: 0.7}),
        # 0.4 * (1 - 0.25), and 0.2 itself where the class is wrong.
        ({"class_confidence": [0.8, 0.7], "box_confidence": [0.4, 0.2]}, {0: 0.3, 1: 0.2}),
    ],
)
def test_suspicion_uses_the_box_confidence_or_else_the_class_confidence(confidences, expected):
    page = page_of([0.25, 0.5], list("aa"), list("ab"), **confidences)
    suspicion = {
        row: float(card.attributes["data-suspicion"])
        for row, card in zip(rows_of(page), cards(page), strict=True)
    }
    assert suspicion == pytest.approx(expected)


def test_card_names_both_confidences():
    (card,) = cards(page_of([0.25], ["a"], ["b"], class_confidence=[0.876], box_confidence=[0.234]))
    lines = card.one("button").all("span", **{"class": "line"})
    assert [span.text for span in lines[1].all("span")] == [
        *("IoU 0.25", "class confidence 0.88", "expected IoU 0.23")
    ]
    names = [node.text for node in card.one("dl").all("dt")]
    facts = dict(zip(names, [node.text for node in card.one("dl").all("dd")], strict=True))
    assert facts["class confidence"] == "0.88"
    assert facts["expected IoU"] == "0.23"


def test_card_names_the_one_confidence_that_there_is():
    (card,) = cards(page_of([0.25], ["a"], ["b"], class_confidence=[0.876]))
    assert "class confidence 0.88" in card.text
    assert "expected IoU" not in card.text


@pytest.mark.parametrize("column", ["class_confidence", "box_confidence"])
def test_order_by_suspicion_needs_one_confidence(column):
    option = page_of([0.25], **{column: [0.5]}).one("option", value="suspicious")
    assert "hidden" not in option.attributes
    assert "hidden" in page_of([0.25]).one("option", value="suspicious").attributes


# ---------------------------------------------------------------- missing labels

NOTHING, NO_BOX, WHOLE = [None, *[np.nan] * 4], [np.nan] * 4, [0.0, 1.0, 0.0, 1.0]

#: A row of y, what is predicted, its presence, and the IoU that counts.
PARTIAL = [
    (["cat", *WHOLE], ["cat", *WHOLE], 0.9, 1.0),
    (["cat", *WHOLE], ["dog", 0.0, 0.5, 0.0, 1.0], 0.9, 0.5),
    (["dog", *WHOLE], NOTHING, 0.2, 0.0),
    (["dog", *NO_BOX], ["dog", *WHOLE], 0.9, None),
    (["dog", *NO_BOX], ["cat", *WHOLE], 0.8, None),
    ([None, *WHOLE], ["cat", 0.0, 0.25, 0.0, 1.0], 0.7, 0.25),
    (NOTHING, NOTHING, 0.1, 1.0),
    (NOTHING, ["cat", *WHOLE], 0.6, 0.0),
]


def partial_page(rows=PARTIAL):
    true = pd.DataFrame([row[0] for row in rows], columns=COLUMNS)
    predicted = pd.DataFrame([row[1] for row in rows], columns=COLUMNS)
    predicted["class_confidence"] = np.where(predicted["class_name"].isna(), np.nan, 0.8)
    predicted["presence"] = [row[2] for row in rows]
    return parsed(render_report([GREY] * len(rows), true, predicted))


@pytest.fixture(scope="module")
def partial():
    """The page of `PARTIAL`."""
    return partial_page()


def test_each_kind_of_row_is_counted(partial):
    assert partial.one("section", id="data").one("p").text == (
        "The 8 rows of y: 3 with class and box, 2 with a class only, 1 with a box only, "
        "2 without an object."
    )


def test_false_alarms_and_missed_objects_are_at_the_top(partial):
    tiles = partial.one("dl", **{"class": "tiles"})
    numbers = dict(
        zip(*([node.text for node in tiles.all(name)] for name in ("dt", "dd")), strict=True)
    )
    assert numbers == {
        "images": "8",
        "classes": "2",
        # 1, 0.5, 0, 0.25, 1 and 0.
        "mean IoU": "0.458",
        "IoU ≥ 0.50": "50.0 %",
        # Right are the first row and the image without an object, of five.
        "localization accuracy": "40.0 %",
        # Of the five with a class, the first and the fourth.
        "class accuracy": "40.0 %",
        "false alarms": "1 of 2",
        "missed objects": "1 of 6",
    }


def test_presence_has_its_rates_and_a_histogram(partial):
    section = partial.one("section", id="presence")
    assert section.one("p").text == (
        "False alarms: 1 of 2 images without an object (50.0 %). "
        "Missed objects: 1 of 6 images with an object (16.7 %)."
    )
    assert len(section.all("svg", **{"class": "plot"})) == 1


def test_counts_leave_out_what_is_not_given(partial):
    assert partial.one("output", id="counts").text == (
        "3 of 6 images (50.0 %) have an IoU of at least 0.50; "
        "of the 5 whose class is known, 2 (40.0 %) also have the right class."
    )


def test_confusion_has_images_without_an_object(partial):
    table = table_named(partial, "True classes (rows)")
    assert cells(table) == [
        ["cat", "1", "1", ""],
        ["dog", "1", "1", "1"],
        ["no object", "1", "", "1"],
    ]


def test_mean_iou_of_a_class_is_that_of_its_boxes(partial):
    # Dogs: three images, and one box, which was missed; cats: two boxes.
    assert cells(table_named(partial, "Each class")) == [
        ["dog", "3", "0.000", "0.0 %", "33.3 %", "50.0 %"],
        # Of four predicted cats that can be judged, one is in an image without an object.
        ["cat", "2", "0.750", "100.0 %", "50.0 %", "33.3 %"],
    ]


def test_script_tells_unknown_from_wrong(partial):
    assert json.loads(partial.one("script", id="numbers").text) == {
        "level": [100, 50, 0, -1, -1, 25, 100, 0],
        "right": [1, 0, 0, 1, 0, -1, 1, 0],
        "true": [0, 0, 1, 1, 1, -1, -1, -1],
    }


def test_cards_without_an_iou_come_last(partial):
    assert rows_of(partial) == [2, 7, 5, 1, 0, 6, 3, 4]


def test_cards_name_what_is_missing(partial):
    named = {
        row: ([span.text for span in card.one("span", **{"class": "name"}).all("span")])
        for row, card in zip(rows_of(partial), cards(partial), strict=True)
    }
    assert named == {
        0: ["cat"],
        1: ["dog", "not cat"],
        2: ["predicted: no object", "true: dog"],
        3: ["dog"],
        4: ["cat", "not dog"],
        5: ["predicted: cat", "true: box only"],
        6: ["predicted: no object", "true: no object"],
        7: ["predicted: cat", "true: no object"],
    }


def test_cards_are_marked_by_kind_of_error(partial):
    found = {row: marks(card) for row, card in zip(rows_of(partial), cards(partial), strict=True)}
    assert found == {
        **{0: [], 1: ["wrong class"], 2: ["missed"], 3: [], 4: ["wrong class"]},
        **{5: ["IoU too low"], 6: [], 7: ["false alarm"]},
    }


def test_cards_draw_only_boxes_that_there_are(partial):
    drawn = {
        row: [node.attributes["class"] for node in card.all("rect")]
        for row, card in zip(rows_of(partial), cards(partial), strict=True)
    }
    true, predicted = ["edge", "true"], ["edge", "predicted"]
    assert drawn == {
        **{0: true + predicted, 1: true + predicted, 2: true, 3: predicted, 4: predicted},
        **{5: true + predicted, 6: [], 7: predicted},
    }


def test_missing_values_are_not_written(partial):
    texts = [node.text for node in partial.all("*") if node.name not in ("style", "script")]
    assert not [text for text in texts if re.fullmatch(r"\s*(nan|None|<NA>|nan %)\s*", text)]
    assert "nan" not in partial.one("main").text
    values = [value for node in partial.all("*") for value in node.attributes.values()]
    assert not [value for value in values if value and re.fullmatch("nan|None|-1.0", value)]


def test_baselines_are_scored_on_all_rows(partial):
    table = dict((row[0], row[1:]) for row in cells(table_named(partial, "baselines")))
    # The whole image: 1 in the four rows with a box, and two false alarms; the cat is right in two
    # of five rows.
    assert table["the whole image"] == ["0.667", "66.7 %", "40.0 %", "40.0 %"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([3, 4], "No row of y has a box, so there is no IoU."),
        ([6, 7], "1 of 2 images (50.0 %) have an IoU of at least 0.50."),
        ([5, 5], "0 of 2 images (0.0 %) have an IoU of at least 0.50."),
    ],
    ids=["class only", "no object", "box only"],
)
def test_page_of_one_kind_of_rows(rows, sentence):
    page = partial_page([PARTIAL[row] for row in rows])
    assert page.one("output", id="counts").text == sentence
    assert len(cards(page)) == 2


def test_presence_has_no_part_without_such_rows():
    page = page_of([0.5], ["a"], ["a"])
    assert not page.all("section", id="presence")
    assert "false alarms" not in page.one("dl", **{"class": "tiles"}).text


# ---------------------------------------------------------------- kinds of X and y


def folder_of(X, folder):
    paths = [folder / f"{row:02}.png" for row in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return paths


KINDS = {
    "array": lambda X, folder: X,
    "list of arrays": lambda X, folder: list(X),
    "PIL images": lambda X, folder: [Image.fromarray(image) for image in X],
    "paths": folder_of,
    "Series of text": lambda X, folder: pd.Series(
        map(str, folder_of(X, folder)), index=list("cadb")
    ),
    "DataFrame": lambda X, folder: pd.DataFrame({"image": folder_of(X, folder)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_images(fitted, shapes, tmp_path, kind):
    X, y = KINDS[kind](shapes[0][:4], tmp_path), shapes[1][:4]
    page = parsed(fitted.report(X, y, tmp_path / "page.html").read_text(encoding="utf-8"))
    expected = parsed(render_report(shapes[0][:4], y, fitted.predict(shapes[0][:4])))
    assert rows_of(page) == rows_of(expected)
    pixels = [np.asarray(decoded(card)) for card in cards(page)]
    assert all(map(np.array_equal, pixels, [np.asarray(decoded(card)) for card in cards(expected)]))


def test_structured_array_of_boxes():
    y, predicted = boxes([0.5, 0.6], list("ab"), list("ab"))
    X = [GREY] * 2
    structured = y.to_records(index=False)
    assert without_date(render_report(X, structured, predicted)) == without_date(
        render_report(X, y, predicted)
    )


def test_one_image():
    page = page_of([0.5], ["a"], ["a"], class_confidence=[0.5])
    assert page.one("output", id="counts").text.startswith("1 of 1 images (100.0 %)")


def test_boxes_alone(shapes, tmp_path):
    X, y = shapes
    localizer = small_localizer(box_head="pooled").fit(X, y.drop(columns="class_name"))
    path = localizer.report(X, y.drop(columns="class_name"), tmp_path / "page.html")
    page = parsed(path.read_text(encoding="utf-8"))
    assert "y has no class_name" in page.one("section", id="classes").text
    assert "localization accuracy" not in page.one("dl", **{"class": "tiles"}).text
    filters = page.one("div", id="filters").all("div")
    hidden = [part.one("label").text for part in filters if "hidden" in part.attributes]
    assert hidden == ["Class", "Predicted class", "Object"]
    assert "hidden" in page.one("option", value="suspicious").attributes
    assert json.loads(page.one("script", id="numbers").text)["right"] is None


def test_classes_in_y_alone():
    page = page_of([0.5, 0.7], ["a", "b"])
    assert cells(table_named(page, "Each class")) == [
        ["a", "1", "0.500", "100.0 %"],
        ["b", "1", "0.700", "100.0 %"],
    ]
    assert not [
        node for node in page.all("table") if "True classes" in node.attributes["aria-label"]
    ]


def test_classes_in_predictions_alone():
    page = page_of([0.5, 0.7], None, ["a", "b"])
    assert [option.text for option in page.one("select", id="class").all("option")] == [
        *("all", "a", "b")
    ]
    assert not any(map(marks, cards(page)))


def test_integers_as_class_names(shapes, tmp_path):
    X, y = shapes
    y = y.assign(class_name=pd.factorize(y["class_name"])[0])
    path = small_localizer().fit(X, y).report(X, y, tmp_path / "page.html")
    table = table_named(parsed(path.read_text(encoding="utf-8")), "True classes (rows)")
    assert [row[0] for row in cells(table)] == ["0", "1", "2", "3"]


def test_unreadable_images_are_listed_and_left_out(fitted, shapes, tmp_path):
    X, y = list(shapes[0][:4]), shapes[1][:4]
    X[1] = str(tmp_path / "absent <b>.jpg")
    localizer = small_localizer(on_bad_image="skip").fit(X, y)
    page = parsed(localizer.report(X, y, tmp_path / "page.html").read_text(encoding="utf-8"))
    data = page.one("section", id="data")
    assert "1 of 4 images could not be read and are left out" in data.text
    ((row, reason),) = cells(table_named(data, "could not be read"))
    assert row == "1"
    assert "absent <b>.jpg does not exist" in reason
    assert sorted(rows_of(page)) == [0, 2, 3]
    assert (
        "1 images that could not be read were left out" in page.one("section", id="training").text
    )


def test_no_image_that_can_be_read_is_an_error(tmp_path):
    y, predicted = boxes([0.5, 0.5])
    with pytest.raises(BoxError, match="none of the 2 images can be read"):
        render_report([GREY] * 2, y, predicted.assign(error="damaged"))


def test_predictions_for_other_images_are_an_error():
    y, predicted = boxes([0.5, 0.5])
    with pytest.raises(BoxError, match="2 images, but predictions for 1"):
        render_report([GREY] * 2, y, predicted[:1])


def test_loaded_estimator_writes_the_same_page(fitted, shapes, tmp_path):
    fitted.save(tmp_path / "model.skbbox")
    loaded = SingleBoxLocalizer.load(
        tmp_path / "model.skbbox", custom_objects={"small_convnet": small_convnet}
    )
    pages = [
        localizer.report(*shapes, tmp_path / f"{number}.html").read_text(encoding="utf-8")
        for number, localizer in enumerate((fitted, loaded))
    ]
    assert without_date(pages[0]) == without_date(pages[1])


# ---------------------------------------------------------------- training and parameters


def trained(history, stages=None):
    class Trained:
        history_ = history
        stages_ = stages

    y, predicted = boxes([0.5])
    page = parsed(render_report([GREY], y, predicted, estimator=Trained()))
    return page.one("section", id="training")


def test_curves_have_a_plot_each():
    section = trained({"bbox_prediction_loss": [2.0, 1.0], "bbox_prediction_mean_iou": [0.1, 0.2]})
    assert len(section.all("svg", **{"class": "plot"})) == 2


def test_stages_are_listed():
    section = trained(
        {"bbox_prediction_loss": [2.0, 1.0, 0.5]}, [("frozen backbone", 2), ("fine-tuning", 1)]
    )
    assert "3 epochs: 2 of frozen backbone, then 1 of fine-tuning." in section.text


@pytest.mark.parametrize("history", [{}, {"loss": []}, None])
def test_page_states_that_there_was_no_training(history):
    section = trained(history)
    assert "no epoch was trained" in section.text
    assert not section.all("svg")


def test_changed_parameters_are_listed(fitted, shapes):
    text = render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted)
    assert dict(cells(table_named(parsed(text), "Parameters"))) == {
        "backbone": "skbbox.network.backbones.small_convnet",
        "weights": "None",
        "image_size": "32",
        "epochs": "2",
        "batch_size": "16",
        "random_state": "0",
    }


def test_progress_is_shown_where_the_estimator_is_verbose(capsys):
    class Verbose:
        verbose = 1

    y, predicted = boxes([0.5])
    render_report([GREY], y, predicted)
    assert capsys.readouterr().out == ""
    render_report([GREY], y, predicted, estimator=Verbose())
    assert "pictures: 100%" in capsys.readouterr().out


# ---------------------------------------------------------------- hostile and odd names


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text(name):
    y, predicted = boxes([0.3, 0.5], [name, "a"], ["a", name])
    title = f"title {name}"
    page = parsed(render_report([GREY, GREY], y, predicted, title=title))
    # Only its own: two scripts, one style sheet, no element that loads.
    assert [node.attributes.get("id") for node in page.all("script")] == ["numbers", None]
    assert len(page.all("style")) == 1
    assert not page.all("img")
    assert not [key for node in page.all("*") for key in node.attributes if key.startswith("on")]
    assert page.one("h1").text == title
    assert name in [row[0] for row in cells(table_named(page, "Each class"))]
    assert name in [option.text for option in page.one("select", id="class").all("option")]


@pytest.mark.parametrize("name", HOSTILE)
def test_file_names_stay_text(tmp_path, name):
    path = tmp_path / (name.replace("/", "-") + ".png")
    Image.fromarray(GREY).save(path)
    page = page_of([0.5], X=[path])
    assert cards(page)[0].one("dl").all("dd")[0].text == str(path)


def test_unprintable_characters_in_a_name_are_escaped():
    page = page_of([0.5], ["a\nb\x00\u202ec"], ["a"])
    last = cells(table_named(page, "Each class"))[-1]
    assert last[0] == "a"
    assert cells(table_named(page, "Each class"))[0][0] == "a\\nb\\x00\\u202ec"


def test_file_name_may_be_invalid_utf8(tmp_path):
    class Estimator:
        def predict(self, X):
            return boxes([0.5])[1]

    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        Image.fromarray(GREY).save(path)
    except OSError:
        pytest.skip("file names are text here")
    write_report(Estimator(), [path], boxes([0.5])[0], tmp_path / "page.html")
    assert "caf\\udce9.png" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_names_of_every_script_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = page_of([0.5, 0.5], ["猫", "$\\frac{1$"], ["猫", "été"])
    texts = [node.text for node in page.one("section", id="data").all("text")]
    assert {"猫", "$\\frac{1$"} <= set(texts)


def test_long_names_are_shortened_and_stay_unique():
    names = ["x" * 500 + end for end in "ab"]
    page = page_of([0.3, 0.5], names, names)
    assert [row[0] for row in cells(table_named(page, "Each class"))] == ["x" * 119 + "…"] * 2
    texts = [node.text for node in page.one("section", id="data").all("text")]
    assert {"x" * 23 + "…", "x" * 23 + "… (2)"} <= set(texts)


def test_thousands_of_classes():
    names = [f"class {number}" for number in range(3000)]
    y, predicted = boxes(np.full(3000, 0.5), names, names[::-1])
    text = render_report([GREY] * 3000, y, predicted, max_images=10)
    assert len(text) < 2_000_000
    assert len(cells(table_named(parsed(text), "Each class"))) == 3000


# ---------------------------------------------------------------- self-contained, small, the same


def test_page_sends_no_requests(fitted, shapes):
    page = parsed(render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted))
    addresses = [
        node.attributes[key]
        for node in page.all("*")
        for key in ("href", "src", "xlink:href", "action", "srcset", "data")
        if key in node.attributes
    ]
    assert addresses
    assert not [address for address in addresses if not address.startswith(("#", "data:"))]
    # The ways in which a style sheet loads files.
    assert not re.search(r"@import|url\((?!#)", page.one("style").text)


def test_policy_allows_only_the_script_of_the_page():
    page = page_of([0.5])
    (policy,) = [node for node in page.all("meta") if "http-equiv" in node.attributes]
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")
    script = page.all("script")[1].text.encode()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy.attributes["content"]


def test_ids_are_unique_and_references_resolve(fitted, shapes):
    text = render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted)
    page = parsed(text)
    ids = [node.attributes["id"] for node in page.all("*") if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([\w-]+)\)", text) + [
        node.attributes["href"][1:]
        for node in page.all("*")
        if node.attributes.get("href", "").startswith("#")
    ]
    assert used
    assert set(used) <= set(ids)


def test_plots_use_the_colours_of_the_page(fitted, shapes):
    page = parsed(render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted))
    plots = page.all("svg", **{"class": "plot"})
    # Four of the data, four of the training, and two each of errors, IoU and calibration.
    assert len(plots) == 14
    for plot in plots:
        styles = "".join(node.attributes.get("style", "") for node in plot.all("*"))
        assert "currentColor" in styles
        assert not re.search("#000000|#ffffff|#fff;", styles)


def test_every_plot_has_its_own_description(fitted, shapes):
    page = parsed(render_report(*shapes, fitted.predict(shapes[0]), estimator=fitted))
    labels = [plot.attributes["aria-label"] for plot in page.all("svg", **{"class": "plot"})]
    assert len(set(labels)) == len(labels)


def test_matplotlib_settings_do_not_change():
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams), plt.get_fignums()
    page_of([0.5, 0.6], list("ab"), list("ab"))
    assert (dict(matplotlib.rcParams), plt.get_fignums()) == before


def test_the_users_style_changes_nothing():
    import matplotlib.style

    y, predicted = boxes([0.5, 0.6], list("ab"), list("ab"))
    usual = render_report([GREY] * 2, y, predicted)
    with matplotlib.style.context("dark_background"):
        other = render_report([GREY] * 2, y, predicted)
    assert without_date(usual) == without_date(other)


def test_threads_write_the_same_page():
    y, predicted = boxes([0.5, 0.6], list("ab"), list("ab"))
    expected = without_date(render_report([GREY] * 2, y, predicted))
    with ThreadPoolExecutor(4) as pool:
        pages = [pool.submit(render_report, [GREY] * 2, y, predicted) for _ in range(4)]
    assert {without_date(page.result()) for page in pages} == {expected}


PROGRAM = """
import numpy as np, pandas as pd, sys
from skbbox.report import render_report
y = pd.DataFrame([(name, 0.0, 1.0, 0.0, 1.0) for name in "abcd"])
y.columns = ["class_name", "x_min", "x_max", "y_min", "y_max"]
X = [np.full((8, 8, 3), 128, np.uint8)] * 4
sys.stdout.reconfigure(encoding="utf-8")
print(render_report(X, y, y.assign(x_max=0.5, class_confidence=0.5)))
print("tensorflow" in sys.modules)
"""


@pytest.mark.slow
def test_page_is_the_same_in_every_process_and_needs_no_tensorflow():
    pages = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert pages[0].endswith("False\n")
    assert without_date(pages[0]) == without_date(pages[1])


def noisy_photographs(n):
    """Gradients with the noise of a bad sensor, which takes more bytes than any photograph."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 1, 640), np.linspace(0, 1, 480))
    photographs = []
    for _ in range(n):
        light = rng.random((3, 2)) @ np.stack([x.ravel(), y.ravel()]) * 90
        noise = rng.normal(60, 40, light.shape)
        photographs.append(np.clip(light + noise, 0, 255).T.reshape(480, 640, 3).astype(np.uint8))
    return photographs


@pytest.mark.slow
def test_page_of_a_thousand_noisy_photographs_stays_below_5_mb():
    ious = np.random.default_rng(0).random(1000)
    names = [f"class {number % 40}" for number in range(1000)]
    y, predicted = boxes(ious, names, names, class_confidence=ious, box_confidence=ious)
    # 25 that are all different stand for 1,000, which would take a gigabyte.
    X = noisy_photographs(25) * 40
    text = render_report(X, y, predicted, max_images=1000)
    assert len(cards(parsed(text))) == 1000
    assert len(text.encode()) < 5_000_000
