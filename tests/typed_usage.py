"""A user program for the type checker; ``make lint`` checks it, and nothing runs it."""

from typing import assert_type

import matplotlib.axes
import numpy as np
import numpy.typing as npt
import pandas as pd

from skbbox import (
    BoundingBoxGenerator,
    DummyLocalizer,
    IoUScore,
    SingleBoxLocalizer,
    StratifiedBoxKFold,
    box_scorer,
    check_annotations,
    clean_annotations,
    combine_histories,
    from_xyxy,
    giou,
    iou,
    iou_matrix,
    label,
    localization_accuracy,
    mean_iou,
    mean_iou_scorer,
    one_box_per_image,
    plot_image,
    plot_loss,
    plot_prediction,
    rank_label_issues,
    read_annotations,
    to_xyxy,
    write_annotations,
)
from skbbox.augmentation import flip
from skbbox.command_line import main
from skbbox.datasets import make_shapes
from skbbox.exceptions import BoxError, SkbboxError
from skbbox.images import load_image
from skbbox.typing import ImagesLike, TargetsLike


def annotations() -> tuple[ImagesLike, TargetsLike]:
    boxes = read_annotations("boxes.csv", images_dir="images", shapes="skip")
    assert_type(boxes, pd.DataFrame)
    print(check_annotations(boxes).summary().splitlines())
    cleaned = clean_annotations(boxes)
    assert_type(cleaned.actions, pd.DataFrame)
    write_annotations(cleaned, "boxes.json", "coco", sizes={"a.jpg": (640, 480)})
    X, y = one_box_per_image(cleaned, keep="first", empty="drop")
    assert_type(y, pd.DataFrame)
    return X, y


def estimator() -> float:
    X, y = make_shapes(32, image_size=(48, 64), random_state=0)
    assert_type(X, npt.NDArray[np.uint8])
    localizer = SingleBoxLocalizer(random_state=0, on_bad_image="warn").fit(X, y)
    assert_type(localizer, SingleBoxLocalizer)
    assert_type(localizer.predict(X), pd.DataFrame)
    assert_type(localizer.predict_proba(X), npt.NDArray[np.float64])
    for row in localizer.predict_iter(path for path in X):
        print(row.class_name, row.x_min)
    localizer.save("model.skbbox", overwrite=True)
    assert_type(SingleBoxLocalizer.load("model.skbbox"), SingleBoxLocalizer)
    iou_50: float = localizer.score(X, y).iou_50
    assert_type(iou_50, float)
    baseline = DummyLocalizer(strategy="prior").fit(X, y)
    assert_type(baseline, DummyLocalizer)
    assert_type(baseline.predict(X), pd.DataFrame)
    assert_type(baseline.predict_proba(X), npt.NDArray[np.float64])
    score = baseline.score(X, y, sample_weight=[1.0] * 32)
    assert_type(score, IoUScore)
    mean, share = score
    assert_type(mean + share, float)
    assert_type(box_scorer(baseline, X, y)["mean_iou"], float)
    assert_type(mean_iou_scorer(baseline, X, y), float)
    for train, test in StratifiedBoxKFold(3).split(X, y):
        baseline.fit(X[train], y.iloc[train]).score(X[test], y.iloc[test])
    assert_type(rank_label_issues(baseline, X, y, cv=3), pd.DataFrame)
    return iou_50 - score.iou_50


def measures(true: pd.DataFrame, predicted: pd.DataFrame) -> None:
    assert_type(iou((0.2, 0.7, 0.3, 0.6, "cat"), [0, 1, 0, 1]), float)
    assert_type(giou((0, 1, 0, 1), (0, 1, 0, 1)), float)
    print(iou(true, predicted).mean(), iou([(0, 1, 0, 1)], np.zeros((2, 4)))[0])
    assert_type(iou_matrix(true, predicted), npt.NDArray[np.float64])
    assert_type(from_xyxy([(0.2, 0.3, 0.7, 0.6)]), npt.NDArray[np.float64])
    assert_type(to_xyxy(predicted), npt.NDArray[np.float64])
    assert_type(IoUScore.from_boxes(true, predicted), IoUScore)
    assert_type(mean_iou(true, predicted, sample_weight=np.ones(3)), float)
    assert_type(localization_accuracy(true, predicted, threshold=0.75), float)


def pictures(X: list[str], y: pd.DataFrame) -> None:
    axes = plot_image(X[0], y.iloc[0], color="red")
    assert_type(axes, matplotlib.axes.Axes)
    plot_prediction(DummyLocalizer().fit(X, y), load_image(X[0]), y.iloc[[0]], ax=axes)
    plot_loss(combine_histories([{"loss": [2.0, 1.0]}]), ax=axes)


def batches(boxes: pd.DataFrame) -> None:
    images, (y_class, y_bbox) = BoundingBoxGenerator(boxes, 224, 224, 32, True, augment=flip)[0]
    print(images.shape, y_class.shape, y_bbox.shape)


def label_images() -> TargetsLike:
    table = label(["a.jpg", "b.jpg"], estimator=DummyLocalizer(), classes=("cat", "dog"))
    assert_type(label("photos", table, None, format="coco"), pd.DataFrame)
    return one_box_per_image(table)[1]


def command() -> int:
    try:
        return main(["check", "labels.csv"])
    except BoxError as error:
        assert_type(error, BoxError)
        raise SkbboxError(str(error)) from error


# Incorrect calls: mypy must report each, because an unused "type: ignore" is an error too.
one_box_per_image(pd.DataFrame(), keep="smallest")  # type: ignore[arg-type]
one_box_per_image(pd.DataFrame(), empty="skip")  # type: ignore[arg-type]
read_annotations("boxes.csv", corner="voc")  # type: ignore[call-arg]
make_shapes(n_samples="many")  # type: ignore[arg-type]
mean_iou(0.5, 0.5)  # type: ignore[arg-type]
IoUScore(0.5)  # type: ignore[call-arg]
SingleBoxLocalizer(on_bad_image="drop")  # type: ignore[arg-type]
SingleBoxLocalizer(epoch=3)  # type: ignore[call-arg]
DummyLocalizer(strategy="middle")  # type: ignore[arg-type]
