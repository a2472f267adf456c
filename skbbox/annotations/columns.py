"""Which columns of a table hold images, classes and boxes, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..exceptions import AnnotationError

if TYPE_CHECKING:
    from .documents import Document

__all__ = ["Layout", "check_columns_option", "find_layout", "has_layout", "match_row"]

#: Keys of the option ``columns``.
ROLES = ("image", "class_name", "box", "image_size", "split")

#: Usual names, without punctuation and upper case; the first group with a name counts.
IMAGE_NAMES = (
    (
        *("filename", "filepath", "path", "imagepath", "imagefile", "imagefilename", "imagename"),
        *("image", "file", "img", "imgpath", "imgname", "imagefilepath"),
    ),
    ("imageurl", "imageuri", "imagegcsuri", "url", "uri"),
    ("imageid", "imgid"),
)
CLASS_NAMES = (
    (
        *("classname", "class", "label", "labelname", "category", "categoryname", "displayname"),
        *("classlabel", "tagname", "objectclass"),
    ),
    ("name", "object", "objectname", "species", "tag", "type", "kind", "target"),
    ("classid", "categoryid", "labelid"),
)
BOX_NAMES = (("bbox", "box", "boundingbox", "bboxes", "bndbox"),)
SPLIT_NAMES = (("split", "set", "subset", "mluse", "partition"),)
#: First and second corner.
LOW_NAMES = (("xmin", "ymin"), ("x1", "y1"), ("left", "top"), ("minx", "miny"), ("x0", "y0"))
CORNER_NAMES = (
    *(("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1")),
    *(("left", "top", "right", "bottom"), ("minx", "miny", "maxx", "maxy")),
    *(("xtl", "ytl", "xbr", "ybr"), ("topx", "topy", "bottomx", "bottomy")),
    *(("startx", "starty", "endx", "endy"), ("xstart", "ystart", "xend", "yend")),
)
CENTRE_NAMES = (
    *(("xcenter", "ycenter"), ("centerx", "centery"), ("xcentre", "ycentre")),
    *(("centrex", "centrey"), ("cx", "cy"), ("xc", "yc")),
)
SIDE_NAMES = (("width", "height"), ("w", "h"))
SIZE_NAMES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("imgw", "imgh"))


class Layout(NamedTuple):
    """Where a table holds its images, classes and boxes.

    Attributes
    ----------
    image : str
        Column with the names of the images.
    class_name : str or None
        Column with the classes; None if every object has the class ``"object"``.
    box : tuple of str
        Four columns of numbers, or one column whose cells hold four.
    formats : tuple of str
        What the four numbers can be, of ``box_readings.BOX_FORMATS``.
    size : tuple of str
        Columns with the width and height of the image; empty if there are none.
    may_be_box_size : bool
        Whether `size` may be the width and height of the box.
    split : str or None
        Column with the part of the split.
    """

    image: str
    class_name: str | None
    box: tuple[str, ...]
    formats: tuple[str, ...]
    size: tuple[str, ...] = ()
    may_be_box_size: bool = False
    split: str | None = None


#: Columns of known files without a header.
HEADERLESS = (
    # keras-retinanet's README: path, two corners in pixels and class, which may be empty.
    ("image", "x1", "y1", "x2", "y2", "class"),
    # makesense.ai's CSV.
    (
        *("label", "bbox_left", "bbox_top", "bbox_width", "bbox_height", "image"),
        *("image_width", "image_height"),
    ),
    # Vertex AI's CSV; of four vertices, the third is opposite the first.
    ("ml_use", "image", "label", "xmin", "ymin", "_x2", "_y2", "xmax", "ymax", "_x4", "_y4"),
    ("image", "label", "xmin", "ymin", "_x2", "_y2", "xmax", "ymax", "_x4", "_y4"),
)
#: Columns of makesense.ai's CSV with a header, whose x and y are those of the top left corner.
MAKESENSE = {"label_name", "bbox_x", "bbox_y", "bbox_width", "bbox_height", "image_name"}
_IMAGE = re.compile(r".+\.(jpe?g|png|bmp|gif|tiff?|webp)", re.IGNORECASE)
_NUMBER = re.compile(r"\s*-?([0-9]+\.?[0-9]*|\.[0-9]+)(e-?[0-9]+)?\s*|", re.IGNORECASE)


def match_row(fields: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a file without a header, from its first row; None if it is not known."""
    for names in HEADERLESS:
        if len(fields) == len(names):
            is_text = ("image", "label", "class", "ml_use")
            pairs = list(zip(names, fields, strict=True))
            numbers = [field for name, field in pairs if name not in is_text]
            image = fields[names.index("image")]
            if _IMAGE.fullmatch(image.strip()) and all(map(_NUMBER.fullmatch, numbers)):
                return names
    return None


