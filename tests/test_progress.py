"""Output of verbose=1."""

import time

import pytest

from skbbox.progress import progress_bar
from skbbox.training.callbacks import EpochTable

LOGS = {
    "loss": 9.0,
    "class_prediction_loss": 1.25,
    "bbox_prediction_loss": 0.5,
    "class_prediction_accuracy": 0.75,
    "bbox_prediction_mean_iou": 0.625,
}


def lines(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_each_epoch_is_a_line_with_losses_accuracy_iou_and_time_left(capsys):
    table = EpochTable(0, 3)
    # The first epoch took two minutes, so four are left; after the second, two.
    table.began = time.monotonic() - 120
    table.on_epoch_end(0, LOGS)
    table.began = time.monotonic() - 240
    table.on_epoch_end(1, LOGS)
    assert lines(capsys) == [
        ["epoch", "class", "loss", "box", "loss", "accuracy", "mean", "IoU", "time", "left"],
        ["1/3", "1.250", "0.500", "0.750", "0.625", "4:00"],
        ["2/3", "1.250", "0.500", "0.750", "0.625", "2:00"],
    ]


def test_columns_are_aligned_with_their_titles(capsys):
    table = EpochTable(0, 100)
    table.on_epoch_end(0, LOGS)
    head, line = capsys.readouterr().out.splitlines()
    for title, value in [("class loss", "1.250"), ("mean IoU", "0.625"), ("epoch", "1/100")]:
        assert head.index(title) + len(title) == line.index(value) + len(value)


def test_validation_is_in_brackets(capsys):
    EpochTable(0, 1).on_epoch_end(0, LOGS | {"val_bbox_prediction_mean_iou": 0.5})
    assert lines(capsys)[1][4:6] == ["0.625", "(0.500)"]


def test_resumed_training_counts_its_own_epochs_for_the_time_left(capsys):
    table = EpochTable(4, 6)
    # One of two epochs took a minute.
    table.began = time.monotonic() - 60
    table.on_epoch_end(4, LOGS)
    title, line = lines(capsys)
    assert (title[0], line[0], line[-1]) == ("epoch", "5/6", "1:00")


def test_time_left_shows_hours(capsys):
    table = EpochTable(0, 3)
    table.began = time.monotonic() - 3600
    table.on_epoch_end(0, LOGS)
    assert lines(capsys)[1][-1] == "2:00:00"


def test_network_with_one_output_has_two_columns(capsys):
    EpochTable(0, 1).on_epoch_end(0, {"loss": 0.5, "mean_iou": 0.25})
    assert lines(capsys) == [
        ["epoch", "box", "loss", "mean", "IoU", "time", "left"],
        ["1/1", "0.500", "0.250", "0:00"],
    ]


@pytest.mark.parametrize(
    ("verbose", "shown"), [(0, ""), (False, ""), (1, "features: 100%"), (True, "features: 100%")]
)
def test_bar_is_printed_to_stdout_only_if_verbose(verbose, shown, capsys):
    with progress_bar(4, "features", verbose) as progress:
        progress.update(4)
    captured = capsys.readouterr()
    assert captured.out.split("\r")[-1].startswith(shown)
    assert captured.err == ""
    assert verbose or captured.out == ""
