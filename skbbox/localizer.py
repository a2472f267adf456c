"""SingleBoxLocalizer: validate, encode, build, train, predict."""

from __future__ import annotations

import functools
import warnings
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from .augmentation import get_augmentation, make_views
from .boxes import COORDINATES
from .exceptions import ImageError, InterruptionWarning, SkbboxWarning
from .history import combine_histories
from .inputs import (
    check_images,
    check_sample_weight,
    check_targets,
    encode_classes,
    make_table,
    set_image_tags,
)
from .metrics import IoUScore, drop_unreadable_rows
from .model_selection import split_train_validation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import keras
    from numpy.typing import ArrayLike, NDArray

    from .typing import (
        Augment,
        BoxLoss,
        FloatArray,
        ImagesLike,
        PathLikeStr,
        RandomStateLike,
        TargetsLike,
    )

# What is made with Keras is imported where it is used, as Keras alone takes seconds; an
# estimator that is not fitted yet gets along without it.

__all__ = ["TUTORIAL_PARAMS", "SingleBoxLocalizer"]

#: The chapter's model and training, as parameters of SingleBoxLocalizer.
TUTORIAL_PARAMS = {
    "backbone": "mobilenet",
    "alpha": 0.75,
    "weights": "imagenet",
    "image_size": 224,
    "box_head": "pooled",
    "class_loss_weight": 1.0,
    "box_loss_weight": 10.0,
    "box_loss": "mse",
    "dropout": 0.7,
    "l2": 0.01,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "epochs": 5,
    "batch_size": 32,
    "augment": None,
    "early_stopping": False,
}

#: Decoded training images are kept in memory up to this many bytes; beyond it
#: they are decoded again in each epoch.
DECODED_BYTES = 2**30

#: Views of each image whose features are kept: so many in all, and for each image.
VIEWS_IN_ALL = 4000
VIEWS_OF_AN_IMAGE = (2, 20)

#: What a fitted estimator is, beside its parameters.
SAVED = (
    *("classes_", "model_", "history_", "stages_", "n_iter_", "bad_images_", "n_features_in_"),
    *("_is_frozen", "_n_images"),
)

#: Parameters that change nothing of what is learnt.
WITHOUT_INFLUENCE = ("checkpoint", "memory", "verbose")

#: ``early_stopping="auto"`` sets images aside from this number on.
MANY_IMAGES = 10_000

#: Parameter and the values that it takes.
CHOICES = {
    "learning_rate_schedule": ("cosine", "constant"),
    "early_stopping": ("auto", True, False),
    "on_bad_image": ("raise", "warn", "skip"),
}

#: Parameter, its kind, the lowest value, and the value that it must stay below.
PARAMETER_RANGES = [
    ("class_loss_weight", Real, 0, None),
    ("box_loss_weight", Real, 0, None),
    ("dropout", Real, 0, 1),
    ("l2", Real, 0, None),
    ("learning_rate", Real, 0, None),
    ("epochs", Integral, 0, None),
    ("batch_size", Integral, 1, None),
    ("fine_tune_epochs", Integral, 0, None),
    ("fine_tune_learning_rate", Real, 0, None),
    ("validation_fraction", Real, 0, 1),
    ("patience", Integral, 1, None),
    ("verbose", Integral, 0, 2),
]
OPTIONAL_PARAMETERS = ("learning_rate", "validation_fraction")