def find_layout(names: Sequence[str], columns: Mapping[str, Any], document: Document) -> Layout:
    """Find the columns of images, classes and boxes.

    Parameters
    ----------
    names : sequence of str
        All columns.
    columns : dict
        The option ``columns``, which takes precedence over the names.
    document : Document
        The table, for errors.
    """
    for name in {name for value in columns.values() for name in _as_list(value)}:
        if name not in names:
            document.fail(f"the column {name!r} of columns= is missing. Received: {list(names)}.")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        document.fail(f"the column {twice} appears {list(names).count(twice)} times.")
    given = {name for value in columns.values() for name in _as_list(value)}
    plain: dict[str, list[str]] = {}
    for name in names:
        if name not in given:
            plain.setdefault(_simplify(name), []).append(name)
    box, formats, unused = _find_box(plain, columns, document)
    if set(names) >= MAKESENSE:
        formats = tuple(name for name in formats if name != "cxcywh")
    image = columns.get("image") or _find_one(plain, IMAGE_NAMES, "image", document)
    if image is None:
        _fail(document, names, "image", "the names of the images")
    class_name = columns.get("class_name")
    if "class_name" not in columns:
        class_name = _find_one(plain, CLASS_NAMES, "class_name", document)
        if class_name is None:
            _fail(document, names, "class_name", "the classes", ", or None if there is one class")
    split = columns.get("split") or _find_one(plain, SPLIT_NAMES, "split", document)
    size = tuple(columns.get("image_size", ())) or _find_names(plain, SIZE_NAMES)
    may_be_box_size = not size and bool(unused)
    return Layout(image, class_name, box, formats, size or unused, may_be_box_size, split)


def has_layout(names: Sequence[str]) -> bool:
    """Whether columns have usual names of images and of boxes."""
    plain: dict[str, list[str]] = {}
    for name in names:
        plain.setdefault(_simplify(name), []).append(name)
    has_image = any(name in plain for group in IMAGE_NAMES for name in group)
    has_box = bool(_find_numbers(plain)[0]) or any(name in plain for name in BOX_NAMES[0])
    return has_image and has_box


def check_columns_option(columns: object) -> dict[str, Any]:
    """The option ``columns`` as a dict; raises an AnnotationError for unknown keys or values."""
    if columns is None:
        return {}
    if not isinstance(columns, Mapping) or set(columns) - set(ROLES):
        raise AnnotationError(
            f"columns must be a dict with keys of {list(ROLES)}, such as {{'image': 'file', "
            f"'class_name': 'kind', 'box': 'bbox'}}. Received: {columns!r}."
        )
    for key, value in columns.items():
        lengths = {"box": (1, 4), "image_size": (2,)}.get(key, (1,))
        is_text = all(isinstance(name, str) for name in _as_list(value))
        is_one_class = key == "class_name" and value is None
        if not (is_one_class or (is_text and len(_as_list(value)) in lengths)):
            raise AnnotationError(
                f"columns[{key!r}] must be {' or '.join(map(str, lengths))} names of columns. "
                f"Received: {value!r}."
            )
    return dict(columns)


def _find_box(
    plain: dict[str, list[str]], columns: Mapping[str, Any], document: Document
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Columns of the box, what they can be, and a width and height that may be the image's."""
    sides = _find_names(plain, SIDE_NAMES)
    if "box" in columns:
        box = tuple(_as_list(columns["box"]))
        known = {_simplify(name): [name] for name in box}
        if len(box) == 1 or len(known) < 4:
            return box, ("xyxy", "xywh"), sides
        found, formats, _ = _find_numbers(known)
        return (found, formats, sides) if found else (box, ("xyxy", "xywh"), sides)
    found, formats, unused = _find_numbers(plain)
    if found:
        return found, formats, unused
    single = _find_one(plain, BOX_NAMES, "box", document)
    if single is None:
        names = [name for group in plain.values() for name in group]
        _fail(document, names, "box", "the boxes, or four columns")
    return (single,), ("xyxy", "xywh"), sides


def _find_numbers(
    plain: dict[str, list[str]],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    sides = _find_names(plain, SIDE_NAMES)
    if corners := _find_names(plain, CORNER_NAMES):
        return corners, ("xyxy",), sides
    for names, formats in (
        (CENTRE_NAMES, ("cxcywh",)),
        (LOW_NAMES, ("xywh",)),
        ((("x", "y"),), ("xywh", "cxcywh")),
    ):
        pairs = [(*low, *side) for low, side in product(names, SIDE_NAMES[::-1])]
        if found := _find_names(plain, pairs):
            return found, formats, () if sides == found[2:] else sides
    return (), (), ()


def _find_names(plain: dict[str, list[str]], choices: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The columns of the first choice whose names are all there, each once; else empty."""
    for choice in choices:
        if all(len(plain.get(name, ())) == 1 for name in choice):
            return tuple(plain[name][0] for name in choice)
    return ()


def _find_one(
    plain: dict[str, list[str]], groups: tuple[tuple[str, ...], ...], role: str, document: Document
) -> str | None:
    for group in groups:
        found = [name for key in group for name in plain.get(key, ())]
        if len(found) > 1:
            document.fail(
                f"both columns {found[0]!r} and {found[1]!r} can hold the {role}; pass "
                f"columns={{{role!r}: {found[0]!r}}} or columns={{{role!r}: {found[1]!r}}}."
            )
        if found:
            return found[0]
    return None


def _fail(
    document: Document, names: Sequence[str], role: str, what: str, more: str = ""
) -> NoReturn:
    document.fail(
        f"no column has a usual name of {what}; pass columns={{{role!r}: NAME}} with its "
        f"name{more}. Received: {list(names)}."
    )


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _simplify(name: str) -> str:
    """The last part of a name, without punctuation, upper case and a first part such as bbox."""
    text = re.sub(r"[^a-z0-9]", "", re.split(r"[./]", str(name))[-1].lower())
    return re.sub(r"^(bbox|box|bndbox|boundingbox)(?=.)(?!es$)", "", text)
