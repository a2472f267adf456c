"""The command ``skbbox``, as a process of its own where that matters."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox import SingleBoxLocalizer, read_annotations
from skbbox.command_line import FAILED, PROBLEMS, main
from skbbox.datasets import make_shapes

CSV = "image,x_min,x_max,y_min,y_max,class_name\n"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working directory with 24 pictures in a folder and a CSV of their boxes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    X, y = make_shapes(24, image_size=32, n_classes=2, random_state=0)
    y.insert(0, "image", [f"{number:02}.png" for number in range(24)])
    for name, pixels in zip(y["image"], X, strict=True):
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    y.to_csv("labels.csv", index=False)
    return tmp_path / "photos"


def run(*arguments):
    """Exit code, output and errors of the command in a process of its own."""
    command = [sys.executable, "-c", "from skbbox.command_line import main; exit(main())"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


# ---------------------------------------------------------------- convert


@pytest.mark.parametrize("format", ["snacks", "coco", "yolo", "pascal_voc", "cvat", "labelbox"])
def test_convert_writes_the_format_that_is_named(photos, format, capsys):
    assert main(["convert", "labels.csv", "out", "--to", format, "--images", "photos"]) == 0
    said = "24 boxes on 24 images in out; names of images are relative to photos.\n"
    assert capsys.readouterr().out == said
    # The name out.csv, say, is left to the user.
    again = read_annotations(
        "out", images_dir="photos", format=format if format != "snacks" else None
    )
    assert len(again) == 24
    assert sorted(again["image"]) == [f"photos/{number:02}.png" for number in range(24)]


def test_names_are_relative_to_the_deepest_folder_of_all_images(photos, capsys):
    (photos.parent / "labels").mkdir()
    (photos.parent / "labels.csv").rename(photos / "labels.csv")
    assert main(["convert", "photos/labels.csv", "labels/out.json", "--to", "coco"]) == 0
    assert f"are relative to {photos}." in capsys.readouterr().out
    images = json.loads((photos.parent / "labels" / "out.json").read_text())["images"]
    assert images[0]["file_name"] == "00.png"


def test_convert_replaces_nothing_unless_told(photos, capsys):
    arguments = ["convert", "labels.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main(arguments) == 0
    assert main(arguments) == FAILED
    captured = capsys.readouterr()
    assert "out.json exists" in captured.err
    assert main([*arguments, "--overwrite"]) == 0


def test_convert_cleans_when_told(photos, capsys):
    labels = CSV + "00.png,0.5,0.1,0.1,0.5,cat\n"
    (photos.parent / "wrong.csv").write_text(labels)
    arguments = ["convert", "wrong.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main(arguments) == FAILED
    assert "Row 0: the box is inverted" in capsys.readouterr().err
    assert main([*arguments, "--clean"]) == 0
    assert "skbbox: warning: clean_annotations: 1 inverted box repaired" in capsys.readouterr().err
    box = json.loads((photos.parent / "out.json").read_text())["annotations"][0]["bbox"]
    assert box == pytest.approx([3.2, 3.2, 12.8, 12.8])


# ---------------------------------------------------------------- check


def test_check_prints_a_summary_and_tells_errors_by_its_code(photos, capsys):
    assert main(["check", "labels.csv", "--images", "photos"]) == 0
    assert capsys.readouterr().out.startswith("24 boxes on 24 images.\n")
    (photos / "03.png").unlink()
    assert main(["check", "labels.csv", "--images", "photos", "-o", "found.csv"]) == PROBLEMS
    assert "missing image" in capsys.readouterr().out
    found = pd.read_csv("found.csv")
    assert found.loc[found["problem"] == "missing image", "row"].tolist() == [3]


# ---------------------------------------------------------------- train and predict


@pytest.mark.slow
def test_model_is_trained_scored_saved_and_predicts(photos, capsys):
    arguments = ["train", "labels.csv", "--images", "photos", "-o", "model.skbbox", "--set"]
    parameters = ["image_size=32", "weights=None", "random_state=0", "epochs=1"]
    assert main([*arguments, *parameters, "alpha=0.25", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "Trained on 19 images; model.skbbox holds the model." in out
    assert "On 5 others: mean IoU 0." in out

    assert main(["predict", "model.skbbox", "photos", "-o", "boxes.csv", "--quiet"]) == 0
    boxes = read_annotations("boxes.csv")
    images = [f"photos/{number:02}.png" for number in range(24)]
    assert boxes["image"].tolist() == images
    expected = SingleBoxLocalizer.load("model.skbbox").predict(images)
    pd.testing.assert_frame_equal(
        boxes[expected.columns], expected.reset_index(drop=True), check_dtype=False
    )

    (photos / "03.png").write_bytes(b"damaged")
    predict = ["predict", "model.skbbox", "photos", "-o", "rest.csv", "--quiet"]
    assert main(predict) == FAILED
    assert main([*predict, "--bad-images", "warn"]) == 0
    assert "1 of 24 images cannot be read" in capsys.readouterr().err
    rest = read_annotations("rest.csv")
    assert rest["class_name"].isna().to_numpy().nonzero()[0].tolist() == [3]


def test_boxes_of_a_model_without_classes_are_written_as_objects(photos, shapes):
    X, y = shapes
    small_localizer(epochs=1).fit(X, y.drop(columns="class_name")).save("model.skbbox")
    assert main(["predict", "model.skbbox", "photos", "-o", "boxes.csv", "--quiet"]) == 0
    assert read_annotations("boxes.csv")["class_name"].tolist() == ["object"] * 24


def test_empty_boxes_are_written_as_images_without_an_object(photos, shapes, capsys):
    localizer = small_localizer(box_head="pooled", epochs=1).fit(*shapes)
    # All edges at 1, whatever the image.
    head = localizer.model_.get_layer("bbox_prediction")
    head.set_weights([np.zeros_like(head.get_weights()[0]), np.full(4, 100.0)])
    localizer.save("model.skbbox")
    arguments = ["predict", "model.skbbox", "photos/00.png", "photos/01.png", "-o", "boxes.json"]
    assert main([*arguments, "--to", "coco", "--quiet"]) == 0
    assert "2 boxes are empty, the first of photos/00.png" in capsys.readouterr().err
    boxes = read_annotations("boxes.json")
    assert boxes["image"].tolist() == ["photos/00.png", "photos/01.png"]
    assert boxes[["class_name", "x_min"]].isna().all(axis=None)


# ---------------------------------------------------------------- the command itself


def test_help_shows_examples_of_each_command():
    code, out, _ = run("--help")
    assert code == 0
    for name in ("convert", "check", "train", "predict"):
        assert f"  skbbox {name} " in out
        code, of_command, _ = run(name, "--help")
        assert code == 0
        assert f"examples:\n  skbbox {name} " in of_command


def test_error_goes_to_stderr_with_its_code(tmp_path):
    code, out, err = run("check", str(tmp_path / "nowhere.csv"))
    assert (code, out) == (FAILED, "")
    assert err.startswith("skbbox: error: ")
    assert "nowhere.csv does not exist" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_interrupt_ends_it_with_its_code_and_one_line(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    command = [sys.executable, "-c", "from skbbox.command_line import main; exit(main())"]
    process = subprocess.Popen(
        [*command, "check", tmp_path / "labels.csv"],
        stderr=subprocess.PIPE,
        text=True,
        # What is started in the background of a shell has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Returns when the command has opened its end and waits for the first byte.
    with (tmp_path / "labels.csv").open("w"):
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert errors == "skbbox: interrupted\n"
    assert process.returncode == 130


def test_unknown_argument_exits_with_2():
    code, _, err = run("convert", "a.csv", "b.csv", "--to", "word")
    assert code == 2
    assert "invalid choice: 'word'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "labels.csv", "-o", "m", "--set", "image_size"], "NAME=VALUE"),
        (["train", "labels.csv", "-o", "m", "--set", "size=9"], "Invalid parameter 'size'"),
        (["train", "labels.csv", "-o", "m", "--test", "1"], "--test is 0 or more and below 1"),
        (["train", "labels.csv", "-o", "m", "--set", "random_state=x"], "is a whole number"),
        (["train", "labels.csv", "-o", "labels.csv"], "labels.csv exists"),
        (["check", "labels.csv", "-o", "labels.csv"], "labels.csv exists"),
        (["predict", "nowhere.skbbox", "photos", "-o", "b.csv"], "nowhere.skbbox does not exist"),
        (["predict", "m", "empty", "-o", "b.csv"], "empty holds no image"),
        (["predict", "m", "photos", "-o", "labels.csv"], "labels.csv exists"),
    ],
)
def test_what_cannot_be_done_is_said(photos, capsys, arguments, message):
    (photos.parent / "empty").mkdir()
    assert main(arguments) == FAILED
    assert message in capsys.readouterr().err
