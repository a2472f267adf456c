"""Labelling in a real browser: mouse, keys, touch, and what may go wrong."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers import full_disk
from PIL import Image

from skbbox import TARGET_COLUMNS, DummyLocalizer, iou, read_annotations
from skbbox.boxes import COORDINATES
from skbbox.datasets import make_shapes
from skbbox.labelling import open_table
from skbbox.labelling.images import ImageFolder
from skbbox.labelling.review import Review
from skbbox.labelling.running import serve
from skbbox.labelling.session import Session, Settings

HOSTILE = "<img src=x onerror=document.title=1>"


@pytest.fixture
def truth(tmp_path):
    """True labels by the name of the image; the images are in the folder ``photos``."""
    folder = tmp_path / "photos"
    folder.mkdir()
    X, y = make_shapes(8, image_size=160, random_state=0)
    names = [f"{row}.png" for row in range(len(X))]
    for name, image in zip(names, X, strict=True):
        Image.fromarray(image).save(folder / name)
    return y.set_axis(names)


@pytest.fixture
def start(browser, tmp_path):
    """A function that serves a session and opens its page; gives both.

    The test fails if a page logs an error or a warning, or requests anything from elsewhere.
    """
    folder = tmp_path / "photos"
    problems, contexts, servers = [], [], []

    def open_page(url, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            # An answer with an error is logged too.
            lambda message: (
                problems.append(message.text)
                if message.type in ("error", "warning")
                and not re.search("status of (422|507)", message.text)
                else None
            ),
        )
        page.on(
            "request",
            lambda request: None if request.url.startswith(url) else problems.append(request.url),
        )
        page.goto(url)
        page.locator("#stage[data-image]").wait_for()
        return page

    def run(estimator=None, kind=Session, boxes=None, *, page_options=None, **settings):
        output = folder / "labels.csv"
        table = open_table(ImageFolder(folder), output, "snacks", boxes, kind is Review)
        work = folder / ".labels.csv.labelling"
        session = kind(ImageFolder(folder), table, work, estimator, Settings(**settings))
        server = serve(session)
        servers.append(server)
        session.url = server.__enter__()
        return session, open_page(session.url, **(page_options or {}))

    run.open_page = open_page
    yield run
    for context in contexts:
        context.close()
    for server in servers:
        server.__exit__(None, None, None)
    assert problems == []


def shown(page):
    """Name of the image that is shown."""
    return page.locator("#name").inner_text()


def number(page):
    return page.locator("#stage").get_attribute("data-image")


def wait_for_next(page, before):
    page.locator(f"#stage[data-image]:not([data-image='{before}'])").wait_for()


def draw(page, box):
    """Drag a box, which is normalised."""
    place = page.locator("#picture").bounding_box()
    x_min, x_max, y_min, y_max = box
    points = [
        (place["x"] + x * place["width"], place["y"] + y * place["height"])
        for x, y in ((x_min, y_min), (x_max, y_max))
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=3)
    page.mouse.up()


def press_and_wait(page, key):
    before = number(page)
    page.keyboard.press(key)
    wait_for_next(page, before)


def type_class(page, name):
    page.keyboard.press("c")
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def read(tmp_path):
    folder = tmp_path / "photos"
    boxes = read_annotations(folder / "labels.csv", images_dir=folder)
    return boxes.set_axis([image.rpartition("/")[2] for image in boxes["image"]])


def label_by_mouse_and_keys(page, truth, n):
    """Label images as they come: drag, class by number or by typing, Enter."""
    known = []
    for _ in range(n):
        row = truth.loc[shown(page)]
        # A drag that begins on a handle of the proposal would change that box.
        page.keyboard.press("Delete")
        draw(page, row[list(COORDINATES)])
        if row["class_name"] in known:
            page.keyboard.press(str(known.index(row["class_name"]) + 1))
        else:
            type_class(page, row["class_name"])
            known.append(row["class_name"])
        press_and_wait(page, "Enter")


def check_file(tmp_path, truth):
    """Each label is that of its image, within two pixels of the screen."""
    found = read(tmp_path)
    assert sorted(found.index) == sorted(truth.index)
    expected = truth.loc[found.index]
    assert found["class_name"].tolist() == expected["class_name"].tolist()
    sides = list(COORDINATES)
    assert np.abs(found[sides].to_numpy() - expected[sides].to_numpy()).max() < 2 / 600


def test_labels_by_mouse_and_keys_are_those_of_the_file(tmp_path, truth, start, screenshot):
    _, page = start()
    label_by_mouse_and_keys(page, truth, len(truth))
    check_file(tmp_path, truth)
    assert page.locator("#empty-title").inner_text() == "All images have a label."
    screenshot(page, "label-all")


@pytest.mark.slow
def test_a_hundred_labels_by_mouse_and_keys(tmp_path, start):
    folder = tmp_path / "photos"
    folder.mkdir()
    X, y = make_shapes(100, image_size=160, random_state=1)
    for row, image in enumerate(X):
        Image.fromarray(image).save(folder / f"{row:03}.jpg")
    truth = y.set_axis([f"{row:03}.jpg" for row in range(len(X))])
    _, page = start(DummyLocalizer(), start_after=10)
    label_by_mouse_and_keys(page, truth, 100)
    check_file(tmp_path, truth)


def test_the_page_says_what_to_do_next(tmp_path, truth, start):
    _, page = start()
    hint = page.locator("#hint")
    hints = [hint.inner_text()]
    page.keyboard.press("Enter")
    assert "urgent" in hint.get_attribute("class")
    draw(page, (0.1, 0.4, 0.1, 0.4))
    hints.append(hint.inner_text())
    type_class(page, "ball")
    hints.append(hint.inner_text())
    assert hints == [
        "Draw a box around the object.",
        "Type the name of the class.",
        "Save the label.",
    ]
    assert "urgent" not in hint.get_attribute("class")


def test_a_label_by_keys_alone(tmp_path, truth, start):
    _, page = start()
    name = shown(page)
    page.keyboard.press("b")  # 0.25 to 0.75
    page.keyboard.press("e")  # Left edge
    page.keyboard.press("Shift+ArrowLeft")
    assert page.locator("#live").inner_text() == "left edge"
    type_class(page, "ball")
    width = page.locator("#picture").bounding_box()["width"]
    press_and_wait(page, "Enter")
    box = read(tmp_path).loc[name, list(COORDINATES)].tolist()
    assert box == pytest.approx([0.25 - 20 / width, 0.75, 0.25, 0.75], abs=1e-6)


def test_enter_saves_after_a_click_on_a_class(tmp_path, truth, start):
    _, page = start(classes=("ball", "cube"))
    name = shown(page)
    draw(page, (0.2, 0.4, 0.2, 0.4))
    page.get_by_role("button", name="cube").click()
    press_and_wait(page, "Enter")
    assert read(tmp_path).loc[name, "class_name"] == "cube"


def test_handles_resize_and_move_the_box(tmp_path, truth, start):
    _, page = start()
    name = shown(page)
    draw(page, (0.2, 0.4, 0.2, 0.4))
    draw(page, (0.4, 0.6, 0.4, 0.7))  # From the lower right corner.
    draw(page, (0.4, 0.5, 0.45, 0.45))  # From the middle, to the right.
    type_class(page, "ball")
    press_and_wait(page, "Enter")
    box = read(tmp_path).loc[name, list(COORDINATES)].tolist()
    assert box == pytest.approx([0.3, 0.7, 0.2, 0.7], abs=2 / 600)


def test_no_object_skip_and_undo(tmp_path, truth, start):
    _, page = start()
    first = shown(page)
    press_and_wait(page, "n")
    assert read(tmp_path)["class_name"].isna().tolist() == [True]
    second = shown(page)
    press_and_wait(page, "s")
    assert shown(page) not in (first, second)
    press_and_wait(page, "u")
    assert shown(page) == first
    page.get_by_text("0 of 8 labelled").wait_for()


def test_undo_takes_back_changes_of_the_box_before_labels(tmp_path, truth, start):
    _, page = start()
    draw(page, (0.1, 0.4, 0.1, 0.4))
    page.keyboard.press("Delete")
    assert not page.locator("#rect").is_visible()
    page.keyboard.press("Control+z")
    assert page.locator("#rect").is_visible()
    page.keyboard.press("Control+z")
    assert not page.locator("#rect").is_visible()


def test_enter_accepts_a_proposal(tmp_path, truth, start, screenshot):
    _, page = start(DummyLocalizer(), start_after=2)
    box = (0.2, 0.6, 0.3, 0.8)
    for row in range(2):
        draw(page, box)
        if row:
            page.keyboard.press("1")
        else:
            type_class(page, "ball")
        press_and_wait(page, "Enter")
    page.locator("#model.ready").wait_for()
    while "ball" not in page.locator("#proposal").inner_text():
        press_and_wait(page, "s")
    assert page.locator("#save-text").inner_text() == "Accept"
    screenshot(page, "label-proposal")
    page.reload()
    page.locator("#stage[data-image]").wait_for()
    assert page.locator("#proposal").inner_text().startswith("ball ")
    name = shown(page)
    press_and_wait(page, "Enter")
    found = read(tmp_path).loc[name]
    assert found["class_name"] == "ball"
    assert iou([found[list(COORDINATES)].tolist()], [box])[0] > 0.98


def test_a_failed_write_keeps_the_box_on_the_page(tmp_path, truth, start):
    _, page = start()
    before = number(page)
    draw(page, (0.1, 0.4, 0.1, 0.4))
    type_class(page, "ball")
    with full_disk():
        page.keyboard.press("Enter")
        page.locator("#problem:not([hidden])").wait_for()
    assert "File too large" in page.locator("#problem").inner_text()
    assert number(page) == before
    assert page.locator("#rect").is_visible()
    press_and_wait(page, "Enter")
    assert not page.locator("#problem").is_visible()
    assert len(read(tmp_path)) == 1


def test_a_second_window_does_not_overwrite_a_label(tmp_path, truth, start):
    session, page = start()
    image = int(number(page))
    name = shown(page)
    draw(page, (0.1, 0.4, 0.1, 0.4))
    type_class(page, "ball")
    # Another window saves the image first.
    version = session.table.get(name).version
    session.table.save(name, version, session.table.get(name).label)
    session.save("other", image, version + 1, label_of("cube"))
    page.keyboard.press("Enter")
    page.locator("#problem:not([hidden])").wait_for()
    assert "Another window has changed" in page.locator("#problem").inner_text()
    assert read(tmp_path).loc[name, "class_name"] == "cube"


def label_of(name):
    from skbbox.labelling.table import Label

    return Label(name, (0.0, 1.0, 0.0, 1.0))


def test_hostile_names_are_text(tmp_path, truth, start):
    folder = tmp_path / "photos"
    for file in folder.iterdir():
        file.unlink()
    Image.new("RGB", (60, 40)).save(folder / f"{HOSTILE}.png")
    _, page = start(classes=(HOSTILE, "dog"))
    assert shown(page) == f"{HOSTILE}.png"
    assert page.locator("#classes .class-name").first.inner_text() == HOSTILE
    assert page.locator("#classes img, #name img").count() == 0
    assert page.title() == "skbbox label"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_is_enough(tmp_path, truth, start, screenshot, scheme):
    options = {"width": 390, "color_scheme": scheme, "has_touch": True}
    _, page = start(page_options=options, classes=("ball", "a very long name of a class" * 4))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    stage = page.locator("#stage").bounding_box()
    assert stage["height"] >= 400
    screenshot(page, f"label-390-{scheme}")


def touch(page, *points):
    """Send the touch of a finger, which playwright's mouse cannot."""
    session = page.context.new_cdp_session(page)
    kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
    for kind, (x, y) in zip(kinds, points, strict=True):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_touch_draws_a_box(tmp_path, truth, start):
    _, page = start(page_options={"width": 390, "has_touch": True}, classes=("ball",))
    name = shown(page)
    place = page.locator("#picture").bounding_box()
    corners = [
        (place["x"] + share * place["width"], place["y"] + share * place["height"])
        for share in (0.2, 0.4, 0.6)
    ]
    touch(page, *corners)
    page.locator("#classes button").first.tap()
    before = number(page)
    page.locator("#save").tap()
    wait_for_next(page, before)
    box = read(tmp_path).loc[name, list(COORDINATES)].tolist()
    assert box == pytest.approx([0.2, 0.6, 0.2, 0.6], abs=0.01)


