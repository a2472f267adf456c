"""Lines, JSON values and XML elements whose errors name the file and the position in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NoReturn, Protocol
from xml.etree.ElementTree import Element as XmlElement

from ..exceptions import AnnotationError

__all__ = [
    "Element",
    "Line",
    "Node",
    "Place",
    "make_size",
    "parse_degrees",
    "parse_number",
    "parse_numbers",
    "shorten_repr",
]


class Place(Protocol):
    """A position in a file: a :class:`Line`, :class:`Node` or :class:`Element`."""

    def fail(self, message: str) -> NoReturn:
        """Raise an AnnotationError about this position."""


class Line:
    """A line of a text file.

    Parameters
    ----------
    path : Path
        The file.
    number : int
        Counted from 1.
    """

    __slots__ = ("number", "path")

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number = path, number

    def __str__(self) -> str:
        return f"line {self.number}"

    def fail(self, message: str) -> NoReturn:
        """Raise an AnnotationError about this line."""
        raise AnnotationError(f"{self.path}, {self}: {message}")


class Node:
    """A value in a JSON file.

    Parameters
    ----------
    value : object
        The value.
    path : Path
        The file.
    parent : Node, default=None
    key : str, int or Line, default=None
        Key of this value in its parent; without a parent, its position in the file.
    """

    __slots__ = ("key", "parent", "path", "value")

    def __init__(
        self,
        value: Any,
        path: Path,
        parent: Node | None = None,
        key: str | int | Line | None = None,
    ) -> None:
        self.value, self.path, self.parent, self.key = value, path, parent, key

    def __str__(self) -> str:
        """The position, such as ``annotations[3].bbox``."""
        if self.parent is None:
            return "" if self.key is None else str(self.key)
        above = str(self.parent)
        if isinstance(self.key, int):
            return f"{above}[{self.key}]"
        return f"{above}.{self.key}" if above else str(self.key)

    def fail(self, message: str) -> NoReturn:
        """Raise an AnnotationError about this value."""
        raise AnnotationError(
            f"{self.path}, {self}: {message}" if str(self) else f"{self.path}: {message}"
        )

    def __contains__(self, key: str) -> bool:
        return self.is_object and self.value.get(key) is not None

    def __getitem__(self, key: str) -> Node:
        """The value at a required key of an object."""
        child = self.get(key)
        if child is None:
            self.fail(f"{key} is missing.")
        return child

    def get(self, key: str) -> Node | None:
        """The value at a key of an object; None if it is missing or null."""
        if not self.is_object:
            self.fail(f"expected an object with {key}. Received: {shorten_repr(self.value)}.")
        value = self.value.get(key)
        return None if value is None else Node(value, self.path, self, key)

    def __iter__(self) -> Iterator[Node]:
        """Iterate over the values of a list or an object."""
        if self.is_list:
            return (Node(value, self.path, self, i) for i, value in enumerate(self.value))
        if self.is_object:
            return (Node(value, self.path, self, key) for key, value in self.value.items())
        self.fail(f"expected a list. Received: {shorten_repr(self.value)}.")

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str)

    def as_list(self) -> list[Node]:
        """The values of a list."""
        if not self.is_list:
            self.fail(f"expected a list. Received: {shorten_repr(self.value)}.")
        return list(self)

    def as_text(self) -> str:
        """A string; integers are converted."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        if not isinstance(self.value, str):
            self.fail(f"expected text. Received: {shorten_repr(self.value)}.")
        return self.value

    def as_number(self) -> float:
        """A finite number."""
        value = self.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                value = math.inf
            if math.isfinite(value):
                return value
        self.fail(f"expected a number. Received: {shorten_repr(self.value)}.")

    def as_flag(self) -> int:
        """0 or 1 for false or true; numbers are converted to integers."""
        return int(self.value if isinstance(self.value, bool) else self.as_number())

    def as_numbers(self, count: int | None = None) -> list[float]:
        """The numbers of a list, of which `count` are expected."""
        numbers = _to_floats(self.value) if self.is_list else None
        if numbers is None:
            numbers = [node.as_number() for node in self.as_list()]
        if count is not None and len(numbers) != count:
            words = {2: "two numbers, x and y", 4: "four numbers"}
            self.fail(f"expected {words.get(count, f'{count} numbers')}. Received {len(numbers)}.")
        return numbers

    def as_points(self) -> list[tuple[float, float]]:
        """Points, from a list of ``[x, y]``, of ``{"x": x, "y": y}``, or of ``x, y, x, y``."""
        first = self.value[0] if self.is_list and self.value else None
        if isinstance(first, dict):
            return [node.as_point() for node in self]
        numbers = None
        if not isinstance(first, list):
            numbers = self.as_numbers()
        elif all(isinstance(pair, list) and len(pair) == 2 for pair in self.value):
            # A file may have thousands of points, so that a node for each takes long.
            numbers = _to_floats([number for pair in self.value for number in pair])
        if numbers is None:
            numbers = [number for node in self for number in node.as_numbers(2)]
        if len(numbers) % 2:
            self.fail(f"expected pairs of x and y. Received {len(numbers)} numbers.")
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def as_point(self) -> tuple[float, float]:
        """Values of the keys ``x`` and ``y``."""
        return self["x"].as_number(), self["y"].as_number()

    def read_corner_box(self, *names: str) -> tuple[float, float, float, float]:
        """A box from the keys of its left and top edges, its width and its height."""
        x, y, width, height = (self[name].as_number() for name in names)
        return x, x + width, y, y + height

    def read_size(self, width: str = "width", height: str = "height") -> tuple[float, float] | None:
        """Numbers at the keys of width and height; None if one is missing or 0."""
        if width not in self or height not in self:
            return None
        return make_size(self[width].as_number(), self[height].as_number())


