"""Beyond one process: Dask workers, several devices."""

import itertools
import subprocess
import sys
import textwrap
import time

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image
from sklearn.model_selection import GridSearchCV

from skbbox import StratifiedBoxKFold

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="skbbox[dask] is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        # As docs/how_to/scaling.md says: it would remove the copies of what is sent to all workers.
        client.amm.stop()
        yield cluster


@pytest.fixture
def paths(shapes, tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(len(shapes[0]))]
    for path, image in zip(paths, shapes[0], strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_dask_workers_that_share_a_folder_find_what_one_process_finds(
    frozen_backbone, paths, shapes, tmp_path
):
    y = shapes[1]
    folds = list(StratifiedBoxKFold(2).split(paths, y))

    def search(**changes):
        localizer = small_localizer(backbone=frozen_backbone, weights="imagenet", **changes)
        grid = {"box_loss_weight": [1.0, 5.0], "class_loss_weight": [0.5, 1.0]}
        return GridSearchCV(localizer, grid, cv=folds, n_jobs=2, refit=False)

    alone = search().set_params(n_jobs=None).fit(paths, y).cv_results_
    # On all workers, so that the search survives the loss of one.
    with joblib.parallel_config("dask", scatter=[paths, y, *itertools.chain(*folds)]):
        on_cluster = search(memory=tmp_path / "kept").fit(paths, y).cv_results_
    assert alone["params"] == on_cluster["params"]
    for key in alone:
        if "score" in key and "time" not in key:
            assert np.array_equal(alone[key], on_cluster[key]), key
    # 48 images and a window of each for the fits, and 48 images to predict, each computed once.
    files = (tmp_path / "kept").glob("*.npy")
    assert sum(len(np.load(path, mmap_mode="r")) for path in files) == 144


@pytest.mark.usefixtures("cluster")
def test_a_dask_data_frame_of_paths_is_predicted_by_its_partitions(fitted, paths):
    dataframe = pytest.importorskip("dask.dataframe", reason="skbbox[dask] is not installed")
    table = pd.DataFrame({"image": paths}, index=[f"row {row}" for row in range(len(paths))])
    columns = fitted.predict(table[:1])[:0]
    partitions = dataframe.from_pandas(table, npartitions=3)
    predicted = partitions.map_partitions(fitted.predict, meta=columns).compute()
    expected = fitted.predict(table)
    assert list(predicted.index) == sorted(table.index)
    expected = expected.loc[predicted.index]
    assert list(predicted["class_name"]) == list(expected["class_name"])
    numbers = expected.select_dtypes("number").columns
    assert np.allclose(predicted[numbers], expected[numbers], atol=1e-5)


def test_dask_tells_an_estimator_by_what_it_was_given_and_what_it_learnt(shapes, frozen_backbone):
    tokenize = pytest.importorskip("dask.tokenize", reason="skbbox[dask] is not installed").tokenize
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet", epochs=1)

    def token():
        return tokenize(localizer.fit(*shapes).predict, ensure_deterministic=True)

    first = token()
    # Keras's files tell two seconds apart.
    time.sleep(2.1)
    assert token() == first
    localizer.set_params(random_state=1)
    assert token() != first


TWO_DEVICES = """
    import sys
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    from helpers import small_localizer
    from skbbox.datasets import make_shapes
    from skbbox.network import small_convnet

    X, y = make_shapes(48, image_size=32, random_state=0)
    # Nothing that is drawn or normalised for each part of a batch by itself.
    localizer = small_localizer(
        backbone=small_convnet((32, 32, 3)),
        weights="imagenet",
        neck=0,
        box_head="dense",
        dropout=0.0,
    )
    alone = localizer.fit(X, y).history_
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        together = localizer.fit(X, y).history_
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
    localizer.predict(X)
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its strategies")
def test_a_fit_on_two_devices_learns_what_one_on_one_device_learns(request):
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TWO_DEVICES)], cwd=request.path.parent, check=True
    )


@pytest.mark.slow
def test_the_dask_example_runs(request):
    pytest.importorskip("distributed", reason="skbbox[dask] is not installed")
    example = request.path.parents[1] / "examples" / "dask_cluster.py"
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=True)
    assert "The workers' predictions equal those of this process: True" in done.stdout
