"""What kinds of errors the mean IoU is lost to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import iou
from ..boxes.tables import as_pandas
from ..exceptions import BoxError
from .confusion import NO_OBJECT
from .pairs import pair_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, FloatArray
    from .pairs import Pairs

__all__ = ["ERRORS", "localization_errors"]

#: Kinds of errors, in the order of the table.
ERRORS = ("shift", "scale", "aspect", "wrong_object", "missed", "false_alarm", "wrong_class")

#: Below this IoU, a box is around something else. As in TIDE.
WRONG_OBJECT = 0.1

#: Limits of the areas of true boxes, as shares of the image, and of their width / height.
SIZES = {"small": 0.1, "medium": 0.3, "large": np.inf}
ASPECTS = {"tall": 2 / 3, "square": 3 / 2, "wide": np.inf}

#: Names of the thirds of the image, of which the centre of a true box lies in one.
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


def localization_errors(
    y_true: BoxesLike, predicted: BoxesLike, *, by: str | ArrayLike | None = None
) -> pd.DataFrame:
    """Attribute the IoU that predictions lose to kinds of errors.

    Each row of `y_true` loses 1 - IoU. The predicted box is corrected step by step. The gain in
    IoU of each step is attributed to one kind of error, and is never negative.

    * ``shift``: the gain in IoU if the predicted box is moved to the centre of the true box
    * ``scale``: the further gain if the box is resized to the area of the true box, at the same
      ratio of width to height; no other size has a higher IoU
    * ``aspect``: the further gain if the box gets the true ratio of width to height, so that it
      equals the true box
    * ``wrong_object``: 1 - IoU of a predicted box with an IoU below 0.1, which is around something
      else; for these rows, the first three are 0
    * ``missed``: 1 if no box is predicted for a true box
    * ``false_alarm``: 1 if an object is predicted in an image without one
    * ``wrong_class``: the IoU of a box whose class is wrong, which is also lost if only boxes
      of the right class count

    Parameters
    ----------
    y_true, predicted : table of n boxes
        As for :func:`mean_iou`. Rows with a class and no box, and images that could not be
        read, are left out.
    by : {"class_name", "size", "position", "aspect_ratio"} or array-like of shape (n,), \
