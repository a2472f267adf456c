"""Saving and loading fitted estimators, and refusing other files."""

import copy
import json
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from data.make_model import pictures
from helpers import members, small_localizer, with_checksums, write
from packaging.version import Version
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skbbox
from skbbox import SingleBoxLocalizer
from skbbox.exceptions import ModelFileError, TrainingDivergedError
from skbbox.persistence import _get_versions

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.skbbox"
    fitted.save(path)
    return path


# ---------------------------------------------------------------- saving


def test_a_file_is_saved_without_a_package_named_skbbox(fitted, tmp_path, monkeypatch):
    # The package for JAX and PyTorch is named skbbox-core.
    find_version = metadata.version

    def version(name):
        if name == "skbbox":
            raise metadata.PackageNotFoundError(name)
        return find_version(name)

    monkeypatch.setattr(metadata, "version", version)
    _get_versions.cache_clear()
    fitted.save(tmp_path / "model.skbbox")
    about = json.loads(members(tmp_path / "model.skbbox")["about.json"])
    assert about["versions"]["skbbox"] == skbbox.__version__


# ---------------------------------------------------------------- loading


def test_loaded_estimator_predicts_the_same_bit_for_bit(fitted, file, shapes):
    loaded = SingleBoxLocalizer.load(file)
    X, y = shapes
    pd.testing.assert_frame_equal(loaded.predict(X), fitted.predict(X), check_exact=True)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.score(X, y) == fitted.score(X, y)


def test_new_process_loads_the_file(file):
    """In which nothing else has imported the layers of the network."""
    program = "import skbbox, sys; print(skbbox.SingleBoxLocalizer.load(sys.argv[1]).n_iter_)"
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_loaded_estimator_has_parameters_classes_and_history(fitted, file):
    loaded = SingleBoxLocalizer.load(file)
    assert loaded.get_params() == fitted.get_params()
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.history_ == fitted.history_
    assert (loaded.n_iter_, loaded.n_features_in_) == (fitted.n_iter_, 1)


def test_frozen_backbone_that_is_a_model_is_restored(frozen_backbone, shapes, tmp_path):
    X, y = shapes
    fitted = small_localizer(backbone=frozen_backbone, weights="imagenet").fit(X, y)
    fitted.save(tmp_path / "m")
    loaded = SingleBoxLocalizer.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(X), fitted.predict(X), check_exact=True)
    again = clone(loaded).fit(X, y)
    pd.testing.assert_frame_equal(again.predict(X), fitted.predict(X), check_exact=True)


def test_estimator_of_boxes_alone_is_restored(shapes, tmp_path):
    X, y = shapes
    fitted = small_localizer(epochs=1).fit(X, y.drop(columns="class_name"))
    fitted.save(tmp_path / "m")
    loaded = SingleBoxLocalizer.load(tmp_path / "m")
    assert loaded.classes_ is None
    pd.testing.assert_frame_equal(loaded.predict(X), fitted.predict(X), check_exact=True)


@pytest.mark.slow
def test_parameters_of_every_kind_are_restored(shapes, tmp_path):
    X, y = shapes
    names = sorted(set(y["class_name"]))
    fitted = small_localizer(
        epochs=1,
        image_size=(32, 24),
        classifier_classes=np.array(names),
        class_weight=dict.fromkeys(names, 2.0),
        optimizer=keras.optimizers.SGD(momentum=0.5),
        l2=np.float64(0.01),
        memory=tmp_path / "features",
    ).fit(X, y)
    fitted.save(tmp_path / "m")
    loaded = SingleBoxLocalizer.load(tmp_path / "m").get_params()
    assert loaded["image_size"] == (32, 24)
    assert loaded["classifier_classes"].tolist() == names
    assert loaded["class_weight"] == dict.fromkeys(names, 2.0)
    assert loaded["optimizer"].momentum == 0.5
    assert loaded["l2"] == 0.01
    assert loaded["memory"] is None


def tiny_backbone(input_shape):
    pixels = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=8, activation="relu")(pixels)
    return keras.Model(pixels, x, name="tiny_backbone")


@pytest.mark.slow
def test_load_asks_for_code_by_name(shapes, tmp_path):
    X, y = shapes
    callback = keras.callbacks.TerminateOnNaN()
    fitted = small_localizer(epochs=1, backbone=tiny_backbone, callbacks=[callback]).fit(X, y)
    fitted.save(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"tiny_backbone is code.*custom_objects=\{'tiny"):
        SingleBoxLocalizer.load(tmp_path / "m")
    given = {"tiny_backbone": tiny_backbone, "TerminateOnNaN": callback}
    loaded = SingleBoxLocalizer.load(tmp_path / "m", custom_objects=given)
    assert loaded.backbone is tiny_backbone
    assert loaded.callbacks == [callback]
    pd.testing.assert_frame_equal(loaded.predict(X), fitted.predict(X), check_exact=True)


