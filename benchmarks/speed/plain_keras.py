"""The chapter's approach in plain Keras: training and prediction without skbbox.

Its generator reads every file in every epoch, and the frozen backbone runs in every step.
"""

import time

import keras
import numpy as np
from keras import layers
from sklearn.base import BaseEstimator

from skbbox import mean_iou

from .jobs import MOST_EPOCHS, PLAIN_EPOCHS

#: Images in a batch.
BATCH = 32

#: Seconds that each call of plain Keras waited for TensorFlow's autotuner.
waits = []


class PlainLocalizer(BaseEstimator):
    """The chapter's model and training as a minimal estimator for GridSearchCV."""

    def __init__(self, class_loss_weight=1.0, box_loss_weight=10.0, image_size=224):
        self.class_loss_weight = class_loss_weight
        self.box_loss_weight = box_loss_weight
        self.image_size = image_size

    def fit(self, X, y):
        generator = self._make_model(X, y)
        call_and_record_wait(self.model_.fit, generator, epochs=PLAIN_EPOCHS)
        return self

    def fit_until_better(self, X, y, X_val, y_val, score):
        """Train until the score of other images exceeds `score`, at most MOST_EPOCHS.

        Returns
        -------
        seconds : float
            Without those of scoring.
        epochs : int
        """
        seconds, generator = measure_time(self._make_model, X, y)
        epochs, is_better = 0, False
        while epochs < MOST_EPOCHS and not is_better:
            spent, _ = measure_time(call_and_record_wait, self.model_.fit, generator)
            seconds, epochs = seconds + spent, epochs + 1
            is_better = self.score(X_val, y_val) > score
        return seconds, epochs

    def _make_model(self, X, y):
        keras.utils.set_random_seed(0)
        classes, class_indices = np.unique(y["class_name"], return_inverse=True)
        self.model_ = plain_model(self.image_size, len(classes))
        self.model_.compile(
            optimizer=keras.optimizers.Adam(1e-3),
            loss=["sparse_categorical_crossentropy", "mse"],
            loss_weights=[self.class_loss_weight, self.box_loss_weight],
            metrics=[["accuracy"], []],
        )
        boxes = y[["x_min", "x_max", "y_min", "y_max"]].to_numpy("float32")
        return PlainGenerator(X, self.image_size, class_indices, boxes)

    def score(self, X, y):
        _, boxes = call_and_record_wait(self.model_.predict, PlainGenerator(X, self.image_size))
        # Clip and order the edges as skbbox does.
        boxes = np.sort(np.clip(boxes, 0, 1).reshape(-1, 2, 2), axis=2).reshape(-1, 4)
        return mean_iou(y, boxes)


def plain_model(size, n_classes):
    """The chapter's network."""
    inputs, maps = plain_backbone(size)
    x = layers.GlobalAveragePooling2D()(maps)
    x = layers.Dropout(0.7)(x)
    x = layers.Dense(n_classes, kernel_regularizer=keras.regularizers.L2(0.01))(x)
    classes = layers.Activation("softmax")(x)
    x = layers.Conv2D(512, 3, padding="same")(maps)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    box = layers.Dense(4)(x)
    return keras.Model(inputs, [classes, box])


def plain_backbone(size):
    """Input and feature map of the chapter's backbone, frozen."""
    # The open input shape gives both sides the weights for 224 pixels at every size.
    backbone = keras.applications.MobileNet(
        input_shape=(None, None, 3), alpha=0.75, include_top=False, weights="imagenet"
    )
    backbone.trainable = False
    inputs = keras.Input((size, size, 3))
    return inputs, backbone(inputs, training=False)


class PlainGenerator(keras.utils.PyDataset):
    """The chapter's generator; without targets it keeps the order of the files."""

    def __init__(self, paths, size, class_indices=None, boxes=None):
        super().__init__()
        self.paths, self.size = list(paths), size
        self.class_indices, self.boxes = class_indices, boxes
        self.order = np.arange(len(self.paths))
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.paths) // BATCH)

    def __getitem__(self, number):
        rows = self.order[number * BATCH : (number + 1) * BATCH]
        images = np.stack([load_plain_image(self.paths[row], self.size) for row in rows])
        if self.class_indices is None:
            return (images,)
        return images, (self.class_indices[rows], self.boxes[rows])

    def on_epoch_end(self):
        if self.class_indices is not None:
            np.random.shuffle(self.order)


def load_plain_image(path, size):
    """Pixels of a file, scaled for the backbone."""
    image = keras.utils.load_img(path, target_size=(size, size))
    return keras.applications.mobilenet.preprocess_input(keras.utils.img_to_array(image))


class EndTimer(keras.callbacks.Callback):
    """Records the time at which the last batch ended."""

    def on_train_end(self, logs=None):
        self.end = time.perf_counter()

    on_predict_end = on_train_end


def call_and_record_wait(function, generator, **options):
    """Call ``fit`` or ``predict`` and record how long it waits for TensorFlow's autotuner.

    The autotuner of datasets checks for the end at doubling intervals, so a call may last twice
    as long as its work.
    """
    timer = EndTimer()
    result = function(generator, callbacks=[timer], verbose=0, **options)
    waits.append(time.perf_counter() - timer.end)
    return result


def measure_time(function, *values):
    """Seconds of a call without waits for the autotuner, and its result."""
    waited, begun = sum(waits), time.perf_counter()
    result = function(*values)
    return time.perf_counter() - begun - (sum(waits) - waited), result
