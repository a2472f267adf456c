"""Annotation files as trees and rows that say where they are when something is wrong in them."""

import csv
import json
import math
import re
from itertools import repeat
from operator import itemgetter
from xml.etree.ElementTree import TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from ..exceptions import AnnotationError

__all__ = ["Document", "Element", "Line", "Node", "known_size", "parse_number", "parse_numbers"]

#: Deeper nested than this is no annotation file, and may be an attack.
MOST_DEPTH = 100
#: Bytes at the beginning from which it is told what a file holds.
BEGINNING = 64 * 1024

_SPACE = re.compile(r"\s*")
_MANY_BRACKETS = re.compile(rf"(\s*[\[{{]){{{MOST_DEPTH + 1}}}")


class Document:
    """An annotation file, read when one of its forms is asked for.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    kind : {"xml", "json", "csv", "text"}
        Told by the content; by the name where it ends in ``.csv``.
    first_line : str
        The first line, or its first 4096 characters.
    is_empty : bool
        Whether there is nothing but white space.
    """

    def __init__(self, path):
        self.path = path
        try:
            with path.open("rb") as file:
                beginning = file.read(BEGINNING)
        except OSError as error:
            raise AnnotationError(f"{path} cannot be read: {error.strerror}.") from None
        self.encoding = _encoding(beginning)
        self.is_empty = not beginning.strip()
        # A character may be cut at the end, and wrong ones are found when the file is read.
        beginning = beginning.decode(self.encoding, errors="replace").removeprefix("\ufeff")
        self.first_line = beginning[:4096].partition("\n")[0].rstrip("\r")
        self.kind = self._kind(beginning.lstrip()[:1])
        self._is_deep = bool(_MANY_BRACKETS.match(beginning))
        self._xml = self._json = None

    def forget(self):
        """Let go of what was read, which is read again when it is asked for."""
        self._xml = self._json = None

    def fail(self, message):
        """Raise an AnnotationError about the whole file."""
        raise AnnotationError(f"{self.path}: {message}")

    def _kind(self, first):
        if self.path.suffix.lower() == ".csv":
            return "csv"
        if first == "<":
            return "xml"
        if first and first in "[{":
            return "json"
        return "csv" if "," in self.first_line else "text"

    def xml(self):
        """The root of an XML file, as an :class:`Element`."""
        if self._xml is None:
            self._xml = Element(self._parsed_xml(), self.path)
        return self._xml

    def json(self):
        """The value of a JSON file, as a :class:`Node`; of lines of JSON, a list of them."""
        if self._json is None:
            self._json = Node(self._parsed_json(), self.path)
        return self._json

    def text(self):
        """All of the file as text."""
        try:
            return self.path.read_bytes().decode(self.encoding)
        except UnicodeDecodeError as error:
            raise self._not_decodable(error) from None

    def lines(self):
        """Places and texts of the lines of a text file that are not blank."""
        for number, text in enumerate(self.text().split("\n"), start=1):
            if text.strip():
                yield Line(self.path, number), text.rstrip("\r")

    def rows(self):
        """Line numbers and fields of the lines of a CSV file that are not blank."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            try:
                for fields in reader:
                    if fields:
                        yield reader.line_num, fields
            except UnicodeDecodeError as error:
                raise self._not_decodable(error) from None
            except csv.Error as error:
                raise AnnotationError(
                    f"{self.path}, line {reader.line_num}: {error}; a quotation mark may be "
                    "unclosed. Fields of more than 131072 characters need csv.field_size_limit."
                ) from None

    def header(self):
        """Fields of the first line of a CSV file, without space around them."""
        try:
            fields = next(csv.reader([self.first_line], skipinitialspace=True), [])
        except csv.Error:
            return []
        return [field.strip() for field in fields]

    def table(self, columns):
        """Rows of a CSV file with a header, as :class:`Line` and the fields of `columns`.

        Parameters
        ----------
        columns : sequence of str
            Two at least; others are left out.
        """
        rows = self.rows()
        _, header = next(rows, (1, []))
        header = [name.strip() for name in header]
        missing = [name for name in columns if name not in header]
        if missing:
            self.fail(f"the columns {missing} are missing. Received: {header}.")
        for name in columns:
            if header.count(name) > 1:
                self.fail(f"the column {name} is there {header.count(name)} times.")
        chosen = itemgetter(*(header.index(name) for name in columns))
        for line, fields in rows:
            if len(fields) != len(header):
                raise AnnotationError(
                    f"{self.path}, line {line}: the number of fields differs from the header's. "
                    f"Received {len(fields)}, not {len(header)}."
                )
            yield Line(self.path, line), chosen(fields)

    def _parsed_xml(self):
        parser = DefusedXMLParser(target=_ShallowTree())
        try:
            with self.path.open("rb") as file:
                while data := file.read(BEGINNING):
                    parser.feed(data)
            return parser.close()
        except DefusedXmlException as error:
            self.fail(f"entities are refused, as they can fill the memory: {error}.")
        except ParseError as error:
            self.fail(f"this is not whole XML: {error}.")
        except (LookupError, ValueError) as error:
            if isinstance(error, AnnotationError):
                self.fail(str(error))
            self.fail(f"the encoding of this XML cannot be read: {error}.")

    def _parsed_json(self):
        if self._is_deep:
            self.fail(f"nested deeper than {MOST_DEPTH}; this is no annotation file.")
        text = self.text()
        values = []
        decoder = json.JSONDecoder(object_pairs_hook=_unrepeated, parse_constant=_no_constant)
        try:
            end = _SPACE.match(text).end()
            while end < len(text):
                value, end = decoder.raw_decode(text, end)
                values.append(value)
                end = _SPACE.match(text, end).end()
        except RecursionError:
            self.fail("nested too deep; this is no annotation file.")
        except ValueError as error:
            self.fail(f"this is not whole JSON: {error}.")
        # Lines of JSON are a list; one line is not told from a file of one value.
        return values[0] if len(values) == 1 else values

    def _not_decodable(self, error):
        name = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        return AnnotationError(f"{self.path} is not {name}: {error}; save it as UTF-8.")


class Line:
    """A line of a text file, which knows its place.

    Parameters
    ----------
    path : Path
        The file.
    number : int
        Counted from 1.
    """

    __slots__ = ("number", "path")

    def __init__(self, path, number):
        self.path, self.number = path, number

    def __str__(self):
        return f"line {self.number}"

    def fail(self, message):
        """Raise an AnnotationError about this line."""
        raise AnnotationError(f"{self.path}, {self}: {message}")


class Node:
    """A value in a JSON file, which knows its place.

    Parameters
    ----------
    value : object
        The value itself.
    path : Path
        The file.
    parent : Node, default=None
    key : str or int, default=None
        Of this value in its parent.
    """

    __slots__ = ("key", "parent", "path", "value")

    def __init__(self, value, path, parent=None, key=None):
        self.value, self.path, self.parent, self.key = value, path, parent, key

    def __str__(self):
        """The place, such as ``annotations[3].bbox``."""
        if self.parent is None:
            return "" if self.key is None else str(self.key)
        above = str(self.parent)
        if isinstance(self.key, int):
            return f"{above}[{self.key}]"
        return f"{above}.{self.key}" if above else str(self.key)

    def fail(self, message):
        """Raise an AnnotationError about this value."""
        raise AnnotationError(
            f"{self.path}, {self}: {message}" if str(self) else f"{self.path}: {message}"
        )

    def __contains__(self, key):
        return self.is_object and self.value.get(key) is not None

    def __getitem__(self, key):
        """The value at a key of an object, which must be there."""
        child = self.get(key)
        if child is None:
            self.fail(f"{key} is missing.")
        return child

    def get(self, key):
        """The value at a key of an object; None where it is missing or null."""
        if not self.is_object:
            self.fail(f"an object with {key} is wanted. Received: {_shown(self.value)}.")
        value = self.value.get(key)
        return None if value is None else Node(value, self.path, self, key)

    def __iter__(self):
        """The values of a list, or of an object."""
        if self.is_list:
            return (Node(value, self.path, self, i) for i, value in enumerate(self.value))
        if self.is_object:
            return (Node(value, self.path, self, key) for key, value in self.value.items())
        return self.fail(f"a list is wanted. Received: {_shown(self.value)}.")

    @property
    def is_object(self):
        return isinstance(self.value, dict)

    @property
    def is_list(self):
        return isinstance(self.value, list)

    @property
    def is_text(self):
        return isinstance(self.value, str)

    def list(self):
        """Its values as a list of nodes; only of a list."""
        if not self.is_list:
            self.fail(f"a list is wanted. Received: {_shown(self.value)}.")
        return list(self)

    def text(self):
        """A text, or a whole number as text."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        if not self.is_text:
            self.fail(f"text is wanted. Received: {_shown(self.value)}.")
        return self.value

    def number(self):
        """A finite number."""
        value = self.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                value = math.inf
            if math.isfinite(value):
                return value
        return self.fail(f"a number is wanted. Received: {_shown(self.value)}.")

    def size(self):
        """Width and height at the keys of these names; None where one is missing or 0."""
        if "width" not in self or "height" not in self:
            return None
        width, height = self["width"].number(), self["height"].number()
        return known_size(width, height)


