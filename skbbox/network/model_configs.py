"""Check the config of a Keras model from a file: it may name only classes of a list.

Keras imports what a config names and calls it, so a config is as dangerous as code. The lists name
classes and functions that only compute: none of them reads or writes files, runs code from its
config, or calls a function that it is given.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import numpy as np

from ..exceptions import ModelFileError

__all__ = ["check_config"]

#: Classes that a config may name, by module as Keras writes it.
CLASSES = {
    module: frozenset(names.split())
    for module, names in {
        "keras": "Sequential DTypePolicy FloatDTypePolicy",
        "keras.models": "Sequential",
        "keras.src.models.functional": "Functional",
        "keras.src.models.sequential": "Sequential",
        "keras.src.applications.convnext": "LayerScale StochasticDepth",
        "keras.src.applications.inception_resnet_v2": "CustomScaleLayer",
        "keras.dtype_policies": "DTypePolicy DTypePolicyMap FloatDTypePolicy",
        "keras.layers": """
            Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
            AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
            Add AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average
            AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
            CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization
            Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
            ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D
            DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization
            Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
            GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
            GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer LSTM
            LSTMCell LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPooling1D
            MaxPooling2D MaxPooling3D Maximum Minimum MixUp MultiHeadAttention Multiply
            Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
            RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
            RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale
            RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
            RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU
            RepeatVector Rescaling Reshape Resizing ReversibleEmbedding SeparableConv1D
            SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
            SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
            TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
            ZeroPadding2D ZeroPadding3D""",
        "keras.initializers": """
            Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal
            LecunUniform Ones Orthogonal RandomNormal RandomUniform TruncatedNormal
            VarianceScaling Zeros""",
        "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
        "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
        "keras.optimizers": """
            Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon
            Nadam RMSprop SGD ScheduleFreeAdamW""",
        "keras.optimizers.schedules": """
            CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay
            PiecewiseConstantDecay PolynomialDecay""",
        "keras.losses": """
            BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy
            CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle
            CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError
            MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
            SparseCategoricalCrossentropy SquaredHinge Tversky""",
        "keras.metrics": """
            AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy
            CategoricalCrossentropy CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score
            FBetaScore FalseNegatives FalsePositives Hinge IoU KLDivergence LogCoshError Mean
            MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanSquaredError
            MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision
            PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError
            SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy
            SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum
            TopKCategoricalAccuracy TrueNegatives TruePositives""",
        "keras.src.activations.activations": "Mish ReLU",
        # Not those that call a function: AssociativeScan, Cond, ForiLoop, JVP, Map, Scan, Switch,
        # VectorizedMap, WhileLoop.
        "keras.src.ops.core": """
            Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient
            Unstack""",
        "keras.src.ops.einops": "Rearrange",
        "keras.src.ops.image": """
            AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB
            MapCoordinates PadImages PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM
            ScaleAndTranslate SobelEdges""",
        "keras.src.ops.linalg": """
            Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor MatrixRank Norm Pinv Qr SVD
            Solve SolveTriangular""",
        "keras.src.ops.math": """
            CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet
            Logsumexp RFFT Rsqrt STFT SegmentMax SegmentMin SegmentProd SegmentSum TopK
            ViewAsComplex ViewAsReal""",
        "keras.src.ops.nn": """
            AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy
            CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv
            DotProductAttention Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh
            LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot Normalize OneHot
            PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax
            Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid
            Sparsemax Squareplus TanhShrink Threshold Unfold""",
        "keras.src.ops.numpy": """
            Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin
            Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit
            Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr
            BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy
            Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat
            Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack Einsum EmptyLike Equal Exp
            Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Full
            FullLike Gcd Geomspace GetItem Greater GreaterEqual Heaviside Histogram Hsplit Hstack
            Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Kron Lcm
            Ldexp LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2
            LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Matmul Max Maximum Mean Median
            Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum Nanargmax Nanargmin Nancumprod
            Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd
            Nansum Nanvar Ndim Negative Nextafter Nonzero NotEqual OnesLike Outer Pad Percentile
            Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal Repeat Reshape RightShift Roll
            Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split Sqrt
            Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot
            Tile Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var
            Vdot View Vsplit Vstack Where ZerosLike""",
    }.items()
}

ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax
    softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink
    threshold"""
