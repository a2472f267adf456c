"""Features of a frozen backbone: computed once, kept, shared."""

import shutil
import weakref

import joblib
import keras
import numpy as np
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox.augmentation import make_views
from skbbox.datasets import make_shapes
from skbbox.exceptions import FeatureStoreError, ImageError
from skbbox.features import frozen_backbone as module
from skbbox.features.frozen_backbone import FrozenBackbone, forget_features
from skbbox.features.predict import predict_features
from skbbox.features.quantization import dequantize, quantize
from skbbox.network import small_convnet
from skbbox.network.fitted import WatchedModel

BOXES = make_shapes(12, image_size=32, random_state=0)[1][
    ["x_min", "x_max", "y_min", "y_max"]
].to_numpy()


@pytest.fixture(autouse=True)
def nothing_kept():
    forget_features()


@pytest.fixture
def images(shapes):
    return list(shapes[0][:12])


@pytest.fixture(scope="module")
def extractor():
    return small_convnet((32, 32, 3))


def compute(extractor, items, *, memory=None, boxes=BOXES, n_views=2, batch_size=4):
    backbone = FrozenBackbone(extractor, batch_size, memory)
    return backbone.compute_features(items, boxes[: len(items)], make_views("standard", n_views))


def values(features):
    return np.array([[record.values for record in row] for row in features.records])


def predicted(extractor, items, batch_size=4):
    """Features of each image as ``predict`` computes them."""
    (block,) = FrozenBackbone(extractor, batch_size).compute_blocks(items)
    return block


def largest_step(maps):
    """The most that rounding to one of 256 levels can change a value of one map, twice."""
    return (maps.max() - maps.min()) / 255


def load(features, view):
    """Maps and boxes of one view of all images."""
    return features.load(range(len(features)), [view] * len(features))


