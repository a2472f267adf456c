"""Names of the images of Labelbox, which may be URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..image_files import has_image_ending, is_url

if TYPE_CHECKING:
    from ..nodes import Node

__all__ = ["read_image_name"]


def read_image_name(node: Node | None, row: Node, key: str) -> str:
    """Name of an image: the user's, or its URL, which also has the ending of a name without one."""
    if node is None:
        name = _get_name_from_url(row[key])
        url = row[key].as_text()
        return url if is_url(url) else name
    name = node.as_text()
    if not has_image_ending(name) and key in row and row[key].is_text and is_url(row[key].value):
        last = _get_name_from_url(row[key])
        return last if last.lower().startswith(f"{name.lower()}.") else name
    return name


def _get_name_from_url(node: Node) -> str:
    """Last part of a URL's path, without the signature that may follow it."""
    try:
        path = unquote(urlsplit(node.as_text()).path)
    except ValueError as error:
        node.fail(f"not a valid URL: {error}.")
    name = path.rstrip("/").rpartition("/")[2]
    if not name:
        node.fail(f"the URL contains no image name. Received: {node.value[:80]!r}.")
    return name
