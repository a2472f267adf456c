"""Images of Label Studio's tasks, which are uploaded, served from a folder, or on other servers.

References
----------
.. [1] Label Studio, "Get data into Label Studio", https://labelstud.io/guide/tasks: an upload gets
   a prefix of eight hexadecimal digits.
.. [2] Label Studio, "Local storage", https://labelstud.io/guide/storage: ``/data/local-files/?d=``
   is followed by a path below the folder that is served.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ..image_files import has_image_ending, is_url
from ..record import ServedImage

if TYPE_CHECKING:
    from ..nodes import Node

__all__ = ["read_image"]

#: What Label Studio puts in front of the name of a file that is uploaded.
PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")


def read_image(data: Node) -> str | ServedImage:
    """The image of a task: the value of ``image``, or the only name of an image or URL."""
    texts = {str(node.key): node.value for node in data if node.is_text}
    names = [key for key, text in texts.items() if _is_image(text)]
    if "image" in texts:
        names = ["image"]
    elif not names and len(texts) == 1:
        names = list(texts)
    if len(names) != 1:
        data.fail(
            "expected one name of an image, under the key image or as the only name or URL of an "
            f"image. Received: {names or list(texts)}."
        )
    name = texts[names[0]]
    path = name
    if is_url(name) or name.startswith("/data/"):
        try:
            url = urlsplit(name)
        except ValueError as error:
            data[names[0]].fail(f"not a valid URL: {error}.")
        path = unquote(url.path)
        served = parse_qs(url.query).get("d")
        if served and path.rstrip("/").endswith("/data/local-files"):
            return ServedImage(served[0], re.split(r"[/\\]", served[0])[-1])
    last = path.rpartition("/")[2]
    if "/data/upload/" in path:
        return ServedImage(path, PREFIX.sub("", last, count=1))
    return ServedImage(path, last) if name.startswith("/data/") else name


def _is_image(text: str) -> bool:
    return is_url(text) or text.startswith("/data/") or has_image_ending(text)
