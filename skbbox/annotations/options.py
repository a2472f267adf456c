"""Arguments of ``read_annotations``, as readers use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..exceptions import AnnotationError
from .shapes import bound_points

if TYPE_CHECKING:
    from pathlib import Path

    from .class_names import ClassNames, FoundNames
    from .documents import Document
    from .nodes import Place
    from .record import Box, Point

__all__ = ["CORNERS", "SHAPES", "Y_ORIGINS", "Options", "check_choice"]

CORNERS = ("edges", "voc")
SHAPES = ("hull", "skip", "error")
Y_ORIGINS = ("top", "bottom")


@dataclass
class Options:
    """Arguments of one call of :func:`read_annotations`, and records of its progress.

    Attributes
    ----------
    corners : {"edges", "voc"} or None
        None means the convention of the tool.
    y_origin : {"top", "bottom"} or None
    shapes : {"hull", "skip", "error"}
    class_attribute : str or None
    class_names : list of str, dict or None
    n_unbounded : Counter
        Number of shapes without a bounding box so far, by kind.
    yolo_rows : {"box", "polygon", "scored_polygon"} or None
        What the rows of YOLO's files hold; None decides it from all rows.
    kpt_shape : (int, int) or None
        Number of keypoints in YOLO's rows and of the values of each, from `class_names`.
    columns : dict
        Names of the columns of a table, by their role.
    box_format : str or None
        What four numbers of a table are, of ``box_readings.BOX_FORMATS``; None decides it.
    units : {"pixels", "normalised", "percent"} or None
        Units of the numbers of a table; None decides it.
    root : Path or None
        The folder that is read, if it is one.
    documents : list of Document
        All files of the call.
    names_by_folder : dict
        Class names that were found so far, by folder.
    decided_rows : str or None
        What the rows of YOLO's files were found to hold, once that is decided.
    """

    corners: str | None = None
    y_origin: str | None = None
    shapes: str = "hull"
    class_attribute: str | None = None
    class_names: ClassNames | None = None
    yolo_rows: str | None = None
    kpt_shape: tuple[int, int] | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    box_format: str | None = None
    units: str | None = None
    root: Path | None = None
    documents: list[Document] = field(default_factory=list)
    n_unbounded: Counter[str] = field(default_factory=Counter)
    names_by_folder: dict[Path, FoundNames] = field(default_factory=dict)
    decided_rows: str | None = None

    def bound_shape(self, place: Place, kind: str, points: list[Point] | Box) -> Box | None:
        """Bounding box of a shape that is not a box, or None if the shape is skipped.

        Parameters
        ----------
        place : Node, Element or Line
            Position of the shape, for the error of ``shapes="error"``.
        kind : str
            Kind of shape, for messages.
        points : list of (float, float), or tuple of 4 floats
            Points of the shape, or its bounding box.
        """
        if self.shapes == "error":
            place.fail(
                f"a {kind} is not a box; shapes='hull' uses its bounding box, shapes='skip' "
                "leaves it out."
            )
        if self.shapes == "skip":
            return None
        box = points if isinstance(points, tuple) else bound_points(points)
        if box is None:
            self.n_unbounded[kind] += 1
        return box

    def convert_corners(self, box: Box, tool_corners: str = "edges") -> Box:
        """Convert a box in pixels to half-open edges if its corners are numbers of pixels.

        References
        ----------
        .. [1] M. Everingham, J. Winn, "The PASCAL Visual Object Classes Challenge 2012
           Development Kit", section 3.1: the top left pixel is (1, 1), corners are inclusive.
        """
        if (self.corners or tool_corners) == "voc":
            x_min, x_max, y_min, y_max = box
            return x_min - 1, x_max, y_min - 1, y_max
        return box

    def choose_attribute(self, document: Document, holder: str, names: list[str]) -> str | None:
        """The attribute that holds the classes: the given one, or the only one.

        Parameters
        ----------
        document : Document
            For the error if there are several, or not the given one.
        holder : str
            What has the attributes, such as ``"region"``, for messages.
        names : list of str
            The attributes of the document that can be it.
        """
        if self.class_attribute is not None:
            if names and self.class_attribute not in names:
                document.fail(
                    f"no {holder} has the attribute {self.class_attribute!r}; the attributes are "
                    f"{names}."
                )
            return self.class_attribute
        if len(names) > 1:
            document.fail(
                f"the {holder}s have the attributes {names}; pass the one that holds the class, "
                f"such as class_attribute={names[0]!r}."
            )
        return names[0] if names else None

    def get_class_name(self, key: str, place: Place, names: ClassNames | None = None) -> str:
        """Class name for a number or code in a file; `key` itself if there are no names.

        Parameters
        ----------
        key : str
        place : Node, Element or Line
            Position of the key, for the error if it has no name.
        names : list or dict, default=None
            Names found next to the file; ``class_names`` take precedence.
        """
        names = names if self.class_names is None else self.class_names
        if names is None:
            return key
        number = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None
        if isinstance(names, Mapping):
            candidates: tuple[Any, ...] = (key, number)
            for candidate in candidates:
                if candidate in names:
                    return str(names[candidate])
        elif number is not None and number < len(names):
            return str(names[number])
        place.fail(
            f"there is no name for class {key!r} among the {len(names)} class names; pass the "
            "names of all classes with class_names=."
        )


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise an AnnotationError if a value is not one of the choices."""
    if value not in choices:
        raise AnnotationError(f"{name} must be one of {list(choices)}. Received: {value!r}.")