class Element:
    """An element of an XML file, which knows its place.

    Parameters
    ----------
    element : xml.etree.ElementTree.Element
    path : Path
        The file.
    place : str, default=""
        Such as ``object 3``.
    """

    __slots__ = ("element", "path", "place")

    def __init__(self, element, path, place=""):
        self.element, self.path, self.place = element, path, place

    def __str__(self):
        return self.place

    @property
    def tag(self):
        return self.element.tag

    def fail(self, message):
        """Raise an AnnotationError about this element."""
        where = f"{self.path}, {self.place}" if self.place else f"{self.path}"
        raise AnnotationError(f"{where}: {message}")

    def children(self, *tags):
        """Those right below this one that have one of the tags, or all; numbered from 1."""
        numbers = {}
        for child in self.element:
            if not tags or child.tag in tags:
                number = numbers[child.tag] = numbers.get(child.tag, 0) + 1
                below = f"{child.tag} {number}"
                place = f"{self.place}, {below}" if self.place else below
                yield Element(child, self.path, place)

    def child(self, tag):
        """The first one right below this one with the tag, or None."""
        found = self.element.find(tag)
        if found is None:
            return None
        return Element(found, self.path, f"{self.place}, {tag}" if self.place else tag)

    def text(self, tag, default=None):
        """Text of the child with the tag, without space around it.

        With no default, it must be there.
        """
        found = self.element.find(tag)
        if found is None:
            if default is not None:
                return default
            self.fail(f"<{tag}> is missing.")
        return (found.text or "").strip()

    def number(self, tag):
        """Finite number in the child with the tag, which must be there."""
        return parse_number(self.text(tag), self, f"<{tag}>")

    def attribute(self, name):
        """An attribute, which must be there."""
        value = self.element.get(name)
        if value is None:
            self.fail(f"the attribute {name} is missing.")
        return value

    def attribute_number(self, name):
        """A finite number in an attribute, which must be there."""
        return parse_number(self.attribute(name), self, name)

    def size(self):
        """Width and height by the children of these names; None where one is missing or 0."""
        sides = [self.text(tag, default="0") or "0" for tag in ("width", "height")]
        return known_size(*(parse_number(side, self, "size") for side in sides))