def test_loaded_estimator_can_be_saved_copied_and_pickled(file, shapes, tmp_path):
    loaded = SingleBoxLocalizer.load(file)
    loaded.save(tmp_path / "m")
    assert members(tmp_path / "m") == members(file)
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        pd.testing.assert_frame_equal(other.predict(shapes[0]), loaded.predict(shapes[0]))


# ---------------------------------------------------------------- the file


def test_file_contains_only_json_and_arrays(file):
    for name, content in members(file).items():
        if name.endswith(".json"):
            json.loads(content)
        else:
            assert name.endswith(".npy")
            assert content.startswith(b"\x93NUMPY")
            assert b"O'" not in content[:128]


def test_equal_estimators_give_equal_files(fitted, file, tmp_path):
    fitted.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == file.read_bytes()


def test_existing_file_is_replaced_only_with_overwrite(fitted, tmp_path):
    path = tmp_path / "m"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"m exists.*overwrite=True"):
        fitted.save(path)
    assert path.read_text() == "precious"
    fitted.save(path, overwrite=True)
    assert SingleBoxLocalizer.load(path).n_iter_ == fitted.n_iter_
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_written_through(fitted, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "old").write_text("replaced")
    (tmp_path / "link").symlink_to(tmp_path / "models" / "old")
    fitted.save(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert SingleBoxLocalizer.load(tmp_path / "models" / "old").n_iter_ == fitted.n_iter_
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["old"]


def test_missing_folder_is_named(fitted, tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere.m cannot be written"):
        fitted.save(tmp_path / "nowhere" / "m")


def test_unfitted_estimator_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        small_localizer().save(tmp_path / "m")


# ---------------------------------------------------------------- refused files


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        SingleBoxLocalizer.load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"\0" * 1000])
def test_other_file_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"m: not a file that save wrote"):
        SingleBoxLocalizer.load(tmp_path / "m")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(file, tmp_path, share):
    content = file.read_bytes()
    (tmp_path / "m").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match="damaged"):
        SingleBoxLocalizer.load(tmp_path / "m")


def test_changed_bytes_are_refused(file, tmp_path):
    random = np.random.RandomState(0)
    content = file.read_bytes()
    for _ in range(100):
        damaged = bytearray(content)
        damaged[random.randint(len(damaged))] ^= 1 << random.randint(8)
        (tmp_path / "m").write_bytes(damaged)
        # Bytes that are not read, such as a time, may change.
        try:
            SingleBoxLocalizer.load(tmp_path / "m")
        except ModelFileError:
            continue
        assert members(tmp_path / "m") == members(file)


def lambda_network(contents):
    name = "fitted/model_.json"
    config = json.loads(contents[name])
    config["config"]["layers"][1]["class_name"] = "Lambda"
    return contents | {name: json.dumps(config).encode()}


def foreign_class(contents):
    name = "fitted/model_.json"
    config = json.loads(contents[name])
    config["config"]["layers"][1] |= {"module": "os", "class_name": "system"}
    return contents | {name: json.dumps(config).encode()}


def registered_class(contents):
    name = "fitted/model_.json"
    config = json.loads(contents[name])
    config["config"]["layers"][1]["registered_name"] = "other>Thing"
    return contents | {name: json.dumps(config).encode()}


def other_parameters(contents):
    about = json.loads(contents["about.json"])
    about["parameters"]["dict"].append(["later", 1])
    return contents | {"about.json": json.dumps(about).encode()}


def later_format(contents):
    about = json.loads(contents["about.json"]) | {"format": 99}
    return contents | {"about.json": json.dumps(about).encode()}


def pickled_array(contents):
    import io

    file = io.BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    return contents | {"fitted/model_/0000.npy": file.getvalue()}


def later_array(contents):
    name = "fitted/model_/0000.npy"
    return contents | {name: contents[name].replace(b"NUMPY\x01", b"NUMPY\x02", 1)}


def huge_array(contents):
    header = (
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }"
    )
    return contents | {"fitted/model_/0000.npy": header.ljust(127) + b"\n"}