LOSSES = """
    binary_crossentropy binary_focal_crossentropy categorical_crossentropy
    categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge circle
    cosine_similarity dice hinge huber kl_divergence log_cosh mean_absolute_error
    mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson
    sparse_categorical_crossentropy squared_hinge tversky"""

#: Functions that a config may name, by module as Keras writes it.
FUNCTIONS = {
    module: frozenset(names.split())
    for module, names in {
        # Without a module of their own, Keras looks for functions in its activations and losses.
        "builtins": ACTIVATIONS + LOSSES,
        "keras.activations": ACTIVATIONS,
        "keras.losses": LOSSES,
        "keras.metrics": LOSSES
        + " binary_accuracy categorical_accuracy top_k_categorical_accuracy "
        "sparse_categorical_accuracy sparse_top_k_categorical_accuracy",
    }.items()
}

#: Layers of skbbox, which Keras finds by these names, so their modules may have moved.
REGISTERED = frozenset(["skbbox>ChannelDropout", "skbbox>OrderedBox", "skbbox>ProfileConvolution"])

#: Classes of the earlier format of .h5 files, which names no modules.
LEGACY_CLASSES = frozenset(["Functional", "Model", "Sequential"]).union(
    *(CLASSES[f"keras.{name}"] for name in ("layers", "initializers", "regularizers")),
    CLASSES["keras.constraints"],
)

#: Dtypes of the constants of a graph.
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64"),
)


def check_config(
    config: Any, custom_objects: Mapping[str, Any] | None = None, is_legacy: bool = False
) -> Any:
    """Check the config of a Keras model or object from a file.

    Parameters
    ----------
    config : object
        Parsed JSON.
    custom_objects : dict of str to object, default=None
        Classes and functions that are allowed as well, by name.
    is_legacy : bool, default=False
        Whether it is of a ``.h5`` file.

    Returns
    -------
    object
        The config for Keras: without how models were compiled, and with names that cannot be found
        in any other place than where they were checked.

    Raises
    ------
    ModelFileError
        If it names anything else.
    """
    return _Checker(custom_objects or {}, is_legacy).check(config)


