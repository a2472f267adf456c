"""Parameters and fitted attributes of a file are checked before an estimator is made of them."""

import json

import keras
import numpy as np
import pytest
from helpers import members, small_localizer, with_checksums, write

from skbbox import SingleBoxLocalizer
from skbbox.exceptions import ModelFileError
from skbbox.network import small_convnet
from skbbox.training.fitted_state import FITTED, check_state


@pytest.fixture(scope="module")
def contents(fitted, tmp_path_factory):
    """The members of a file of `fitted`: two epochs, four classes."""
    path = tmp_path_factory.mktemp("saved") / "model.skbbox"
    fitted.save(path)
    return members(path)


def check_with(fitted, part, name, value):
    """Check the state of an estimator in which one parameter or attribute has another value."""
    state = {
        "parameters": fitted.get_params(deep=False),
        "fitted": {attribute: getattr(fitted, attribute) for attribute in FITTED},
    }
    state[part][name] = value
    check_state(**state, known=fitted.get_params())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone", 5),
        ("backbone", None),
        ("classifier", 1),
        ("classifier_classes", 3),
        ("alpha", "wide"),
        ("weights", 1),
        ("frozen", "some"),
        ("preprocessing", 1),
        ("image_size", (32, "x")),
        ("neck", -1),
        ("box_head", "other"),
        ("box_head", []),
        ("n_looks", 3),
        ("class_loss_weight", "1"),
        ("box_loss", 1),
        ("optimizer", None),
        ("optimizer", keras.losses.Huber()),
        ("learning_rate", "fast"),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("augment", 1),
        ("early_stopping", "later"),
        ("class_weight", 1),
        ("callbacks", 1),
        ("engine", "warp"),
        ("engine", []),
        ("on_bad_image", None),
        ("warm_start", "no"),
        ("verbose", "yes"),
        ("random_state", []),
    ],
)
def test_parameter_of_another_type_is_refused_by_name(fitted, name, value):
    with pytest.raises(ModelFileError, match=name):
        check_with(fitted, "parameters", name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("classes_", None, "the outputs of model_ must"),
        ("classes_", np.array(["a", "b", "c"]), r"must have the shapes.*\(None, 3\)"),
        ("classes_", np.array(["a", "b", "c", "c"]), "classes_ must differ"),
        ("classes_", np.array(["a", "b", "c", None]), "classes_ must be text"),
        ("classes_", np.array([["a", "b", "c", "d"]]), "classes_ must be text"),
        ("classes_", ["a", "b", "c", "d"], "classes_ must be text"),
        ("model_", None, "model_ must be a network"),
        ("model_", small_convnet((32, 32, 3)), "the outputs of model_ must"),
        ("history_", {"loss": [1.0]}, "history_ must have a number for each of the 2"),
        ("history_", {"loss": ["a", "b"]}, "history_ must have a number"),
        ("history_", [1.0, 2.0], "history_ must have a number"),
        ("stages_", [("whole network", 3)], "must add up to n_iter_, 2"),
        ("stages_", [("whole network", -2), ("x", 4)], "stages_ must be"),
        ("stages_", ["whole network"], "stages_ must be a list of names"),
        ("n_iter_", "2", "n_iter_ must be a number of epochs"),
        ("n_iter_", True, "n_iter_ must be a number of epochs"),
        ("bad_images_", {"first": "damaged"}, "bad_images_"),
        ("n_features_in_", 2, "n_features_in_"),
        ("_is_frozen", 0, "_is_frozen"),
        ("_n_images", -1, "_n_images"),
        ("later_", 1, "fitted attributes must be .*later_"),
    ],
)
def test_attribute_that_does_not_fit_is_refused_by_name(fitted, name, value, message):
    with pytest.raises(ModelFileError, match=message):
        check_with(fitted, "fitted", name, value)


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        ("parameters", ["dropout", 0.2], ["dropout", "x"], "m: dropout must be a number"),
        ("fitted", ["n_iter_", 2], ["n_iter_", 3], "m: history_ must have a number for each"),
    ],
)
def test_file_with_another_state_is_refused(contents, tmp_path, part, old, new, message):
    about = json.loads(contents["about.json"])
    about[part]["dict"][about[part]["dict"].index(old)] = new
    changed = contents | {"about.json": json.dumps(about).encode()}
    with pytest.raises(ModelFileError, match=message):
        SingleBoxLocalizer.load(write(tmp_path / "m", with_checksums(changed)))


def test_network_without_the_layer_of_features_is_refused(contents, tmp_path):
    config = contents["fitted/model_.json"]
    renamed = config.replace(b'"features"', b'"others"')
    assert renamed != config
    changed = with_checksums(contents | {"fitted/model_.json": renamed})
    with pytest.raises(ModelFileError, match="model_ must have a layer 'features'"):
        SingleBoxLocalizer.load(write(tmp_path / "m", changed))


def test_what_could_not_be_loaded_is_not_saved(fitted, tmp_path):
    copy = small_localizer()
    copy.__dict__ |= vars(fitted)
    copy.classes_ = np.array([1j, 2j, 3j, 4j])
    with pytest.raises(ModelFileError, match="classes_ must be text, numbers or bools"):
        copy.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [2, "image"])
def test_a_network_that_cannot_run_is_refused(contents, tmp_path, mask):
    config = json.loads(contents["fitted/model_.json"])
    (layer, *_) = [
        layer for layer in config["config"]["layers"] if layer["class_name"] == "BatchNormalization"
    ]
    layer["inbound_nodes"][0]["kwargs"]["mask"] = mask
    changed = contents | {"fitted/model_.json": json.dumps(config).encode()}
    write(tmp_path / "model.skbbox", with_checksums(changed))
    with pytest.raises(ModelFileError, match=r"model\.skbbox: its network fails for two images: "):
        SingleBoxLocalizer.load(tmp_path / "model.skbbox")