def test_zoom_keeps_the_place_of_the_box(tmp_path, truth, start):
    _, page = start()
    name = shown(page)
    for _ in range(3):
        page.keyboard.press("+")
    width = page.locator("#picture").bounding_box()["width"]
    page.keyboard.press("0")
    assert width > 1.9 * page.locator("#picture").bounding_box()["width"]
    page.locator("#picture").hover(position={"x": 10, "y": 10}, force=True)
    page.mouse.wheel(0, -200)
    place = page.locator("#picture").bounding_box()
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + 300, stage["y"] + 300
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y + 100, steps=3)
    page.mouse.up()
    type_class(page, "ball")
    press_and_wait(page, "Enter")
    box = read(tmp_path).loc[name, list(COORDINATES)].tolist()
    expected = [
        (value - place[side]) / place[length]
        for value, side, length in (
            (x, "x", "width"),
            (x + 100, "x", "width"),
            (y, "y", "height"),
            (y + 100, "y", "height"),
        )
    ]
    assert box == pytest.approx(expected, abs=0.005)


def test_review_keeps_fixes_and_drops(tmp_path, truth, start, screenshot):
    folder = tmp_path / "photos"
    boxes = pd.DataFrame([("ball", 0.1, 0.5, 0.2, 0.6)] * 8, columns=TARGET_COLUMNS)
    boxes.insert(0, "image", [str(folder / name) for name in truth.index])
    boxes.loc[3, ["x_min", "x_max"]] = [0.6, 0.9]
    _, page = start(DummyLocalizer(), Review, boxes)
    page.locator("#stage:not([data-image='none'])").wait_for()
    assert shown(page) == "3.png"
    assert page.locator("#other").is_visible()
    screenshot(page, "label-review")
    page.keyboard.press("m")  # The model's box.
    press_and_wait(page, "Enter")
    kept = shown(page)
    press_and_wait(page, "Enter")
    dropped = shown(page)
    press_and_wait(page, "d")
    found = read(tmp_path)
    assert found.loc["3.png", "x_min"] == pytest.approx(0.1)
    assert kept in found.index
    assert dropped not in found.index
    page.get_by_text("5 labels to review of 8").wait_for()


