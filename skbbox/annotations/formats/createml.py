"""CreateML, and LabelImg in its form: JSON with the centres of boxes in pixels."""

from ..record import of_image

__all__ = ["centred_box", "read", "recognises"]

FILES = "JSON"
COORDINATES = "pixels, the centre"
SIZE = "of the image"
EMPTY = "`annotations: []`"


def recognises(document):
    """Whether `document` is a list of images whose annotations have coordinates."""
    if document.kind != "json" or not document.json().is_list:
        return False
    first = next(iter(document.json()), None)
    return (
        first is not None
        and ("image" in first or "imagefilename" in first)
        and ("annotations" in first or "annotation" in first)
    )


def read(document, options):
    """Records of a JSON file in CreateML's form."""
    if document.kind != "json":
        document.fail("this is not JSON, which is the form of CreateML.")
    for image in document.json().list():
        name = (image.get("imagefilename") or image["image"]).text()
        things = (image.get("annotation") or image["annotations"]).list()
        found = (_thing(thing) for thing in things)
        yield from of_image(image, name, found, None)


def _thing(thing):
    return thing, thing["label"].text(), centred_box(thing["coordinates"]), {}


def centred_box(coordinates):
    """Edges of a box that is given by its centre x, y and its width and height."""
    x, y, width, height = (coordinates[name].number() for name in ("x", "y", "width", "height"))
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2
