"""HTML from the Jinja2 templates of this folder; every value that is not ``Markup`` is escaped."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    import jinja2

__all__ = ["Markup", "escape_unprintable", "read_markup", "render", "shorten"]

#: Longer names are shortened and end in an ellipsis.
MAX_LENGTH = 120

#: Zero-width non-joiner and joiner: unprintable according to Python, but words and emoji need them.
JOINERS = "\u200c\u200d"


def render(template: str, **values: Any) -> Markup:
    """Render a template of this folder.

    Parameters
    ----------
    template : str
        File name, such as ``"iou_score.html"``.
    **values
        Variables of the template.

    Returns
    -------
    Markup
    """
    return Markup(_environment().get_template(template).render(values))


def read_markup(name: str) -> Markup:
    """Text of a style sheet or script of this folder, as it is."""
    return Markup((files(__name__) / name).read_text(encoding="utf-8"))


def shorten(name: Any, max_length: int = MAX_LENGTH) -> str:
    """A name as printable text of at most `max_length` characters."""
    text = str(name)
    if len(text) > max_length:
        text = text[: max_length - 1] + "…"
    return escape_unprintable(text)


def escape_unprintable(text: str) -> str:
    """Replace each unprintable character, except ``JOINERS``, by its escape sequence.

    Line breaks, bytes that are not UTF-8 and marks that reverse the direction of writing make a
    name unreadable, or look like another one.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS else ascii(c)[1:-1] for c in text)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # Not with the package: most programs render no HTML.

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skbbox", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Runs on each printed value, before autoescape.
        finalize=_finalize,
    )
    environment.filters["shorten"] = shorten
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _finalize(value: Any) -> Any:
    return value if isinstance(value, Markup) else escape_unprintable(str(value))