def test_finish_ends_the_session(truth, start):
    session, page = start()
    page.locator("#finish").click()
    page.get_by_text("You can close this page").wait_for()
    assert session.finished.wait(10)


def test_closing_the_page_is_noticed(truth, start):
    session, page = start()
    assert session.last_closed is None
    page.close()
    for _ in range(100):
        if session.last_closed is not None:
            break
        session.finished.wait(0.1)
    assert session.last_closed is not None


def test_controls_have_names(truth, start):
    _, page = start(classes=("ball",))
    names = page.locator("button:visible, input:visible, progress").evaluate_all(
        "all => all.map(n => n.ariaLabel || n.textContent.trim() || n.labels?.[0]?.textContent)"
    )
    assert all(names)
    assert page.locator("#live").get_attribute("aria-live") == "polite"


def test_tab_key_reaches_all_controls(truth, start):
    _, page = start(classes=("ball",))
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"stage", "save", "none", "skip", "class-input", "finish", "zoom-in"} <= reached


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_axe_finds_no_accessibility_violation(truth, start, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    _, page = start(classes=("ball", "cube"), page_options={"width": width, "color_scheme": scheme})
    draw(page, (0.1, 0.4, 0.1, 0.4))
    page.keyboard.press("1")
    results = axe.run(page).response
    assert len(results["passes"]) > 10
    assert [rule["id"] for rule in results["violations"]] == []
