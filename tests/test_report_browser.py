"""The report in a real browser: what filters, slider and keys change."""

import json

import numpy as np
import pandas as pd
import pytest

from skbbox.datasets import make_shapes
from skbbox.report import report_page

#: Width of the predicted box in a true one of width 1: so is the IoU.
IOUS = [0.1, 0.3, 0.5, 0.5, 0.7, 0.9]
NAMES = ["cat", "dog", "cat", "dog", "cat", "dog"]
PREDICTED_NAMES = ["cat", "cat", "cat", "dog", "dog", "dog"]
HOSTILE = "</script><img src=x onerror=document.title='run'>"


def boxes(names, widths):
    return pd.DataFrame(
        {"class_name": names, "x_min": 0.0, "x_max": widths, "y_min": 0.0, "y_max": 1.0}
    )


def page_of(names=NAMES, predicted_names=PREDICTED_NAMES, **options):
    X = make_shapes(len(names), image_size=48, random_state=0)[0]
    predicted = boxes(predicted_names, IOUS[: len(names)]).assign(confidence=0.8)
    return report_page(X, boxes(names, 1.0), predicted, **options)


@pytest.fixture
def report(tmp_path, visit):
    """The open page."""

    def open_report(text=None, **options):
        path = tmp_path / "report.html"
        path.write_text(page_of() if text is None else text, encoding="utf-8")
        return visit(path, **options)

    return open_report


def rows(page):
    """Rows of the pictures that are shown, in their order."""
    cards = page.locator("#cards > li:visible")
    return [int(row) for row in cards.evaluate_all("all => all.map(card => card.dataset.row)")]


def counts(page):
    return page.locator("#counts").inner_text()


def test_page_shows_the_worst_first_and_complains_of_nothing(report, screenshot):
    page = report()
    assert rows(page) == [0, 1, 2, 3, 4, 5]
    screenshot(page, "report-1280-light")


@pytest.mark.parametrize(
    ("order", "expected"),
    # The first of equal ones stays the first.
    [("best", [5, 4, 2, 3, 1, 0]), ("suspicious", [1, 4, 0, 2, 3, 5])],
)
def test_order_changes_which_come_first(report, order, expected):
    # Suspicion: 0.8 where the class is another one, 0.8 * (1 - IoU) elsewhere.
    page = report()
    page.locator("#order").select_option(order)
    assert rows(page) == expected


def test_class_filter_leaves_those_of_the_class(report):
    page = report()
    page.locator("#class").select_option(label="dog")
    assert rows(page) == [1, 3, 5]
    assert page.locator("#shown").inner_text() == "Shown: 3 of 3 pictures that match."


@pytest.mark.parametrize(("value", "expected"), [("1", [0, 2, 3, 5]), ("0", [1, 4])])
def test_right_and_wrong_classes_are_told_apart(report, value, expected):
    page = report()
    page.locator("#right").select_option(value)
    assert rows(page) == expected


def test_range_of_the_iou_is_a_filter_and_reset_ends_it(report):
    page = report()
    page.locator("#lowest").fill("0.4")
    page.locator("#highest").fill("0.8")
    assert rows(page) == [2, 3, 4]
    page.locator("#reset").press("Enter")
    assert rows(page) == [0, 1, 2, 3, 4, 5]


def test_slider_counts_anew_by_keyboard(report):
    page = report()
    # Four of six reach 0.5, of which three have the right class.
    assert counts(page) == (
        "4 of 6 images (66.7 %) have an IoU of at least 0.50; 3 (50.0 %) have the right class, too."
    )
    page.locator("#threshold-input").focus()
    page.keyboard.press("ArrowRight")
    assert counts(page) == (
        "2 of 6 images (33.3 %) have an IoU of at least 0.51; "
        "1 (16.7 %) has the right class, too.".replace("has", "have")
    )


def test_slider_counts_each_class(report):
    page = report()
    page.locator("#threshold-input").fill("0.6")
    shares = page.locator("td[data-class]").all_inner_texts()
    # One of three cats (0.7) and one of three dogs (0.9).
    assert shares == ["33.3 %", "33.3 %"]


def test_slider_marks_the_pictures_below_it(report):
    page = report()
    page.locator("#threshold-input").fill("0.8")
    marked = page.locator("#cards > li").evaluate_all(
        "all => all.map(card => !card.querySelector('.low').hidden)"
    )
    assert marked == [True] * 5 + [False]


def test_picture_opens_by_key_moves_by_arrows_and_closes_by_escape(report):
    page = report()
    page.locator("#cards > li button").first.press("Enter")
    dialog = page.locator("#larger")
    assert dialog.is_visible()
    assert page.locator("#larger-title").inner_text() == "Row 0 (1 of 6)"
    page.keyboard.press("ArrowRight")
    assert page.locator("#larger-title").inner_text() == "Row 1 (2 of 6)"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    # The focus is where one was.
    focused = page.evaluate("document.activeElement.closest('li').dataset.row")
    assert focused == "1"


def test_everything_is_reached_by_the_tabulator(report):
    page = report()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    wanted = {"threshold-input", "order", "class", "right", "lowest", "highest", "reset"}
    assert wanted <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_the_screen(report, screenshot, width, scheme):
    page = report(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"report-{width}-{scheme}")


def luminance(color):
    """Of WCAG 2.2, from ``rgb(r, g, b)``."""
    values = np.array([int(part) for part in color.removeprefix("rgb(")[:-1].split(",")]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(report, scheme):
    page = report(color_scheme=scheme)
    ground, text = (
        luminance(page.evaluate(f"getComputedStyle(document.{style}"))
        for style in ("documentElement).backgroundColor", "body).color")
    )
    assert (ground > 0.5) == (scheme == "light")
    bright, dark = max(ground, text), min(ground, text)
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_hostile_class_runs_no_script(report):
    page = report(page_of([HOSTILE, "dog"], ["dog", HOSTILE], title="as it was"))
    page.wait_for_timeout(200)
    assert page.title() == "as it was"
    assert page.locator("img[src=x]").count() == 0
    assert HOSTILE in page.locator("#class").inner_text()


def test_numbers_and_plots_are_there_without_javascript(report):
    page = report(java_script_enabled=False)
    assert "4 of 6 images" in counts(page)
    assert page.locator("#cards > li").count() == 6
    assert page.locator("table").count() >= 2
    assert not page.locator("#filters").is_visible()


def test_more_pictures_than_fit_are_shown_when_asked_for(report):
    names = ["cat"] * 30
    X = make_shapes(30, image_size=32, random_state=0)[0]
    predicted = boxes(names, np.linspace(0.1, 0.9, 30)).assign(confidence=0.5)
    page = report(report_page(X, boxes(names, 1.0), predicted))
    assert len(rows(page)) == 24
    page.locator("#more").press("Enter")
    assert len(rows(page)) == 30
    assert page.evaluate("document.activeElement.closest('li').dataset.row") == "24"


def test_numbers_in_the_page_are_json(report):
    numbers = json.loads(report().locator("#numbers").text_content())
    assert numbers["level"] == [10, 30, 50, 50, 70, 90]
