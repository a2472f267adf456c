"""Search and predict on a Dask cluster whose workers share a folder of features.

Here the cluster consists of two processes on this machine. For several machines, pass ``Client``
the address of their scheduler, and store images and features on a disk that all of them can access.

    pip install "skbbox[dask]"
    python examples/dask_cluster.py
"""

import itertools
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import dask.dataframe
import joblib
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster
from PIL import Image
from sklearn.model_selection import GridSearchCV

from skbbox import SingleBoxLocalizer, StratifiedBoxKFold
from skbbox.datasets import make_shapes
from skbbox.network import small_convnet


def main():
    """Generate images, search for loss weights on the cluster, and predict there."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        paths, y = save_images(Path(folder))
        localizer = SingleBoxLocalizer(
            # Usually the name of a network in keras.applications.
            small_convnet((32, 32, 3)),
            image_size=32,
            epochs=20,
            memory=Path(folder) / "features",
            random_state=0,
        )
        folds = list(StratifiedBoxKFold(2).split(paths, y))
        search = GridSearchCV(localizer, {"box_loss_weight": [1.0, 5.0]}, cv=folds, n_jobs=-1)
        # All workers hold the scattered data, so the search continues if one of them dies. Dask's
        # memory manager would remove all copies but one.
        client.amm.stop()
        with joblib.parallel_config("dask", scatter=[paths, y, *itertools.chain(*folds)]):
            search.fit(paths, y)
        print(pd.DataFrame(search.cv_results_)[["param_box_loss_weight", "mean_test_score"]])

        best = search.best_estimator_
        images = dask.dataframe.from_pandas(pd.DataFrame({"image": paths}), npartitions=4)
        # Dask needs to know the columns in advance.
        columns = best.predict(images.head(1)).iloc[:0]
        predicted = images.map_partitions(best.predict, meta=columns).compute()
        print(predicted.head())
        here = best.predict(paths)
        # Some processors add up batches of other sizes in another order.
        numbers = here.select_dtypes("number").columns
        same = list(predicted["class_name"]) == list(here["class_name"])
        same &= np.allclose(predicted[numbers], here[numbers], atol=1e-5)
        print("The workers' predictions equal those of this process:", same)


def save_images(folder):
    """Paths of saved images, and their boxes."""
    X, y = make_shapes(80, image_size=32, random_state=0)
    paths = [str(folder / f"{number}.png") for number in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    return paths, y


if __name__ == "__main__":
    main()
