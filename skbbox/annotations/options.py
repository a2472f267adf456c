"""What the caller of ``read_annotations`` says beyond the file, as readers ask for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..exceptions import AnnotationError
from . import shapes

__all__ = ["CORNERS", "SHAPES", "Y_ORIGINS", "Options", "check_choice"]

CORNERS = ("edges", "voc")
SHAPES = ("hull", "skip", "error")
Y_ORIGINS = ("top", "bottom")


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`read_annotations`, checked.

    Attributes
    ----------
    corners : {"edges", "voc"} or None
        None is what the tool writes.
    y_origin : {"top", "bottom"} or None
    shapes : {"hull", "skip", "error"}
    class_attribute : str or None
    class_names : list of str, dict or None
    left_out : Counter
        Shapes around which there is no box, by kind, counted while files are read.
    names_beside : dict
        Names of classes that were found in a folder, kept while files are read.
    """

    corners: str | None = None
    y_origin: str | None = None
    shapes: str = "hull"
    class_attribute: str | None = None
    class_names: list[str] | Mapping | None = None
    left_out: Counter = field(default_factory=Counter)
    names_beside: dict = field(default_factory=dict)

    def around(self, owner, kind, points):
        """The box around a shape that is none, or None where it is to be left out.

        Parameters
        ----------
        owner : Node or Element
            Fails where shapes are refused.
        kind : str
            Of shape, for the message.
        points : list of (float, float), or tuple of 4 floats
            The shape's points; or the box around it.
        """
        if self.shapes == "error":
            owner.fail(
                f"a {kind} is not a box; shapes='hull' takes the box around it, 'skip' leaves "
                "it out."
            )
        if self.shapes == "skip":
            return None
        box = points if isinstance(points, tuple) else shapes.around(points)
        if box is None:
            self.left_out[kind] += 1
        return box

    def edges(self, box, tool_corners="edges"):
        """A box in pixels with half-open edges, of one whose corners may be pixels' numbers.

        References
        ----------
        .. [1] M. Everingham, J. Winn, "The PASCAL Visual Object Classes Challenge 2012
           Development Kit", section 3.1: the top left pixel is (1, 1), corners are inclusive.
        """
        if (self.corners or tool_corners) == "voc":
            x_min, x_max, y_min, y_max = box
            return x_min - 1, x_max, y_min - 1, y_max
        return box

    def class_name(self, key, owner, names=None):
        """Name of a class by what stands for it in the file; `key` itself where nothing says it.

        Parameters
        ----------
        key : str
        owner : Node or Element
            Fails where there are names, but none for `key`.
        names : list or dict, default=None
            What lies beside the file; ``class_names`` come first.
        """
        names = names if self.class_names is None else self.class_names
        if names is None:
            return key
        number = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None
        if isinstance(names, Mapping):
            for form in (key, number):
                if form in names:
                    return str(names[form])
        elif number is not None and number < len(names):
            return str(names[number])
        return owner.fail(
            f"there is no name for class {key!r} among {len(names)}; class_names= takes others."
        )


def check_choice(name, value, choices):
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise AnnotationError(f"{name} must be one of {list(choices)}. Received: {value!r}.")