default=None
        How to divide the rows into groups: by the true class; by the area of the true box (small
        below 0.1 of the image, large from 0.3 on); by the third of the image, in each direction,
        that contains the centre of the true box; by its normalised width / height (tall below 2/3,
        wide from 3/2 on); or by your own labels, such as groups or sizes of images. Images without
        an object form a separate group. None means one group of all rows.

    Returns
    -------
    DataFrame with a row for each group, or one row
        ``n``, the number of rows, ``mean_iou``, and a column for each kind: its mean over all rows
        of the group. The sum of the kinds from ``shift`` to ``false_alarm`` is
        ``1 - mean_iou``. The sum of all kinds is 1 minus the mean IoU in which boxes of the wrong
        class count as 0. Without classes, ``wrong_class`` is absent.

    Raises
    ------
    BoxError
        As :func:`mean_iou` does, and if `by` needs a column that `y_true` lacks, or has another
        length.

    References
    ----------
    .. [1] D. Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
       2020, arXiv:2008.08115.

    Examples
    --------
    The second box has the right centre and shape, and half of the width and height:

    >>> from skbbox import localization_errors
    >>> y_true = [(0.2, 0.6, 0.2, 0.6), (0.2, 0.6, 0.2, 0.6)]
    >>> predicted = [(0.2, 0.6, 0.2, 0.6), (0.3, 0.5, 0.3, 0.5)]
    >>> localization_errors(y_true, predicted)[["n", "mean_iou", "shift", "scale"]].round(3)
         n  mean_iou  shift  scale
    all  2     0.625    0.0  0.375
    """
    pairs = pair_rows(y_true, predicted)
    pairs.select_iou()
    groups: Any = _find_groups(pairs, by)[pairs.has_iou]
    rows = {"n": np.ones(len(pairs)), "mean_iou": pairs.iou} | _attribute(pairs)
    # Labels of the caller stay in their order.
    is_sorted = isinstance(by, str)
    table = pd.DataFrame(rows)[pairs.has_iou].groupby(groups, sort=is_sorted, observed=True)
    result = table.mean().assign(n=table.size())
    result.index.name = by if isinstance(by, str) else None
    return result


def _attribute(pairs: Pairs) -> dict[str, FloatArray]:
    """Each kind of error of each row."""
    lost = np.nan_to_num(1 - pairs.iou)
    both = pairs.has_box & pairs.has_predicted_box
    is_wrong = both & (pairs.iou < WRONG_OBJECT)
    is_near = both & ~is_wrong
    parts = {name: np.zeros(len(pairs)) for name in ERRORS}
    true, predicted = pairs.true[is_near], pairs.predicted[is_near]
    centres = (true[:, ::2] + true[:, 1::2]) / 2
    sides, true_sides = (boxes[:, 1::2] - boxes[:, ::2] for boxes in (predicted, true))
    scale = np.sqrt(true_sides.prod(axis=1) / sides.prod(axis=1))[:, None]
    steps = [
        pairs.iou[is_near],
        iou(_join(centres, sides), true),
        iou(_join(centres, scale * sides), true),
        np.ones(len(true)),
    ]
    for name, gain in zip(("shift", "scale", "aspect"), np.diff(steps, axis=0), strict=True):
        # Rounding.
        parts[name][is_near] = np.maximum(gain, 0.0)
    parts["wrong_object"] = np.where(is_wrong, lost, 0.0)
    parts["missed"] = np.where(pairs.has_box & ~pairs.has_predicted_box, 1.0, 0.0)
    parts["false_alarm"] = np.where(pairs.is_false_alarm, 1.0, 0.0)
    if pairs.true_names is None or pairs.predicted_names is None:
        del parts["wrong_class"]
    else:
        parts["wrong_class"] = np.where(pairs.is_right_class == 0, np.nan_to_num(pairs.iou), 0.0)
    return parts


def _join(centres: FloatArray, sides: FloatArray) -> FloatArray:
    return np.stack([centres - sides / 2, centres + sides / 2], axis=-1).reshape(-1, 4)


def _find_groups(pairs: Pairs, by: Any) -> Any:
    """The group of each pair; of sizes and others, in their natural order."""
    if by is None:
        return np.full(len(pairs), "all", dtype=object)
    if not isinstance(by, str):
        labels = np.asarray(as_pandas(by), dtype=object)
        if labels.shape != (pairs.n_rows,):
            raise BoxError(
                f"by needs one label for each of the {pairs.n_rows} rows. Received shape "
                f"{labels.shape}."
            )
        return labels[pairs.rows]
    if by == "class_name":
        if pairs.true_names is None:
            raise BoxError("by='class_name' needs the column class_name in y_true.")
        names = np.where(pairs.has_class, pairs.true_names, NO_OBJECT)
        return pd.Categorical(names, [*sorted(set(names) - {NO_OBJECT}, key=str), NO_OBJECT])
    if by not in ("size", "position", "aspect_ratio"):
        raise BoxError(
            "by must be 'class_name', 'size', 'position', 'aspect_ratio', or a label for each "
            f"row. Received: {by!r}."
        )
    known = np.nan_to_num(pairs.true)
    width, height = (known[:, 1::2] - known[:, ::2]).T
    if by == "position":
        thirds = [f"{row} {column}" for row in ROWS for column in COLUMNS]
        x, y = ((known[:, ::2] + known[:, 1::2]) / 2).T
        numbers = 3 * np.minimum(3 * y, 2).astype(int) + np.minimum(3 * x, 2).astype(int)
        return _name(numbers, thirds, pairs)
    limits = SIZES if by == "size" else ASPECTS
    values = width * height if by == "size" else width / np.where(pairs.has_box, height, 1.0)
    return _name(np.searchsorted(list(limits.values()), values, "right"), list(limits), pairs)


def _name(numbers: NDArray[np.intp], names: list[str], pairs: Pairs) -> Any:
    labels = np.where(pairs.has_box, np.array(names, dtype=object)[numbers], NO_OBJECT)
    return pd.Categorical(labels, [*names, NO_OBJECT])
