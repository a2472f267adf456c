"""The report in a real browser: its filters, slider and keys."""

import json

import numpy as np
import pandas as pd
import pytest

from skbbox.datasets import make_shapes
from skbbox.report import render_report

#: Width of the predicted box inside a true box of width 1, and therefore the IoU.
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
    predicted = boxes(predicted_names, IOUS[: len(names)]).assign(class_confidence=0.8)
    return render_report(X, boxes(names, 1.0), predicted, **options)


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


def test_page_shows_the_worst_first_without_console_messages(report, screenshot):
    page = report()
    assert rows(page) == [0, 1, 2, 3, 4, 5]
    screenshot(page, "report-1280-light")


@pytest.mark.parametrize(
    ("order", "expected"),
    # Ties keep their order.
    [("best", [5, 4, 2, 3, 1, 0]), ("suspicious", [1, 4, 0, 2, 3, 5])],
)
def test_order_changes_which_come_first(report, order, expected):
    # Suspicion: 0.8 where the class is wrong, 0.8 * (1 - IoU) elsewhere.
    page = report()
    page.locator("#order").select_option(order)
    assert rows(page) == expected


def test_class_filter_shows_only_one_class(report):
    page = report()
    page.locator("#class").select_option(label="dog")
    assert rows(page) == [1, 3, 5]
    assert page.locator("#shown").inner_text() == "Showing 3 of 3 matching pictures."


@pytest.mark.parametrize(("value", "expected"), [("1", [0, 2, 3, 5]), ("0", [1, 4])])
def test_filter_of_right_and_wrong_classes(report, value, expected):
    page = report()
    page.locator("#right").select_option(value)
    assert rows(page) == expected


def test_iou_range_filters_and_reset_clears_it(report):
    page = report()
    page.locator("#lowest").fill("0.4")
    page.locator("#highest").fill("0.8")
    assert rows(page) == [2, 3, 4]
    page.locator("#reset").press("Enter")
    assert rows(page) == [0, 1, 2, 3, 4, 5]


