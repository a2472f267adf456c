"""HTML made of text, which is escaped unless it says that it is HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

__all__ = ["Markup", "escaped", "joined", "shown", "table", "tag"]

#: Names longer than this are cut, and end in an ellipsis.
LONGEST = 120

#: They are not printable by Python's rule, but words and emoji are written with them.
JOINERS = "\u200c\u200d"


class Markup(str):
    """Text that is HTML already."""


def shown(name: Any, longest: int = LONGEST) -> str:
    """A name that is not too long, in characters that can be seen.

    Bytes that are no characters, line breaks and marks that turn the direction of writing are
    shown by their code, as such names would otherwise be unreadable or look like others.
    """
    text = str(name)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _printable(text)


def escaped(value: Any) -> Markup:
    """Text to be read as text, whatever it holds; HTML as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(_printable(str(value))))


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element. Attributes of None or False are left out; ``data_row`` is ``data-row``."""
    written = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(key)
        elif value is not None and value is not False:
            written.append(f'{key}="{escaped(value)}"')
    return Markup(f"<{' '.join(written)}>{joined(children)}</{name}>")


def joined(parts: Iterable[Any]) -> Markup:
    """Elements and text behind one another."""
    return Markup("".join(escaped(part) for part in parts))


def table(
    caption: str, head: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any
) -> Markup:
    """A table that scrolls by itself, whose first column names the rows.

    Entries become cells, but for those that are a ``<td>`` already.
    """
    names = tag("tr", *(tag("th", name, scope="col") for name in head))
    body = tag("tbody", *(_row(cells) for cells in rows))
    return tag(
        "figure",
        tag("figcaption", caption),
        tag(
            "div",
            tag("table", tag("thead", names), body, aria_label=caption, **attributes),
            class_="scroll",
            # Keys scroll what has the focus.
            tabindex="0",
            role="region",
            aria_label=caption,
        ),
    )


def _row(cells: Iterable[Any]) -> Markup:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *map(_cell, others))


def _cell(entry: Any) -> Markup:
    is_cell = isinstance(entry, Markup) and entry.startswith("<td")
    return entry if is_cell else tag("td", entry)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS else ascii(c)[1:-1] for c in text)