def of_another_shape(contents):
    import io

    file = io.BytesIO()
    np.save(file, np.zeros(3, np.float32))
    return contents | {"fitted/model_/0000.npy": file.getvalue()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda_network, "the network needs Lambda .*which is not among the classes"),
        (foreign_class, "the network needs system .*of os, which is not among"),
        (registered_class, r"the network needs \w+ \(other>Thing\)"),
        (other_parameters, "this version of skbbox has no parameter 'later'"),
        (later_format, "written in format 99"),
        (pickled_array, "does not contain the array"),
        (huge_array, "does not contain the array"),
        (of_another_shape, "not a file that save wrote"),
        (later_array, r"is in NumPy's file format \(2, 0\)"),
        (lambda contents: contents | {"about.json": b"{}"}, "about.json is not as save writes it"),
        (lambda contents: contents | {"about.json": b"{"}, "about.json is not JSON"),
    ],
)
def test_malicious_member_is_refused(file, tmp_path, change, message):
    write(tmp_path / "m", with_checksums(change(members(file))))
    with pytest.raises(ModelFileError, match=message):
        SingleBoxLocalizer.load(tmp_path / "m")


@pytest.mark.parametrize("name", ["../../evil.py", "/etc/evil", "evil.py"])
def test_unexpected_member_is_refused(file, tmp_path, name):
    contents = members(file)
    write(tmp_path / "m", contents | {name: b"evil"})
    with pytest.raises(ModelFileError, match=rf"unexpected member '{name}'"):
        SingleBoxLocalizer.load(tmp_path / "m")
    write(tmp_path / "m", with_checksums(contents | {name: b"evil"}))
    with pytest.raises(ModelFileError, match=rf"unexpected member '{name}'"):
        SingleBoxLocalizer.load(tmp_path / "m")


@pytest.mark.parametrize("name", ["about.json", "checksums.json"])
def test_other_archive_is_refused(file, tmp_path, name):
    contents = members(file)
    del contents[name]
    write(tmp_path / "m", contents)
    with pytest.raises(ModelFileError, match=rf"not a file that save wrote; {name} is missing"):
        SingleBoxLocalizer.load(tmp_path / "m")


def test_missing_member_is_named(file, tmp_path):
    contents = members(file)
    del contents["fitted/model_/0000.npy"]
    write(tmp_path / "m", contents)
    with pytest.raises(ModelFileError, match=r"the member 'fitted/model_/0000.npy' is missing"):
        SingleBoxLocalizer.load(tmp_path / "m")


def test_changed_member_is_named(file, tmp_path):
    contents = members(file)
    contents["fitted/model_/0000.npy"] += b"x"
    write(tmp_path / "m", contents)
    with pytest.raises(ModelFileError, match=r"checksum of 'fitted/model_/0000.npy'"):
        SingleBoxLocalizer.load(tmp_path / "m")


def test_compressed_archive_is_refused(file, tmp_path):
    # A few kilobytes could expand to gigabytes.
    contents = members(file) | {"bomb": b"\0" * 10_000_000}
    write(tmp_path / "m", contents, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="is compressed"):
        SingleBoxLocalizer.load(tmp_path / "m")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_member_is_refused(file, tmp_path):
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, content in members(file).items():
            archive.writestr(name, content)
        archive.writestr("about.json", b"{}")
    with pytest.raises(ModelFileError, match=r"duplicate member 'about\.json'"):
        SingleBoxLocalizer.load(tmp_path / "m")


def overlapping(n_members, payload):
    """An archive in which the content of each member is all that follows its header."""
    body, directory = payload, []
    for number in reversed(range(n_members)):
        name = f"m{number}".encode()
        values = (0, 0, 0, 33, zlib.crc32(body), len(body), len(body), len(name), 0)
        directory.insert(0, (name, values))
        body = struct.pack("<4s5H3I2H", b"PK\3\4", 20, *values) + name + body
    central, offset = b"", 0
    for name, values in directory:
        entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *values, 0, 0, 0, 0, offset)
        central += entry + name
        offset += 30 + len(name)
    end = (0, 0, n_members, n_members, len(central), len(body), 0)
    return body + central + struct.pack("<4s4H2IH", b"PK\5\6", *end)


def test_overlapping_members_are_refused_before_they_are_read(tmp_path):
    (tmp_path / "m").write_bytes(overlapping(50, b"\0" * 10_000_000))
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="the member 'm1' overlaps another one"):
        SingleBoxLocalizer.load(tmp_path / "m")
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Modules that are imported count, too.
    assert largest < 10_000_000


