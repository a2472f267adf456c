"""One function for every format: recognise it, then hand over to the tool's own module."""

from pathlib import Path

from ..exceptions import AnnotationError
from . import snacks
from .record import to_frame

__all__ = ["FORMATS", "read_annotations"]

#: Readers by the name of their format. A reader has ``recognises(source)`` and
#: ``read(source, images_dir)``.
FORMATS = {"snacks": snacks}


def read_annotations(source, *, images_dir=None, format=None):
    r"""Read the boxes that an annotation tool wrote.

    Parameters
    ----------
    source : str or Path
        The annotation file.
    images_dir : str or Path, default=None
        Folder that the image names in the file are relative to. None takes the
        folder of the annotation file.
    format : str, default=None
        Name of the format; None recognises it from the content. Known:

        * ``"snacks"``: CSV with the columns ``image_id, x_min, x_max, y_min, y_max,
          class_name, folder``, normalised, the image at ``folder/image_id.jpg``.

    Returns
    -------
    DataFrame
        One row per box, with the columns ``image`` (path as str), ``class_name``,
        ``x_min, x_max, y_min, y_max`` (normalised, half-open) and what the format
        adds: ``image_id`` and ``folder`` for ``"snacks"``. Boxes are given as the
        file has them; ``fit`` refuses those that cannot be.

    Raises
    ------
    FileNotFoundError
        If `source` does not exist.
    AnnotationError
        If the format is not recognised, or a line cannot be read; a ValueError.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skbbox import read_annotations
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.csv").write_text(
    ...     "image_id,x_min,x_max,y_min,y_max,class_name,folder\n"
    ...     "007,0.1,0.5,0.2,0.9,cake,dessert\n")
    >>> boxes = read_annotations(folder / "train.csv")
    >>> boxes[["class_name", "x_min", "x_max", "image_id"]].values.tolist()
    [['cake', 0.1, 0.5, '007']]
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(
            f"{source} does not exist (working directory: {Path.cwd()}); give the path of the "
            "annotation file."
        )
    return to_frame(_reader(source, format).read(source, images_dir))


def _reader(source, format):
    if format is not None:
        if format not in FORMATS:
            raise AnnotationError(f"format must be one of {list(FORMATS)}. Received: {format!r}.")
        return FORMATS[format]
    for reader in FORMATS.values():
        if reader.recognises(source):
            return reader
    raise AnnotationError(
        f"{source} is in none of the known formats {list(FORMATS)}; a snacks file is a CSV "
        f"with the columns {', '.join(snacks.COLUMNS)}. If it is one of them, name it with format=."
    )