class SingleBoxLocalizer(BaseEstimator):
    """Finds the one main object of an image: its box and its class.

    A convolutional network with two heads: a softmax over the classes, and four
    numbers for the box. While the backbone is frozen its features are computed
    once and the heads are trained on them.

    Parameters
    ----------
    backbone : str, keras.Model or callable, default="mobilenet"
        The feature extractor: a name of ``keras.applications`` in any spelling
        (``"mobilenet_v2"``, ``"EfficientNetB0"``), a model that gives one feature map
        (it is copied), or a callable that builds one; it is given ``input_shape``
        where it takes an argument.
    classifier : keras.Model, str, Path or None, default=None
        A trained classifier, or its file, in the place of `backbone`; see
        :meth:`from_classifier`.
    classifier_classes : sequence or None, default=None
        Class names in the order of the classifier's outputs. None takes those of y, sorted.
    alpha : float, default=0.75
        Width of the MobileNets; other backbones have none.
    weights : "imagenet", str, Path or None, default="imagenet"
        Weights of the backbone, which is frozen with them; ``"imagenet"`` takes a model or
        callable of your own as it is. A path loads weights from a file. None draws
        new ones and trains the backbone along with the heads.
    preprocessing : {"auto", "tf", "torch", "caffe"}, callable or None, default="auto"
        What pixels in 0..255 become before the backbone. ``"auto"`` takes the
        backbone's own for those of ``keras.applications``, leaves pixels alone for
        a model with a ``Rescaling`` or ``Normalization`` layer, and scales them to
        -1..1 for others. Names are the modes of
        ``keras.applications.imagenet_utils.preprocess_input``.
    image_size : int or (int, int), default=224
        Height and width in pixels that images are stretched to.
    box_head : {"spatial", "dense", "pooled"}, default="spatial"
        ``"spatial"`` fuses the last feature map with two finer ones before it, reads each
        edge as the mean of a distribution over columns or rows, and estimates the IoU
        of its box; the distributions are also trained by their cross-entropy with the true
        edges [5]_, a small part of the box loss; ``"dense"`` has weights for every position
        of the last map; ``"pooled"`` is the chapter's, which averages over positions and
        loses the place.
    class_loss_weight, box_loss_weight : float, default=1.0
        Factors of the two losses in their sum.
    box_loss : {"giou_l1", "mse", "l1", "huber", "giou", "diou", "ciou"} or callable, \
default="giou_l1"
        Loss of the box: the mean squared, absolute or Huber error of its edges; 1 minus
        the generalised [3]_, distance or complete [4]_ IoU; ``"giou_l1"`` is
        ``giou + 2 * l1``. A callable takes ``(y_true, y_pred)`` of shape (n, 4) and
        returns shape (n,).
    dropout : float, default=0.2
        Share of pooled features dropped before the class layer, in 0..1.
    l2 : float, default=0.001
        Factor of the squared weights of the class layer in the loss.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Each fit starts from a fresh copy.
    learning_rate : float or None, default=None
        None takes 3e-3 for ``optimizer="adam"`` and the optimizer's own otherwise.
    learning_rate_schedule : {"cosine", "constant"}, default="cosine"
        ``"cosine"`` rises to `learning_rate` in the first tenth of the steps of a stage and
        falls to 0 along a cosine; an optimizer with a schedule of its own keeps that.
        Callbacks that set the learning rate need ``"constant"``.
    epochs : int or "auto", default="auto"
        Passes over the training images with a frozen backbone (or a new one, with
        ``weights=None``). ``"auto"`` is 8, and more where these are fewer than 600
        steps of `batch_size` images: 300 for 100 images, 8 from 4,800 images on.
    batch_size : int, default=64
        Images in a step of training, and in one of prediction. On JAX, which compiles for each
        number, the last step of an epoch is filled with images of its first.
    fine_tune_epochs : int, default=0
        Further epochs in which the backbone is trained too, with its BatchNorm frozen.
    fine_tune_learning_rate : float, default=1e-5
        Learning rate of these epochs.
    augment : {"standard", "flip"}, callable or None, default="standard"
        Change to image and box: ``"flip"`` mirrors it left to right; ``"standard"`` also
        turns, crops, shrinks, shifts and stretches it, and changes brightness and
        contrast; a callable takes ``(image, box, rng)`` and returns ``(image, box)``.
        A frozen backbone sees a fixed set of views of each image, whose features are
        kept: the image, its mirror image and, with ``"standard"``, up to 18 more, as
        long as all are not more than 4,000. Otherwise, and with a callable, each epoch
        has changes of its own.
    validation_fraction : float or None, default=None
        Share of the images set aside, stratified by class, for the ``val_`` curves of
        ``history_``. None is 0, or 0.1 with ``early_stopping``.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when the validation loss has not become better for `patience`
        epochs, and go back to the best weights. ``"auto"`` does with ``epochs="auto"`` and
        10,000 images or more.
    patience : int, default=5
        Used by ``early_stopping`` alone.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the class loss, by class name.
    callbacks : list or None, default=None
        Keras callbacks, or functions that build one. Each fit trains copies; see
        ``callbacks_``. They see the model that is being trained, which is the heads
        alone while the backbone's features are kept.
    memory : str, Path, joblib.Memory or None, default=None
        A folder in which the features of a frozen backbone are kept, which any number of
        processes can share. None keeps them in memory.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="auto"
        What runs the frozen backbone, and the whole network in ``predict``. ``"auto"`` takes
        the fastest one installed (``skbbox[openvino]``, ``skbbox[onnx]``), which is Keras on a
        graphics card. All give the same boxes but for rounding.
    checkpoint : str, Path or None, default=None
        A folder in which each fit keeps what it has learnt after every epoch, in a file of its
        own that goes when it is finished. A fit that was cut off goes on there when it is run
        again with the same data and parameters, to the result that it would have had.
    on_bad_image : {"raise", "warn", "skip"}, default="raise"
        What becomes of an image that cannot be read: an error; or ``fit`` and ``score`` leave it
        out and ``predict`` gives it missing values and the reason, with a warning or without.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last one and extends ``history_``.
    verbose : {0, 1}, default=0
        1 shows progress bars.
    random_state : int, RandomState instance or None, default=None
        Source of initial weights, dropout, order and split. An int gives the same
        result each time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or None
        Sorted class names; None if y had no ``class_name``.
    model_ : keras.Model
        From pixels in 0..255 of shape (n, height, width, 3) to
        ``[class_prediction, bbox_prediction]``; for boxes alone, to ``bbox_prediction``.
    history_ : dict of str to list of float
        One value an epoch: ``loss, class_prediction_loss, bbox_prediction_loss,
        class_prediction_accuracy, bbox_prediction_mean_iou`` and ``val_`` of each; with the
        spatial head also ``bbox_iou_loss, bbox_x_edges_loss, bbox_y_edges_loss``.
    stages_ : list of (str, int)
        Name and number of epochs of each stage of training: ``"frozen backbone"`` or
        ``"whole network"``, then ``"fine-tuning"``. With `warm_start` also those before.
    n_iter_ : int
        Number of epochs in ``history_``.
    callbacks_ : list of keras.callbacks.Callback
        The copies of `callbacks` that the last fit trained with.
    bad_images_ : dict of int to str
        Rows of X that the last fit left out, and why; see `on_bad_image`.
    n_features_in_ : int
        1, the image.

    See Also
    --------
    DummyLocalizer : What a score has to beat.

    References
    ----------
    .. [1] M. Hollemans et al., "Machine Learning by Tutorials", chapter 9,
       "Beyond Classification".
    .. [2] A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks
       for Mobile Vision Applications", arXiv:1704.04861.
    .. [3] H. Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019,
       arXiv:1902.09630.
    .. [4] Z. Zheng et al., "Distance-IoU Loss", AAAI 2020, arXiv:1911.08287.
    .. [5] X. Li et al., "Generalized Focal Loss", NeurIPS 2020, arXiv:2006.04388.

    Examples
    --------
    >>> from skbbox import SingleBoxLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> from skbbox.network import small_convnet
    >>> X, y = make_shapes(32, image_size=32, random_state=0)
    >>> localizer = SingleBoxLocalizer(backbone=small_convnet, weights=None, image_size=32,
    ...                                epochs=2, random_state=0).fit(X, y)
    >>> list(localizer.predict(X[:1]))
    ['class_name', 'x_min', 'x_max', 'y_min', 'y_max', 'class_confidence', 'box_confidence']
    >>> mean_iou, iou_50 = localizer.score(X, y)
    """

    classes_: NDArray[Any] | None
    model_: keras.Model
    history_: dict[str, list[float]]
    stages_: list[tuple[str, int]]
    n_iter_: int
    callbacks_: list[keras.callbacks.Callback]
    bad_images_: dict[int, str]
    n_features_in_: int

    def __init__(
        self,
        backbone: str | keras.Model | Callable[..., keras.Model] = "mobilenet",
        *,
        classifier: keras.Model | PathLikeStr | None = None,
        classifier_classes: Sequence[Any] | None = None,
        alpha: float = 0.75,
        weights: PathLikeStr | None = "imagenet",
        preprocessing: str | Callable[[Any], Any] | None = "auto",
        image_size: int | tuple[int, int] = 224,
        box_head: Literal["spatial", "dense", "pooled"] = "spatial",
        class_loss_weight: float = 1.0,
        box_loss_weight: float = 1.0,
        box_loss: str | BoxLoss = "giou_l1",
        dropout: float = 0.2,
        l2: float = 0.001,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        learning_rate: float | None = None,
        learning_rate_schedule: Literal["cosine", "constant"] = "cosine",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 64,
        fine_tune_epochs: int = 0,
        fine_tune_learning_rate: float = 1e-5,
        augment: Literal["standard", "flip"] | Augment | None = "standard",
        validation_fraction: float | None = None,
        early_stopping: bool | Literal["auto"] = "auto",
        patience: int = 5,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        callbacks: Sequence[Any] | None = None,
        memory: Any = None,
        engine: Literal["auto", "keras", "onnxruntime", "openvino"] = "auto",
        checkpoint: PathLikeStr | None = None,
        on_bad_image: Literal["raise", "warn", "skip"] = "raise",
        warm_start: bool = False,
        verbose: int = 0,
        random_state: RandomStateLike = None,
    ) -> None:
        self.backbone = backbone
        self.classifier = classifier
        self.classifier_classes = classifier_classes
        self.alpha = alpha
        self.weights = weights
        self.preprocessing = preprocessing
        self.image_size = image_size
        self.box_head = box_head
        self.class_loss_weight = class_loss_weight
        self.box_loss_weight = box_loss_weight
        self.box_loss = box_loss
        self.dropout = dropout
        self.l2 = l2
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.memory = memory
        self.engine = engine
        self.checkpoint = checkpoint
        self.on_bad_image = on_bad_image
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    @classmethod
    def from_classifier(cls, model_or_path: keras.Model | PathLikeStr, **params: Any) -> Self:
        """An estimator that starts from a trained Keras classifier.

        Its feature extractor becomes the backbone, and the weights of its last layer
        are those that ``dense_class`` starts with.

        Parameters
        ----------
        model_or_path : keras.Model, str or Path
            A backbone, ``GlobalAveragePooling2D``, perhaps ``Dropout``, ``Dense`` and a
            softmax, sequential or functional; or a ``.keras`` or ``.h5`` file that holds one.
        **params
            Parameters of SingleBoxLocalizer. ``classifier_classes`` names the outputs where
            they are not in the order of the sorted names in y; ``preprocessing=None`` if the
            classifier takes pixels in 0..255; ``epochs=0`` to see it as it is.

        Returns
        -------
        SingleBoxLocalizer
            Not fitted yet. ``fit`` raises WeightsError if the file cannot be read, and
            ValueError if the classifier has another form or other classes than y.
        """
        return cls(classifier=model_or_path, **params)

    def fit(self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn boxes and classes.

        Parameters
        ----------
        X : images of length n
            Paths (list, Series, 1-D array), a DataFrame with the column ``image``, a
            uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images.
        y : DataFrame or structured array of length n
            The columns ``class_name, x_min, x_max, y_min, y_max``, normalised to 0..1;
            rows belong to those of X by position. Without ``class_name``: boxes only.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in both losses.

        Returns
        -------
        self

        Raises
        ------
        ImageError
            If an image cannot be read.
        BoxError
            If a box or class is missing or cannot be.
        WeightsError
            If the weights of the backbone cannot be had.
        TrainingDivergedError
            If the loss is not finite in the first epoch.
        ValueError
            If a parameter is out of its range.

        Warns
        -----
        SkbboxWarning
            If y has one class only, or images are left out with ``on_bad_image="warn"``.
        DivergenceWarning
            If the loss became NaN or infinite; the last good weights are kept.
        InterruptionWarning
            If Ctrl-C ended the training after an epoch or more; what was learnt is kept.
        """
        from .network.box_heads import EDGES, IOU_ESTIMATE
        from .network.graph import add_outputs, get_heads, unfreeze
        from .training.callbacks import copy_callbacks
        from .training.compilation import compile_model
        from .training.plan import auto_epochs

        self._check_parameters()
        images = check_images(X)
        targets = check_targets(y, len(images))
        sample_weight = check_sample_weight(sample_weight, len(images))
        images, targets, sample_weight, bad_images = self._readable(images, targets, sample_weight)
        checkpoint = self._checkpoint(images, targets, sample_weight)
        rng = np.random.default_rng(checkpoint.seed if checkpoint else self._seed())
        known = None if self.classifier_classes is None else np.unique(self.classifier_classes)
        classes, codes = encode_classes(targets.class_names, known)
        if classes is not None and len(classes) == 1:
            warnings.warn(
                f"y has one class only, {classes[0]!r}, so there is no class to learn. Drop the "
                "column class_name to learn boxes alone.",
                SkbboxWarning,
                stacklevel=2,
            )
        weights = self._output_weights(sample_weight, targets, len(images))
        rows = self._split(images, targets, rng)
        if self._goes_on():
            # Not the order, the views and the dropout of the last fit once more.
            rng = np.random.default_rng([int(rng.integers(2**31)), self.n_iter_])
        epochs = self.epochs
        if epochs == "auto":
            epochs = auto_epochs(len(rows[0]), self.batch_size)
        model = self._build(classes, rng)
        network = add_outputs(model, (IOU_ESTIMATE, *EDGES))
        callbacks = copy_callbacks(self.callbacks)
        seed = int(rng.integers(2**31))

        histories = [self.history_] if self._goes_on() else []
        train_stage = functools.partial(
            self._train_stage,
            rows=rows,
            callbacks=callbacks,
            histories=histories,
            checkpoint=checkpoint,
        )
        feature_batches = functools.partial(
            self._feature_batches, model, images, targets, codes, weights
        )
        image_batches = functools.cache(
            functools.partial(self._image_batches, images, targets, classes, weights)
        )
        is_interrupted = False
        try:
            if epochs and self.weights is not None and not callable(self.augment):
                train_stage(get_heads(network), feature_batches, epochs, seed)
            elif epochs:
                train_stage(network, image_batches, epochs, seed)
            if self.fine_tune_epochs:
                unfreeze(model)
                train_stage(
                    network,
                    image_batches,
                    self.fine_tune_epochs,
                    seed + 1,
                    learning_rate=self.fine_tune_learning_rate,
                )
        except KeyboardInterrupt:
            n_epochs = sum(map(_n_epochs, histories))
            if n_epochs == (self.n_iter_ if self._goes_on() else 0):
                raise
            is_interrupted = True
            warnings.warn(
                f"Training was interrupted; what was learnt in {n_epochs} epochs was kept, and the "
                "estimator is fitted. In a search, interrupt twice to end all of it.",
                InterruptionWarning,
                stacklevel=2,
            )
        compile_model(model, **self._recipe())

        # Before the model is, which tells whether there was a fit before.
        self.stages_ = self._stages(epochs, histories)
        self.classes_ = classes
        self._set_model(model, is_frozen=self.weights is not None and not self.fine_tune_epochs)
        self.history_ = combine_histories(histories)
        self.n_iter_ = _n_epochs(self.history_)
        self.callbacks_ = callbacks
        self.bad_images_ = bad_images
        self.n_features_in_ = 1
        self._n_images = len(images)
        if checkpoint and not is_interrupted:
            checkpoint.remove()
        return self

    def predict(self, X: ImagesLike) -> pd.DataFrame:
        """Box and class of each image.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        DataFrame of n rows, with the index of X where it has one
            ``class_name, x_min, x_max, y_min, y_max`` (normalised, within 0..1, edges in
            order) and ``confidence`` in 0..1: with ``box_head="spatial"`` the IoU that the
            box is expected to have, with the other heads the probability of the class.
            Columns that the fit had nothing for are absent. With ``on_bad_image`` other than
            ``"raise"`` there is also ``error``, why an image cannot be read, whose other columns
            are missing.

        Raises
        ------
        ImageError
            If an image cannot be read; names the row.
        NotFittedError
            Before ``fit``.
        """
        from .network.box_heads import IOU_ESTIMATE

        check_is_fitted(self)
        images = check_images(X)
        outputs, bad = self._outputs(images)
        boxes, estimate = outputs["bbox_prediction"], outputs.get(IOU_ESTIMATE)
        boxes = np.clip(boxes.astype(np.float64), 0.0, 1.0).reshape(-1, 2, 2)
        predicted = pd.DataFrame(
            np.sort(boxes, axis=2).reshape(-1, 4), columns=COORDINATES, index=images.index
        )
        if self.classes_ is not None:
            probabilities = outputs["class_prediction"]
            class_names = self.classes_[probabilities.argmax(axis=1)]
            if bad:
                class_names = class_names.astype(object)
                class_names[list(bad)] = None
            predicted.insert(0, "class_name", class_names)
            predicted["class_confidence"] = probabilities.max(axis=1).astype(np.float64)
        if estimate is not None:
            predicted["box_confidence"] = estimate[:, 0].astype(np.float64)
        if self.on_bad_image != "raise":
            predicted["error"] = [bad.get(row) for row in range(len(images))]
        return predicted

    def predict_proba(self, X: ImagesLike) -> FloatArray:
        """Probability of each class.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``; rows add up to 1. NaN for an image that cannot
            be read, see `on_bad_image`.

        Raises
        ------
        ValueError
            If the estimator was fitted for boxes alone.
        """
        check_is_fitted(self)
        if self.classes_ is None:
            raise ValueError(
                "predict_proba needs classes, but y had no class_name in fit; boxes alone were "
                "learnt."
            )
        outputs, _ = self._outputs(check_images(X))
        probabilities = outputs["class_prediction"].astype(np.float64)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def score(
        self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None
    ) -> IoUScore:
        """Mean IoU, with the share at IoU >= 0.5 beside it.

        Parameters
        ----------
        X : images of length n
        y : table of boxes of length n
            As for :meth:`fit`. A class that was not in training counts like any other here:
            its box is measured.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        IoUScore
            A float, the mean IoU, which unpacks into ``mean_iou, iou_50``.

        Warns
        -----
        SkbboxWarning
            If y holds classes that were not in training, as happens with an unshuffled
            ``cv=3`` on rows that are sorted by class.
        """
        check_is_fitted(self)
        n_images = len(check_images(X))
        targets = check_targets(y, n_images)
        weights = check_sample_weight(sample_weight, n_images)
        self._warn_of_unseen_classes(targets)
        predicted = self.predict(X)
        return IoUScore.from_boxes(*drop_unreadable_rows(targets.boxes, predicted, weights))

    def embed(self, X: ImagesLike) -> NDArray[np.float32]:
        """Features of each image: the backbone's feature map averaged over its positions.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_channels), float32
        """
        import keras

        check_is_fitted(self)
        features = self.model_.get_layer("features").output
        pooled = keras.Model(self.model_.input, keras.ops.mean(features, axis=(1, 2)))
        outputs, _ = self._outputs(check_images(X), pooled)
        (embedded,) = outputs.values()
        return embedded

    def save(self, path: PathLikeStr, *, overwrite: bool = False) -> None:
        """Write the fitted estimator into one file, which holds no code.

        Parameters
        ----------
        path : str or Path
            Of the file.
        overwrite : bool, default=False
            Whether a file that exists is replaced.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        FileExistsError
            If the file exists.
        ModelFileError
            If the file cannot be written.

        Notes
        -----
        The file is a zip archive of JSON and arrays with check sums, written under another
        name and renamed when it is whole. Of parameters that are code (a backbone or loss
        function, callbacks), the name is kept, and :meth:`load` asks for them.
        """
        from .files import check_overwrite
        from .persistence import write_archive

        check_is_fitted(self)
        path = Path(path)
        check_overwrite([path], overwrite)
        fitted = {name: getattr(self, name) for name in SAVED}
        write_archive(path, {"parameters": self.get_params(deep=False), "fitted": fitted})

    @classmethod
    def load(cls, path: PathLikeStr, *, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The fitted estimator of a file that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The file. It is not trusted: code in it is refused.
        custom_objects : dict of str to object, default=None
            Functions, callbacks and layers of your own that the estimator was made with, by
            name.

        Returns
        -------
        SingleBoxLocalizer
            Predicts what the saved one does, bit for bit on the same machine. ``memory`` is
            None, whatever it was.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is damaged, holds what does not belong there, or needs `custom_objects`;
            names what was found.
        """
        from .persistence import read_archive
        from .training.compilation import compile_model

        def build(parameters, fitted):
            # Folders of the computer that the file comes from are no place to write to.
            localizer = cls(**(parameters | {"memory": None, "checkpoint": None}))
            # Files of 0.1.0 do not tell these.
            fitted.setdefault("stages_", [("training", fitted["n_iter_"])])
            fitted.setdefault("_n_images", 0)
            for name in SAVED:
                setattr(localizer, name, fitted[name])
            localizer._set_model(localizer.model_, localizer._is_frozen)
            compile_model(localizer.model_, **localizer._recipe())
            return localizer

        return read_archive(Path(path), ("parameters", "fitted"), build, custom_objects)

    def export(
        self,
        path: PathLikeStr,
        *,
        format: Literal["onnx", "tflite", "openvino", "saved_model"] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the network for another runtime, which needs neither skbbox nor Keras.

        Parameters
        ----------
        path : str or Path
            Of the file, or of the folder of a SavedModel.
        format : {"onnx", "tflite", "openvino", "saved_model"}, default=None
            None takes it from the ending of `path`: ``.onnx``, ``.tflite``, or ``.xml`` for
            OpenVINO.
        overwrite : bool, default=False
            Whether what exists is replaced.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the format is not known, or a class name holds a line break.
        FileExistsError
            If the file exists, or a folder that is no SavedModel.
        EngineError
            If a package is missing (``skbbox[onnx]``, ``skbbox[openvino]``), or the network
            cannot be written in this format.
        ModelFileError
            If the file cannot be written.

        Notes
        -----
        The input ``image`` takes n images as uint8 of shape (n, height, width, 3): RGB in
        0..255, upright, of `image_size`. Preprocessing is inside, but not the stretching to
        `image_size`, as the runtimes have no equal to Pillow's bilinear resize, which averages
        over all pixels that it leaves out; :func:`skbbox.images.load_image` does it as
        ``predict`` does. n is 1 in TFLite, and any number in the others.

        Outputs are float32: ``box`` of shape (n, 4), which is ``x_min, x_max, y_min, y_max``
        within 0..1 and in order; ``probabilities`` of shape (n, n_classes), in the order of
        ``classes_``; ``confidence`` of shape (n,), as in :meth:`predict`. What ``predict`` and
        ``predict_proba`` do not have is absent. All is as they give it, but for rounding.

        Class names are in the file, one in a line: in ONNX as the entry ``labels`` of the
        metadata, in OpenVINO as ``labels`` of ``rt_info``, in TFLite as ``labels.txt`` of a zip
        archive behind the network, and in a SavedModel as ``assets.extra/labels.txt``.

        OpenVINO has two files: ``.xml``, and ``.bin`` beside it. What is written gets its name
        when it is whole.

        See Also
        --------
        save : For a file that :meth:`load` makes an estimator of.
        """
        from .export import export_model

        check_is_fitted(self)
        export_model(self.model_, self.classes_, path, format, overwrite)

    def report(
        self,
        X: ImagesLike,
        y: TargetsLike,
        path: PathLikeStr = "report.html",
        *,
        overwrite: bool = False,
        title: str | None = None,
        max_images: int = 300,
    ) -> Path:
        """Write a page with data, training, scores and predictions, to look at in a browser.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`; best those that were not in it.
        y : table of boxes of length n
            As for :meth:`fit`. Without ``class_name``, the page tells of boxes alone.
        path : str or Path, default="report.html"
            Of the file.
        overwrite : bool, default=False
            Whether a file that exists is replaced.
        title : str, default=None
            None takes the name of the estimator and the number of images.
        max_images : int, default=300
            At most so many images are on the page: half of them those with the lowest IoU, half
            drawn at random, the same each time. The numbers are of all n. 0 leaves images out.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        FileExistsError
            If the file exists.
        ImageError
            If an image cannot be read; names the row. With `on_bad_image` other than
            ``"raise"`` the page tells which were left out.
        BoxError
            If a box of y cannot be, or no image can be read.
        SkbboxError
            If there is no folder to write to.
        ValueError
            If `max_images` is not a whole number of at least 0.

        Notes
        -----
        The page is one file with pictures and script inside, and asks nothing of any server. It
        holds small copies of the images, the paths of their files and the parameters of the
        estimator: think of that before you pass it on. Pictures become smaller where there are
        more of them, so that up to 1,000 stay below 5 MB. ``predict`` runs once.

        See Also
        --------
        score : The mean IoU alone.
        skbbox.BoxGridDisplay : The images alone, in Matplotlib.
        """
        from .report import write_report

        check_is_fitted(self)
        return write_report(
            self, X, y, path, overwrite=overwrite, title=title, max_images=max_images
        )

    def _check_parameters(self):
        from .engines.registry import get_engine
        from .losses import get_box_loss

        for name, kind, lowest, highest in PARAMETER_RANGES:
            value = getattr(self, name)
            if value is None and name in OPTIONAL_PARAMETERS:
                continue
            if value == "auto" and name == "epochs":
                continue
            is_kind = isinstance(value, kind) and not isinstance(value, bool)
            if not (is_kind and lowest <= value and (highest is None or value < highest)):
                bound = f"at least {lowest}" + ("" if highest is None else f" and below {highest}")
                raise ValueError(
                    f"{name} must be {'an integer' if kind is Integral else 'a number'} of "
                    f"{bound}. Received: {value!r}."
                )
        if not self.epochs and not self.fine_tune_epochs and self.classifier is None:
            raise ValueError("epochs and fine_tune_epochs are both 0; there is nothing to train.")
        if self.early_stopping is True and self.validation_fraction == 0:
            raise ValueError("early_stopping needs a validation_fraction above 0. Received: 0.")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {list(choices)}. Received: {getattr(self, name)!r}."
                )
        if self.classifier is not None and self.weights != "imagenet":
            raise ValueError(
                "A classifier comes with its weights, so weights must be left at 'imagenet'. "
                f"Received: {self.weights!r}."
            )
        get_engine(self.engine)
        get_augmentation(self.augment)
        get_box_loss(self.box_loss)
        self._height_and_width()

    def _height_and_width(self):
        size = self.image_size
        if isinstance(size, Integral):
            size = (size, size)
        if not (
            isinstance(size, (tuple, list))
            and len(size) == 2
            and all(isinstance(side, Integral) and side > 0 for side in size)
        ):
            raise ValueError(
                "image_size must be a positive integer or (height, width). "
                f"Received: {self.image_size!r}."
            )
        return int(size[0]), int(size[1])

    def _seed(self):
        if self.random_state is None:
            return np.random.SeedSequence().entropy
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _readable(self, images, targets, sample_weight):
        """What can be learnt from, and why the rest cannot, by row."""
        from .features.prefetch import find_unreadable_images

        if self.on_bad_image == "raise":
            return images, targets, sample_weight, {}
        bad = find_unreadable_images(images.items, self._height_and_width(), self.verbose)
        if len(bad) == len(images):
            raise ImageError(f"None of the {len(images)} images can be read. {_first_of(bad)}")
        self._warn_of_bad_images(bad, len(images))
        rows = np.setdiff1d(np.arange(len(images)), list(bad))
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight[rows], len(rows))
        return images.take(rows), targets.take(rows), sample_weight, bad

    def _warn_of_bad_images(self, bad, n_images):
        if bad and self.on_bad_image == "warn":
            warnings.warn(
                f"{len(bad)} of {n_images} images cannot be read and are left out. "
                f"{_first_of(bad)}",
                SkbboxWarning,
                stacklevel=4,
            )

    def _checkpoint(self, images, targets, sample_weight):
        """Where the fit stands, if that is kept."""
        from .features.digests import digest_images
        from .training.checkpoints import Checkpoint

        if self.checkpoint is None:
            return None
        made_of = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in WITHOUT_INFLUENCE
        }
        made_of["images"] = digest_images(images.items).hex()
        made_of["boxes"], made_of["class_names"] = targets.boxes, targets.class_names
        made_of["sample_weight"] = sample_weight
        if self._goes_on():
            made_of["last fit"], made_of["n_iter_"] = self.model_, self.n_iter_
        return Checkpoint(self.checkpoint, made_of, self._seed())

    def _output_weights(self, sample_weight, targets, n_images):
        """Sample weights of each output, or None; class weights enter here.

        Keras refuses ``class_weight`` for a model with two outputs (keras#4735).
        """
        if sample_weight is None and self.class_weight is None:
            return None
        box = np.ones(n_images) if sample_weight is None else sample_weight
        if targets.class_names is None:
            if self.class_weight is not None:
                raise ValueError("class_weight needs classes, but y has no class_name.")
            return box.astype(np.float32)
        by_class = compute_sample_weight(self.class_weight, targets.class_names)
        return (box * by_class).astype(np.float32), box.astype(np.float32)

    def _split(self, images, targets, rng):
        """Training and validation rows; the second are None where none are set aside."""
        fraction = self.validation_fraction
        if fraction is None:
            fraction = 0.1 if self._stops_early(len(images)) else 0.0
        if fraction == 0:
            return np.arange(len(images)), None
        strata = targets.class_names if targets.class_names is not None else [""] * len(images)
        return split_train_validation(strata, images.keys(), fraction, rng)

    def _stops_early(self, n_images):
        if self.early_stopping == "auto":
            # scikit-learn's HistGradientBoostingClassifier begins at the same number.
            large = n_images >= MANY_IMAGES and self.validation_fraction != 0
            return self.epochs == "auto" and large
        return self.early_stopping

    def _goes_on(self):
        return self.warm_start and hasattr(self, "model_")

    def _build(self, classes, rng):
        from .network.building import build_network
        from .network.classifier import split_classifier
        from .network.graph import set_weights

        backbone, last_layer = self.backbone, None
        if self.classifier is not None:
            backbone, *last_layer = split_classifier(self.classifier)
        model = build_network(
            backbone=backbone,
            weights=self.weights,
            alpha=self.alpha,
            preprocessing=self.preprocessing,
            image_size=self._height_and_width(),
            box_head=self.box_head,
            n_classes=None if classes is None else len(classes),
            dropout=self.dropout,
            l2=self.l2,
            rng=rng,
        )
        if last_layer is not None and classes is not None:
            model.get_layer("dense_class").set_weights(self._in_order(last_layer, classes))
        if self._goes_on():
            if not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"warm_start needs the classes of the last fit, {self.classes_}. "
                    f"Received: {classes}."
                )
            if [w.shape for w in model.weights] != [w.shape for w in self.model_.weights]:
                raise ValueError(
                    "warm_start needs the network of the last fit; backbone, alpha, box_head and "
                    "image_size must stay as they were."
                )
            set_weights(model, self.model_.get_weights())
        return model

    def _in_order(self, last_layer, classes):
        """Weights of the classifier's last layer, in the order of the sorted classes."""
        kernel, bias = last_layer
        names = classes if self.classifier_classes is None else self.classifier_classes
        if kernel.shape[1] != len(names):
            raise ValueError(
                f"The classifier has {kernel.shape[1]} classes, but there are {len(names)}: "
                f"{list(names)}. Pass classifier_classes, the names of all its outputs in order."
            )
        order = np.argsort(names)
        return kernel[:, order], bias[order]

    def _feature_batches(self, model, images, targets, codes, weights):
        from .training.batches import FeatureBatches

        n_views = int(np.clip(VIEWS_IN_ALL // len(images), *VIEWS_OF_AN_IMAGE))
        features = self._frozen_backbone(model).features(
            images.items, targets.boxes, make_views(self.augment, n_views), self.verbose
        )

        def batches(rows, shuffle, seed, last_batch="keep"):
            return FeatureBatches(
                features,
                codes,
                weights,
                rows=rows,
                batch_size=self.batch_size,
                shuffle=shuffle,
                last_batch=last_batch,
                seed=seed,
            )

        return batches

    def _image_batches(self, images, targets, classes, weights):
        from .features.prefetch import decode_images
        from .training.batches import BoundingBoxGenerator

        size, items = self._height_and_width(), images.items
        if len(items) * size[0] * size[1] * 3 <= DECODED_BYTES:
            items = list(decode_images(items, size, self.verbose))
        table = make_table(items, targets)

        def batches(rows, shuffle, seed, last_batch="keep"):
            return BoundingBoxGenerator(
                table,
                *size,
                self.batch_size,
                shuffle,
                augment=self.augment if shuffle else None,
                last_batch=last_batch,
                classes=classes,
                sample_weight=weights,
                rows=rows,
                random_state=seed,
            )

        return batches

    def _train_stage(
        self,
        network,
        make_batches,
        epochs,
        seed,
        *,
        rows,
        callbacks,
        histories,
        checkpoint,
        learning_rate=None,
    ):
        """Train a network and append its history to those of the stages before it."""
        from .training.batches import choose_last_batch
        from .training.trainer import train

        n_stages = len(histories) - self._goes_on()
        if checkpoint and n_stages < len(checkpoint.histories):
            # Its weights are among those that the next stage goes on with.
            histories.append(checkpoint.histories[n_stages])
            return
        train_rows, validation_rows = rows
        batches = make_batches()
        last_batch = choose_last_batch(len(train_rows), self.batch_size)
        training = batches(train_rows, shuffle=True, seed=seed, last_batch=last_batch)
        validation, patience = None, None
        if validation_rows is not None:
            validation = batches(validation_rows, shuffle=False, seed=seed)
            if self._stops_early(len(train_rows) + len(validation_rows)):
                patience = self.patience
        recipe = self._recipe()
        if learning_rate is not None:
            recipe["learning_rate"] = learning_rate
        train(
            network,
            training,
            validation,
            recipe=recipe,
            is_cosine=self.learning_rate_schedule == "cosine",
            epochs=epochs,
            callbacks=callbacks,
            patience=patience,
            verbose=self.verbose,
            histories=histories,
            checkpoint=checkpoint,
        )
        if checkpoint:
            checkpoint.finish_stage(histories[-1])

    def _stages(self, epochs, histories):
        """Name and number of epochs of each stage that was trained, however far it got."""
        first = "whole network" if self.weights is None else "frozen backbone"
        planned = [(first, epochs), ("fine-tuning", self.fine_tune_epochs)]
        names = [name for name, n_planned in planned if n_planned]
        before, here = (self.stages_, histories[1:]) if self._goes_on() else ([], histories)
        return [*before, *zip(names, map(_n_epochs, here), strict=False)]

    def _recipe(self):
        """What :func:`compile_model` takes beside a model."""
        return {
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "box_loss": self.box_loss,
            "class_loss_weight": self.class_loss_weight,
            "box_loss_weight": self.box_loss_weight,
        }

    def _frozen_backbone(self, model):
        from .features.frozen_backbone import FrozenBackbone
        from .network.graph import get_feature_extractor

        return FrozenBackbone(
            get_feature_extractor(model), self.batch_size, self.memory, self.engine
        )

    def _set_model(self, model, is_frozen):
        """Keep a model and what runs it: on pixels, and on features that may be kept."""
        from .network.box_heads import IOU_ESTIMATE
        from .network.graph import add_outputs, get_heads

        self.model_, self._is_frozen = model, is_frozen
        self._network = add_outputs(model, (IOU_ESTIMATE,))
        self._heads = get_heads(self._network) if is_frozen else None

    def _outputs(self, images, model=None):
        """Outputs by name of the network, or of a model of pixels; and bad images, by row."""
        from .features.predict import predict_features, predict_images

        bad = None if self.on_bad_image == "raise" else {}
        frozen = model is None and self._is_frozen
        backbone = self._frozen_backbone(self.model_) if frozen else None
        if backbone and backbone.serves(len(images), self._n_images):
            model = self._heads
            blocks = backbone.feature_blocks(images.items, self.verbose, bad)
            outputs = predict_features(model, blocks, len(images), self.batch_size)
        else:
            model = model or self._network
            outputs = predict_images(
                model, images.items, self.batch_size, self.verbose, self.engine, bad
            )
        bad = dict(sorted((bad or {}).items()))
        for output in outputs:
            output[list(bad)] = np.nan
        self._warn_of_bad_images(bad, len(images))
        return dict(zip(model.output_names, outputs, strict=True)), bad

    def _warn_of_unseen_classes(self, targets):
        if self.classes_ is None or targets.class_names is None:
            return
        unseen = sorted(set(targets.class_names) - set(self.classes_), key=str)
        if unseen:
            warnings.warn(
                f"y holds classes that were not in training: {unseen}. Their boxes are scored, "
                "their class cannot be right. In cross-validation this comes of rows sorted by "
                "class and an unshuffled cv=3; pass cv=StratifiedBoxKFold(3).",
                SkbboxWarning,
                stacklevel=3,
            )

    def __getstate__(self):
        state = super().__getstate__()
        if "model_" in state:
            from .persistence import pack_model

            # Callbacks hold the model that they were trained with.
            state = {key: value for key, value in state.items() if key != "callbacks_"}
            state["model_"] = pack_model(self.model_)
            del state["_network"], state["_heads"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "model_" in state:
            from .persistence import unpack_model
            from .training.compilation import compile_model

            self._set_model(unpack_model(state["model_"]), state["_is_frozen"])
            compile_model(self.model_, **self._recipe())

    def __dask_tokenize__(self):
        """What Dask tells this estimator by: a pickled network holds the time of its pickling."""
        import keras

        from .network.graph import digest_model

        return type(self).__name__, [
            (name, digest_model(value) if isinstance(value, keras.Model) else value)
            for name, value in sorted(vars(self).items())
            # The first two are made of the model; the third hold it.
            if name not in ("_network", "_heads", "callbacks_")
        ]

    def __sklearn_tags__(self):
        return set_image_tags(super().__sklearn_tags__())


def _n_epochs(history):
    return len(history.get("loss", []))


def _first_of(bad):
    row, reason = next(iter(bad.items()))
    return f"Row {row}: {reason}"
