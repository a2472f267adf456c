"""Labelling in the browser, with proposals of a model that learns along the way."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ..annotations import one_box_per_image, read_annotations
from ..boxes import TARGET_COLUMNS
from ..boxes.tables import as_pandas
from ..exceptions import MissingPackageError, SkbboxWarning
from ..files import as_path
from .images import ImageFolder
from .output import Export, get_csv, get_work_folder
from .review import Review
from .session import Session, Settings
from .table import LabelTable, make_labels, make_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sklearn.base import BaseEstimator

    from ..typing import PathLikeStr
    from .table import Label

__all__ = ["label"]

#: Name of the file of labels in the folder of the images.
DEFAULT_OUTPUT = "labels.csv"


def label(
    images: PathLikeStr | Iterable[PathLikeStr],
    boxes: pd.DataFrame | PathLikeStr | None = None,
    estimator: BaseEstimator | Literal["auto"] | None = "auto",
    *,
    output: PathLikeStr | None = None,
    format: str = "snacks",
    review: bool = False,
    classes: Sequence[str] = (),
    start_after: int = 10,
    random_share: float = 0.2,
    random_state: int = 0,
    port: int = 0,
    open_browser: bool = True,
    ends_with_page: bool = True,
) -> pd.DataFrame:
    """Label images in the browser, one class and one box each, with the help of a model.

    The page is served on this machine only, at an address that contains a secret. After a few
    labels, an estimator is fitted in another process and proposes the class and box of the next
    image, again and again with more labels.

    Parameters
    ----------
    images : str, Path or iterable of them
        A folder, of which all images are labelled, those in its folders included; or the paths of
        images.
    boxes : DataFrame, str or Path, default=None
        Labels that a new file begins with, as :func:`read_annotations` returns them, or a file
        for it. Of several boxes of an image, the largest is kept.
    estimator : estimator, "auto" or None, default="auto"
        Proposes labels; it is cloned. ``"auto"`` is ``SingleBoxLocalizer(random_state=0)``, with
        features kept beside the output. None proposes nothing.
    output : str or Path, default=None
        File of the labels. It is continued if it exists, and then `boxes` are not used. None is
        ``labels.csv`` in the folder of the images.
    format : str, default="snacks"
        As for :func:`write_annotations`. With ``"snacks"``, a CSV, each label is in the file at
        once; other formats follow after some seconds, and until then the labels are in a CSV
        beside the file.
    review : bool, default=False
        Whether to walk through the labels of `boxes`, those first that
        :func:`rank_label_issues` finds most suspicious, instead of images without a label.
    classes : sequence of str, default=()
        Class names in the order of their keys on the page. Others can be added there.
    start_after : int, default=10
        Number of labels after which the model is fitted for the first time. It waits until each of
        `classes` has a label, but not longer than for three times as many.
    random_share : float, default=0.2
        Share of images that are drawn at random, in 0..1. The page computes the score of the
        proposals on these. The others are those that the model can learn most from.
    random_state : int, default=0
        Seed of the choice of images.
    port : int, default=0
        Port of the server; 0 takes a free one.
    open_browser : bool, default=True
        Whether to open the page.
    ends_with_page : bool, default=True
        Whether closing the page ends labelling; "Finish" on the page and Ctrl-C always do.

    Returns
    -------
    DataFrame
        As :func:`read_annotations` returns it: a row for each label, with the columns ``image``,
        ``class_name`` and ``x_min`` ... ``y_max``. In images without an object, class and box are
        missing.

    Raises
    ------
    AnnotationError
        If the existing file has columns, or several boxes of an image, that would be lost.
    ImageError
        If there are no images, or some are outside the folder.
    MissingPackageError
        If Starlette or uvicorn is not installed; they come with ``skbbox[label]``.
    OSError
        If the file cannot be written, or the port is taken.
    ValueError
        If `start_after`, `random_share` or `port` is out of range.

    Warns
    -----
    SkbboxWarning
        If files are left out, because their names cannot be stored or they are links to files
        outside the folder; if `boxes` has several boxes of an image.
    """
    check_server_installed()
    _check_numbers(start_after, random_share, port)
    from .running import open_page, serve, wait_until_closed

    folder = _collect_images(images)
    path = folder.folder / DEFAULT_OUTPUT if output is None else as_path(output).absolute()
    table = open_table(folder, path, format, boxes, review)
    export = Export(table, path, format)
    settings = Settings(tuple(classes), start_after, random_share, random_state)
    session = open_session(folder, table, path, estimator, review, settings)
    with serve(session, port) as url:
        print(f"Labels go to {path}. The page is {url}", flush=True)
        if open_browser:
            open_page(url)
        # Ctrl-C is a way to finish: all labels are in the file.
        with contextlib.suppress(KeyboardInterrupt):
            wait_until_closed(session, export, ends_with_page=ends_with_page)
    export.finish()
    return make_table(table.list_labels(), folder.folder)


def check_server_installed() -> None:
    """Raise if the packages of the server are missing."""
    missing = [name for name in ("starlette", "uvicorn") if not importlib.util.find_spec(name)]
    if missing:
        raise MissingPackageError(
            f"Labelling needs {' and '.join(missing)}: pip install 'skbbox[label]'."
        )


def _check_numbers(start_after: int, random_share: float, port: int) -> None:
    if start_after < 2:
        raise ValueError(f"start_after must be at least 2. Received: {start_after}.")
    if not 0 <= random_share <= 1:
        raise ValueError(f"random_share must be in 0..1. Received: {random_share}.")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be in 0..65535. Received: {port}.")


def _collect_images(images: PathLikeStr | Iterable[PathLikeStr]) -> ImageFolder:
    """The images of a folder, or those given by their paths, in their deepest common folder."""
    if isinstance(images, (str, os.PathLike)):
        return ImageFolder(images)
    paths = [os.path.abspath(as_path(image)) for image in images]
    if not paths:
        raise ValueError("images has no paths; pass a folder or a list of paths.")
    return ImageFolder(os.path.commonpath([os.path.dirname(path) for path in paths]), paths)


def open_table(
    folder: ImageFolder,
    output: Path,
    format: str,
    boxes: pd.DataFrame | PathLikeStr | None,
    review: bool,
) -> LabelTable:
    """The table of labels: continued, or begun with `boxes`."""
    csv = get_csv(output, format)
    with _explain_unwritable(output):
        work = get_work_folder(output)
        work.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=work).close()
    initial: dict[str, Label] = {}
    if not csv.exists():
        if csv != output and output.exists():
            boxes = read_annotations(output, images_dir=folder.folder, format=format)
        if boxes is not None:
            initial = _read_initial(boxes, folder)
        elif review:
            raise ValueError(
                "review=True walks through existing labels. Pass boxes= with a table or file."
            )
    with _explain_unwritable(output):
        return LabelTable(csv, folder.folder, initial)


@contextlib.contextmanager
def _explain_unwritable(output: Path) -> Iterator[None]:
    """Raise an OSError that names the output and the fix if it cannot be written."""
    try:
        yield
    except TimeoutError:  # Another process keeps it locked.
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"labels cannot be written to {output} ({error.strerror}). Pass output= with a file in "
            "a folder that exists and can be written to.",
        ) from error


def _read_initial(boxes: pd.DataFrame | PathLikeStr, folder: ImageFolder) -> dict[str, Label]:
    """Labels that a new file begins with."""
    is_file = isinstance(boxes, (str, os.PathLike))
    given = read_annotations(boxes, images_dir=folder.folder) if is_file else as_pandas(boxes)
    X, y = one_box_per_image(given)
    if len(X) < len(given):
        warnings.warn(
            f"boxes has {len(given)} rows on {len(X)} images; of several boxes of an image, only "
            "the largest is kept.",
            SkbboxWarning,
            stacklevel=3,
        )
    table = pd.DataFrame({"image": list(X)}).join(y.reset_index(drop=True)[list(TARGET_COLUMNS)])
    labels = make_labels(table, folder.folder)
    halves = len(table) - len(labels)
    if halves:
        warnings.warn(
            f"{halves} rows of boxes have only a class or only a box, and are left out.",
            SkbboxWarning,
            stacklevel=3,
        )
    return labels


def open_session(
    folder: ImageFolder,
    table: LabelTable,
    output: Path,
    estimator: Any,
    review: bool,
    settings: Settings,
) -> Session:
    """A session of labelling or review, with the estimator that the user has chosen."""
    work = get_work_folder(output)
    if isinstance(estimator, str):
        if estimator != "auto":
            raise ValueError(
                f"estimator must be an estimator, 'auto' or None. Received: {estimator!r}."
            )
        estimator = make_estimator(work)
    if review and estimator is None:
        raise ValueError("review=True needs an estimator, which finds suspicious labels.")
    return (Review if review else Session)(folder, table, work, estimator, settings)


def make_estimator(work: Path, **parameters: Any) -> BaseEstimator:
    """The estimator that proposes labels by default; `work` is the folder of kept features."""
    from ..localizer import SingleBoxLocalizer

    defaults: dict[str, Any] = {"memory": work / "features", "random_state": 0}
    return SingleBoxLocalizer(**(defaults | parameters))
