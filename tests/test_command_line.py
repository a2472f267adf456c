"""The command ``skbbox``, run in a separate process where that matters."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox import DummyLocalizer, SingleBoxLocalizer, mean_iou, read_annotations
from skbbox.annotations.writing import FOLDER_FORMATS, WRITTEN_FORMATS
from skbbox.command_line import FAILED, PROBLEMS, main, make_parser
from skbbox.command_line.doctor import describe_folder
from skbbox.command_line.export import FORMATS
from skbbox.command_line.messages import FLAG, use_options
from skbbox.command_line.training_data import hold_out, prepare_data
from skbbox.datasets import make_shapes
from skbbox.exceptions import (
    AnnotationError,
    ImageError,
    SkbboxWarning,
    TrainingDivergedError,
)

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


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_convert_writes_the_requested_format(photos, format, capsys):
    assert main(["convert", "labels.csv", "out", "--to", format, "--images", "photos"]) == 0
    message = "24 boxes on 24 images in out; names of images are relative to photos.\n"
    assert capsys.readouterr().out == message
    again = read_annotations("out", images_dir="photos")
    assert len(again) == 24
    assert sorted(again["image"]) == [f"photos/{number:02}.png" for number in range(24)]


def test_names_are_relative_to_the_deepest_common_folder(photos, capsys):
    (photos.parent / "labels").mkdir()
    (photos.parent / "labels.csv").rename(photos / "labels.csv")
    assert main(["convert", "photos/labels.csv", "labels/out.json", "--to", "coco"]) == 0
    assert f"are relative to {photos}." in capsys.readouterr().out
    images = json.loads((photos.parent / "labels" / "out.json").read_text())["images"]
    assert images[0]["file_name"] == "00.png"


@pytest.mark.parametrize(
    ("format", "images", "file"),
    [("ultralytics", "data/images", "labels/train/a.txt"), ("labelme", "data", "train/a.json")],
)
def test_folder_of_images_is_found_where_the_tool_has_it(tmp_path, capsys, format, images, file):
    (tmp_path / images / "train").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / images / "train" / "a.jpg")
    (tmp_path / "a.csv").write_text(f"{CSV}{images}/train/a.jpg,0.1,0.5,0.1,0.5,cat\n")
    out = str(tmp_path / "data")
    assert main(["convert", str(tmp_path / "a.csv"), out, "--to", format]) == 0
    assert (tmp_path / "data" / file).is_file()


def test_convert_replaces_files_only_with_overwrite(photos, capsys):
    arguments = ["convert", "labels.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main(arguments) == 0
    assert main(arguments) == FAILED
    captured = capsys.readouterr()
    assert "out.json exists; choose another path, or add --overwrite." in captured.err
    assert main([*arguments, "--overwrite"]) == 0


def test_convert_to_an_existing_folder_advises_the_option(photos, capsys):
    arguments = ["convert", "labels.csv", "out", "--to", "yolo", "--images", "photos"]
    assert main(arguments) == 0
    assert main(arguments) == FAILED
    message = capsys.readouterr().err
    assert "or --overwrite to replace it" in message
    assert "overwrite=True" not in message


@pytest.mark.parametrize("format", [name for name in WRITTEN_FORMATS if name not in FOLDER_FORMATS])
def test_convert_to_stdout_prints_what_the_file_holds(photos, format, capfdbinary):
    arguments = ["--to", format, "--images", "photos"]
    assert main(["convert", "labels.csv", "out", *arguments]) == 0
    capfdbinary.readouterr()
    assert main(["convert", "labels.csv", "-", *arguments]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out.rstrip() == (photos.parent / "out").read_bytes().rstrip()
    assert captured.err.startswith(b"24 boxes on 24 images in stdout")
    assert not (photos.parent / "-").exists()


def test_images_without_an_object_are_counted_and_kept(photos, capsys):
    (photos.parent / "some.csv").write_text(CSV + "00.png,0.1,0.5,0.1,0.5,cat\n01.png,,,,,\n")
    convert = ["convert", "some.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main([*convert, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n_boxes"], values["n_images"], values["n_without_object"]) == (1, 2, 1)
    assert read_annotations("out.json")["class_name"].isna().tolist() == [False, True]


def test_convert_cleans_only_with_clean(photos, capsys):
    labels = CSV + "00.png,0.5,0.1,0.1,0.5,cat\n"
    (photos.parent / "wrong.csv").write_text(labels)
    arguments = ["convert", "wrong.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main(arguments) == FAILED
    assert "Row 0 (photos/00.png): the box is inverted" in capsys.readouterr().err
    assert main([*arguments, "--clean"]) == 0
    assert "skbbox: warning: clean_annotations: 1 inverted box repaired" in capsys.readouterr().err
    box = json.loads((photos.parent / "out.json").read_text())["annotations"][0]["bbox"]
    assert box == pytest.approx([3.2, 3.2, 12.8, 12.8])


# ---------------------------------------------------------------- check


def test_check_prints_a_summary_and_its_exit_code_reports_errors(photos, capsys):
    assert main(["check", "labels.csv", "--images", "photos"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("24 boxes on 24 images.\nClasses: ")
    (photos / "03.png").unlink()
    assert main(["check", "labels.csv", "--images", "photos", "-o", "found.csv"]) == PROBLEMS
    out = capsys.readouterr().out
    assert f"missing image:\n  photos{os.sep}03.png: " in out
    found = pd.read_csv("found.csv")
    assert found.loc[found["problem"] == "missing image", "row"].tolist() == [3]


def test_check_prints_all_problems_to_stdout(photos, capsys):
    (photos / "03.png").unlink()
    assert main(["check", "labels.csv", "--images", "photos", "-o", "-"]) == PROBLEMS
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "row,image,problem,detail,severity"
    assert any(line.startswith(f"3,photos{os.sep}03.png,missing image") for line in lines[1:])
    assert captured.err.startswith("24 boxes on 24 images.")


def test_check_as_json(photos, capsys):
    (photos / "03.png").unlink()
    assert main(["check", "labels.csv", "--images", "photos", "--json"]) == PROBLEMS
    values = json.loads(capsys.readouterr().out)
    assert values["command"] == "check"
    assert values["version"] == metadata.version("skbbox")
    assert values["counts"]["error"] == 1
    labels = pd.read_csv("labels.csv")
    assert values["classes"] == labels["class_name"].value_counts().to_dict()
    (missing,) = (found for found in values["problems"] if found["severity"] == "error")
    assert missing["row"] == 3
    assert missing["image"] == f"photos{os.sep}03.png"


# ---------------------------------------------------------------- the split


def prepare(*arguments):
    """The data of ``train``, and its rows to train on and to score on."""
    parsed = make_parser().parse_args(
        ["train", "labels.csv", "--images", "photos", "-o", "m", "--quiet", *arguments]
    )
    data = prepare_data(parsed, "raise")
    train, held_out = hold_out(data, parsed.test, seed=0)
    return data, train.tolist(), {part: rows.tolist() for part, rows in held_out.items()}


def add_column(name, values):
    labels = pd.read_csv("labels.csv")
    labels[name] = values
    labels.to_csv("labels.csv", index=False)


def test_split_follows_the_column_split(photos):
    add_column("split", ["Train"] * 12 + ["valid"] * 4 + ["test"] * 8)
    data, train, held_out = prepare()
    assert data.split_by == "split"
    assert train == list(range(12))
    assert held_out == {"val": [12, 13, 14, 15], "test": list(range(16, 24))}


def test_split_keeps_groups_together(photos):
    groups = [number // 3 for number in range(24)]
    add_column("group", groups)
    data, train, held_out = prepare()
    assert data.split_by == "group"
    test = held_out["held-out"]
    assert sorted(train + test) == list(range(24))
    assert {groups[row] for row in train}.isdisjoint(groups[row] for row in test)
    # 0.2 of eight groups of three.
    assert len(test) == 6


def test_split_keeps_near_duplicates_together(photos):
    # Each picture but the first twelve is one of these, a little brighter.
    for number in range(12):
        pixels = np.asarray(Image.open(photos / f"{number:02}.png")).astype(int)
        brighter = Image.fromarray(np.minimum(pixels + 8, 255).astype(np.uint8))
        brighter.save(photos / f"{number + 12:02}.png")
    data, train, held_out = prepare("--test", "0.5")
    assert data.split_by == "near-duplicates"
    test = held_out["held-out"]
    assert test
    assert {row % 12 for row in train}.isdisjoint(row % 12 for row in test)


def test_split_by_overrules_the_columns(photos):
    add_column("split", "train")
    data, train, held_out = prepare("--split-by", "near-duplicates", "--test", "0")
    assert data.split_by == "near-duplicates"
    assert (len(train), held_out) == (24, {})


@pytest.mark.parametrize(
    ("name", "values", "arguments", "message"),
    [
        ("split", ["train"] * 23 + ["holdout"], [], r"23\.png has the split 'holdout', which is"),
        ("split", ["train"] * 22 + [None] * 2, [], r"2 of 24 images have no split; .*22\.png"),
        ("split", ["test"] * 24, [], "No image has the split 'train'"),
        ("group", ["a"] * 23 + [None], [], r"1 of 24 images have no group; .*23\.png"),
        ("group", ["a"] * 24, [], "All 24 images belong together"),
        ("split", ["train"] * 24, ["--test", "0.1"], "Leave out --test, or add --split-by"),
        ("folder", ["a"] * 24, ["--split-by", "group"], "--split-by group needs the column group"),
    ],
)
def test_ambiguous_split_is_refused(photos, name, values, arguments, message):
    add_column(name, values)
    with pytest.raises(ValueError, match=message):
        prepare(*arguments)


def test_invalid_box_of_any_row_is_refused_before_training(photos):
    add_column("x_max", [0.9] * 23 + [1.5])
    with pytest.raises(ValueError, match=r"23\.png"):
        prepare()


def test_all_images_are_read_before_training(photos):
    (photos / "05.png").write_bytes(b"damaged")
    (photos / "07.png").unlink()
    message = r"2 of 24 images cannot be read\. Row 5: .*05\.png.*--set on_bad_image=warn"
    with pytest.raises(ImageError, match=message):
        prepare()


def test_unreadable_images_are_left_out_on_request(photos):
    (photos / "05.png").write_bytes(b"damaged")
    parsed = make_parser().parse_args(
        ["train", "labels.csv", "--images", "photos", "-o", "m", "--quiet"]
    )
    data = prepare_data(parsed, "skip")
    assert len(data.X) == len(data.y) == len(data.groups) == 23
    assert not data.X.str.endswith("05.png").any()


def test_no_classes_leaves_only_boxes(photos):
    data, _, _ = prepare("--no-classes")
    assert "class_name" not in data.y


def test_table_without_images_is_refused(photos):
    (photos.parent / "labels.csv").write_text(CSV)
    with pytest.raises(AnnotationError, match=r"labels\.csv has no image to learn from"):
        prepare()


# ---------------------------------------------------------------- train and predict


@pytest.mark.slow
def test_commands_from_training_to_export(photos, capsys):
    """Results of each command, and whether the documentation names the keys of its JSON."""
    page = (Path(__file__).parent.parent / "docs" / "how_to" / "command_line.md").read_text()
    documented = set(re.findall(r"`([\w-]+)`", page))

    def run_json(*arguments):
        assert main([*arguments, "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert set(values) <= documented
        return values

    source = ["labels.csv", "--images", "photos"]
    small = ["--set", "image_size=32", "weights=None", "random_state=0", "epochs=1", "alpha=0.25"]
    assert main(["train", *source, "-o", "model.skbbox", *small, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert "Trained on 19 images; the model is saved in model.skbbox." in captured.out
    assert re.search(r"^5 held-out images +model +median box$", captured.out, re.MULTILINE)
    assert re.search(r"^mean IoU +0\.\d{3} +0\.\d{3}$", captured.out, re.MULTILINE)
    assert captured.err.startswith("Classes: ")

    trained = run_json("train", *source, "-o", "again.skbbox", *small, "--quiet")
    assert (trained["n_train"], trained["n_epochs"]) == (19, 1)
    assert trained["scores"]["held-out"]["n_images"] == 5

    assert main(["predict", "model.skbbox", "photos", "-o", "boxes.csv", "--quiet"]) == 0
    boxes = read_annotations("boxes.csv")
    images = [f"photos/{number:02}.png" for number in range(24)]
    assert boxes["image"].tolist() == images
    localizer = SingleBoxLocalizer.load("model.skbbox")
    expected = localizer.predict(images)
    columns = ["class_name", "x_min", "x_max", "y_min", "y_max"]
    pd.testing.assert_frame_equal(boxes[columns], expected[columns], check_dtype=False)
    for name in ("class_confidence", "box_confidence"):
        assert boxes[name].tolist() == expected[name].tolist()
    capsys.readouterr()

    scored = run_json("score", "model.skbbox", *source, "--quiet")["scores"]
    labels = pd.read_csv("labels.csv")
    assert scored["model"]["mean_iou"] == pytest.approx(mean_iou(labels, expected))
    baseline = DummyLocalizer().fit(images, labels).score(images, labels)
    assert scored["baseline"]["mean_iou"] == pytest.approx(float(baseline))

    report = run_json("report", "model.skbbox", *source, "--quiet")
    assert report["n_images"] == 24
    assert "SingleBoxLocalizer" in (photos.parent / "report.html").read_text(encoding="utf-8")

    exported = run_json("export", "model.skbbox", "network", "--to", "saved_model")
    assert str(Path("network", "saved_model.pb")) in exported["files"]
    assert exported["n_bytes"] == sum(os.path.getsize(file) for file in exported["files"])

    predicted = run_json("predict", "model.skbbox", *images[:2], "--quiet")["predictions"]
    assert [row["image"] for row in predicted] == images[:2]
    assert predicted[1]["x_min"] == pytest.approx(expected["x_min"][1], abs=1e-6)

    # The box losses of an untrained network hardly differ; n_looks only counts after training.
    add_column("split", ["train"] * 14 + ["val"] * 5 + ["test"] * 5)
    search = ["search", *source, "--grid", "dropout=0.1,0.3", "--model", "best.skbbox", *small]
    found = run_json(*search, "--quiet", "-o", "table.csv")
    assert [candidate["rank"] for candidate in found["candidates"]] == [1, 2]
    assert {c["parameters"]["dropout"] for c in found["candidates"]} == {0.1, 0.3}
    assert found["n_folds"] == 1
    assert found["scores"]["test"]["n_images"] == 5
    assert SingleBoxLocalizer.load("best.skbbox").dropout == found["best"]["dropout"]
    assert pd.read_csv("table.csv")["mean_iou"].tolist() == [
        candidate["mean_iou"] for candidate in found["candidates"]
    ]


@pytest.mark.slow
def test_new_process_writes_only_its_own_lines(photos, fitted):
    """TensorFlow writes to stderr when it starts, whatever its settings are."""
    fitted.save("model.skbbox")
    (photos / "03.png").write_bytes(b"damaged")
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", "from skbbox.command_line import main; exit(main())"]
    arguments = ["predict", "model.skbbox", "photos", "--quiet", "--bad-images", "warn"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0
    warning, summary = done.stderr.splitlines()
    assert warning.startswith("skbbox: warning: 1 of 24 images cannot be read")
    assert summary.startswith("23 boxes on 24 images (1 without an object) in stdout")
    assert len(done.stdout.splitlines()) == 25


def test_unreadable_images_are_predicted_without_an_object(photos, fitted, capsys):
    fitted.save("model.skbbox")
    (photos / "03.png").write_bytes(b"damaged")
    predict = ["predict", "model.skbbox", "photos", "-o", "rest.csv", "--quiet"]
    assert main(predict) == FAILED
    assert main([*predict, "--bad-images", "skip", "--json"]) == 0
    rest = read_annotations("rest.csv")
    assert rest["class_name"].isna().to_numpy().nonzero()[0].tolist() == [3]
    row = json.loads(capsys.readouterr().out)["predictions"][3]
    assert (row["class_name"], row["x_min"]) == (None, None)
    assert "03.png" in row["error"]


def test_unreadable_images_are_left_out_of_both_scores(photos, fitted, capsys):
    fitted.save("model.skbbox")
    (photos / "03.png").write_bytes(b"damaged")
    score = ["score", "model.skbbox", "labels.csv", "--images", "photos", "--quiet", "--json"]
    assert main([*score, "--bad-images", "skip"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert (scores["n_images"], scores["n_unreadable"]) == (23, 1)
    labels = pd.read_csv("labels.csv")
    box = DummyLocalizer().fit(labels["image"], labels).predict(labels["image"])
    rest = labels.index != 3
    assert scores["baseline"]["mean_iou"] == pytest.approx(mean_iou(labels[rest], box[rest]))


def test_score_of_a_part_of_the_split(photos, fitted, capsys):
    fitted.save("model.skbbox")
    add_column("split", ["train"] * 20 + ["test"] * 4)
    score = ["score", "model.skbbox", "labels.csv", "--images", "photos", "--quiet", "--json"]
    assert main([*score, "--split", "test"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["n_images"] == 4
    assert main([*score, "--split", "tset"]) == FAILED
    assert "The parts are ['test', 'train']" in capsys.readouterr().err


def test_train_reads_all_images_first(photos, capsys, monkeypatch):
    def train(*_):
        raise AssertionError("trained before the images were read")

    monkeypatch.setattr(SingleBoxLocalizer, "fit", train)
    for image in photos.iterdir():
        image.write_bytes(b"damaged")
    assert main(["train", "labels.csv", "--images", "photos", "-o", "model.skbbox"]) == FAILED
    assert "cannot be read as an image" in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"skbbox {metadata.version('skbbox')}\n"


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


def get_commands():
    """The parser of each command, by name."""
    (commands,) = make_parser()._subparsers._group_actions
    return commands.choices


def test_help_has_examples_of_each_command():
    code, out, _ = run("--help")
    assert code == 0
    for name, command in get_commands().items():
        assert f"  skbbox {name} " in out
        assert f"examples:\n  skbbox {name} " in command.format_help()


def test_each_argument_has_help():
    for command in get_commands().values():
        assert [action for action in command._actions if not action.help] == []


def test_each_command_prints_json():
    for command in get_commands().values():
        assert "--json" in command._option_string_actions


@pytest.mark.slow
def test_export_passes_its_options_on(fitted, photos, monkeypatch, capsys):
    """To a format that is written fast; what each option does is tested in test_export.py."""
    fitted.save("model.skbbox")
    arguments = ["export", "model.skbbox", "m.tflite", "--image-size", "fixed", "--overwrite"]
    options = ["--quantize", "float16", "--calibration", "photos", "--force", "--json"]
    code, captured = main([*arguments, *options]), capsys.readouterr()
    assert code == 0, captured.err
    values = json.loads(captured.out)
    assert (values["format"], values["files"]) == ("tflite", ["m.tflite"])
    assert values["n_bytes"] == os.path.getsize("m.tflite")
    assert main([*arguments, "--quantize", "int8"]) != 0
    assert "needs --calibration" in capsys.readouterr().err
    assert main([*arguments, "--calibration", "nowhere.png"]) != 0
    assert "--quantize" in capsys.readouterr().err


def test_formats_of_the_command_are_those_of_export():
    from skbbox import export

    assert set(FORMATS) == set(export.FORMATS)


def test_json_and_stdout_are_not_mixed(photos, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["check", "labels.csv", "--images", "photos", "--json", "-o", "-"])
    assert "both write to stdout" in capsys.readouterr().err


def test_error_as_json(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere.csv"), "--json"]) == FAILED
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["type"] == "FileNotFoundError"
    assert captured.err == f"skbbox: error: {error['message']}\n"


def test_warnings_as_json(photos, capsys):
    (photos.parent / "wrong.csv").write_text(CSV + "00.png,0.5,0.1,0.1,0.5,cat\n")
    arguments = ["convert", "wrong.csv", "out.json", "--to", "coco", "--images", "photos"]
    assert main([*arguments, "--clean", "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith("clean_annotations: 1 inverted box repaired")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("pass overwrite=True to replace it", "pass --overwrite to replace it"),
        ("Pass corners='voc' if so", "Pass --corners voc if so"),
        ("pass format= with one of ['a']", "pass --from with one of ['a']"),
        ("pass image_size=(96, 96).", "pass --set image_size=(96, 96)."),
        ("Received: path='m', format=None. Pass format='x'.", None),
        ("Pass sizes={'a.jpg': (width, height)}.", "Pass --images with the folder of the images."),
        ("the split of my_format=3", "the split of my_format=3"),
        ("add --set image_size=96", "add --set image_size=96"),
    ],
)
def test_advice_names_options(message, expected):
    options = {
        "overwrite": f"--overwrite{FLAG}",
        "corners": "--corners",
        "format": "--from",
        "image_size": "--set image_size=",
        "images_dir": "--images",
    }
    if expected is None:
        expected = message.replace("Pass format='x'", "Pass --from x")
    assert use_options(message, options) == expected


def test_advice_about_one_class_is_an_option(shapes):
    X, y = shapes
    with pytest.warns(SkbboxWarning, match="only one class") as caught:
        small_localizer(epochs=1).fit(X[:16], y[:16].assign(class_name="cat"))
    advice = use_options(str(caught[0].message), {})
    assert advice.endswith("there is no class to learn. Add --no-classes to learn only boxes.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no head")
def test_closed_stdout_is_no_traceback(photos):
    program = "from skbbox.command_line import main; exit(main())"
    command = f"'{sys.executable}' -c '{program}' convert labels.csv - --to coco --images photos"
    done = subprocess.run(
        f"{command} | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the full device of Linux")
def test_stdout_on_a_full_disk_is_an_error(photos):
    program = "from skbbox.command_line import main; exit(main())"
    command = [sys.executable, "-c", program, "convert", "labels.csv", "-", "--to", "coco"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--images", "photos"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "skbbox: error: stdout: No space left on device"


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
    arguments = ["train", "labels.csv", "--images", "photos", "-o", "model.skbbox", "--quiet"]
    assert main(arguments) == FAILED
    assert capsys.readouterr().err.splitlines()[1:] == ["skbbox: error: The loss is NaN."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "labels.csv", "-o", "m", "--set", "image_size"], "NAME=VALUE"),
        (["train", "labels.csv", "-o", "m", "--set", "size=9"], "Invalid parameter 'size'"),
        (
            ["train", "labels.csv", "-o", "m", "--set", "backbone__x=1"],
            "no parameters of their own",
        ),
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
        (["predict", "m", "photos", "--to", "yolo"], "not to stdout (-)"),
        (["convert", "labels.csv", "-", "--to", "yolo"], "not to stdout (-)"),
        (["report", "m", "labels.csv", "-o", "labels.csv"], "or add --overwrite"),
        (["export", "m", "labels.csv"], "labels.csv exists; choose another path, or add"),
        (["score", "m", "labels.csv", "--images", "photos"], "m does not exist; name a file"),
        (["score", "m", "labels.csv", "--split", "test"], "which labels.csv does not have"),
        (["search", "labels.csv", "--grid", "size=1,2"], "Invalid parameter 'size'"),
        (["search", "labels.csv", "--grid", "neck"], "--grid expects NAME=VALUE"),
        (["search", "labels.csv", "--grid", "neck="], "with values"),
        (["search", "labels.csv", "--grid", "neck=0", "neck=1"], "--grid names neck twice"),
        (["search", "labels.csv", "--grid", "neck=0", "--set", "neck=1"], "both name neck"),
        (["search", "labels.csv", "--grid", "neck=0", "--folds", "1"], "must be at least 2"),
    ],
)
def test_invalid_arguments_fail_with_a_message(photos, capsys, arguments, message):
    (photos.parent / "empty").mkdir()
    assert main(arguments) == FAILED
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- doctor


def test_doctor_prints_versions_engines_weights_and_folders(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "some_weights.h5").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    code, out, _ = run("doctor", "--json")
    values = json.loads(out)
    assert code == 0
    assert values["packages"]["keras"] == metadata.version("keras")
    assert values["packages"]["torch"] is None or values["packages"]["torch"][0].isdigit()
    assert values["missing_for_engines"]["keras"] == []
    assert values["weights"] == ["some_weights.h5"]
    assert values["folders"]["weights of Keras"] == {
        "path": str(tmp_path / "models"),
        "state": "writable",
    }


def test_doctor_says_why_keras_does_not_start(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "no_such_backend")
    code, out, _ = run("doctor")
    assert code == 0
    assert "Keras does not start: ValueError" in out
    assert "KERAS_BACKEND=no_such_backend" in out


@pytest.mark.parametrize(
    ("name", "state"),
    [("file", "not a folder"), ("file/folder", "cannot be created")],
)
def test_doctor_knows_a_folder_that_cannot_be_used(tmp_path, name, state):
    (tmp_path / "file").touch()
    assert describe_folder(tmp_path / name)["state"] == state


def test_doctor_knows_a_folder_that_is_not_there_yet(tmp_path):
    assert describe_folder(tmp_path / "a" / "b")["state"] == "does not exist yet"
