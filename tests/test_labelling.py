"""Labelling: the table, the queue, the scores, the server and the process of the model."""

import csv
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest
from helpers import full_disk, small_localizer
from PIL import Image

import skbbox
from skbbox import DummyLocalizer, read_annotations, write_annotations
from skbbox.command_line import main
from skbbox.exceptions import AnnotationError, ImageError, SkbboxWarning
from skbbox.labelling import open_table
from skbbox.labelling.images import ImageFolder
from skbbox.labelling.messages import Proposals, RankTask, TrainTask
from skbbox.labelling.model_process import Model
from skbbox.labelling.queue import Coverage, Proposal, Queue, score_information
from skbbox.labelling.review import Review
from skbbox.labelling.running import serve
from skbbox.labelling.scores import Comparison, ScoreLog, compare, estimate_remaining, summarise
from skbbox.labelling.session import Session, Settings
from skbbox.labelling.table import Entry, Label, LabelTable, check_label

BOX = (0.1, 0.5, 0.2, 0.6)
CAT, DOG, EMPTY = Label("cat", BOX), Label("dog", BOX), Label(None, None)
#: A name that a page must not run.
HOSTILE = "<img src=x onerror=alert(1)> & 'b'.png"


def draw(path, size=(32, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path)


@pytest.fixture
def folder(tmp_path):
    """A folder with six images."""
    for number in range(6):
        draw(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def start(folder):
    """A function that starts a session and serves it; gives the session and its URL."""
    started = []

    def run(estimator=None, kind=Session, boxes=None, **settings):
        images = ImageFolder(folder)
        output = folder / "labels.csv"
        table = open_table(images, output, "snacks", boxes, kind is Review)
        session = kind(
            images, table, folder / ".labels.csv.labelling", estimator, Settings(**settings)
        )
        context = serve(session)
        started.append(context)
        return session, context.__enter__()

    yield run
    for context in started:
        context.__exit__(None, None, None)


def make_command(folder, *options):
    code = "import sys; from skbbox.command_line import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "label", str(folder), "--no-browser", "--no-model"]
    return [*command, *options]


def without_override(command):
    """The command without the right of root to write where permissions forbid it."""
    if os.name != "posix":
        pytest.skip("permissions do not make a folder read-only here")
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root can write to each folder, and there is no setpriv to change that")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]


@pytest.fixture
def serving(folder):
    """A function that runs ``skbbox label`` as a process; gives it and its URL."""
    processes = []

    def run(*options, change=list):
        process = subprocess.Popen(
            change(make_command(folder, *options)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        text = process.stderr.readline()
        assert "http" in text, text + process.stderr.read()
        return process, text.split()[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def request(url, values=None, **headers):
    """Status and content of an answer."""
    data = None if values is None else json.dumps(values).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def post(url, name, window="one", **values):
    status, content = request(url + name, {"window": window, **values})
    return json.loads(content) | {"status": status}


def save(url, task, label=CAT, window="one"):
    label = label and label._asdict()
    return post(url, "save", window, image=task["image"], version=task["version"], label=label)


def lines(folder, name="labels.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.reader(file))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# The table


@pytest.fixture
def table(folder):
    return LabelTable(folder / "labels.csv", folder)


def test_a_label_is_in_the_file_at_once(folder, table):
    table.save("0.png", 0, CAT)
    assert lines(folder) == [
        ["image", "x_min", "x_max", "y_min", "y_max", "class_name"],
        ["0.png", "0.1", "0.5", "0.2", "0.6", "cat"],
    ]


def test_what_is_read_again_is_what_was_saved(folder, table):
    labels = {"0.png": CAT, "1.png": EMPTY, "2.png": Label(" spaced, 'quoted' \"x\"", BOX)}
    for name, label in labels.items():
        table.save(name, 0, label)
    again = LabelTable(folder / "labels.csv", folder).list_labels()
    assert again == labels | {"2.png": Label("spaced, 'quoted' \"x\"", BOX)}


def test_the_file_is_one_of_read_annotations(folder, table):
    table.save("0.png", 0, CAT)
    table.save("1.png", 0, EMPTY)
    boxes = read_annotations(folder / "labels.csv")
    assert boxes["image"].tolist() == [str(folder / "0.png"), str(folder / "1.png")]
    assert boxes["class_name"].isna().tolist() == [False, True]


def test_the_chapters_layout_is_continued(tmp_path):
    draw(tmp_path / "cat" / "a1.jpg")
    boxes = pd.DataFrame([("cat", *BOX)], columns=skbbox.TARGET_COLUMNS)
    boxes.insert(0, "image", str(tmp_path / "cat" / "a1.jpg"))
    write_annotations(boxes, tmp_path / "labels.csv", "snacks")
    assert lines(tmp_path)[0][0] == "image_id"
    table = LabelTable(tmp_path / "labels.csv", tmp_path)
    assert table.list_labels() == {"cat/a1.jpg": CAT}


def test_removing_a_label_removes_its_line(folder, table):
    entry = table.save("0.png", 0, CAT)
    table.save("0.png", entry.version, None)
    assert len(lines(folder)) == 1


def test_an_outdated_version_stores_nothing(table):
    table.save("0.png", 0, CAT)
    assert table.save("0.png", 0, DOG) is None
    assert table.get("0.png") == Entry(1, CAT)


def test_two_processes_do_not_overwrite_each_other(folder, table):
    other = LabelTable(folder / "labels.csv", folder)
    table.save("0.png", 0, CAT)
    assert other.save("0.png", 0, DOG) is None
    other.save("1.png", 0, DOG)
    table.save("2.png", 0, CAT)
    expected = {"0.png": CAT, "1.png": DOG, "2.png": CAT}
    assert LabelTable(folder / "labels.csv", folder).list_labels() == expected


def test_a_label_that_was_removed_elsewhere_is_gone(folder, table):
    table.save("0.png", 0, CAT)
    other = LabelTable(folder / "labels.csv", folder)
    other.save("0.png", other.get("0.png").version, None)
    assert table.refresh()
    assert table.list_labels() == {}


def test_a_write_that_fails_leaves_the_table_as_it_was(folder, table):
    table.save("0.png", 0, CAT)
    with full_disk():
        with pytest.raises(OSError, match="File too large"):
            table.save("0.png", 1, DOG)
        with pytest.raises(OSError, match="File too large"):
            table.save("1.png", 0, DOG)
    assert table.get("0.png") == Entry(1, CAT)
    assert table.get("1.png") == Entry(0, None)
    table.save("2.png", 0, DOG)
    assert [row[0] for row in lines(folder)[1:]] == ["0.png", "2.png"]


def test_columns_that_would_be_lost_raise(folder):
    (folder / "labels.csv").write_text(
        "image,x_min,x_max,y_min,y_max,class_name,split\n0.png,0.1,0.5,0.2,0.6,cat,train\n"
    )
    with pytest.raises(AnnotationError, match=r"\['split'\] that labelling would drop"):
        LabelTable(folder / "labels.csv", folder)


def test_boxes_that_would_be_lost_raise(folder):
    row = "0.png,0.1,0.5,0.2,0.6,cat\n"
    (folder / "labels.csv").write_text(f"image,x_min,x_max,y_min,y_max,class_name\n{row}{row}")
    with pytest.raises(AnnotationError, match=r"several boxes of .*0\.png"):
        LabelTable(folder / "labels.csv", folder)


def test_an_output_that_cannot_be_written_is_reported_at_the_start(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/labels\.csv \(Not a directory\)\. Pass output="):
        skbbox.label(folder, estimator=None, output=tmp_path / "file" / "labels.csv")


@pytest.fixture
def make_read_only(folder):
    """A function that lets nobody write to the folder of the images until the test ends."""
    yield lambda: folder.chmod(0o555)
    folder.chmod(0o755)


def test_a_read_only_folder_is_reported_at_the_start(folder, make_read_only):
    make_read_only()
    command = without_override(make_command(folder))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "labels.csv (Permission denied). Pass --output with a file" in ended.stderr


def test_a_file_in_a_folder_that_is_now_read_only_is_reported(folder, table, make_read_only):
    (folder / ".labels.csv.labelling").mkdir()
    make_read_only()
    command = without_override(make_command(folder))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "labels.csv (Permission denied). Pass --output with a file" in ended.stderr


def test_a_folder_that_becomes_read_only_is_reported_and_loses_no_label(
    folder, serving, make_read_only
):
    _, url = serving(change=without_override)
    task = post(url, "next")
    make_read_only()
    answer = save(url, task)
    assert (answer["status"], answer["error"].split(": ")[-1]) == (507, "Permission denied.")
    folder.chmod(0o755)
    save(url, task)
    assert [row[0] for row in lines(folder)[1:]] == [task["name"]]


def test_images_of_a_read_only_folder_are_labelled_into_another(
    folder, tmp_path, serving, make_read_only
):
    make_read_only()
    _, url = serving("-o", str(tmp_path / "elsewhere.csv"), change=without_override)
    assert save(url, post(url, "next"))["status"] == 200
    assert len(lines(tmp_path, "elsewhere.csv")) == 2
    assert sorted(os.listdir(folder)) == [f"{number}.png" for number in range(6)]


def test_a_missing_folder_of_the_file_raises_at_the_start(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing is not a folder"):
        LabelTable(tmp_path / "missing" / "labels.csv", tmp_path)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (Label("cat", None), "both a class and a box"),
        (Label(None, BOX), "both a class and a box"),
        (Label("  ", BOX), "1 to 200 characters"),
        (Label("a\nb", BOX), "control"),
        (Label("c" * 201, BOX), "1 to 200"),
        (Label("cat", (0.1, 0.5, 0.2)), "four finite numbers"),
        (Label("cat", (0.1, float("nan"), 0.2, 0.6)), "four finite numbers"),
        (Label("cat", (0.5, 0.1, 0.2, 0.6)), "x_min < x_max"),
        (Label("cat", (1.1, 1.5, 0.2, 0.6)), "x_min < x_max"),
    ],
)
def test_labels_that_cannot_be_stored_raise(label, message):
    with pytest.raises(AnnotationError, match=message):
        check_label(label)


def test_a_box_is_clipped_to_the_image():
    assert check_label(Label(" cat ", (-0.5, 0.5, 0.2, 1.5))) == Label("cat", (0, 0.5, 0.2, 1))


# The images


def test_images_of_hidden_folders_and_links_to_the_outside_are_left_out(folder, tmp_path):
    draw(folder / ".hidden" / "a.png")
    draw(folder / "more" / "b.png")
    draw(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.warns(SkbboxWarning, match=r"1 files are left out.*link\.png is a link"):
        images = ImageFolder(folder)
    assert images.names == [*(f"{n}.png" for n in range(6)), "more/b.png"]


def test_a_name_that_cannot_be_stored_is_left_out(folder):
    draw(folder / "a\nb.png")
    with pytest.warns(SkbboxWarning, match="cannot store"):
        assert len(ImageFolder(folder)) == 6


def test_a_folder_without_images_raises(tmp_path):
    with pytest.raises(ImageError, match="has no images"):
        ImageFolder(tmp_path)


# The queue


def proposal(label=CAT, confidence=0.9, **changes):
    return Proposal(label, confidence, confidence, np.nan, 10)._replace(**changes)


def test_unsure_and_disputed_proposals_are_informative():
    proposals = {
        3: proposal(disagreement=0.1),
        5: proposal(confidence=0.2, disagreement=0.9),
        7: proposal(confidence=0.5, disagreement=0.5),
    }
    information = score_information(proposals, {}, {"cat": 5})
    # Ranks 1, 3, 2 of 3 by class, box and disagreement; the same rank 2/3 by rarity.
    assert information.to_dict() == pytest.approx({3: 5 / 12, 5: 11 / 12, 7: 2 / 3})


def test_images_that_stand_for_many_others_are_the_most_informative():
    # By coverage, 0 is the last of two; by class, box and rarity they are equal.
    assert score_information({0: proposal(), 1: proposal()}, {0: 0.1, 1: 0.2}, {}).idxmax() == 1
    # Coverage has a weight of 3: against two criteria it decides.
    proposals = {0: proposal(confidence=0.1), 1: proposal(confidence=0.9)}
    assert score_information(proposals, {0: 0.1, 1: 0.2}, {}).idxmax() == 1


def test_rare_classes_are_informative():
    assert score_information({0: proposal(), 1: proposal(DOG)}, {}, {"cat": 9}).idxmax() == 1


def test_the_gain_of_an_image_is_how_much_nearer_known_images_become():
    x, y, diagonal = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.6, 0.8])
    coverage = Coverage()
    coverage.add_known({1: x})
    coverage.add_images({7: x, 3: y})
    coverage.add_images({5: diagonal})
    # Distances from x: 0, 1 and 0.4. With y known, they would be 0, 0 and 0.2; with the diagonal
    # 0, 0.2 and 0. The number 8 is of no image.
    gains = {7: 0, 3: (1 + 0.2) / 3, 5: (0.8 + 0.4) / 3}
    assert coverage.compute_gains([7, 3, 5, 8]) == pytest.approx(gains, abs=1e-6)
    coverage.add_known({2: diagonal})
    # Distances from the nearest known one: 0, 0.2 and 0.
    gains = {7: 0, 3: 0.2 / 3, 5: 0}
    assert coverage.compute_gains([7, 3, 5]) == pytest.approx(gains, abs=1e-6)


def test_images_after_the_references_have_gains_too(monkeypatch):
    monkeypatch.setattr("skbbox.labelling.queue.N_REFERENCES", 2)
    x, y, diagonal = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.6, 0.8])
    coverage = Coverage()
    coverage.add_images({0: x, 1: y})
    coverage.add_images({2: diagonal})
    coverage.add_known({0: x})
    # Of the references x and y, only y is nearer to the diagonal: 0.2 in place of 1.
    assert coverage.compute_gains([2]) == pytest.approx({2: 0.8 / 2}, abs=1e-6)


def test_an_image_that_was_handed_out_makes_images_like_it_less_informative():
    queue = make_queue(0)
    one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    queue.add_proposals({n: proposal(embedding=one if n < 9 else other) for n in range(10)})
    queue.mark_known(0)
    assert queue.choose(range(1, 10), {}) == (9, False)


def make_queue(share):
    positions = {number: number / 10 for number in range(10)}
    return Queue(positions, share, np.random.default_rng(0))


def test_before_the_first_model_images_come_in_random_order_without_the_random_share():
    queue = make_queue(0.3)
    assert queue.choose([9, 1, 4, 6], {}) == (4, False)


def test_the_random_share_is_a_fixed_part_of_the_images():
    queue = make_queue(0.3)
    queue.proposals = {number: proposal() for number in range(10)}
    choices = [queue.choose(range(10), {}) for _ in range(300)]
    random = [choice.number for choice in choices if choice.is_random]
    assert set(random) == {0}
    # Three standard deviations of a binomial distribution: 300 draws with 0.3.
    assert 90 - 24 < len(random) < 90 + 24


def test_the_order_does_not_depend_on_other_images(folder):
    before = ImageFolder(folder)
    positions = {name: before.compute_position(n) for n, name in enumerate(before.names)}
    draw(folder / "00.png")
    after = ImageFolder(folder)
    again = {name: after.compute_position(n) for n, name in enumerate(after.names)}
    assert again.items() >= positions.items()


# The scores


def test_a_proposal_is_compared_with_the_label():
    half = Label("cat", (0.1, 0.3, 0.2, 0.6))
    compared = compare("a", True, 10, half, CAT)
    assert compared == ("a", True, 10, pytest.approx(0.5), True)
    assert compare("a", True, 10, EMPTY, CAT).iou == 0
    assert np.isnan(compare("a", True, 10, EMPTY, EMPTY).iou)


@pytest.mark.parametrize(
    ("overlap", "is_right", "expected"),
    [(0.75, True, True), (0.74, True, False), (0.9, False, False), (np.nan, True, True)],
)
def test_usable_proposals_have_the_right_class_and_an_iou_of_075(overlap, is_right, expected):
    assert Comparison("a", True, 10, overlap, is_right).is_usable == expected


def test_the_summary_averages_the_latest():
    rows = [Comparison(str(n), True, 10, iou, iou > 0.5) for n, iou in enumerate([0.1, 0.4, 0.8])]
    summary = summarise(rows, window=2)
    assert (summary.n, summary.class_accuracy, summary.usable) == (2, 0.5, 0.5)
    assert summary.mean_iou == pytest.approx(0.6)


def test_the_log_is_continued_and_ignores_an_unfinished_line(tmp_path):
    log = ScoreLog(tmp_path / "scores.csv")
    log.add(Comparison("a", True, 10, 0.5, True))
    log.add(Comparison("b", False, 10, 0.5, True))
    log.add(Comparison("a", True, 20, 0.75, True))
    with log.path.open("a") as file:
        file.write("c,True,1")
    again = ScoreLog(log.path)
    again.add(Comparison("d", True, 20, 1.0, True))
    expected = [("a", 0.75), ("d", 1.0)]
    assert [(row.image, row.iou) for row in again.list_random()] == expected
    assert [(row.image, row.iou) for row in ScoreLog(log.path).list_random()] == expected


def test_the_curve_is_flat_where_50_labels_gain_less_than_001():
    # The error is exactly 0.1 + 2 / sqrt(n). 2 (n^-0.5 - (n + 50)^-0.5) < 0.01 from n = 269 on.
    rows = [Comparison(str(n), True, n, 1 - 0.1 - 2 / n**0.5, True) for n in range(16, 64, 4)]
    gain = [2 * (n**-0.5 - (n + 50) ** -0.5) for n in (268, 269)]
    assert gain[0] >= 0.01 > gain[1]
    assert estimate_remaining(rows, 60) == 269 - 60


def test_there_is_no_estimate_from_few_labels():
    rows = [Comparison(str(n), True, n, 0.5, True) for n in range(16, 27)]
    assert estimate_remaining(rows, 60) is None


# The server


def test_a_label_is_saved_and_the_next_image_follows(folder, start):
    _, url = start()
    first = post(url, "next")
    second = save(url, first)
    assert second["image"] not in (None, first["image"])
    assert lines(folder)[1][0] == first["name"]


def test_all_images_come_once(start):
    _, url = start()
    task, names = post(url, "next"), []
    while task["image"] is not None:
        names.append(task["name"])
        task = save(url, task)
    assert sorted(names) == [f"{number}.png" for number in range(6)]


def test_skipped_images_come_last(start):
    _, url = start()
    skipped = post(url, "next")
    task = post(url, "next", skip=skipped["image"])
    names = []
    for _ in range(6):
        names.append(task["name"])
        task = save(url, task)
    assert names[-1] == skipped["name"]
    assert len(set(names)) == 6


def test_a_label_that_is_sent_again_is_no_conflict(start):
    _, url = start()
    task = post(url, "next")
    save(url, task)
    again = save(url, task)
    assert "conflict" not in again
    assert again["image"] != task["image"]


def test_undo_takes_the_label_out_of_the_file_and_shows_it_again(folder, start):
    _, url = start()
    task = post(url, "next")
    following = save(url, task)
    undone = post(url, "undo")
    assert undone["image"] == task["image"]
    assert undone["draft"] == {"class_name": "cat", "box": list(BOX)}
    assert len(lines(folder)) == 1
    # The image that was shown is the next one again.
    assert save(url, undone)["image"] == following["image"]


def test_two_windows_show_different_images(start):
    _, url = start()
    one, two = post(url, "next", "one"), post(url, "next", "two")
    assert one["image"] != two["image"]


def test_the_same_window_shows_the_same_image_when_it_asks_again(start):
    _, url = start()
    assert post(url, "next")["image"] == post(url, "next")["image"]


def test_a_label_of_another_window_is_not_overwritten(start):
    session, url = start()
    one = post(url, "next", "one")
    two = post(url, "open", "two", image=one["image"])
    save(url, one, CAT, "one")
    answer = save(url, two, DOG, "two")
    assert answer["conflict"]
    assert answer["label"]["class_name"] == "cat"
    assert session.table.get(one["name"]).label == CAT


def test_an_unreadable_image_is_left_out_and_counted(folder, start):
    (folder / "3.png").write_bytes(b"\x89PNG nothing")
    session, url = start()
    task, names = post(url, "next"), []
    while task["image"] is not None:
        names.append(task["name"])
        task = save(url, task)
    assert sorted(names) == ["0.png", "1.png", "2.png", "4.png", "5.png"]
    assert session.describe()["n_unreadable"] == 1


def test_a_file_that_cannot_be_written_is_reported_and_the_image_stays(folder, start):
    _, url = start()
    task = post(url, "next")
    with full_disk():
        answer = save(url, task)
    assert answer["status"] == 507
    assert "labels.csv cannot be written: File too large" in answer["error"]
    assert post(url, "next")["image"] == task["image"]


@pytest.mark.parametrize(
    "values",
    [
        {"image": 0, "version": 0, "label": {"class_name": "cat", "box": [0, 1, 0]}},
        {"image": 0, "version": 0, "label": {"class_name": "cat", "box": "0101"}},
        {"image": 0, "version": 0, "label": {"class_name": 3, "box": [0, 1, 0, 1]}},
        {"image": 0, "version": 0, "label": {"class_name": "cat", "box": [0, 1, 0, True]}},
        {"image": 99, "version": 0, "label": None},
        {"image": -1, "version": 0, "label": None},
        {"image": "0", "version": 0, "label": None},
        {"image": 0, "version": 0.5, "label": None},
        {"image": 0, "version": 0, "label": "cat"},
        {"image": 0, "version": 0, "label": None, "window": 3},
    ],
)
def test_invalid_requests_are_refused(folder, start, values):
    _, url = start()
    assert request(url + "save", {"window": "one", **values})[0] == 422
    assert len(lines(folder)) == 1


# Safety


def test_the_address_works_without_its_last_slash(start):
    _, url = start()
    assert request(url.removesuffix("/")) == request(url)


@pytest.mark.parametrize("path", ["", "wrong/", "wrong/label.js", "../", "%2e%2e/"])
def test_nothing_is_served_without_the_token(start, path):
    _, url = start()
    host = url.split("/")[2]
    assert request(f"http://{host}/{path}")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "picture/../../secret.png",
        "picture/..%2f..%2fsecret.png",
        "picture/%2e%2e/secret.png",
        "..%2f..%2fetc/passwd",
        "label.html",
        "page/label.js",
        "labels.csv",
        "picture/0/../../labels.csv",
    ],
)
def test_no_path_leads_out_of_the_page(tmp_path, start, path):
    draw(tmp_path / "secret.png")
    _, url = start()
    with socket.create_connection(url.split("/")[2].split(":")) as connection:
        target = url.split("/", 3)[3] + path
        connection.sendall(
            f"GET /{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"405")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_are_refused(start, headers):
    _, url = start()
    assert request(url, **headers)[0] == 403


def test_the_page_runs_only_its_own_script(start):
    _, url = start()
    with urllib.request.urlopen(url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = answer.read().decode()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>" not in text and "onclick" not in text and "style=" not in text


def test_pictures_are_encoded_anew(folder, start):
    # A file that is also a page.
    with (folder / "0.png").open("ab") as file:
        file.write(b"<script>alert(1)</script>")
    session, url = start()
    status, content = request(f"{url}picture/{session.images.numbers['0.png']}")
    assert status == 200
    assert content[:3] == b"\xff\xd8\xff"
    assert b"<script>" not in content


def test_large_images_are_sent_smaller(folder, start):
    draw(folder / "0.png", (3200, 1200))
    session, _ = start()
    path = session.pictures.get(session.images.numbers["0.png"])
    with Image.open(path) as picture:
        assert picture.size == (1600, 600)


def test_a_hostile_name_is_sent_as_data(folder, start):
    draw(folder / HOSTILE)
    _, url = start()
    names = []
    task = post(url, "next")
    while task["image"] is not None:
        names.append(task["name"])
        task = save(url, task)
    assert HOSTILE in names


def test_a_body_that_is_too_long_is_refused(start):
    _, url = start()
    assert request(url + "save", {"window": "w" * 20_000})[0] == 413


def test_the_server_listens_on_this_machine_only(start):
    _, url = start()
    assert url.startswith("http://127.0.0.1:")
    port = int(url.split("/")[2].split(":")[1])
    others = {
        address[4][0]
        for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not address[4][0].startswith("127.")
    }
    for other in others:
        with pytest.raises(OSError):
            socket.create_connection((other, port), timeout=2).close()


def test_a_taken_port_raises(start):
    session, url = start()
    port = int(url.split("/")[2].split(":")[1])
    with pytest.raises(OSError, match=f"port {port} .*another one, or 0"), serve(session, port):
        pass


# The model


def label_all(url, n, window="one"):
    task = post(url, "next", window)
    for number in range(n):
        task = save(url, task, CAT if number % 2 else DOG, window)
    return task


def test_the_model_proposes_after_some_labels(start):
    session, url = start(DummyLocalizer(), start_after=3, random_share=0.5)
    label_all(url, 3)
    wait_for(lambda: session.describe()["model"]["status"] == "ready")
    wait_for(lambda: len(session._queue.proposals) == 3)
    # The most frequent class, and the median of equal boxes.
    proposed = post(url, "next", "two")["proposal"]
    assert (proposed["class_name"], proposed["n_labels"]) == ("dog", 3)
    assert proposed["box"] == pytest.approx(BOX)


def test_the_score_counts_random_images_only(start):
    session, url = start(DummyLocalizer(), start_after=2, random_share=0.5)
    label_all(url, 2)
    wait_for(lambda: len(session._queue.proposals) == 4)
    task, n_random = post(url, "next", "two"), 0
    while task["image"] is not None:
        n_random += task["is_random"]
        task = save(url, task, CAT, "two")  # Of equally frequent classes, the first is proposed.
    score = session.describe()["score"]
    assert (score["n"], score["class_accuracy"]) == (n_random, 1.0)


def test_a_score_that_cannot_be_written_does_not_make_a_label_look_lost(folder, start):
    session, url = start(DummyLocalizer(), start_after=2)
    label_all(url, 2)
    wait_for(lambda: len(session._queue.proposals) == 4)
    session.log.path.mkdir()
    answer = save(url, post(url, "next", "two"), window="two")
    assert answer["status"] == 200
    assert answer["notice"].startswith("The label is saved, but ")
    assert len(lines(folder)) == 4


def test_the_model_waits_for_each_named_class(start):
    session, url = start(DummyLocalizer(), start_after=2, classes=("cat", "dog", "cow"))
    label_all(url, 3)
    assert session.describe()["model"] | {"share": 0} == {
        "status": "waiting",
        "share": 0,
        "n_labels": 0,
        "missing": 1,
        "reason": "",
    }


class Broken(DummyLocalizer):
    """Cannot be fitted."""

    def fit(self, X, y):
        raise RuntimeError("no luck")


def test_a_model_that_fails_is_reported_and_labelling_goes_on(start):
    session, url = start(Broken(), start_after=2)
    label_all(url, 2)
    wait_for(lambda: session.describe()["model"]["status"] == "failed")
    assert session.describe()["model"]["reason"] == "RuntimeError: no luck"
    assert save(url, post(url, "next"))["status"] == 200


def test_an_estimator_that_cannot_be_pickled_raises(start):
    class Local(DummyLocalizer):
        pass

    with pytest.raises(TypeError, match="estimator must be picklable"):
        start(Local(), start_after=2, boxes=None)[0]._start()


def test_the_process_of_the_model_ends_with_the_session(start):
    session, url = start(DummyLocalizer(), start_after=2)
    label_all(url, 2)
    process = session._process._process
    session.stop()
    assert process.poll() is not None


def test_disagreement_is_measured_between_two_models(folder):
    sent = []
    model = Model(DummyLocalizer(), sent.append)
    wanted = {5: str(folder / "5.png")}
    for box in (BOX, (0.1, 0.3, 0.2, 0.6)):
        table = pd.DataFrame([("cat", *box)] * 2, columns=skbbox.TARGET_COLUMNS)
        table.insert(0, "image", [str(folder / "0.png"), str(folder / "1.png")])
        model.run(TrainTask(table, wanted), lambda: False)
    first, second = (m.proposals[5] for m in sent if isinstance(m, Proposals))
    assert np.isnan(first.disagreement)
    # The second box is half of the first.
    assert second.disagreement == pytest.approx(0.5)


def test_a_real_model_reports_progress_and_embeds(folder):
    sent = []
    model = Model(small_localizer(), sent.append)
    table = pd.DataFrame([("cat", *BOX), ("dog", *BOX)] * 2, columns=skbbox.TARGET_COLUMNS)
    table.insert(0, "image", [str(folder / f"{n}.png") for n in range(4)])
    model.run(TrainTask(table, {4: str(folder / "4.png")}), lambda: False)
    # Two epochs.
    assert [m.share for m in sent if type(m).__name__ == "Progress"] == [0.5, 1.0]
    found = sent[-1].proposals[4]
    assert np.linalg.norm(found.embedding) == pytest.approx(1.0)
    assert 0 <= found.box_confidence <= 1


# Review


@pytest.mark.slow
def test_ranking_reports_the_progress_over_all_folds(folder):
    sent = []
    table = pd.DataFrame([("cat", *BOX), ("dog", *BOX)] * 3, columns=skbbox.TARGET_COLUMNS)
    table.insert(0, "image", [str(folder / f"{n}.png") for n in range(6)])
    Model(small_localizer(), sent.append).run(RankTask(table, 2), lambda: False)
    # Two epochs in each of two folds.
    assert [message.share for message in sent[:-1]] == [0.25, 0.5, 0.75, 1.0]
    assert sorted(sent[-1].table["row"]) == list(range(6))


def test_review_shows_the_most_suspicious_first_and_is_continued(folder, start):
    boxes = pd.DataFrame([("cat", *BOX)] * 6, columns=skbbox.TARGET_COLUMNS)
    boxes.insert(0, "image", [str(folder / f"{n}.png") for n in range(6)])
    # One box is elsewhere.
    boxes.loc[3, ["x_min", "x_max"]] = [0.6, 0.9]
    session, url = start(DummyLocalizer(), Review, boxes)
    wait_for(lambda: session.describe()["model"]["status"] in ("ranked", "failed"))
    task = post(url, "next")
    assert task["name"] == "3.png"
    assert task["issue"]["iou"] == 0
    assert task["proposal"]["box"] == pytest.approx(BOX)
    task = save(url, task, None)
    assert session.describe()["review"] == {"n": 6, "n_open": 5}
    assert "3.png" not in [row[0] for row in lines(folder)]
    undone = post(url, "undo")
    assert undone["name"] == "3.png"
    assert session.describe()["review"] == {"n": 6, "n_open": 6}


# From Python and the command line


def test_label_returns_the_table_when_the_page_says_so(folder, capsys):
    def label():
        found.append(skbbox.label(folder, estimator=None, open_browser=False))

    found = []
    thread = threading.Thread(target=label)
    thread.start()
    url = ""

    def read_url():
        nonlocal url
        text = capsys.readouterr().out
        url = text.split()[-1] if "http" in text else url
        return url

    wait_for(read_url)
    task = save(url, post(url, "next"))
    save(url, task, EMPTY)
    post(url, "finish")
    thread.join(30)
    assert found[0]["class_name"].isna().tolist() == [False, True]
    assert list(found[0]) == ["image", *skbbox.TARGET_COLUMNS]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_after": 1}, "start_after must be at least 2. Received: 1"),
        ({"random_share": 1.5}, "random_share must be in 0..1. Received: 1.5"),
        ({"port": 70000}, "port must be in 0..65535. Received: 70000"),
        ({"format": "word"}, "format must be"),
        ({"estimator": "best"}, "estimator must be an estimator, 'auto' or None"),
        ({"review": True}, "Pass boxes= with a table or file"),
    ],
)
def test_invalid_arguments_raise(folder, options, message):
    with pytest.raises(ValueError, match=message):
        skbbox.label(folder, **({"estimator": None} | options))


def test_paths_outside_one_folder_are_named_from_the_common_one(tmp_path):
    draw(tmp_path / "a" / "1.png")
    draw(tmp_path / "b" / "2.png")
    images = skbbox.labelling._collect_images([tmp_path / "a" / "1.png", tmp_path / "b" / "2.png"])
    assert images.names == ["a/1.png", "b/2.png"]


def test_of_several_boxes_the_largest_begins_a_new_file(folder):
    boxes = pd.DataFrame(
        [("cat", *BOX), ("dog", 0.1, 0.2, 0.1, 0.2)], columns=skbbox.TARGET_COLUMNS
    )
    boxes.insert(0, "image", str(folder / "0.png"))
    with pytest.warns(SkbboxWarning, match="2 rows on 1 images"):
        table = open_table(ImageFolder(folder), folder / "new.csv", "snacks", boxes, False)
    assert table.list_labels() == {"0.png": CAT}


def test_ctrl_c_ends_the_command_with_a_summary(folder, serving):
    process, url = serving("--json")
    save(url, post(url, "next"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    values = json.loads(out)
    assert (values["n_boxes"], values["classes"]) == (1, {"cat": 1})


def test_another_format_is_written_when_labelling_ends(folder, serving):
    process, url = serving("-o", str(folder / "labels.json"), "--to", "coco")
    task = save(url, post(url, "next"))
    save(url, task, EMPTY)
    post(url, "finish")
    process.communicate(timeout=60)
    boxes = read_annotations(folder / "labels.json", images_dir=folder, format="coco")
    assert sorted(boxes["class_name"].notna()) == [False, True]
    process, url = serving("-o", str(folder / "labels.json"), "--to", "coco")
    assert save(url, post(url, "next"))["status"] == 200
    post(url, "finish")
    out, _ = process.communicate(timeout=60)
    assert out.startswith("2 boxes on 3 images (1 without an object)")


@pytest.mark.parametrize("n_kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_loses_no_label(folder, serving, n_kills):
    rng = np.random.default_rng(n_kills)
    for _ in range(n_kills):
        process, url = serving()
        task = post(url, "open", image=0)
        name, answered = task["name"], []
        threading.Timer(rng.uniform(0.05, 0.3), process.kill).start()
        with pytest.raises((OSError, ValueError, http.client.HTTPException)):
            while True:  # The label of an image is changed again and again, until the kill.
                label = Label("cat", (0.0, float(rng.uniform(0.1, 1)), 0.0, 1.0))
                assert save(url, task, label)["status"] == 200
                answered.append(label)
                task = post(url, "open", image=task["image"])
        process.wait()
        found = LabelTable(folder / "labels.csv", folder).list_labels().get(name)
        # The last one that was answered, or the one after it, whose answer was lost.
        assert not answered or found in (answered[-1], label)


def test_the_command_needs_a_folder(tmp_path, capsys):
    assert main(["label", str(tmp_path / "none")]) == 1
    assert "none is not a folder" in capsys.readouterr().err


def test_the_command_writes_reviewed_labels_beside_the_file(tmp_path):
    from skbbox.command_line import make_parser
    from skbbox.command_line.label import _choose_output

    file = tmp_path / "boxes.csv"
    parsed = make_parser().parse_args(["label", str(tmp_path), "--review", str(file)])
    assert _choose_output(parsed) == tmp_path / "boxes_reviewed.csv"