def test_slider_updates_the_counts_by_keyboard(report):
    page = report()
    # Four of six reach 0.5, of which three have the right class.
    assert counts(page) == (
        "4 of 6 images (66.7 %) have an IoU of at least 0.50; 3 (50.0 %) also have the right class."
    )
    page.locator("#threshold-input").focus()
    page.keyboard.press("ArrowRight")
    assert counts(page) == (
        "2 of 6 images (33.3 %) have an IoU of at least 0.51; 1 (16.7 %) also have the right class."
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
    # The focus is on the last picture.
    focused = page.evaluate("document.activeElement.closest('li').dataset.row")
    assert focused == "1"


def test_tab_key_reaches_all_controls(report):
    page = report()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    expected = {"threshold-input", "order", "class", "right", "lowest", "highest", "reset"}
    assert expected <= reached


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
def test_text_contrasts_with_its_background(report, scheme):
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


def test_show_more_adds_pictures_and_moves_the_focus(report):
    names = ["cat"] * 30
    X = make_shapes(30, image_size=32, random_state=0)[0]
    predicted = boxes(names, np.linspace(0.1, 0.9, 30)).assign(class_confidence=0.5)
    page = report(render_report(X, boxes(names, 1.0), predicted))
    assert len(rows(page)) == 24
    page.locator("#more").press("Enter")
    assert len(rows(page)) == 30
    assert page.evaluate("document.activeElement.closest('li').dataset.row") == "24"


def test_numbers_in_the_page_are_json(report):
    numbers = json.loads(report().locator("#numbers").text_content())
    assert numbers["level"] == [10, 30, 50, 50, 70, 90]


def test_script_counts_what_python_counts(report):
    assert counts(report()) == counts(report(java_script_enabled=False))


def test_pictures_can_be_decoded(report):
    sizes = report().evaluate(
        """() => Promise.all([...document.querySelectorAll("#cards image")].map(async (node) => {
            const image = new Image();
            image.src = node.href.baseVal;
            await image.decode();
            return [image.naturalWidth, image.naturalHeight];
        }))"""
    )
    assert sizes == [[48, 48]] * 6


def test_slider_counts_rows_that_have_no_picture(report):
    page = report(page_of(max_images=1))
    assert len(rows(page)) == 1
    page.locator("#threshold-input").fill("0.7")
    assert counts(page).startswith("2 of 6 images (33.3 %)")


def test_slider_at_its_ends(report):
    page = report()
    page.locator("#threshold-input").press("Home")
    assert counts(page).startswith("6 of 6 images (100.0 %)")
    page.locator("#threshold-input").press("End")
    assert counts(page).startswith("0 of 6 images (0.0 %)")


def test_filters_have_names_and_go_together(report):
    page = report()
    page.get_by_label("Class", exact=True).select_option("dog")
    page.get_by_label("Predicted class", exact=True).select_option("right")
    page.get_by_label("IoU to", exact=True).fill("0.6")
    assert rows(page) == [3]


def test_empty_range_is_no_filter(report):
    page = report()
    page.locator("#lowest").fill("")
    page.locator("#highest").fill("")
    assert len(rows(page)) == 6


def test_larger_view_follows_the_filter_and_wraps_around(report):
    page = report()
    page.locator("#class").select_option(label="dog")
    page.locator("#cards button").first.click()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#larger-title").inner_text() == "Row 5 (3 of 3)"


def test_larger_view_is_larger(report):
    page = report()
    small = page.locator("#cards .picture").first.bounding_box()
    page.locator("#cards button").first.click()
    large = page.locator("#larger-picture .picture").bounding_box()
    assert large["width"] > 2 * small["width"]


def test_focus_returns_to_the_last_picture(report):
    page = report()
    page.locator("#cards button").first.click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Close").click()
    assert page.evaluate("document.activeElement.closest('li').dataset.row") == "1"


def test_many_long_names_scroll_within_their_table(report, screenshot):
    names = [f"{'Donaudampfschiff' * 7}{number}" for number in range(40)]
    X = make_shapes(40, image_size=32, random_state=0)[0]
    page = report(render_report(X, boxes(names, 1.0), boxes(names[::-1], 0.5)), width=390)
    screenshot(page, "report-390-long-names")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table = page.locator(".scroll", has=page.locator(".matrix"))
    assert table.evaluate("node => node.scrollWidth > node.clientWidth")
    assert table.evaluate("node => node.getBoundingClientRect().right") <= 390


#: Elements that contain text.
TEXT = (
    "h1, h2, p, dt, dd, a, summary, figcaption, th, td, label, output, select, button, "
    ".mark, .row, .plot text"
)

#: Colours of the text and of the first opaque background of visible elements.
COLORS = """(nodes) => {
    const ground = (node) => {
        const color = getComputedStyle(node).backgroundColor;
        return /rgba/.test(color) && node.parentElement ? ground(node.parentElement) : color;
    };
    return nodes.filter((node) => node.getClientRects().length).map((node) => {
        const style = getComputedStyle(node);
        return [node.ownerSVGElement ? style.fill : style.color, ground(node)];
    });
}"""


def contrast(*colors):
    dark, bright = sorted(map(luminance, colors))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(report, scheme):
    pairs = report(color_scheme=scheme).locator(TEXT).evaluate_all(COLORS)
    assert len(pairs) > 100
    # Level AA of WCAG 2.2.
    assert min(contrast(*pair) for pair in pairs) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_numbers_contrast_with_every_shade(report, scheme, share):
    page = report(color_scheme=scheme)
    ((text, ground),) = page.locator(".matrix th").last.evaluate_all(COLORS)
    cell = page.locator(".matrix td").first
    cell.evaluate("(node, share) => node.style.setProperty('--share', share)", share)
    shade = cell.evaluate("node => getComputedStyle(node).backgroundColor")
    *color, alpha = (float(part) for part in shade[shade.index("(") + 1 : -1].split(","))
    ground = [int(part) for part in ground.removeprefix("rgb(")[:-1].split(",")]
    mixed = np.rint(alpha * np.array(color) + (1 - alpha) * np.array(ground)).astype(int)
    assert contrast(text, f"rgb({', '.join(map(str, mixed))})") >= 4.5


def test_paper_is_light_and_has_no_controls(report):
    page = report(color_scheme="dark")
    page.emulate_media(media="print")
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert luminance(ground) > 0.5
    assert not page.locator("#filters").is_visible()
    assert page.locator("#counts").is_visible()


def test_reduced_motion_is_respected(report):
    page = report(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_injected_script_does_not_run(browser, tmp_path):
    path = tmp_path / "changed.html"
    script = "<script>document.title = 'run'</script>"
    path.write_text(page_of(title="as it was").replace("<h1>", f"{script}<h1>"), encoding="utf-8")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.title() == "as it was"


def test_boxes_alone_have_no_filter_of_classes(report):
    X = make_shapes(2, image_size=32, random_state=0)[0]
    true, predicted = (
        boxes(["a", "b"], width).drop(columns="class_name") for width in (1.0, [0.5, 0.9])
    )
    page = report(render_report(X, true, predicted))
    assert counts(page) == "2 of 2 images (100.0 %) have an IoU of at least 0.50."
    assert not page.locator("#right").is_visible()
    page.locator("#highest").fill("0.8")
    assert rows(page) == [0]


def test_page_without_pictures_has_a_slider(report):
    page = report(page_of(max_images=0))
    assert not page.locator("#filters").is_visible()
    page.locator("#threshold-input").fill("0.8")
    assert counts(page).startswith("1 of 6 images")


def test_typical_picture_opens_whatever_is_filtered(report):
    X = make_shapes(21, image_size=32, random_state=0)[0]
    true, predicted = (boxes(["cat"] * 21, width) for width in (1.0, np.linspace(0.2, 0.8, 21)))
    page = report(render_report(X, true, predicted))
    page.locator("#highest").fill("0.1")
    page.locator("#typical button").first.click()
    assert page.locator("#larger-title").inner_text() == "Row 10 (11 of 21)"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('ul').id") == "typical"


#: Half of the true box; a class only; a missed object; a false alarm.
MIXED_TRUE = pd.DataFrame(
    [
        ("cat", 0.0, 1.0, 0.0, 1.0),
        ("dog", None, None, None, None),
        ("dog", 0.0, 1.0, 0.0, 1.0),
        (None, None, None, None, None),
    ],
    columns=["class_name", "x_min", "x_max", "y_min", "y_max"],
)
MIXED_PREDICTED = MIXED_TRUE.iloc[[0, 0, 3, 0]].reset_index(drop=True).assign(x_max=0.5)


@pytest.fixture
def mixed(report):
    """The open page of rows of which some lack labels."""

    def open_page(**options):
        X = make_shapes(4, image_size=48, random_state=0)[0]
        predicted = MIXED_PREDICTED.assign(presence=[0.9, 0.8, 0.2, 0.6])
        predicted.loc[2, "x_max"] = np.nan
        return report(render_report(X, MIXED_TRUE, predicted), **options)

    return open_page


@pytest.mark.parametrize("order", [("worst", [2, 3, 0, 1]), ("best", [0, 2, 3, 1])])
def test_picture_without_an_iou_comes_last(mixed, order):
    page = mixed()
    page.locator("#order").select_option(order[0])
    assert rows(page) == order[1]


def test_false_alarms_and_missed_objects_have_a_filter(mixed):
    page = mixed()
    page.get_by_label("Object", exact=True).select_option("false alarms")
    assert rows(page) == [3]
    page.get_by_label("Object", exact=True).select_option("missed objects")
    assert rows(page) == [2]


def test_range_of_iou_leaves_out_pictures_without_one(mixed):
    page = mixed()
    page.locator("#lowest").fill("0.1")
    assert rows(page) == [0]


def test_slider_counts_only_rows_with_an_iou(mixed):
    page = mixed()
    assert counts(page) == (
        "1 of 3 images (33.3 %) have an IoU of at least 0.50; 1 (33.3 %) also have the right class."
    )
    page.locator("#threshold-input").press("Home")
    assert counts(page).startswith("3 of 3 images (100.0 %)")
    # The dog that was missed; the other one has no box.
    assert page.locator("td[data-class]").all_inner_texts() == ["100.0 %", "100.0 %"]


@pytest.mark.parametrize("width", [390, 1280])
def test_page_with_missing_labels_fits_the_screen(mixed, screenshot, width):
    page = mixed(width=width)
    screenshot(page, f"report-{width}-missing-labels")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "NaN" not in page.locator("body").inner_text()
