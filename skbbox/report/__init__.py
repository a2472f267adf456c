"""The report: one page that holds data, training, scores and predictions, and needs no network.

The story is here: collect, draw, fill the page, write. Beside it, ``results.py`` has the numbers,
``figures.py`` the plots, ``pictures.py`` the images with their boxes, ``sections.py`` the parts of
the page, and ``markup.py`` what makes HTML of text. ``page.html``, ``page.css`` and ``page.js``
are what a browser gets around them.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from ..exceptions import SkbboxError
from ..files import atomic_write, check_overwrite
from ..markup import Markup, escaped
from . import sections
from .results import collect

if TYPE_CHECKING:
    import pandas as pd

    from ..typing import ImagesLike, Localizer, PathLikeStr, TargetsLike

__all__ = ["MAX_IMAGES", "report_page", "write_report"]

#: Pictures on a page, unless another number is asked for.
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
    """Predict, and write what there is to see into one HTML file.

    Parameters
    ----------
    estimator : fitted estimator
        ``predict`` is called once. ``history_``, ``stages_``, ``bad_images_`` and ``get_params``
        are used where there.
    X, y, path, overwrite, title, max_images
        As for :meth:`skbbox.SingleBoxLocalizer.report`.

    Returns
    -------
    Path
    """
    path = Path(path)
    # Before the network runs, which may take minutes.
    _check_place(path, overwrite)
    _check_max_images(max_images)
    page = report_page(
        X, y, estimator.predict(X), estimator=estimator, title=title, max_images=max_images
    )
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def report_page(
    X: ImagesLike,
    y: TargetsLike,
    predicted: pd.DataFrame,
    *,
    estimator: Any = None,
    title: str | None = None,
    max_images: int = MAX_IMAGES,
) -> str:
    """The page as text, from predictions that are there already.

    Parameters
    ----------
    X : images of length n
    y : table of boxes of length n
    predicted : DataFrame of n rows
        What ``predict`` gives: ``x_min, x_max, y_min, y_max`` and, where there,
        ``class_name``, ``confidence`` and ``error``.
    estimator : fitted estimator, default=None
        Whose training and parameters are told. None leaves them out.
    title, max_images
        As for :meth:`skbbox.SingleBoxLocalizer.report`.

    Returns
    -------
    str
        HTML. The same arguments give the same text, but for the date in ``<time>``.
    """
    _check_max_images(max_images)
    results = collect(X, y, predicted)
    if title is None:
        name = "Report" if estimator is None else type(estimator).__name__
        title = f"{name}: {len(results):,} images"
    script, style = _text("page.js"), _text("page.css")
    return Template(_text("page.html")).substitute(
        title=escaped(title),
        script=script,
        # Of all scripts, the browser runs the one with this check sum.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        date=_date(),
        no_classes=Markup("" if results.is_right is not None else "hidden"),
        no_class_options=Markup("" if results.classes else "hidden"),
        no_confidence=Markup("" if results.confidence is not None else "hidden"),
        summary=sections.summary(results),
        details=sections.details(estimator),
        data=sections.data(results),
        training=sections.training(estimator),
        baselines=sections.baselines(results),
        counts=sections.counts(results),
        iou_plots=sections.iou_plots(results),
        classes=sections.classes(results),
        numbers=sections.numbers(results),
        **sections.predictions(results, max_images, verbose=getattr(estimator, "verbose", 0)),
    )


def _check_place(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise SkbboxError(
            f"{path} is a folder; give the path of a file, as {path / 'report.html'}."
        )
    check_overwrite([path], overwrite)
    if not path.parent.is_dir():
        raise SkbboxError(
            f"{path} cannot be written: there is no folder {path.parent}. Create it, or give "
            "another path."
        )


def _check_max_images(max_images: int) -> None:
    if not isinstance(max_images, Integral) or isinstance(max_images, bool) or max_images < 0:
        raise ValueError(f"max_images must be an integer of at least 0. Received: {max_images!r}.")


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _date() -> Markup:
    now = datetime.now(UTC)
    return Markup(f'<time datetime="{now:%Y-%m-%dT%H:%MZ}">{now:%Y-%m-%d %H:%M} UTC</time>')