def test_member_that_reaches_into_the_directory_is_refused(file, tmp_path):
    content = file.read_bytes()
    # The last entry of the directory claims 100,000 bytes more than there are before it.
    entry = content.rindex(b"PK\1\2") + 20
    sizes = [size + 100_000 for size in struct.unpack_from("<2I", content, entry)]
    content = content[:entry] + struct.pack("<2I", *sizes) + content[entry + 8 :]
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="a member claims to be larger than the file"):
        SingleBoxLocalizer.load(tmp_path / "m")


# ---------------------------------------------------------------- earlier versions and copies


@pytest.mark.parametrize("path", sorted(DATA.glob("model-*.skbbox")), ids=lambda path: path.stem)
def test_file_of_a_released_version_predicts_what_it_did(path):
    with zipfile.ZipFile(path) as archive:
        written_with = json.loads(archive.read("about.json"))["versions"]["keras"]
    if Version(keras.__version__) < Version(written_with):
        pytest.skip(f"written with Keras {written_with}, which earlier versions cannot read")
    loaded = SingleBoxLocalizer.load(path)
    expected = json.loads(path.with_suffix(".json").read_text())
    predicted = loaded.predict(pictures()).to_dict("list")
    assert predicted.pop("class_name") == expected.pop("class_name")
    # 0.1.0 predicted one confidence: the expected IoU, where the head estimates it.
    expected["box_confidence"] = expected.pop("confidence")
    probabilities = loaded.predict_proba(pictures())
    assert predicted.pop("class_confidence") == pytest.approx(probabilities.max(axis=1))
    assert list(predicted) == list(expected)
    for name, values in expected.items():
        # Another CPU or another TensorFlow may round differently.
        assert predicted[name] == pytest.approx(values, abs=1e-4)
    assert loaded.get_params()["class_weight"]["disc"] == 2.0
    assert loaded.n_iter_ == 2


def test_a_file_of_a_released_version_exists():
    assert list(DATA.glob("model-*.skbbox"))


def test_skops_stores_a_model_as_backbone(frozen_backbone):
    skops_io = pytest.importorskip("skops.io")
    localizer = SingleBoxLocalizer(frozen_backbone, image_size=32)
    content = skops_io.dumps(localizer)
    types = ["skbbox.localizer.SingleBoxLocalizer"]
    assert skops_io.get_untrusted_types(data=content) == types
    loaded = skops_io.loads(content, trusted=types)
    for ours, theirs in zip(
        loaded.backbone.get_weights(), frozen_backbone.get_weights(), strict=True
    ):
        assert np.array_equal(ours, theirs)


def test_skops_trusts_two_types(fitted, shapes):
    skops_io = pytest.importorskip("skops.io")
    content = skops_io.dumps(fitted)
    types = skops_io.get_untrusted_types(data=content)
    # The second is the backbone.
    assert types == [
        "skbbox.localizer.SingleBoxLocalizer",
        "skbbox.network.backbones.small_convnet",
    ]
    loaded = skops_io.loads(content, trusted=types)
    pd.testing.assert_frame_equal(loaded.predict(shapes[0]), fitted.predict(shapes[0]))


COPIES = {
    "pickle": lambda localizer: pickle.loads(pickle.dumps(localizer)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copy_of_an_unfitted_estimator_learns_the_same(copied, shapes, fitted):
    again = copied(small_localizer()).fit(*shapes)
    pd.testing.assert_frame_equal(again.predict(shapes[0]), fitted.predict(shapes[0]))


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copy_after_a_failed_fit_is_not_fitted_and_can_be(copied, shapes, fitted):
    failed = small_localizer(learning_rate=1e30)
    with pytest.raises(TrainingDivergedError):
        failed.fit(*shapes)
    again = copied(failed)
    with pytest.raises(NotFittedError):
        again.predict(shapes[0])
    again.set_params(learning_rate=None).fit(*shapes)
    pd.testing.assert_frame_equal(again.predict(shapes[0]), fitted.predict(shapes[0]))


@pytest.mark.slow
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_copy_of_an_estimator_that_uses_an_engine_uses_it(copied, engine, frozen_backbone, shapes):
    for package in {"onnxruntime": ("onnxruntime", "tf2onnx"), "openvino": ("openvino",)}[engine]:
        pytest.importorskip(package)
    localizer = small_localizer(
        backbone=frozen_backbone, weights="imagenet", engine=engine, epochs=1
    ).fit(*shapes)
    expected = localizer.predict(shapes[0])
    again = copied(localizer)
    assert again.engine == engine
    pd.testing.assert_frame_equal(again.predict(shapes[0]), expected, check_exact=True)
