"""The command ``skbbox``, run in a separate process where that matters."""

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
from skbbox.exceptions import TrainingDivergedError

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
    """Run the command in a separate process; returns its exit code, output and errors."""
    command = [sys.executable, "-c", "from skbbox.command_line import main; exit(main())"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


# ---------------------------------------------------------------- convert


@pytest.mark.parametrize("format", ["snacks", "coco", "yolo", "pascal_voc", "cvat", "labelbox"])
def test_convert_writes_the_requested_format(photos, format, capsys):
    assert main(["convert", "labels.csv", "out", "--to", format, "--images", "photos"]) == 0
    message = "24 boxes on 24 images in out; names of images are relative to photos.\n"
    assert capsys.readouterr().out == message
    again = read_annotations(
        "out", images_dir="photos", format=format if format != "snacks" else None
    )
    assert len(again) == 24
    assert sorted(again["image"]) == [f"photos/{number:02}.png" for number in range(24)]


def test_names_are_relative_to_the_deepest_common_folder(photos, capsys):
    (photos.parent / "labels").mkdir()
    (photos.parent / "labels.csv").rename(photos / "labels.csv")
    assert main(["convert", "photos/labels.csv", "labels/out.json", "--to", "coco"]) == 0
    assert f"are relative to {photos}." in capsys.readouterr().out
    images = json.loads((photos.parent / "labels" / "out.json").read_text())["images"]
    assert images[0]["file_name"] == "00.png"


def test_convert_replaces_files_only_with_overwrite(photos, capsys):
    arguments = ["convert", "labels.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main(arguments) == 0
    assert main(arguments) == FAILED
    captured = capsys.readouterr()
    assert "out.json exists" in captured.err
    assert main([*arguments, "--overwrite"]) == 0


def test_convert_cleans_only_with_clean(photos, capsys):
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


def test_check_prints_a_summary_and_its_exit_code_reports_errors(photos, capsys):
    assert main(["check", "labels.csv", "--images", "photos"]) == 0
    assert capsys.readouterr().out.startswith("24 boxes on 24 images.\n")
    (photos / "03.png").unlink()
    assert main(["check", "labels.csv", "--images", "photos", "-o", "found.csv"]) == PROBLEMS
    assert "missing image" in capsys.readouterr().out
    found = pd.read_csv("found.csv")
    assert found.loc[found["problem"] == "missing image", "row"].tolist() == [3]


# ---------------------------------------------------------------- train and predict


@pytest.mark.slow
def test_train_scores_and_saves_a_model_that_predicts(photos, capsys):
    arguments = ["train", "labels.csv", "--images", "photos", "-o", "model.skbbox", "--set"]
    parameters = ["image_size=32", "weights=None", "random_state=0", "epochs=1"]
    assert main([*arguments, *parameters, "alpha=0.25", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "Trained on 19 images; the model is saved in model.skbbox." in out
    assert "On 5 held-out images: mean IoU 0." in out
    assert ", share with IoU of at least 0.5 " in out

    assert main(["predict", "model.skbbox", "photos", "-o", "boxes.csv", "--quiet"]) == 0
    boxes = read_annotations("boxes.csv")
    images = [f"photos/{number:02}.png" for number in range(24)]
    assert boxes["image"].tolist() == images
    expected = SingleBoxLocalizer.load("model.skbbox").predict(images)
    columns = ["class_name", "x_min", "x_max", "y_min", "y_max"]
    pd.testing.assert_frame_equal(boxes[columns], expected[columns], check_dtype=False)
    for name in ("class_confidence", "box_confidence"):
        assert boxes[name].tolist() == expected[name].tolist()

    (photos / "03.png").write_bytes(b"damaged")
    predict = ["predict", "model.skbbox", "photos", "-o", "rest.csv", "--quiet"]
    assert main(predict) == FAILED
    assert main([*predict, "--bad-images", "warn"]) == 0
    assert "1 of 24 images cannot be read" in capsys.readouterr().err
    rest = read_annotations("rest.csv")
    assert rest["class_name"].isna().to_numpy().nonzero()[0].tolist() == [3]


def test_boxes_without_classes_are_written_as_class_object(photos, shapes):
    X, y = shapes
    small_localizer(epochs=1).fit(X, y.drop(columns="class_name")).save("model.skbbox")
    assert main(["predict", "model.skbbox", "photos", "-o", "boxes.csv", "--quiet"]) == 0
    assert read_annotations("boxes.csv")["class_name"].tolist() == ["object"] * 24


def test_empty_boxes_are_written_as_images_without_an_object(photos, shapes, capsys):
    localizer = small_localizer(box_head="pooled", epochs=1).fit(*shapes)
    # All edges are 1 for every image.
    head = localizer.model_.get_layer("bbox_prediction")
    head.set_weights([np.zeros_like(head.get_weights()[0]), np.full(4, 100.0)])
    localizer.save("model.skbbox")
    arguments = ["predict", "model.skbbox", "photos/00.png", "photos/01.png", "-o", "boxes.json"]
    assert main([*arguments, "--to", "coco", "--quiet"]) == 0
    assert "2 boxes are empty, the first in photos/00.png" in capsys.readouterr().err
    boxes = read_annotations("boxes.json")
    assert boxes["image"].tolist() == ["photos/00.png", "photos/01.png"]
    assert boxes[["class_name", "x_min"]].isna().all(axis=None)


# ---------------------------------------------------------------- all commands


def test_help_has_examples_of_each_command():
    code, out, _ = run("--help")
    assert code == 0
    for name in ("convert", "check", "train", "predict"):
        assert f"  skbbox {name} " in out
        code, command_help, _ = run(name, "--help")
        assert code == 0
        assert f"examples:\n  skbbox {name} " in command_help


def test_error_is_printed_to_stderr_with_exit_code_1(tmp_path):
    code, out, err = run("check", str(tmp_path / "nowhere.csv"))
    assert (code, out) == (FAILED, "")
    assert err.startswith("skbbox: error: ")
    assert "nowhere.csv does not exist" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_interrupt_exits_with_130_and_one_line(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    command = [sys.executable, "-c", "from skbbox.command_line import main; exit(main())"]
    process = subprocess.Popen(
        [*command, "check", tmp_path / "labels.csv"],
        stderr=subprocess.PIPE,
        text=True,
        # A process in the background of a shell ignores the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Opening returns once the command has opened the pipe too and waits for the first byte.
    with (tmp_path / "labels.csv").open("w"):
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert errors == "skbbox: interrupted\n"
    assert process.returncode == 130


def test_unknown_argument_exits_with_2():
    code, _, err = run("convert", "a.csv", "b.csv", "--to", "word")
    assert code == 2
    assert "invalid choice: 'word'" in err


def test_home_folder_is_expanded_in_each_argument(photos, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    monkeypatch.setenv("USERPROFILE", str(photos.parent))
    names = photos.parent / "names.txt"
    names.write_text("disc\nsquare\n")
    (photos.parent / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    convert = ["convert", "~/labels.csv", "~/out.json", "--to", "coco", "--images", "~/photos"]
    assert main([*convert, "--class-names", "~/names.txt"]) == 0
    assert (photos.parent / "out.json").is_file()
    assert main(["check", "~/out.json", "--images", "~/photos", "-o", "~/found.csv"]) == 0
    assert (photos.parent / "found.csv").is_file()
    assert main(["predict", "~/nowhere.skbbox", "~/photos", "-o", "~/boxes.csv"]) == FAILED
    assert f"{photos.parent / 'nowhere.skbbox'} does not exist" in capsys.readouterr().err


def test_divergence_is_an_error_with_exit_code_1(photos, capsys, monkeypatch):
    def diverge(self, X, y):
        raise TrainingDivergedError("The loss is NaN.")

    monkeypatch.setattr(SingleBoxLocalizer, "fit", diverge)
    assert main(["train", "labels.csv", "--images", "photos", "-o", "model.skbbox"]) == FAILED
    assert capsys.readouterr().err == "skbbox: error: The loss is NaN.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "labels.csv", "-o", "m", "--set", "image_size"], "NAME=VALUE"),
        (["train", "labels.csv", "-o", "m", "--set", "size=9"], "Invalid parameter 'size'"),
        (
            ["train", "labels.csv", "-o", "m", "--test", "1"],
            "--test must be at least 0 and below 1",
        ),
        (
            ["train", "labels.csv", "-o", "m", "--set", "random_state=x"],
            "random_state must be an integer",
        ),
        (["train", "labels.csv", "-o", "labels.csv"], "labels.csv exists"),
        (["check", "labels.csv", "-o", "labels.csv"], "labels.csv exists"),
        (["predict", "nowhere.skbbox", "photos", "-o", "b.csv"], "nowhere.skbbox does not exist"),
        (["predict", "m", "empty", "-o", "b.csv"], "empty has no images"),
        (["predict", "m", "photos", "-o", "labels.csv"], "labels.csv exists"),
    ],
)
def test_invalid_arguments_fail_with_a_message(photos, capsys, arguments, message):
    (photos.parent / "empty").mkdir()
    assert main(arguments) == FAILED
    assert message in capsys.readouterr().err
