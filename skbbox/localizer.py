"""``SingleBoxLocalizer``: validate, plan, build, train, predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .boxes.tables import like
from .engines.processes import check_process
from .features.explanation import ExplanationMixin
from .features.spread import SpreadMixin, normalize_probabilities
from .features.stream import StreamMixin
from .files import as_path, check_overwrite
from .inputs import (
    check_images,
    set_image_tags,
    warn_of_bad_images,
)
from .metrics import IoUScore, score_estimator
from .parameters import check_parameters
from .state import NetworkState
from .training.fit_callbacks import CallbackSupportMixin, FitTask, with_callbacks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import keras
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from .features.frozen_backbone import FrozenBackbone
    from .features.predict import Predictor
    from .inputs import Images
    from .network.fitted import WatchedModel
    from .training.plan import TrainingSpec
    from .typing import (
        Augment,
        BoxLoss,
        FloatArray,
        ImagesLike,
        PathLikeStr,
        RandomStateLike,
        TargetsLike,
    )

# Modules that import Keras, which takes seconds, are imported where they are used.

__all__ = ["SingleBoxLocalizer"]


class SingleBoxLocalizer(
    NetworkState, StreamMixin, SpreadMixin, ExplanationMixin, CallbackSupportMixin
):
    """Find the main object in each image: its class and bounding box.

    A convolutional network with two heads: a softmax over the classes, and four
    numbers for the box. The features of frozen layers of the backbone are computed
    once, and the other layers are trained on these features.

    Parameters
    ----------
    backbone : str, keras.Model or callable, default="mobilenet"
        The feature extractor: a name of ``keras.applications`` in any spelling
        (``"mobilenet_v2"``, ``"EfficientNetB0"``), a model with one feature map as
        output, which is copied, or a callable that builds such a model; if the callable
        has a parameter, it receives ``input_shape``.
    classifier : keras.Model, str, Path or None, default=None
        A trained classifier, or its file, used instead of `backbone`; see
        :meth:`from_classifier`.
    classifier_classes : sequence or None, default=None
        Class names in the order of the classifier's outputs. None means the sorted names in y.
    alpha : float, default=0.75
        Width of the MobileNets; other backbones ignore it.
    weights : "imagenet", str, Path or None, default="imagenet"
        Weights of the backbone. With ``"imagenet"``, a backbone given as a model or callable
        keeps its own weights. A path loads weights from a file. None initialises the
        backbone at random and trains all of it together with the heads.
    frozen : {"all", "early", "none"}, default="all"
        The layers of the backbone that are not trained: ``"all"``; ``"early"``, the layers
        before the last stage, which begins at the second coarsest feature map (in the MobileNet,
        the last two blocks); or ``"none"``. Other layers are trained together with the heads, at
        `backbone_learning_rate` and with frozen BatchNorm. Ignored with ``weights=None``.
    preprocessing : {"auto", "tf", "torch", "caffe"}, callable or None, default="auto"
        Transformation of pixels in 0..255 before the backbone. ``"auto"`` uses the
        preprocessing of the backbone if it is from ``keras.applications``, does nothing for
        a model with a ``Rescaling`` or ``Normalization`` layer, and scales to
        -1..1 for other models. The names are the modes of
        ``keras.applications.imagenet_utils.preprocess_input``.
    image_size : int or (int, int), default=224
        Height and width in pixels to which images are stretched.
    neck : int or "auto", default="auto"
        Channels of a trained layer on the last feature map. Both heads share this layer, so
        each loss also shapes the features of the other head. With a neck, the class is also read
        inside the box of the spatial head. ``"auto"`` is 256, or 0 with `classifier`. With 0
        there is no neck, and the class is read from the mean over the entire image.
    box_head : {"spatial", "dense", "pooled"}, default="spatial"
        ``"spatial"`` combines the last feature map with two finer maps, predicts each
        edge as the mean of a distribution over columns or rows, and estimates the IoU
        of its box. Its distributions are also trained by their cross-entropy with the true
        edges [5]_, a small part of the box loss. ``"dense"`` has weights for every position
        of the last map. ``"pooled"`` is the chapter's head, which averages over positions,
        discarding location.
    n_looks : {1, 2}, default=2
        With 2, half of the training views are windows around the box, decoded from the original
        image. ``predict`` looks again at a window around its first box, returns the second
        box, and averages the class probabilities of both looks. This takes twice as long.
        After ``set_params(n_looks=1)``, ``predict`` returns the first look.
    class_loss_weight, box_loss_weight : float, default=1.0
        Weights of the two losses in the total. Their ratio matters if both losses train the
        same weights: the neck, or a backbone that is trained. With a frozen backbone and
        ``neck=0`` it hardly matters, because Adam scales each gradient by its own size.
    presence_loss_weight : float, default=1.0
        Weight of the loss of `presence`, the binary cross-entropy, if y has images without an
        object.
    presence_threshold : float, default=0.5
        ``predict`` returns no class and no box for images whose `presence` is lower. You can
        change it after ``fit``.
    box_loss : {"giou_l1", "mse", "l1", "huber", "giou", "diou", "ciou"} or callable, \