class Element:
    """An element of an XML file.

    Parameters
    ----------
    element : xml.etree.ElementTree.Element
    path : Path
        The file.
    place : str, default=""
        Its position, such as ``object 3``.
    """

    __slots__ = ("element", "path", "place")

    def __init__(self, element: XmlElement, path: Path, place: str = "") -> None:
        self.element, self.path, self.place = element, path, place

    def __str__(self) -> str:
        return self.place

    @property
    def tag(self) -> str:
        return self.element.tag

    def fail(self, message: str) -> NoReturn:
        """Raise an AnnotationError about this element."""
        where = f"{self.path}, {self.place}" if self.place else f"{self.path}"
        raise AnnotationError(f"{where}: {message}")

    def iter_children(self, *tags: str) -> Iterator[Element]:
        """Yield the children with one of the tags, or all; for each tag, positions count from 1."""
        numbers: dict[str, int] = {}
        for child in self.element:
            if not tags or child.tag in tags:
                number = numbers[child.tag] = numbers.get(child.tag, 0) + 1
                below = f"{child.tag} {number}"
                place = f"{self.place}, {below}" if self.place else below
                yield Element(child, self.path, place)

    def find_child(self, tag: str) -> Element | None:
        """The first child with the tag, or None."""
        found = self.element.find(tag)
        if found is None:
            return None
        return Element(found, self.path, f"{self.place}, {tag}" if self.place else tag)

    def read_text(self, tag: str, default: str | None = None) -> str:
        """Stripped text of the child with the tag, which is required unless there is a default."""
        found = self.element.find(tag)
        if found is None:
            if default is not None:
                return default
            self.fail(f"<{tag}> is missing.")
        return (found.text or "").strip()

    def read_number(self, tag: str) -> float:
        """Finite number in the required child with the tag."""
        return parse_number(self.read_text(tag), self, f"<{tag}>")

    def read_attribute(self, name: str) -> str:
        """A required attribute."""
        value = self.element.get(name)
        if value is None:
            self.fail(f"the attribute {name} is missing.")
        return value

    def read_attribute_number(self, name: str) -> float:
        """Finite number in a required attribute."""
        return parse_number(self.read_attribute(name), self, name)

    def read_size(self) -> tuple[float, float] | None:
        """Numbers in the children ``width`` and ``height``; None if one is missing or 0."""
        width, height = (
            parse_number(self.read_text(tag, default="0") or "0", self, "size")
            for tag in ("width", "height")
        )
        return make_size(width, height)


def _to_floats(values: list[Any]) -> list[float] | None:
    """Finite numbers as floats; None if a value is something else."""
    if not {*map(type, values)} <= {int, float}:
        return None
    try:
        numbers = list(map(float, values))
    except OverflowError:
        return None
    return numbers if math.isfinite(sum(numbers)) else None


def parse_degrees(value: object) -> float:
    """The rotation that CVAT stores among the attributes of a box, in degrees.

    Parameters
    ----------
    value : object
        The attribute ``rotation``. A user's own attribute of this name may hold anything; 0.0 is
        returned if it is not a number.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0.0
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e6 else 0.0  # type: ignore[arg-type]


def make_size(width: float, height: float) -> tuple[float, float] | None:
    """Width and height, or None if one is 0, which tools write for an unknown size."""
    return (width, height) if width > 0 and height > 0 else None


def parse_number(text: str, place: Place, name: str) -> float:
    """Convert text to a finite number.

    Parameters
    ----------
    text : str
    place : Line, Node or Element
        Position of the text, for the error.
    name : str
        Name of the number, for the error.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Python also accepts 1_000 and digits of other scripts.
    if not math.isfinite(value) or "_" in text or not text.isascii():
        place.fail(f"{name} is not a number. Received: {shorten_repr(text)}.")
    return value


def parse_numbers(texts: Sequence[str], place: Place, names: Iterable[str]) -> tuple[float, ...]:
    """:func:`parse_number` for several texts."""
    try:
        values = tuple(map(float, texts))
    except ValueError:
        values = (math.nan,)
    joined = "".join(texts)
    if math.isfinite(sum(values)) and "_" not in joined and joined.isascii():
        return values
    return tuple(parse_number(*pair) for pair in zip(texts, repeat(place), names, strict=False))


def shorten_repr(value: object) -> str:
    """A value as Python code, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