def known_size(width, height):
    """Width and height, or None where one is 0, by which tools say that they do not know it."""
    return (width, height) if width > 0 and height > 0 else None


def parse_number(text, owner, name):
    """The finite number that a text is.

    Parameters
    ----------
    text : str
    owner : Line, Node or Element
        Fails where it is none.
    name : str
        Of what should be a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Python takes 1_000 and digits of other scripts for numbers as well.
    if not math.isfinite(value) or "_" in text or not text.isascii():
        owner.fail(f"{name} is not a number. Received: {_shown(text)}.")
    return value


def parse_numbers(texts, owner, names):
    """:func:`parse_number` of several texts, as a tuple."""
    try:
        values = tuple(map(float, texts))
    except ValueError:
        values = (math.nan,)
    joined = "".join(texts)
    if math.isfinite(sum(values)) and "_" not in joined and joined.isascii():
        return values
    return tuple(parse_number(*pair) for pair in zip(texts, repeat(owner), names, strict=False))


class _ShallowTree:
    """Builds a tree that is not too deep."""

    def __init__(self):
        self._builder = TreeBuilder()
        self._depth = 0

    def start(self, tag, attributes):
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise AnnotationError(f"nested deeper than {MOST_DEPTH}; this is no annotation file.")
        return self._builder.start(tag, attributes)

    def end(self, tag):
        self._depth -= 1
        return self._builder.end(tag)

    def data(self, data):
        return self._builder.data(data)

    def close(self):
        return self._builder.close()


def _encoding(beginning):
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8-sig"


def _unrepeated(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_shown(repeated)} is there twice in one object")
    return found


def _no_constant(name):
    raise ValueError(f"{name} is not a number")


def _shown(value):
    """A value in a message, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
