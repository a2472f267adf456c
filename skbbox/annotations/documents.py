"""Annotation files, parsed as XML, JSON, CSV or lines of text."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from ..exceptions import AnnotationError
from .nodes import Element, Line, Node, shorten_repr

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Document", "FrameDocument"]

#: Deeper nesting is no annotation file, and may be an attack.
MAX_DEPTH = 100
#: Number of bytes at the start of a file that its kind is detected from.
N_START_BYTES = 64 * 1024
#: Number of bytes of the largest file that is kept, so that it is opened only once. There may be
#: a million files.
N_KEPT_BYTES = 512

_SPACE = re.compile(r"\s*")
_MANY_BRACKETS = re.compile(rf"(\s*[\[{{]){{{MAX_DEPTH + 1}}}")


class _Start(NamedTuple):
    """What the start of a file shows; the attributes are those of :class:`Document`."""

    encoding: str
    kind: str
    first_line: str
    is_empty: bool
    is_deep: bool


class Document:
    """An annotation file, read and parsed on first use.

    Parameters
    ----------
    path : Path
        The file.
    split : str, default=None
        The part of the split that the file is listed for.

    Attributes
    ----------
    kind : {"xml", "json", "csv", "text"}
        Detected from the content; always ``"csv"`` for names that end in ``.csv``.
    first_line : str
        The first line that is not blank, or its first 4096 characters.
    is_empty : bool
        Whether the file holds only white space.
    """

    def __init__(self, path: Path, split: str | None = None) -> None:
        self.path, self.split = path, split
        self._start: _Start | None = None
        #: The whole file, if it is small: it is opened once to recognise it and to parse it.
        self._content: bytes | None = None
        self._xml: Element | None = None
        self._json: Node | None = None

    @property
    def kind(self) -> str:
        return self._read_start().kind

    @property
    def encoding(self) -> str:
        return self._read_start().encoding

    @property
    def first_line(self) -> str:
        return self._read_start().first_line

    @property
    def is_empty(self) -> bool:
        return self._read_start().is_empty

    def forget(self) -> None:
        """Free the parsed content, and the text unless it is tiny; the next use parses again."""
        self._xml = self._json = None
        if self._content is not None and len(self._content) > N_KEPT_BYTES:
            self._content = None

    def fail(self, message: str) -> NoReturn:
        """Raise an AnnotationError about the file."""
        raise AnnotationError(f"{self.path}: {message}")

    def parse_xml(self) -> Element:
        """The root of an XML file."""
        if self._xml is None:
            self._xml = Element(self._parse_xml_root(), self.path)
        return self._xml

    def parse_json(self) -> Node:
        """The value of a JSON file; for JSON lines, the list of their values."""
        if self._json is None:
            self._json = Node(self._parse_json_value(), self.path)
        return self._json

    def parse_json_of(self, tool: str) -> Node:
        """The value of a JSON file; raises an error that names the tool for other kinds of file."""
        if self.kind != "json":
            self.fail(f"expected JSON, {tool}'s kind of file.")
        return self.parse_json()

    def read_text(self) -> str:
        """The content as text."""
        encoding = self.encoding
        content = self.path.read_bytes() if self._content is None else self._content
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise self._make_decoding_error(error) from None

    def iter_lines(self) -> Iterator[tuple[Line, str]]:
        """Yield position and text of each line that is not blank."""
        for number, text in enumerate(self.read_text().split("\n"), start=1):
            if text.strip():
                yield Line(self.path, number), text.rstrip("\r")

    def iter_rows(self, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
        """Yield line number and fields of each row of a CSV file that is not blank."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            try:
                for fields in reader:
                    if fields and fields != [""]:
                        yield reader.line_num, fields
            except UnicodeDecodeError as error:
                raise self._make_decoding_error(error) from None
            except csv.Error as error:
                raise AnnotationError(
                    f"{self.path}, line {reader.line_num}: {error}; a quotation mark may be "
                    "unclosed. Fields of more than 131072 characters need csv.field_size_limit."
                ) from None

    def parse_header(self, delimiter: str = ",") -> list[str]:
        """Fields of the first line of a CSV file, stripped."""
        lines = [self.first_line]
        try:
            fields = next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:
            return []
        return [field.strip() for field in fields]

    def iter_table(self, columns: Sequence[str]) -> Iterator[tuple[Line, tuple[str, ...]]]:
        """Yield position and fields of each row of a CSV file with a header.

        Parameters
        ----------
        columns : sequence of str
            The columns to return, at least two.
        """
        rows = self.iter_rows()
        _, header = next(rows, (1, []))
        header = [name.strip() for name in header]
        missing = [name for name in columns if name not in header]
        if missing:
            self.fail(f"the columns {missing} are missing. Received: {header}.")
        for name in columns:
            if header.count(name) > 1:
                self.fail(f"the column {name} appears {header.count(name)} times.")
        select = itemgetter(*(header.index(name) for name in columns))
        for line, fields in rows:
            if len(fields) != len(header):
                raise AnnotationError(
                    f"{self.path}, line {line}: expected {len(header)} fields, as in the header. "
                    f"Received {len(fields)}."
                )
            yield Line(self.path, line), select(fields)

    def _read_start(self) -> _Start:
        if self._start is None:
            try:
                with self.path.open("rb", buffering=0) as file:
                    content = file.read(N_START_BYTES)
                    is_whole = os.fstat(file.fileno()).st_size == len(content)
            except OSError as error:
                raise AnnotationError(f"{self.path} cannot be read: {error.strerror}.") from None
            self._content = content if is_whole else None
            self._start = self._examine(content)
        return self._start

    def _examine(self, content: bytes) -> _Start:
        encoding = _detect_encoding(content)
        # The last character may be cut off; invalid ones raise an error when the file is parsed.
        text = content.decode(encoding, errors="replace").removeprefix("\ufeff")
        first_line = text.lstrip()[:4096].partition("\n")[0].rstrip("\r")
        kind = self._detect_kind(first_line)
        is_deep = bool(_MANY_BRACKETS.match(text))
        return _Start(encoding, kind, first_line, not content.strip(), is_deep)

    def _detect_kind(self, first_line: str) -> str:
        if self.path.suffix.lower() == ".csv":
            return "csv"
        if first_line.startswith("<"):
            return "xml"
        if first_line.startswith(("[", "{")):
            return "json"
        return "csv" if "," in first_line else "text"

    def _parse_xml_root(self) -> XmlElement:
        parser = DefusedXMLParser(target=_ShallowTree())
        try:
            if self._content:
                parser.feed(self._content)
            else:
                with self.path.open("rb") as file:
                    while data := file.read(N_START_BYTES):
                        parser.feed(data)
            # The type stubs do not know the class of `target`.
            root: XmlElement = parser.close()
            return root
        except DefusedXmlException as error:
            self.fail(f"XML entities are refused, because they can exhaust the memory: {error}.")
        except ParseError as error:
            self.fail(f"not well-formed XML: {error}.")
        except (LookupError, ValueError) as error:
            if isinstance(error, AnnotationError):
                self.fail(str(error))
            self.fail(f"the encoding of this XML file cannot be read: {error}.")

    def _parse_json_value(self) -> Any:
        if self._read_start().is_deep:
            self.fail(f"nested deeper than {MAX_DEPTH} levels; not an annotation file.")
        text = self.read_text()
        values = []
        decoder = json.JSONDecoder(
            object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant
        )
        try:
            end = _skip_space(text, 0)
            while end < len(text):
                value, end = decoder.raw_decode(text, end)
                values.append(value)
                end = _skip_space(text, end)
        except RecursionError:
            self.fail("nested too deeply; not an annotation file.")
        except ValueError as error:
            self.fail(f"not valid JSON: {error}.")
        # JSON lines are a list; a single line looks like a file with one value.
        return values[0] if len(values) == 1 else values

    def _make_decoding_error(self, error: UnicodeDecodeError) -> AnnotationError:
        name = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        return AnnotationError(f"{self.path} is not {name}: {error}; save it as UTF-8.")


class FrameDocument(Document):
    """A table in memory in place of a file.

    Parameters
    ----------
    frame : DataFrame
    """

    kind, encoding, first_line, is_empty = "frame", "", "", False

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        # Names of images are relative to the working directory.
        self.path, self.split = Path("DataFrame"), None
        self._content = self._xml = self._json = None


class _ShallowTree:
    """Tree builder that refuses deep nesting."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = 0

    def start(self, tag: str, attributes: dict[Any, Any]) -> XmlElement:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise AnnotationError(f"nested deeper than {MAX_DEPTH} levels; not an annotation file.")
        return self._builder.start(tag, attributes)

    def end(self, tag: str) -> XmlElement:
        self._depth -= 1
        return self._builder.end(tag)

    def data(self, data: str) -> None:
        self._builder.data(data)

    def close(self) -> XmlElement:
        return self._builder.close()


def _detect_encoding(start: bytes) -> str:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8-sig"


def _skip_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    assert match is not None
    return match.end()


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        duplicate = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"duplicate key {shorten_repr(duplicate)} in an object")
    return found


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
