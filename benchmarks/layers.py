"""Compare skbbox's own layers with the layers of Keras that could replace them.

``ProfileConvolution`` is compared with ``UpSampling1D``, ``Concatenate`` and ``Conv1D``, and
``ChannelDropout`` with ``SpatialDropout1D`` and ``SpatialDropout2D``, on the shapes of the default
network (MobileNet, alpha 0.75, 224 px). The first table times each layer: its forward pass and the
gradients that training needs, which for layers that read features do not include those of the
inputs. The second times a training step of the heads from features. Runs alternate between the
variants.

    python benchmarks/layers.py
    python benchmarks/layers.py --runs 30 --steps 20
    python benchmarks/layers.py --cpu     # CPU time, for a machine that is not idle

Needs TensorFlow as the backend of Keras, and no data.

Two runs of ``--runs 30 --steps 10`` on two idle cores of an AMD EPYC (TensorFlow 2.21.0, Keras
3.15.1) gave these ratios, the time with Keras's layers divided by that with skbbox's:

======================================================  ============
ProfileConvolution, first of an axis (width 5)          1.17, 1.10
ProfileConvolution, edges (width 5)                     1.18, 1.16
ProfileConvolution, finer profile (width 1)             0.92, 0.89
ChannelDropout of the coarser map                       1.15, 1.18
ChannelDropout of the finer map                         1.33, 1.30
ChannelDropout of a finer profile                       1.11, 1.16
======================================================  ============

A training step of the heads took 1.04 and 1.05 times as long with Conv1D, 1.03 and 1.04 with
SpatialDropout, and 1.08 (both runs) with both. So the layers are kept: replacing them would slow
down training by 8 %, change the results of every fit, and break saved files that name them.
"""

import argparse
import os
import statistics
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers, ops

from skbbox.network import box_heads
from skbbox.network.box_heads import EDGES, IOU_ESTIMATE, ChannelDropout, ProfileConvolution
from skbbox.network.building import build_network
from skbbox.network.graph import add_outputs, get_heads
from skbbox.training.compilation import compile_model
from skbbox.training.plan import TrainingSpec

N_CLASSES = 20