default="giou_l1"
        Loss of the box: the mean squared, absolute or Huber error of its edges; 1 minus
        the generalised [3]_, distance or complete [4]_ IoU; ``"giou_l1"`` is
        ``giou + 2 * l1``. A callable takes ``(y_true, y_pred)`` of shape (n, 4) and
        returns shape (n,).
    dropout : float, default=0.2
        Share of pooled features dropped before the class layer, in 0..1.
    l2 : float, default=0.001
        Weight of the squared weights of the class layer in the loss.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Name or instance of a Keras optimizer. Each fit uses a fresh copy.
    learning_rate : float or None, default=None
        None means 3e-3 for ``optimizer="adam"``, and the optimizer's default otherwise.
    learning_rate_schedule : {"cosine", "constant"}, default="cosine"
        ``"cosine"`` is a linear warm-up to `learning_rate` over the first tenth of the steps
        of a stage, then cosine decay to 0. If an optimizer has its own schedule, it is used
        instead. Callbacks that set the learning rate need ``"constant"``.
    backbone_learning_rate : float, default=1e-4
        Learning rate of the backbone with ``frozen="early"`` or ``"none"``, with the same
        schedule. The optimizer's weight decay does not apply to the backbone.
    epochs : int or "auto", default="auto"
        Passes over the training images, before fine-tuning. ``"auto"`` means 10
        (8 with ``n_looks=1``), or more to reach 400 steps of `batch_size` images: 100 for 100
        images, 10 from 1,249 images on. With ``weights=None``, it is at least 1,200 steps.
    batch_size : int, default=32
        Images per step of training and of prediction. JAX compiles for each number of images,
        so on JAX the last step of an epoch is filled up with the first images of the epoch.
    fine_tune_epochs : int, default=0
        Further epochs in which the entire backbone is trained, too, with frozen BatchNorm.
    fine_tune_learning_rate : float, default=1e-5
        Learning rate of the fine-tuning epochs.
    augment : {"standard", "flip"}, callable or None, default="standard"
        Random changes of image and box: ``"flip"`` mirrors left to right; ``"standard"`` also
        rotates, crops, shrinks, shifts and stretches the image, and changes brightness and
        contrast; a callable takes ``(image, box, rng)`` and returns ``(image, box)``.
        With frozen layers, each image has a fixed set of views whose features are stored: with
        ``"standard"`` up to 20, half of them windows with ``n_looks=2``. There are fewer if
        their total would exceed 4,000, but at least two of each kind up to 200,000 views; with
        ``n_looks=2``, there are no more views than epochs. Without frozen layers, or with a
        callable, images are changed anew in each epoch.
    validation_fraction : float or None, default=None
        Share of the images set aside, stratified by class, for the ``val_`` curves of
        ``history_``. None is 0, or 0.1 with ``early_stopping``.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when the validation loss has not improved for `patience`
        epochs, and restore the best weights. ``"auto"`` does so with ``epochs="auto"`` and
        10,000 images or more.
    patience : int, default=5
        Number of epochs without improvement before early stopping ends the training.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the class loss, by class name; weights must not be negative.
    callbacks : list or None, default=None
        Keras callbacks, or functions that build one. Each fit uses copies; see
        ``callbacks_``. Their ``model`` is the model that is being trained; with stored
        features, this is only the part after the frozen layers.
    memory : str, Path, joblib.Memory or None, default=None
        A folder in which the features of frozen layers are stored, which any number of
        processes of the same user can share. Records are authenticated with the file ``secret``
        in the folder, which nobody else may be able to read; records of other users or programs
        are ignored. None keeps features in memory.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="auto"
        The library that runs the frozen layers, and the complete network in ``predict``.
        ``"auto"`` uses the fastest one installed (``skbbox[openvino]``, ``skbbox[onnx]``), or
        Keras on a GPU. All give the same boxes except for rounding.
    checkpoint : str, Path or None, default=None
        A folder in which each fit saves its progress after every epoch, in a file that is
        deleted when the fit completes. An interrupted fit resumes from the last epoch when it
        is run again with the same data and parameters, and ends with the same result.
    on_bad_image : {"raise", "warn", "skip"}, default="raise"
        How to handle unreadable images: raise an error; or leave them out in ``fit`` and
        ``score``, and return missing values and the reason in ``predict``, with (``"warn"``) or
        without (``"skip"``) a warning.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous fit and extends ``history_``.
    verbose : bool or {0, 1}, default=0
        Whether to show progress bars and a table of epochs.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, dropout, order and split. Pass an int for reproducible
        results.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or None
        Sorted class names; None if y had no ``class_name``.
    model_ : keras.Model
        From pixels in 0..255 of shape (n, height, width, 3) to
        ``[class_prediction, bbox_prediction]``; without classes, to ``bbox_prediction``. If y had
        images without an object, ``object_presence`` is the last output.
    history_ : dict of str to list of float
        One value per epoch: ``loss, class_prediction_loss, bbox_prediction_loss,
        class_prediction_accuracy, bbox_prediction_mean_iou`` and ``val_`` of each; with the
        spatial head also ``bbox_iou_loss, bbox_x_edges_loss, bbox_y_edges_loss``; if y had images
        without an object, also ``object_presence_loss, object_presence_accuracy``. Each is the
        mean over the rows that have the label.
    stages_ : list of (str, int)
        Name and number of epochs of each stage of training: ``"frozen backbone"``,
        ``"frozen early layers"`` or ``"whole network"``, then ``"fine-tuning"``. With
        `warm_start`, earlier fits are included.
    n_iter_ : int
        Number of epochs in ``history_``.
    callbacks_ : list of keras.callbacks.Callback
        The copies of `callbacks` that the last fit used.
    bad_images_ : dict of int to str
        Rows of X that the last fit left out, and why; see `on_bad_image`.
    n_features_in_ : int
        1, the image.

    See Also
    --------
    DummyLocalizer : The baseline that a score has to beat.
    EnsembleLocalizer : Several fits that predict together.

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
    >>> list(localizer.predict(X[:1]))  # doctest: +NORMALIZE_WHITESPACE
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
    _is_frozen: bool
    _n_images: int
    _has_boxes: bool

    def __init__(
        self,
        backbone: str | keras.Model | Callable[..., keras.Model] = "mobilenet",
        *,
        classifier: keras.Model | PathLikeStr | None = None,
        classifier_classes: Sequence[Any] | None = None,
        alpha: float = 0.75,
        weights: PathLikeStr | None = "imagenet",
        frozen: Literal["all", "early", "none"] = "all",
        preprocessing: str | Callable[[Any], Any] | None = "auto",
        image_size: int | tuple[int, int] = 224,
        neck: int | Literal["auto"] = "auto",
        box_head: Literal["spatial", "dense", "pooled"] = "spatial",
        n_looks: Literal[1, 2] = 2,
        class_loss_weight: float = 1.0,
        box_loss_weight: float = 1.0,
        presence_loss_weight: float = 1.0,
        presence_threshold: float = 0.5,
        box_loss: str | BoxLoss = "giou_l1",
        dropout: float = 0.2,
        l2: float = 0.001,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        learning_rate: float | None = None,
        learning_rate_schedule: Literal["cosine", "constant"] = "cosine",
        backbone_learning_rate: float = 1e-4,
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 32,
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
        verbose: bool | int = 0,
        random_state: RandomStateLike = None,
    ) -> None:
        self.backbone = backbone
        self.classifier = classifier
        self.classifier_classes = classifier_classes
        self.alpha = alpha
        self.weights = weights
        self.frozen = frozen
        self.preprocessing = preprocessing
        self.image_size = image_size
        self.neck = neck
        self.box_head = box_head
        self.n_looks = n_looks
        self.class_loss_weight = class_loss_weight
        self.box_loss_weight = box_loss_weight
        self.presence_loss_weight = presence_loss_weight
        self.presence_threshold = presence_threshold
        self.box_loss = box_loss
        self.dropout = dropout
        self.l2 = l2
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.backbone_learning_rate = backbone_learning_rate
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
        """Make an estimator that starts from a trained Keras classifier.

        The classifier's feature extractor becomes the backbone, and the weights of its last
        layer initialise ``dense_class``.

        Parameters
        ----------
        model_or_path : keras.Model, str or Path
            A backbone, ``GlobalAveragePooling2D``, optionally ``Dropout``, ``Dense`` and a
            softmax, sequential or functional; or a ``.keras`` or ``.h5`` file of one, which may
            name only layers of Keras that run no code.
        **params
            Parameters of SingleBoxLocalizer. ``classifier_classes`` names the outputs if
            they are not in the order of the sorted names in y; use ``preprocessing=None`` if
            the classifier takes pixels in 0..255, and ``epochs=0`` to try it unchanged.

        Returns
        -------
        SingleBoxLocalizer
            Not fitted yet. ``fit`` raises WeightsError if the file cannot be read, and
            ValueError if the classifier has another structure or other classes than y.
        """
        return cls(classifier=model_or_path, **params)

    @with_callbacks
    def fit(self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network on images with known classes and boxes.

        Parameters
        ----------
        X : images of length n
            Paths (list, Series, 1-D array), a DataFrame with the column ``image``, a
            uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images.
        y : DataFrame or structured array of length n
            The columns ``class_name, x_min, x_max, y_min, y_max``, normalised to 0..1. Rows of
            X and y are matched by position. Without ``class_name``, only boxes are learned. A row
            without a box trains only the class, a row without a class only the box, and a row
            with neither is an image without an object.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in all losses.

        Returns
        -------
        self

        Raises
        ------
        ImageError
            If an image cannot be read.
        BoxError
            If a box or class is invalid, half of a box is missing, or no image has an object. A
            class must be text, a number or a bool.
        WeightsError
            If the weights of the backbone could not be loaded or downloaded.
        TrainingDivergedError
            If the loss or the weights are not finite in the first epoch.
        ValueError
            If a parameter is out of its range.

        Warns
        -----
        SkbboxWarning
            If y has only one class, no box, or a class without a box; or images are left out with
            ``on_bad_image="warn"``.
        DivergenceWarning
            If loss or weights became NaN or infinite; the last good weights are kept.
        InterruptionWarning
            If Ctrl-C ended training after an epoch or more; the weights are kept.
        """
        from .network.box_heads import EDGES, IOU_ESTIMATE
        from .network.building import get_frozen
        from .network.graph import add_outputs, get_feature_extractor
        from .training.callbacks import copy_callbacks
        from .training.checkpoints import open_checkpoint
        from .training.compilation import compile_model
        from .training.data import check_data
        from .training.initial_model import build_model
        from .training.plan import get_previous_fit, plan_fit
        from .training.stages import list_stages, report_interruption, train_stages

        check_process()
        parameters = self.get_params(deep=False)
        check_parameters(parameters)
        previous = get_previous_fit(self)
        images, targets, weights, bad_images = check_data(X, y, sample_weight, parameters)
        checkpoint = open_checkpoint(parameters, images, targets, weights, previous, self._seed)
        rng = np.random.default_rng(checkpoint.seed if checkpoint else self._seed())
        plan = plan_fit(parameters, images, targets, weights, rng, previous)
        if previous:
            # Otherwise the order, views and dropout of the previous fit would repeat.
            rng = np.random.default_rng([int(rng.integers(2**31)), previous.n_iter])
        callbacks = copy_callbacks(self.callbacks)
        model = build_model(parameters, plan.labels, rng, previous)
        has_features = get_frozen(self.weights, self.frozen) != "none"
        backbone = self._freeze_backbone(get_feature_extractor(model)) if has_features else None
        seed = int(rng.integers(2**31))
        stages = list_stages(parameters, plan, self._make_spec(), backbone, seed)
        task = FitTask(self, {"X": X, "y": y}, sum(stage.epochs for stage in stages))
        result = train_stages(
            add_outputs(model, (IOU_ESTIMATE, *EDGES)),
            stages,
            plan,
            callbacks=callbacks,
            observers=task.make_observers(),
            is_trained=previous is not None,
            checkpoint=checkpoint,
        )
        if result.interrupted:
            report_interruption(result, previous)
        compile_model(model, self._make_spec())
        fitted = result.get_attributes(previous)
        fitted |= {"classes_": plan.labels.classes, "callbacks_": callbacks}
        fitted |= {"bad_images_": bad_images, "n_features_in_": 1, "_n_images": len(images)}
        fitted |= {"_has_boxes": bool(targets.has_box.any())}
        self._set_model(model, has_features and not self.fine_tune_epochs, **fitted)
        if checkpoint and not result.interrupted:
            checkpoint.delete()
        task.finish()
        return self

    def predict(self, X: ImagesLike) -> pd.DataFrame:
        """Predict the class and box of each image.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; a polars DataFrame if X is polars
            ``class_name, x_min, x_max, y_min, y_max`` (normalised, within 0..1, edges in
            order); ``class_confidence``, the probability of the class, in 0..1; and, with
            ``box_head="spatial"``, ``box_confidence``, the expected IoU of the box, in 0..1.
            Without classes, ``class_name`` and ``class_confidence`` are absent. If y of ``fit``
            had images without an object, ``presence`` is the probability of an object, in 0..1;
            below `presence_threshold` class, box and their confidences are missing. With
            `on_bad_image` other than ``"raise"`` there is also ``error``, why an image cannot be
            read; its other columns are missing.

        Raises
        ------
        ImageError
            If an image cannot be read; names the row.
        NotFittedError
            If the estimator is not fitted.
        """
        from .features.predict import make_predictions

        fitted = self._get_fitted()
        outputs, bad, images = fitted._run_network(X, n_looks=fitted._count_looks())
        return like(make_predictions(fitted, outputs, bad, images.index), X)

    def predict_proba(self, X: ImagesLike) -> FloatArray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``; rows sum to 1. NaN for an unreadable image,
            see `on_bad_image`.

        Raises
        ------
        ValueError
            If the estimator was fitted without classes.
        """
        fitted = self._get_fitted()
        if fitted.classes_ is None:
            raise ValueError(
                "predict_proba needs classes, but y had no class_name in fit; only boxes were "
                "learned."
            )
        outputs, _, _ = fitted._run_network(X, n_looks=fitted._count_looks())
        return normalize_probabilities(outputs["class_prediction"])

    def score(
        self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None
    ) -> IoUScore:
        """Compute the mean IoU, together with the share of boxes with IoU >= 0.5.

        Parameters
        ----------
        X : images of length n
        y : table of boxes of length n
            As for :meth:`fit`. Boxes of classes that were not in training are scored, too.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        IoUScore
            A float, the mean IoU, which unpacks into ``mean_iou, iou_50``.

        Warns
        -----
        SkbboxWarning
            If y contains classes that were not in training, for example because of an
            unshuffled ``cv=3`` on rows that are sorted by class.
        """
        return score_estimator(self._get_fitted(), X, y, sample_weight)

    def embed(self, X: ImagesLike) -> NDArray[np.float32]:
        """Compute a feature vector for each image, the mean of the backbone's last feature map.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_channels), float32
        """
        fitted = self._get_fitted()
        return next(iter(fitted._run_network(X, fitted._networks.embedder)[0].values()))

    def warm_up(self, batch_sizes: Sequence[int] = (1,)) -> Self:
        """Convert and compile the network now, so that the first ``predict`` is fast.

        With ``engine="auto"``, :meth:`predict` of up to 16 images runs on Keras until a faster
        engine is converted; this method converts it.

        Parameters
        ----------
        batch_sizes : sequence of int, default=(1,)
            Numbers of images that will be predicted at a time.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a number of images is not an integer of at least 1.
        """
        from .parameters import check_batch_sizes

        fitted = self._get_fitted()
        for n_images in check_batch_sizes(batch_sizes):
            fitted._make_predictor().prepare(n_images, fitted._count_looks())
        return self

    def save(self, path: PathLikeStr, *, overwrite: bool = False) -> None:
        """Save the fitted estimator in one file, which contains no code.

        Parameters
        ----------
        path : str or Path
        overwrite : bool, default=False
            Whether to replace an existing file or, if `path` is a symbolic link, its target.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        FileExistsError
            If the file exists.
        ModelFileError
            If the file cannot be written, or parameters changed after ``fit`` could not be loaded.

        Notes
        -----
        The file is a zip archive of JSON and arrays with checksums, written atomically. If a
        parameter is code (a backbone or loss function, callbacks), only its name is
        saved, and the object has to be passed to :meth:`load`.
        """
        from .persistence import write_archive

        contents = self._list_contents()
        path = as_path(path)
        check_overwrite([path], overwrite)
        write_archive(path, contents)

    @classmethod
    def load(cls, path: PathLikeStr, *, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Load a fitted estimator from a file that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The file, which may come from anyone: code in it raises an error, and so does every
            class that is not on a list of layers, operations and settings that only compute.
        custom_objects : dict of str to object, default=None
            Functions, callbacks and layers of the estimator that are not
            part of Keras or skbbox, by name. Registering them with Keras is not enough.

        Returns
        -------
        SingleBoxLocalizer
            Its predictions equal those of the saved one, bit for bit on the same machine.
            ``memory`` and ``checkpoint`` are None.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ModelFileError
            If the file is damaged, has unexpected content, or needs `custom_objects`;
            names what was found.
        """
        from .persistence import read_archive

        check_process()
        names = ("parameters", "fitted")
        return read_archive(as_path(path), names, cls._from_contents, custom_objects)

    def export(
        self,
        path: PathLikeStr,
        *,
        format: Literal["onnx", "tflite", "openvino", "saved_model"] | None = None,
        overwrite: bool = False,
        image_size: Literal["any", "fixed"] | None = None,
        quantize: Literal["int8", "float16"] | None = None,
        calibration: ImagesLike | None = None,
        calibration_y: TargetsLike | None = None,
        force: bool = False,
        verbose: bool | int = 0,
    ) -> None:
        """Write the network for another runtime, which needs neither skbbox nor Keras.

        Parameters
        ----------
        path : str or Path
            The file, or the folder of a SavedModel.
        format : {"onnx", "tflite", "openvino", "saved_model"}, default=None
            None infers it from the suffix of `path`: ``.onnx``, ``.tflite``, ``.xml`` (OpenVINO).
        overwrite : bool, default=False
            Whether to replace existing files.
        image_size : {"any", "fixed"}, default=None
            Size of the images that the network takes: any, or that of ``fit``. None is ``"any"``
            where it is supported: not in TFLite, and only if Keras runs on TensorFlow.
        quantize : {"int8", "float16"}, default=None
            Convolutions in 8 bits, or weights stored in half precision. Not for a SavedModel.
        calibration : images, default=None
            About 100 images that were not trained on. ``"int8"`` takes value ranges from them,
            and the loss of mean IoU and class accuracy is measured on them.
        calibration_y : table of boxes, default=None
            Their true boxes. None compares with the network that is not quantised.
        force : bool, default=False
            Whether to write a network that loses more than 0.005 of mean IoU or 0.01 of accuracy.
        verbose : bool or {0, 1}, default=0
            Whether to print the loss of mean IoU and of class accuracy.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the format is unknown, a class name contains a line break, or images are missing.
        FileExistsError
            If the file exists, or `path` is a folder that is not a SavedModel.
        MissingPackageError
            If a package is missing; names the extra.
        EngineError
            If the network cannot be converted to this format, or loses too much.
        ModelFileError
            If the file cannot be written.

        Notes
        -----
        The input ``image`` takes n images as uint8 of shape (n, height, width, 3): RGB in 0..255,
        upright, and of one size in each call. n is 1 in TFLite. Outputs equal those of ``predict``
        except for rounding. With ``image_size="fixed"``, stretch images first with
        :func:`skbbox.images.load_image`; the second look also sees only these pixels. Outputs are
        float32: ``box`` of shape (n, 4), ``x_min, x_max, y_min, y_max`` within 0..1 and in order;
        ``probabilities`` of shape (n, n_classes), in the order of ``classes_``;
        ``class_confidence``, ``box_confidence`` and ``presence`` of shape (n,), as in
        :meth:`predict`, but whatever `presence_threshold` is. Outputs that ``predict`` does not
        have are absent. The file contains the class names.

        See Also
        --------
        save : Write a file that :meth:`load` turns into an estimator.
        """
        from .export import export_model

        fitted = self._get_fitted()
        export_model(
            *(fitted.model_, fitted.classes_, fitted._count_looks(), path, format, overwrite),
            has_boxes=fitted._has_boxes,
            image_size=image_size,
            quantize=quantize,
            calibration=(calibration, calibration_y),
            force=force,
            verbose=verbose,
        )

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
        """Write an HTML page with scores, predictions, errors, training and data.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`; preferably not those of the fit.
        y : table of boxes of length n
            As for :meth:`fit`. Without ``class_name``, the page covers only boxes.
        path : str or Path, default="report.html"
        overwrite : bool, default=False
            Whether to replace an existing file.
        title : str, default=None
            None takes the name of the estimator and the number of images.
        max_images : int, default=300
            Most images on the page: half of them those with the lowest IoU, half
            drawn at random, the same each time. Numbers cover all n images. 0 shows no images.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        FileExistsError
            If the file exists.
        ImageError
            If an image cannot be read; names the row. With `on_bad_image` other than
            ``"raise"`` the page lists the images that were left out.
        BoxError
            If a box of y is invalid, or no image can be read.
        DataError
            If `path` is a folder, or its folder does not exist.
        ValueError
            If `max_images` is not an integer of at least 0.

        Notes
        -----
        The page is a single file with images and script inside, and sends no requests. It
        contains small copies of the images, the paths of their files and the parameters of the
        estimator: consider that before you share it. Images are smaller if there are
        more of them, so that up to 1,000 stay below 5 MB. ``predict`` runs once.

        See Also
        --------
        score : Only the mean IoU.
        skbbox.BoxGridDisplay : Only the images, in Matplotlib.
        """
        from .report import write_report

        fitted = self._get_fitted()
        return write_report(
            fitted, X, y, path, overwrite=overwrite, title=title, max_images=max_images
        )

    def _seed(self) -> int:
        if self.random_state is None:
            entropy: Any = np.random.SeedSequence().entropy
            return int(entropy)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _make_spec(self) -> TrainingSpec:
        from .training.plan import TrainingSpec

        is_slower = self.weights is not None and self.frozen != "all"
        return TrainingSpec(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            box_loss=self.box_loss,
            class_loss_weight=self.class_loss_weight,
            box_loss_weight=self.box_loss_weight,
            presence_loss_weight=self.presence_loss_weight,
            learning_rate_schedule=self.learning_rate_schedule,
            verbose=self.verbose,
            backbone_learning_rate=self.backbone_learning_rate if is_slower else None,
        )

    def _freeze_backbone(self, extractor: keras.Model | WatchedModel) -> FrozenBackbone:
        from .features.frozen_backbone import FrozenBackbone

        return FrozenBackbone(extractor, self.batch_size, self.memory, self.engine)

    def _count_looks(self) -> int:
        # The box of an untrained network says nothing about where to look.
        return self.n_looks if self.n_iter_ and self._has_boxes else 1

    def _make_predictor(
        self, network: WatchedModel | None = None, with_edges: bool = False
    ) -> Predictor:
        from .features.predict import Predictor

        extractor = self._networks
        networks = extractor.with_edges if with_edges else extractor
        is_frozen = network is None and self._is_frozen
        return Predictor(
            (network or networks.network).state,
            (lambda: self._freeze_backbone(extractor.extractor)) if is_frozen else None,
            (lambda: networks.heads.state) if is_frozen else None,
            n_trained=self._n_images,
            batch_size=self.batch_size,
            engine=self.engine,
            verbose=self.verbose,
            skip_bad=self.on_bad_image != "raise",
        )

    def _run_network(
        self,
        X: ImagesLike,
        network: WatchedModel | None = None,
        n_looks: int = 1,
        *,
        with_edges: bool = False,
    ) -> tuple[dict[str, NDArray[Any]], dict[int, str], Images]:
        """Outputs by name of the network, or of another model of pixels; bad images; images."""
        images = check_images(X)
        outputs, bad = self._make_predictor(network, with_edges).look(images.items, n_looks)
        if self.on_bad_image == "warn":
            warn_of_bad_images(bad, len(images))
        return outputs, bad, images

    def __sklearn_tags__(self) -> Tags:
        return set_image_tags(super().__sklearn_tags__())