def equal_but_for_rounding(first, second):
    """Whether halves are equal or neighbours: batches of other sizes may be added up otherwise."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    # A step of half precision is a share of 1/1024 at most.
    return np.allclose(first, second, rtol=2**-10, atol=1e-6)


def as_files(images, folder):
    paths = [folder / f"{row}.png" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.backend
def test_predict_has_the_maps_of_the_network_to_three_digits(extractor, images):
    maps, _ = load(predicted(extractor, images), view=0)
    expected = extractor.predict_on_batch(np.stack(images))
    assert maps.dtype == np.float16
    assert np.abs(maps - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.backend
def test_a_fit_has_the_maps_of_the_network_to_half_a_level(extractor, images):
    maps, _ = load(compute(extractor, images), view=0)
    expected = extractor.predict_on_batch(np.stack(images))
    assert maps.dtype == np.float32
    for image_maps, image_expected in zip(maps, expected, strict=True):
        limit = 0.51 * largest_step(image_expected) + 1e-3 * np.abs(expected).max()
        assert np.abs(image_maps - image_expected).max() < limit


def test_a_value_of_a_fit_takes_one_byte(extractor, images):
    features = compute(extractor, images)
    n_values = np.prod(extractor.output_shape[1:])
    # And each map two numbers of 4 bytes.
    assert features.records[0][0].values.nbytes == n_values + 8
    assert FrozenBackbone(extractor, 4).count_bytes(3) == 3 * (n_values + 8)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_makes_its_map_nan_and_no_other(value):
    values = np.array([[1.0, value, 2.0, 3.0]], np.float32)
    parts = [slice(0, 2), slice(2, 4)]
    maps = np.empty((2, 1, 2), np.float32)
    for number in range(2):
        dequantize([quantize(values[0], parts)], parts, number, maps[number])
    assert np.isnan(maps[0]).all()
    assert maps[1].tolist() == [[2, 3]]


def test_the_second_view_is_the_mirror_image(extractor, images):
    features = compute(extractor, images)
    maps, boxes = load(features, view=1)
    expected = extractor.predict_on_batch(np.stack(images)[:, :, ::-1])
    assert np.abs(maps - expected).max() < largest_step(expected)
    assert np.allclose(boxes[:, 0], 1 - BOXES[:, 1])


def test_features_are_computed_once_in_a_process(extractor, images):
    first, second = compute(extractor, images), compute(extractor, images[3:], boxes=BOXES[3:])
    assert all(
        a.values is b.values
        for old, new in zip(first.records[3:], second.records, strict=True)
        for a, b in zip(old, new, strict=True)
    )


def test_a_backbone_of_other_weights_has_other_features(images):
    first, second = (compute(small_convnet((32, 32, 3)), images) for _ in range(2))
    assert not np.allclose(values(first), values(second), atol=0.01)


def test_a_renamed_file_keeps_its_features(extractor, images, tmp_path):
    paths = as_files(images, tmp_path)
    first = compute(extractor, paths)
    second = compute(extractor, [path.rename(path.with_name(f"new{path.name}")) for path in paths])
    assert first.records[0][0].values is second.records[0][0].values


def test_a_file_that_changes_within_a_moment_has_new_features(extractor, images, tmp_path):
    paths = as_files(images, tmp_path)
    first = values(compute(extractor, paths))
    Image.fromarray(images[1]).save(paths[0])
    second = values(compute(extractor, paths))
    assert np.array_equal(second[0, 0], first[1, 0])


def test_one_image_in_several_rows_is_computed_once(extractor, images):
    records = compute(extractor, [images[0]] * 3, boxes=BOXES[[0, 0, 1]]).records
    assert records[0][1].values is records[1][1].values
    # Another box makes another view, but not another image.
    assert records[0][0].values is records[2][0].values
    assert records[0][1].values is not records[2][1].values


def test_features_do_not_depend_on_order_and_batch(images):
    extractor = small_convnet((32, 32, 3))
    expected = values(compute(extractor, images, n_views=4))
    order = np.random.default_rng(0).permutation(12)
    forget_features()
    shuffled = compute(
        extractor, [images[i] for i in order], boxes=BOXES[order], n_views=4, batch_size=5
    )
    assert np.array_equal(values(shuffled), expected[order])


def test_the_box_of_the_first_view_is_the_one_that_was_given(extractor, images):
    list(FrozenBackbone(extractor, 4).compute_blocks(images))
    _, boxes = load(compute(extractor, images), view=0)
    assert np.array_equal(boxes, BOXES)


def test_predict_finds_what_another_predict_kept(extractor, images):
    compute(extractor, images)
    first, second = predicted(extractor, images), predicted(extractor, images)
    assert first.records[5][0].values.dtype == np.float16
    assert second.records[5][0].values is first.records[5][0].values


class LetGo:
    """Gives blocks on, and fails if one is held while the next one is computed."""

    def __init__(self, blocks):
        self.blocks, self.given = blocks, []

    def __iter__(self):
        return self

    def __next__(self):
        assert all(block() is None for block in self.given)
        block = next(self.blocks)
        self.given += [weakref.ref(block), weakref.ref(block.records[0][0].values)]
        return block


def test_predict_holds_one_block_of_features_at_a_time(extractor, images, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5)
    monkeypatch.setattr(module, "PREDICTED_BYTES", 0)
    features = keras.Input(extractor.output_shape[1:])
    heads = keras.Model(features, keras.layers.GlobalAveragePooling2D()(features))
    blocks = LetGo(FrozenBackbone(extractor, 4).compute_blocks(images))
    (outputs,), _ = predict_features(WatchedModel(heads).state, blocks, len(images), 4)
    assert outputs.shape[0] == len(images)
    assert len(blocks.given) == 2 * 3


def test_blocks_are_those_of_one_call(extractor, images, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5)
    blocks = list(FrozenBackbone(extractor, 4).compute_blocks(images))
    assert [len(block) for block in blocks] == [5, 5, 2]
    forget_features()
    monkeypatch.undo()
    together = np.concatenate([values(block) for block in blocks])
    assert equal_but_for_rounding(together, values(predicted(extractor, images)))


@pytest.mark.backend
def test_values_beyond_half_precision_are_kept_whole(images):
    pixels = keras.Input((32, 32, 3))
    extractor = keras.Model(pixels, keras.layers.Rescaling(1000.0)(pixels))
    maps, _ = load(predicted(extractor, images), view=0)
    assert maps.dtype == np.float32
    assert np.array_equal(maps, np.stack(images) * np.float32(1000))


def test_an_image_is_kept_as_precisely_as_it_needs(images):
    pixels = keras.Input((32, 32, 3))
    extractor = keras.Model(pixels, keras.layers.Rescaling(1000.0)(pixels))
    items = [np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 5, np.uint8), images[0]]
    records = [row[0] for row in predicted(extractor, items).records]
    # All 0; 5,000, which half precision has; and above 65,504.
    assert [record.values.dtype for record in records] == [np.float16, np.float16, np.float32]
    assert [np.unique(record.values).tolist() for record in records[:2]] == [[0], [5000]]


def test_tiny_values_are_kept_whole(images):
    pixels = keras.Input((32, 32, 3))
    extractor = keras.Model(pixels, keras.layers.Rescaling(1e-9)(pixels))
    maps, _ = load(predicted(extractor, images), view=0)
    assert np.allclose(maps, np.stack(images) * 1e-9, rtol=1e-3, atol=0)


def test_a_fit_beyond_the_bound_keeps_its_features_in_files_until_it_ends(
    extractor, images, monkeypatch, tmp_path
):
    expected = values(compute(extractor, images))
    forget_features()
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    features = compute(extractor, images)
    assert list(tmp_path.rglob("*.npy"))
    assert np.array_equal(values(features), expected)
    assert len(list(tmp_path.iterdir())) == 1
    del features
    assert not list(tmp_path.iterdir())
    assert module._kept.used_bytes == 0


def test_features_that_are_computed_again_are_those_that_are_kept(extractor, images):
    kept = compute(extractor, images)
    again = FrozenBackbone(extractor, 4).recompute_features(
        images, BOXES, make_views("standard", 2)
    )
    for view in range(2):
        maps, boxes = load(kept, view)
        maps_again, boxes_again = load(again, view)
        assert np.abs(maps - maps_again).max() < 1.01 * largest_step(maps)
        assert np.array_equal(boxes, boxes_again)


def test_an_image_that_cannot_be_read_again_is_named_with_its_row(extractor, images, tmp_path):
    paths = as_files(images, tmp_path)
    again = FrozenBackbone(extractor, 4).recompute_features(paths, BOXES, make_views(None, 1))
    paths[7].unlink()
    with pytest.raises(ImageError, match="Row 7"):
        load(again, view=0)


@pytest.mark.parametrize("in_folder", [True, False])
def test_features_beyond_memory_and_free_disk_cannot_be_kept(extractor, tmp_path, in_folder):
    backbone = FrozenBackbone(extractor, 4, memory=tmp_path / "new" if in_folder else None)
    # No machine has half an exabyte.
    n_views = 10**18 // backbone.count_bytes(1)
    assert backbone.can_keep(10)
    assert not backbone.can_keep(n_views)


def test_features_in_the_folder_need_no_more_of_the_disk(extractor, images, monkeypatch, tmp_path):
    compute(extractor, images, memory=tmp_path)
    monkeypatch.setattr(module, "DISK_SHARE", 0)
    assert FrozenBackbone(extractor, 4, tmp_path).can_keep(2 * len(images))
    assert not FrozenBackbone(extractor, 4, tmp_path / "new").can_keep(2 * len(images))


def test_predict_keeps_nothing_of_many_images_but_finds_what_is_kept(
    extractor, images, monkeypatch
):
    features = predicted(extractor, images[:6])
    used = module._kept.used_bytes
    monkeypatch.setattr(module, "PREDICTED_BYTES", 1000)
    (block,) = FrozenBackbone(extractor, 4).compute_blocks(images)
    assert block.records[5][0].values is features.records[5][0].values
    assert module._kept.used_bytes == used


def test_a_damaged_file_is_computed_again(extractor, images, tmp_path):
    expected = values(compute(extractor, images, memory=tmp_path))
    (path,) = tmp_path.glob("*.npy")
    content = bytearray(path.read_bytes())
    content[-5] ^= 255
    path.write_bytes(content)
    module._open_file_store.cache_clear()
    again = values(compute(extractor, images, memory=tmp_path))
    assert equal_but_for_rounding(again, expected)
    # The last record alone was written anew.
    sizes = sorted(path.stat().st_size for path in tmp_path.glob("*.npy"))
    assert len(sizes) == 2
    assert sizes[0] < sizes[1] / 10


def test_memory_takes_a_joblib_memory(extractor, images, tmp_path):
    compute(extractor, images, memory=joblib.Memory(tmp_path, verbose=0))
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_folder_that_cannot_be_is_named(extractor, images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureStoreError, match="file"):
        compute(extractor, images, memory=tmp_path / "file")


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_an_image_that_cannot_be_read_is_named_with_its_row(extractor, images, tmp_path, content):
    paths = as_files(images, tmp_path)
    paths[7].unlink()
    if content is not None:
        paths[7].write_bytes(content)
    with pytest.raises(ImageError, match=r"Row 7: .*7\.png"):
        compute(extractor, paths)


@pytest.mark.parametrize("memory", [5, ["folder"]])
def test_a_memory_that_is_no_folder_is_refused(extractor, memory):
    with pytest.raises(ValueError, match="memory must be a folder"):
        FrozenBackbone(extractor, 4, memory)


def test_a_joblib_memory_without_a_folder_keeps_features_in_the_process(extractor, images):
    first, second = (
        compute(extractor, images, memory=joblib.Memory(None, verbose=0)) for _ in range(2)
    )
    assert first.records[0][0].values is second.records[0][0].values


def test_a_folder_that_is_deleted_is_filled_again(extractor, images, tmp_path):
    expected = values(compute(extractor, images, memory=tmp_path / "kept"))
    shutil.rmtree(tmp_path / "kept")
    assert np.array_equal(values(compute(extractor, images, memory=tmp_path / "kept")), expected)
    compute(extractor, [255 - image for image in images], memory=tmp_path / "kept")
    assert list((tmp_path / "kept").glob("*.npy"))


@pytest.mark.backend
def test_predict_follows_a_change_of_the_backbones_weights(frozen_backbone, shapes):
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet", n_looks=1)
    before = localizer.fit(*shapes).predict_proba(shapes[0])
    backbone = localizer.model_.get_layer("small_convnet")
    backbone.set_weights([w + 0.1 for w in backbone.get_weights()])
    after = localizer.predict_proba(shapes[0])
    expected = localizer.model_.predict_on_batch(shapes[0])[0]
    assert not np.allclose(before, expected, atol=0.01)
    assert np.allclose(after, expected, atol=0.01)