def main():
    """Time all variants and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images in a batch")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps in a run")
    parser.add_argument("--cpu", action="store_true", help="measure CPU time of all threads")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = []
    for name, shapes, ours, theirs in used_layers():
        inputs = [tf.constant(rng.random((arguments.batch, *s), np.float32)) for s in shapes]
        reads_features = "dropout" in name or "finer" in name
        pair = [make_layer_step(layer, inputs, reads_features) for layer in (ours, theirs)]
        own, other = (1000 * s for s in time_alternating(pair, arguments))
        row = {"layer": name, "shapes": " + ".join("x".join(map(str, s)) for s in shapes)}
        rows.append(row | {"skbbox ms": own, "Keras ms": other, "ratio": other / own})
    print(pd.DataFrame(rows).round(2).to_string(index=False), "\n")

    variants = {
        "skbbox's layers": (ProfileConvolution, ChannelDropout),
        "Conv1D": (KerasProfileConvolution, ChannelDropout),
        "SpatialDropout": (ProfileConvolution, KerasChannelDropout),
        "both": (KerasProfileConvolution, KerasChannelDropout),
    }
    steps = [make_training_step(*kinds, arguments.batch, rng) for kinds in variants.values()]
    table = pd.DataFrame({"heads with": variants.keys()})
    table["ms per step"] = time_alternating(steps, arguments)
    table["ms per step"] *= 1000
    table["ratio"] = table["ms per step"] / table["ms per step"][0]
    table["saved by skbbox %"] = 100 * (1 - 1 / table["ratio"])
    print(table.round(2).to_string(index=False))


class KerasProfileConvolution:
    """The same as ProfileConvolution with layers of Keras."""

    def __init__(self, filters, kernel_size, **options):
        self.convolution = layers.Conv1D(filters, kernel_size, padding="same", **options)

    def __call__(self, profiles):
        length = profiles[-1].shape[1]
        stretched = [
            x if x.shape[1] == length else layers.UpSampling1D(length // x.shape[1])(x)
            for x in profiles
        ]
        joined = layers.Concatenate()(stretched) if len(stretched) > 1 else stretched[0]
        return self.convolution(joined)


class KerasChannelDropout:
    """The same as ChannelDropout with layers of Keras."""

    def __init__(self, rate, **options):
        self.rate, self.options = rate, options

    def __call__(self, x):
        layer = layers.SpatialDropout1D if len(x.shape) == 3 else layers.SpatialDropout2D
        return layer(self.rate, **self.options)(x)


def build_heads():
    """The heads of the default network for training, from features."""
    model = build_network(
        backbone="mobilenet",
        weights=None,
        frozen="none",
        alpha=0.75,
        preprocessing="auto",
        image_size=(224, 224),
        neck=0,
        box_head="spatial",
        n_classes=N_CLASSES,
        dropout=0.5,
        l2=0.01,
        rng=np.random.default_rng(0),
    )
    return get_heads(add_outputs(model, (IOU_ESTIMATE, *EDGES)))


def used_layers():
    """Name, input shapes, our layer and its replacement, of each layer along one axis."""
    for layer in build_heads().layers:
        shapes = [tuple(x.shape[1:]) for x in keras.tree.flatten(layer.input)]
        if "_y_" in layer.name or not isinstance(layer, (ChannelDropout, ProfileConvolution)):
            continue
        if isinstance(layer, ChannelDropout):
            yield layer.name, shapes, ChannelDropout(layer.rate), KerasChannelDropout(layer.rate)
        else:
            values = layer.filters, layer.kernel_size
            ours, theirs = ProfileConvolution(*values), KerasProfileConvolution(*values)
            yield layer.name, shapes, ours, theirs


def make_layer_step(layer, values, reads_features):
    """A compiled forward pass and the gradients of the weights and, unless features, the inputs."""
    inputs = [keras.Input(value.shape[1:]) for value in values]
    is_dropout = isinstance(layer, (ChannelDropout, KerasChannelDropout))
    model = keras.Model(inputs, layer(inputs[0] if is_dropout else inputs))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = ops.sum(ops.square(model(values, training=True)))
        sources = [*([] if reads_features else values), *model.trainable_variables]
        return loss, tape.gradient(loss, sources)

    return lambda: step()[0].numpy()


def make_training_step(convolution, dropout, n, rng):
    """A training step of the heads as in ``fit``, with these layers in the box head."""
    with mock.patch.multiple(box_heads, ProfileConvolution=convolution, ChannelDropout=dropout):
        model = build_heads()
    compile_model(model, TrainingSpec("adam", 1e-3, "giou_l1", 1.0, 1.0))
    features = [rng.random((n, *x.shape[1:]), np.float32) for x in model.inputs]
    boxes = np.sort(rng.random((n, 2, 2), np.float32), axis=2).reshape(n, 4)
    targets = [rng.integers(0, N_CLASSES, n), *[boxes] * (len(model.outputs) - 1)]
    data = tf.data.Dataset.from_tensors((tuple(features), tuple(targets))).repeat()
    iterator = iter(data)
    model.make_train_function()
    return lambda: model.train_function(iterator)["loss"].numpy()


def time_alternating(functions, arguments):
    """Median seconds of a call of each function."""
    clock = time.process_time if arguments.cpu else time.perf_counter
    for function in functions:
        function()
    seconds = [[] for _ in functions]
    for _ in range(arguments.runs):
        for function, values in zip(functions, seconds, strict=True):
            begun = clock()
            for _ in range(arguments.steps):
                function()
            values.append((clock() - begun) / arguments.steps)
    return [statistics.median(values) for values in seconds]


if __name__ == "__main__":
    main()
