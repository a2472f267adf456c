"""Public names, and the imports that they cause."""

import subprocess
import sys

import skbbox
import skbbox.typing


def find_imports(statement):
    """Whether TensorFlow and Keras are imported, as text."""
    program = f"import sys; {statement}; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_package_imports_no_tensorflow():
    assert find_imports("import skbbox") == ["False", "False"]


def test_reading_annotations_and_measuring_import_no_tensorflow():
    statement = "from skbbox import read_annotations, iou, DummyLocalizer, plot_image, box_scorer"
    assert find_imports(statement) == ["False", "False"]


def test_unfitted_estimator_imports_no_tensorflow():
    statement = """
import pickle
from sklearn.base import clone
from skbbox import SingleBoxLocalizer, StratifiedBoxKFold
localizer = clone(SingleBoxLocalizer(random_state=0)).set_params(epochs=3)
pickle.loads(pickle.dumps(localizer)).get_params()
""".strip().replace("\n", "; ")
    assert find_imports(statement) == ["False", "False"]


def test_every_public_name_exists():
    assert all(getattr(skbbox, name) is not None for name in skbbox.__all__)


def test_every_public_name_is_listed():
    names = {"SingleBoxLocalizer", "read_annotations", "datasets", "from_xyxy", "to_xyxy"}
    assert names <= set(skbbox.__all__) <= set(dir(skbbox))


def test_every_type_alias_exists():
    assert all(hasattr(skbbox.typing, name) for name in skbbox.typing.__all__)


def test_unknown_name_is_an_attribute_error():
    assert not hasattr(skbbox, "MultiBoxLocalizer")