class _Checker:
    def __init__(self, custom_objects: Mapping[str, Any], is_legacy: bool) -> None:
        self.custom_objects, self.is_legacy = custom_objects, is_legacy

    def check(self, value: Any, is_operand: bool = False) -> Any:
        if isinstance(value, list):
            return [self.check(part, is_operand) for part in value]
        if isinstance(value, dict):
            if "class_name" in value:
                return self._check_object(value, is_operand)
            return {key: self.check(part, is_operand) for key, part in value.items()}
        if isinstance(value, str):
            self._check_text(value)
        return value

    def _check_object(self, value: dict[str, Any], is_operand: bool) -> dict[str, Any]:
        name, config = value["class_name"], value.get("config")
        if not isinstance(name, str):
            _fail(f"the network has a class whose name is {name!r}.")
        if name in LITERALS:
            LITERALS[name](config, is_operand)
            return {"class_name": name, "config": config}
        if self.is_legacy and name in ("__tuple__", "TensorShape"):
            return {"class_name": name, "items": self.check(value["items"], is_operand)}
        if is_operand:
            _fail(f"a layer is called with {name}, which is neither a tensor nor a constant.")
        checked = {
            key: self._check_nodes(part) if key == "inbound_nodes" else self.check(part)
            for key, part in value.items()
            if key not in ("class_name", "module", "registered_name", "config")
        }
        # The estimator compiles its model itself.
        checked.pop("compile_config", None)
        if checked.get("inbound_nodes"):
            # The layer is built when it is called, as in every copy of the model. Otherwise it
            # could be built for other operands than those of its call.
            checked.pop("build_config", None)
        is_function = name == "function"
        if "config" in value:
            checked["config"] = config if is_function else self.check(config)
        if self.is_legacy and isinstance(config, dict):
            # Keras replaces these texts by functions.
            for key, text in config.items():
                if key != "name" and inspect.isfunction(vars(keras.layers).get(str(text))):
                    self._refuse(text, None, None)
        return checked | self._check_name(value, config if is_function else name, is_function)

    def _check_name(self, value: dict[str, Any], name: Any, is_function: bool) -> dict[str, Any]:
        """The entries by which Keras finds the object, so that it finds the one that is allowed."""
        module, registered = value.get("module"), value.get("registered_name")
        entries = {"class_name": value["class_name"]}
        if not isinstance(name, str) or not isinstance(module, (str, type(None))):
            _fail(f"the network has a class with the name {name!r} and the module {module!r}.")
        if self.is_legacy and module is None and not is_function and name in LEGACY_CLASSES:
            return entries
        listed = FUNCTIONS if is_function else CLASSES
        if name in listed.get(module or "", ()) and registered in (None, name, value["class_name"]):
            # Keras looks up a registered name first, except that of a function.
            return entries | {"module": module, "registered_name": name if is_function else None}
        if registered in REGISTERED and registered == f"skbbox>{name}" and not is_function:
            return entries | {"module": "skbbox", "registered_name": registered}
        for key in (name,) if is_function else (registered, name):
            if isinstance(key, str) and key in self.custom_objects and not key.startswith("__"):
                return entries | {"module": "custom", "registered_name": key}
        self._refuse(name, module, None if is_function else registered)

    def _check_nodes(self, nodes: Any) -> Any:
        """Check the calls of a layer: with a tensor of the network among its operands.

        Without one, Keras would compute the result at once.
        """
        checked = self.check(nodes, is_operand=True)
        for node in checked:
            # Nodes of the earlier format are lists of tensors.
            if not (self.is_legacy and isinstance(node, list)):
                operands = _flatten([node["args"], node["kwargs"]])
                if not any(map(_is_tensor, operands)):
                    _fail("a layer is called without a tensor of the network.")
        return checked

    def _check_text(self, text: str) -> None:
        # Keras replaces texts that are names of registered objects.
        is_registered = keras.saving.get_registered_object(text) is not None
        if is_registered and text not in self.custom_objects:
            self._refuse(text, None, None)

    def _refuse(self, name: str, module: str | None, registered: Any) -> NoReturn:
        found = name if registered in (None, name) else f"{name} ({registered})"
        _fail(
            f"the network needs {found}{f' of {module}' if module else ''}, which is not among the "
            "classes of Keras and skbbox that a file may name; pass "
            f"custom_objects={{{name!r}: ...}} if you trust it."
        )


def _fail(message: str) -> NoReturn:
    raise ModelFileError(message)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _flatten(value: Any) -> list[Any]:
    """The operands in nested lists and dicts, as Keras finds its tensors."""
    if isinstance(value, list):
        return [part for item in value for part in _flatten(item)]
    if isinstance(value, dict) and "class_name" not in value:
        return [part for item in value.values() for part in _flatten(item)]
    return [value]


def _is_index(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _check_tensor(config: Any, is_operand: bool) -> None:
    shape, history = config["shape"], config["keras_history"]
    name, *position = history
    if not (
        is_operand
        and config["dtype"] in DTYPES
        and all(map(_is_index, [*shape, *position]))
        and isinstance(name, str)
        and len(position) == 2
    ):
        _fail(f"a tensor of the network is described as {config!r}.")


def _check_constant(config: Any, is_operand: bool) -> None:
    if not isinstance(config["dtype"], str) or config["dtype"] not in DTYPES:
        _fail(f"a constant of the network has the dtype {config['dtype']!r}.")
    if np.asarray(config["value"]).dtype.kind not in "biuf":
        _fail("a constant of the network does not consist of numbers.")


def _check_slice(config: Any, is_operand: bool) -> None:
    if not all(_is_index(config[key]) for key in ("start", "stop", "step")):
        _fail(f"a slice of the network is {config!r}.")


def _check_ellipsis(config: Any, is_operand: bool) -> None:
    if config not in (None, {}):
        _fail(f"an ellipsis of the network has the config {config!r}.")


#: What Keras writes like a class, but makes itself, and how its config is checked.
LITERALS = {
    "__keras_tensor__": _check_tensor,
    "__numpy__": _check_constant,
    "__tensor__": _check_constant,
    "__slice__": _check_slice,
    "__ellipsis__": _check_ellipsis,
}
