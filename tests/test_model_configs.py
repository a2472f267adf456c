"""Configs of Keras models in files may name only the classes of a list."""

import importlib.util
import inspect
import json
import pkgutil
import random
from importlib import import_module
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from helpers import members, with_checksums, write
from keras import layers, ops

from skbbox import SingleBoxLocalizer
from skbbox.exceptions import ModelFileError, WeightsError
from skbbox.network import small_convnet
from skbbox.network.applications import list_applications, load_weights
from skbbox.network.box_heads import BOX_HEADS
from skbbox.network.building import build_network
from skbbox.network.classifier import split_classifier
from skbbox.network.model_configs import CLASSES, FUNCTIONS, check_config
from skbbox.persistence import read_archive, write_archive

TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 32, 32, 3], "dtype": "float32", "keras_history": ["image", 0, 0]},
}


@pytest.fixture
def unsafe():
    """Keras deserialises code, as after ``keras.config.enable_unsafe_deserialization()``."""
    from keras.src.backend.common import global_state

    keras.config.enable_unsafe_deserialization()
    yield
    global_state.set_global_attribute("safe_mode_saving", None)


@pytest.fixture(scope="module")
def contents(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.skbbox"
    fitted.save(path)
    return members(path)


def copy_through_file(value, path, custom_objects=None):
    write_archive(path, {"value": value})
    return read_archive(path, ("value",), lambda value: value, custom_objects)


def build(**changes):
    parameters = {
        "backbone": small_convnet((32, 32, 3)),
        "weights": "imagenet",
        "frozen": "all",
        "alpha": 0.25,
        "preprocessing": "auto",
        "image_size": (32, 32),
        "neck": 8,
        "box_head": "spatial",
        "n_classes": 3,
        "dropout": 0.2,
        "l2": 0.001,
        "rng": np.random.default_rng(0),
    }
    return build_network(**(parameters | changes))


# ---------------------------------------------------------------- what save writes


def mixed_backbone():
    """Layers, operations, operands and settings of many kinds."""
    inner = keras.Sequential([layers.Conv2D(4, 1), layers.PReLU()], name="inner")
    inner.compile("adam", loss="mse", metrics=[keras.metrics.MeanSquaredError()])
    constant = keras.initializers.Constant(np.full((1, 1, 4, 6), 0.5))
    policy = keras.DTypePolicy("float64")
    pixels = keras.Input((32, 32, 3))
    x = inner(pixels / 255.0)
    x = ops.concatenate([x[:, ::2, ::2], x[..., 1::2, 1::2, :]], axis=-1)[..., :4]
    x = layers.Conv2D(6, 1, kernel_initializer=constant, kernel_constraint="unit_norm")(x)
    x = layers.SpatialDropout2D(0.1, dtype=policy)(ops.relu6(x) * np.arange(6, dtype="float32"))
    x = layers.GroupNormalization(2, beta_regularizer=keras.regularizers.L1L2(0.1, 0.1))(x)
    x = layers.Activation(keras.activations.mish)(keras.activations.relu(x, max_value=6.0))
    flat = layers.Reshape((-1, 6))(x)
    flat = layers.MultiHeadAttention(2, 3)(flat, flat)
    x = layers.Reshape((16, 16, 6))(layers.TimeDistributed(layers.Dense(6))(flat))
    return keras.Model(pixels, ops.swapaxes(x, 1, 2), name="mixed")


@pytest.mark.filterwarnings("ignore")
def test_backbone_of_many_kinds_of_layers_is_restored(tmp_path):
    backbone = mixed_backbone()
    loaded = copy_through_file(backbone, tmp_path / "m")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = backbone(pixels, training=False)
    np.testing.assert_allclose(loaded(pixels, training=False), expected, atol=1e-4)


@pytest.mark.parametrize("box_head", BOX_HEADS)
@pytest.mark.parametrize(
    ("frozen", "n_classes", "mode"), [("all", 3, "caffe"), ("none", None, "torch")]
)
def test_network_with_every_head_may_be_loaded(box_head, frozen, n_classes, mode, tmp_path):
    model = build(box_head=box_head, frozen=frozen, n_classes=n_classes, preprocessing=mode)
    loaded = copy_through_file(model, tmp_path / "m")
    assert loaded.to_json() == model.to_json()


# Without NASNet, which Keras cannot build for an open image size; its layers are on the list.
FAMILIES = [
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2"),
    *("InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50"),
    *("ResNet50V2", "VGG16", "Xception"),
]


# Builds large networks.
@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_backbone_of_each_family_of_applications_may_be_loaded(name):
    # Other names of a family build the same layers in other numbers and sizes.
    model = build(backbone=name, weights=None, image_size=(224, 224))
    check_config(json.loads(model.to_json()))


def test_a_family_covers_each_application():
    prefixes = {name.lower().rstrip("v0123456789") for name in FAMILIES} | {"mobilenetv", "resnet"}
    prefixes |= {"convnext", "densenet", "efficientnet", "nasnet", "vgg", "inception"}
    for name in list_applications():
        assert name.startswith(tuple(prefixes))


@pytest.mark.parametrize(
    "value",
    [
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 10)),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(momentum=0.5)),
        keras.losses.Huber(delta=0.2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_optimizers_and_losses_are_restored(value, tmp_path):
    loaded = copy_through_file(value, tmp_path / "m")
    assert loaded.get_config() == value.get_config()


def test_loading_gives_the_seeds_of_python_back(contents, tmp_path):
    path = write(tmp_path / "m", contents)
    state, of_numpy = random.getstate(), np.random.get_state()[1].tolist()
    SingleBoxLocalizer.load(path)
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == of_numpy


# ---------------------------------------------------------------- what is refused


def list_public_callables():
    """Module and name of each public callable of Keras, by all modules that have it."""
    found = set()
    for info in pkgutil.walk_packages(keras.__path__, "keras."):
        if not info.name.startswith(("keras.src", "keras._tf_keras")):
            for name, value in vars(import_module(info.name)).items():
                if callable(value) and not name.startswith("_"):
                    found |= {(info.name, name), (value.__module__ or "", name)}
    return sorted(
        found | {("keras", name) for name, value in vars(keras).items() if callable(value)}
    )


def spell(module, name):
    """Configs that make Keras look for a class or function."""
    yield {"module": module, "class_name": name, "config": {}, "registered_name": None}
    yield {"module": module, "class_name": "function", "config": name, "registered_name": name}
    yield {"module": module, "class_name": name, "config": {}, "registered_name": f"skbbox>{name}"}


# Thousands of files.
@pytest.mark.slow
def test_each_public_callable_of_keras_is_on_the_list_or_refused(tmp_path, monkeypatch, unsafe):
    monkeypatch.chdir(tmp_path)
    about = {"format": 1, "versions": {}}
    settings = keras.config.floatx(), keras.config.epsilon(), np.random.get_state()[1].tolist()
    names = list_public_callables()
    refused, listed = 0, set()
    for module, name in names:
        for config in spell(module, name):
            functions = config["class_name"] == "function"
            if name in (FUNCTIONS if functions else CLASSES).get(module, ()) and (
                config["registered_name"] in (None, name)
            ):
                listed.add((module, name))
                continue
            content = json.dumps(about | {"value": {"keras": config}}).encode()
            write(tmp_path / "m", with_checksums({"about.json": content}))
            with pytest.raises(ModelFileError, match="which is not among the classes"):
                read_archive(tmp_path / "m", ("value",), lambda value: value)
            refused += 1
    assert refused > 2 * len(names)
    assert {("keras.layers", "Dense"), ("keras.initializers", "Zeros")} <= listed
    assert settings == (
        keras.config.floatx(),
        keras.config.epsilon(),
        np.random.get_state()[1].tolist(),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_no_class_of_the_list_calls_a_function_that_it_is_given():
    names = {"f", "fn", "fun", "func", "function", "body", "cond", "pred", "branches", "call"}
    for module, classes in CLASSES.items():
        for name in classes & vars(import_module(module)).keys():
            value = getattr(import_module(module), name)
            parameters = {*inspect.signature(value).parameters}
            if hasattr(value, "call"):
                parameters |= inspect.signature(value.call).parameters.keys()
            assert not names & parameters, f"{module}.{name}"


FUNCTION = {
    "module": "keras.config",
    "class_name": "set_floatx",
    "config": {},
    "registered_name": None,
}
SWITCH = {"module": "keras.src.ops.core", "class_name": "Switch", "registered_name": None}
ADD = {"module": "keras.src.ops.numpy", "class_name": "Add", "registered_name": None}
DENSE = {"module": "keras.layers", "class_name": "Dense", "registered_name": None}


def layer(kind, config=None, *operands, **entries):
    nodes = [{"args": [TENSOR, *operands], "kwargs": {}}]
    return kind | {
        "config": {"name": "gadget"} | (config or {}),
        "name": "gadget",
        "inbound_nodes": nodes,
        **entries,
    }


SMUGGLED = {
    "operation that calls functions": layer(SWITCH, {}, [FUNCTION], "float16"),
    "operand": layer(ADD, {}, FUNCTION),
    "operand that is on the list": layer(ADD, {}, DENSE | {"config": {"units": 1}}),
    "nested operand": layer(ADD, {}, [{"x": [FUNCTION]}]),
    "keyword": layer(ADD) | {"inbound_nodes": [{"args": [TENSOR], "kwargs": {"x2": FUNCTION}}]},
    "slice": layer(
        ADD,
        {},
        {"class_name": "__slice__", "config": dict.fromkeys(["start", "stop", "step"], FUNCTION)},
    ),
    "constant of text": layer(
        ADD, {}, {"class_name": "__numpy__", "config": {"value": "x", "dtype": "U900000000"}}
    ),
    "constant of objects": layer(
        ADD, {}, {"class_name": "__tensor__", "config": {"value": [None], "dtype": "object"}}
    ),
    "lambda": layer(
        DENSE,
        {
            "units": 1,
            "activation": {"class_name": "__lambda__", "config": {"value": ["", None, None]}},
        },
    ),
    "type": layer(
        ADD,
        {},
        {
            "class_name": "__typespec__",
            "spec_name": "TensorSpec",
            "module": "tensorflow",
            "config": [],
        },
    ),
    "bytes": layer(ADD, {}, {"class_name": "__bytes__", "config": {"value": "x"}}),
    "activation": layer(DENSE, {"units": 1, "activation": FUNCTION}),
    "function as activation": layer(
        DENSE,
        {
            "units": 1,
            "activation": {
                "module": "keras.config",
                "class_name": "function",
                "config": "set_floatx",
                "registered_name": "set_floatx",
            },
        },
    ),
    "initializer": layer(DENSE, {"units": 1, "kernel_initializer": FUNCTION}),
    "layer in a layer": layer(DENSE | {"class_name": "TimeDistributed"}, {"layer": FUNCTION}),
    "build_config": layer(DENSE, {"units": 1}, build_config={"input_shape": FUNCTION}),
    "compile_config": layer(DENSE, {"units": 1}, compile_config={"optimizer": FUNCTION}),
    "registered name": layer(DENSE | {"registered_name": "keras>set_floatx"}, {"units": 1}),
    "module of the source": layer(DENSE | {"module": "keras.src.layers.core.dense"}, {"units": 1}),
    "module of another package": layer(DENSE | {"module": "keras.src.layers.core.dense.os"}),
    "no module": layer({"class_name": "Dense"}, {"units": 1}),
    "module that is no text": layer(DENSE | {"module": ["keras.layers"]}, {"units": 1}),
    "code": layer(DENSE | {"class_name": "Lambda"}, {"function": "x"}),
    "another file": layer(DENSE | {"class_name": "TFSMLayer"}, {"filepath": "/tmp/x"}),
    "words of a file": layer(DENSE | {"class_name": "StringLookup"}, {"vocabulary": "/tmp/x"}),
}


@pytest.mark.parametrize("smuggled", SMUGGLED.values(), ids=SMUGGLED)
def test_smuggled_name_is_refused_without_a_call(smuggled, contents, tmp_path, unsafe):
    config = json.loads(contents["fitted/model_.json"])
    config["config"]["layers"].append(smuggled)
    changed = contents | {"fitted/model_.json": json.dumps(config).encode()}
    write(tmp_path / "m", with_checksums(changed))
    message = (
        "m: (the network needs|a layer is called with|a constant of|a slice of|the network has)"
    )
    with pytest.raises(ModelFileError, match=message):
        SingleBoxLocalizer.load(tmp_path / "m")
    assert keras.config.floatx() == "float32"


def test_layer_that_could_not_be_called_again_is_refused(contents, tmp_path):
    # Keras would build it for one tensor, as its build_config says, and call it with a dict; only
    # a copy of the network would fail.
    config = json.loads(contents["fitted/model_.json"])
    nodes = next(
        part["inbound_nodes"]
        for part in config["config"]["layers"]
        if part["class_name"] == "BatchNormalization"
    )
    nodes[0]["args"] = [{"x": nodes[0]["args"][0]}]
    changed = contents | {"fitted/model_.json": json.dumps(config).encode()}
    with pytest.raises(ModelFileError, match="not a file that save wrote"):
        SingleBoxLocalizer.load(write(tmp_path / "m", with_checksums(changed)))


def test_operation_without_a_tensor_of_the_network_is_refused(contents, tmp_path):
    # Keras would compute it at once: this one needs 8 TB.
    arange = layer(ADD | {"class_name": "Arange"}) | {
        "inbound_nodes": [{"args": [0, 10**12], "kwargs": {}}]
    }
    with pytest.raises(ModelFileError, match="a layer is called without a tensor"):
        check_config(arange)


# ---------------------------------------------------------------- custom classes


@keras.saving.register_keras_serializable("someone")
class Halved(layers.Layer):
    def call(self, inputs):
        return inputs / 2


@keras.saving.register_keras_serializable("someone")
def doubled(x):
    return 2 * x


@pytest.fixture(scope="module")
def custom_backbone():
    pixels = keras.Input((32, 32, 3))
    return keras.Model(pixels, layers.Conv2D(2, 3, activation=doubled)(Halved()(pixels)))


CUSTOM = {"Halved": Halved, "someone>doubled": doubled}


def test_custom_classes_and_functions_are_loaded_if_they_are_given(custom_backbone, tmp_path):
    loaded = copy_through_file(custom_backbone, tmp_path / "m", CUSTOM)
    ones = np.ones((1, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(loaded(ones), custom_backbone(ones))


@pytest.mark.parametrize("name", CUSTOM)
def test_registered_objects_are_refused_if_they_are_not_given(custom_backbone, tmp_path, name):
    given = {key: value for key, value in CUSTOM.items() if key != name}
    with pytest.raises(ModelFileError, match=rf"needs {name}.*pass custom_objects=.'{name}': "):
        copy_through_file(custom_backbone, tmp_path / "m", given)


def test_name_of_a_registered_object_as_text_is_refused():
    # Keras replaces the text by the object.
    with pytest.raises(ModelFileError, match="needs someone>doubled"):
        check_config(layer(ADD, {}, "someone>doubled"))


def test_a_given_name_does_not_stand_for_another_object():
    spelled = layer(DENSE | {"module": "keras.config", "class_name": "set_floatx"})
    checked = check_config(spelled, {"set_floatx": Halved})
    # Keras takes the object that is given, wherever the file says that it is.
    assert (checked["module"], checked["registered_name"]) == ("custom", "set_floatx")


# ---------------------------------------------------------------- files of Keras


def classifier():
    return keras.Sequential(
        [small_convnet((32, 32, 3)), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )


def change_config(path, old, new):
    """Replace a text in the config of a .keras or .h5 file of Keras."""
    if path.suffix == ".keras":
        contents = members(path)
        contents["config.json"] = contents["config.json"].replace(old.encode(), new.encode())
        write(path, contents)
    else:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = file.attrs["model_config"].replace(old, new)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("name", ["x.keras", "x.h5"])
@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"class_name": "Dense"', '"class_name": "Lambda"', "Lambda"),
        ('"class_name": "Dense"', '"class_name": "deserialize"', "deserialize"),
        (
            '"module": "keras.initializers", "class_name": "GlorotUniform"',
            '"module": "keras.config", "class_name": "set_floatx"',
            "set_floatx of keras.config",
        ),
    ],
)
def test_classifier_file_may_name_only_the_classes_of_the_list(
    tmp_path, unsafe, name, old, new, found
):
    classifier().save(tmp_path / name)
    split_classifier(tmp_path / name)
    change_config(tmp_path / name, old, new)
    with pytest.raises(WeightsError, match=f"the network needs {found}"):
        split_classifier(tmp_path / name)


def test_function_that_a_legacy_file_names_as_text_is_refused():
    config = {"class_name": "Dense", "config": {"units": 1, "activation": "deserialize"}}
    with pytest.raises(ModelFileError, match="the network needs deserialize"):
        check_config(config, is_legacy=True)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("name", ["x.keras", "x.h5"])
def test_layer_with_the_name_of_a_function_is_loaded(tmp_path, name):
    # Keras calls this layer "add", like the function keras.layers.add.
    pixels = keras.Input((32, 32, 3))
    x = layers.Add(name="add")([layers.Conv2D(4, 3)(pixels), layers.Conv2D(4, 3)(pixels)])
    x = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, x)
    model.save(tmp_path / name)
    kernel = split_classifier(tmp_path / name)[1]
    np.testing.assert_array_equal(kernel, model.layers[-1].get_weights()[0])


def test_classifier_file_with_assets_is_refused(tmp_path):
    classifier().save(tmp_path / "x.keras")
    write(tmp_path / "x.keras", members(tmp_path / "x.keras") | {"assets/words.txt": b"words"})
    with pytest.raises(WeightsError, match=r"it has the member 'assets/words\.txt'"):
        split_classifier(tmp_path / "x.keras")


def test_weights_are_read_without_the_config(tmp_path):
    trained, other = small_convnet((32, 32, 3)), small_convnet((32, 32, 3))
    trained.save(tmp_path / "x.keras")
    change_config(tmp_path / "x.keras", '"class_name": "Conv2D"', '"class_name": "set_floatx"')
    load_weights(other, tmp_path / "x.keras")
    for ours, theirs in zip(other.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------- random changes


def load_benchmark(name):
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A hundred files.
@pytest.mark.slow
def test_randomly_changed_files_are_refused_or_predict():
    results = load_benchmark("fuzz_model_files").fuzz(100, seed=1)
    assert results.keys() <= {"refused", "predicted"}, results
    assert results["refused"] > 50
