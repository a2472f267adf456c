"""The report: one HTML page with scores, predictions, training and data, without any request.

``results.py`` pairs true and predicted boxes, ``figures.py`` draws the plots, ``pictures.py`` the
small images, ``cards.py`` adds their facts, and ``errors.py`` and ``sections.py`` compute the
values of the other sections. The templates, the style sheet and the script are in
``templates/report``.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ..exceptions import DataError
from ..files import as_path, atomic_write, check_overwrite
from ..templates import read_markup, render
from . import cards as picture_cards
from . import errors, sections
from .results import THRESHOLD, collect_results

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ..typing import ImagesLike, Localizer, PathLikeStr, TargetsLike

__all__ = ["MAX_IMAGES", "render_report", "write_report"]

#: Pictures on a page by default.
MAX_IMAGES = 300


def write_report(
    estimator: Localizer,
    X: ImagesLike,
    y: TargetsLike,
    path: PathLikeStr,
    *,
    overwrite: bool = False,
    title: str | None = None,
    max_images: int = MAX_IMAGES,
) -> Path:
    """Predict images, and write the report to one HTML file.

    Parameters
    ----------
    estimator : fitted estimator
        ``predict`` is called once. ``history_``, ``stages_``, ``bad_images_`` and ``get_params``
        are used if they exist.
    X, y, path, overwrite, title, max_images
        As for :meth:`skbbox.SingleBoxLocalizer.report`.

    Returns
    -------
    Path
    """
    path = as_path(path)
    # Before predict, which may take minutes.
    _check_path(path, overwrite)
    _check_max_images(max_images)
    page = render_report(
        X, y, estimator.predict(X), estimator=estimator, title=title, max_images=max_images
    )
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def render_report(
    X: ImagesLike,
    y: TargetsLike,
    predicted: pd.DataFrame,
    *,
    estimator: Any = None,
    title: str | None = None,
    max_images: int = MAX_IMAGES,
) -> str:
    """The report as HTML, from existing predictions.

    Parameters
    ----------
    X : images of length n
    y : table of boxes of length n
    predicted : DataFrame of n rows
        What ``predict`` returned: ``x_min, x_max, y_min, y_max``, and optionally ``class_name``,
        ``class_confidence``, ``box_confidence``, ``presence`` and ``error``.
    estimator : fitted estimator, default=None
        Its training and parameters are shown. None leaves them out.
    title, max_images
        As for :meth:`skbbox.SingleBoxLocalizer.report`.

    Returns
    -------
    str
        The same arguments give the same text, except for the date in ``<time>``.
    """
    _check_max_images(max_images)
    results = collect_results(X, y, predicted)
    if title is None:
        name = "Report" if estimator is None else type(estimator).__name__
        title = f"{name}: {len(results):,} images"
    script = read_markup("report/page.js")
    cards = picture_cards.make_cards(results, max_images, verbose=getattr(estimator, "verbose", 0))
    page = render(
        "report/page.html",
        title=title,
        style=read_markup("report/page.css"),
        script=script,
        # The browser runs only the script with this checksum.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        now=datetime.now(UTC),
        results=results,
        threshold=f"{THRESHOLD:.2f}",
        measures=sections.MEASURES,
        tiles=sections.summarize_scores(results),
        kinds=sections.describe_kinds(results),
        data_plots=sections.plot_data(results),
        training=sections.describe_training(estimator),
        training_plots=sections.plot_training(estimator),
        details=sections.list_details(estimator),
        scores=sections.compare_with_baselines(results),
        counts=sections.describe_counts(results),
        errors=errors.list_errors(results),
        error_plots=errors.plot_errors(results),
        calibration_plots=errors.plot_calibration(results),
        iou_plots=sections.plot_iou(results),
        presence=sections.describe_presence(results),
        presence_plots=sections.plot_presence(results, estimator),
        class_rows=sections.measure_classes(results),
        confusion=sections.tabulate_confusions(results),
        selection=picture_cards.describe_selection(len(cards), len(results)),
        class_options=picture_cards.list_class_options(results, cards),
        typical=picture_cards.choose_typical(results, cards),
        median=picture_cards.format_median(results),
        cards=cards,
        numbers=sections.list_numbers(results),
    )
    return str(page)


def _check_path(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; pass the path of a file, such as {path / 'report.html'}."
        )
    check_overwrite([path], overwrite)
    if not path.parent.is_dir():
        raise DataError(
            f"{path} cannot be written: the folder {path.parent} does not exist. Create it, or "
            "pass another path."
        )


def _check_max_images(max_images: int) -> None:
    if not isinstance(max_images, Integral) or isinstance(max_images, bool) or max_images < 0:
        raise ValueError(f"max_images must be an integer of at least 0. Received: {max_images!r}.")
