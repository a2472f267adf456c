"""OpenVINO with bfloat16 products that are as accurate as float32, on CPUs with AMX.

A float32 number is the sum of two bfloat16 numbers, except for its last bits, and a product is
the sum of three, which are added in float32: G. Henry, P. Tang & A. Heinecke, "Leveraging the
bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019,
arXiv:1904.06376. CPUs with AMX need a sixteenth of the time for each of them.

This module uses interfaces of OpenVINO that are not public:

* ``openvino._offline_transformations.apply_moc_transformations`` simplifies a model;
* the runtime attribute ``DisablePrecisionConversion`` keeps an operation in float32; it can
  only be set in the file of a model;
* the execution graph names the primitives, by which the use of AMX is recognised.

Tested with OpenVINO 2026.4.1. If one of them is missing or raises an error, or if the outputs
differ from those in float32 by more than ``TOLERANCE``, the network is compiled in float32:
slower, with the same results. Without the first, it is not simplified before.
"""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import openvino
from openvino import opset1
from openvino import opset13 as ops

from .conversion import read_openvino

if TYPE_CHECKING:
    from ..typing import FloatArray, Pixels

__all__ = ["SECOND_STAGE_IMAGES", "compile_stages"]

#: Raised if an interface of OpenVINO is missing or has changed; its own are RuntimeErrors.
INTERFACE_ERRORS = (AttributeError, ImportError, LookupError, RuntimeError, TypeError)

#: A convolution is split if it has at least this many products per number read or written...
MIN_PRODUCTS_PER_NUMBER = 100

#: ... if at least this share of all products is in such convolutions...
MIN_SHARE = 0.5

#: ... and, where a second stage is needed, if they have at least this many products.
MIN_PRODUCTS_OF_STAGES = 10**8

#: Images that the second stage computes together.
SECOND_STAGE_IMAGES = 8

#: Operations that scale pixels.
SCALING = {"Add": ops.add, "Multiply": ops.multiply}

#: OpenVINO replaces these operations, and the replacements lose MARK.
UNMARKABLE = ("Interpolate", "MatMul")

#: The attribute of operations that must not be computed in less than float32.
MARK = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}

#: Accepted mean difference from the outputs in float32, as a share of their mean.
TOLERANCE = 1e-3


def compile_stages(model: openvino.Model, shape: Sequence[int]) -> list[openvino.CompiledModel]:
    """Compile a network to one stage, or to two, the second of which takes the first's outputs.

    Parameters
    ----------
    model : openvino.Model
        From pixels, uint8.
    shape : tuple of int
        Of the pixels of an image: height, width, 3.

    Returns
    -------
    list of openvino.CompiledModel
        One stage in float32 for one image, unless the CPU has AMX, enough products can use it,
        and the outputs are the same. A second stage is for ``SECOND_STAGE_IMAGES`` images.
    """
    try:
        one_image = _simplify(model, [1, *shape])
    except INTERFACE_ERRORS:
        return [_compile(_resize(model, [1, *shape]), "f32")]
    exact = [_compile(one_image, "f32")]
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return exact
    image = np.random.default_rng(0).integers(0, 256, [1, *shape], dtype=np.uint8)
    try:
        several_images = functools.partial(_simplify, model, [SECOND_STAGE_IMAGES, *shape])
        stages = _compile_split(one_image, several_images)
        is_better = stages and _uses_amx(stages[0]) and _is_accurate(stages, exact, image)
    except INTERFACE_ERRORS:
        return exact
    return stages if is_better else exact


def _simplify(model: openvino.Model, shape: list[int]) -> openvino.Model:
    """A copy for images of a shape, simplified and with its scaling before its transposition."""
    from openvino._offline_transformations import apply_moc_transformations

    copy = _resize(model, shape)
    apply_moc_transformations(copy, cf=True)
    _scale_before_transpose(copy)
    return copy


def _resize(model: openvino.Model, shape: list[int]) -> openvino.Model:
    copy = model.clone()
    copy.reshape(shape)
    return copy


def _scale_before_transpose(model: openvino.Model) -> None:
    """Scale pixels before they are transposed: a convolution can then include the transposition."""
    for node in model.get_ordered_ops():
        if node.get_type_name() not in SCALING:
            continue
        transpose, factors = (value.get_node() for value in node.input_values())
        kinds = transpose.get_type_name(), factors.get_type_name()
        if kinds == ("Transpose", "Constant") and len(factors.shape) == len(transpose.shape):
            pixels, order = transpose.input_values()
            if pixels.shape == model.inputs[0].shape:
                back = np.argsort(order.get_node().get_data())
                scaled = SCALING[node.get_type_name()](pixels, ops.transpose(factors, back))
                node.output(0).replace(ops.transpose(scaled, order).output(0))


def _compile(model: openvino.Model, precision: str) -> openvino.CompiledModel:
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "THROUGHPUT",
        # Two stages would compete for the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(model, "CPU", settings)


def _compile_split(
    model: openvino.Model, make_several: Callable[[], openvino.Model]
) -> list[openvino.CompiledModel]:
    """Compile with split convolutions, in one stage or two; no stages if it would gain nothing.

    The second stage starts at the first operation that cannot be marked. It consists of many
    small operations, whose start takes longer than their computation, so it computes several
    images together: it is cut from the model that `make_several` returns.
    """
    _use_old_max_pools(model)
    before, after = _cut(model)
    convolutions = _choose_convolutions(before, MIN_PRODUCTS_OF_STAGES if after else 0)
    if not convolutions:
        return []
    stages = [_compile(_mark_all_but(before, _split(convolutions)), "bf16")]
    return [*stages, _compile(_cut(make_several())[1], "f32")] if after else stages


def _use_old_max_pools(model: openvino.Model) -> None:
    """Use the version of MaxPool to which OpenVINO would convert it, losing its mark."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MaxPool" and not node.output(1).get_target_inputs():
            names = ("strides", "pads_begin", "pads_end", "kernel", "rounding_type", "auto_pad")
            settings = [node.get_attributes()[name] for name in names]
            node.output(0).replace(opset1.max_pool(node.input_value(0), *settings).output(0))


def _cut(model: openvino.Model) -> tuple[openvino.Model, openvino.Model | None]:
    """The part before the first operation that cannot be marked, and the rest, if any."""
    later: set[str] = set()
    for node in model.get_ordered_ops():
        sources = (value.get_node().get_friendly_name() for value in node.input_values())
        if node.get_type_name() in UNMARKABLE or not later.isdisjoint(sources):
            later.add(node.get_friendly_name())
    if not later:
        return model, None
    results, inputs = model.get_results(), {}
    for node in model.get_ordered_ops():
        for value in node.inputs():
            output = value.get_source_output()
            source = output.get_node()
            is_cut = node.get_friendly_name() in later and source.get_friendly_name() not in later
            if is_cut and source.get_type_name() != "Constant":
                key = source.get_friendly_name(), output.get_index()
                if key not in inputs:
                    inputs[key] = output, ops.parameter(output.shape, output.get_element_type())
                value.replace_source_output(inputs[key][1].output(0))
    outputs, parameters = zip(*inputs.values(), strict=True)
    before = openvino.Model([ops.result(output) for output in outputs], model.get_parameters())
    return before, openvino.Model(results, list(parameters))


def _choose_convolutions(model: openvino.Model, minimum: int) -> list[openvino.Node]:
    """The convolutions to split; none if they have too few or too small a share of the products."""
    chosen, n_products = [], {True: 0, False: 0}
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "GroupConvolution"):
            continue
        weights = node.input_value(1)
        n_read, n_written = math.prod(node.input_value(0).shape), math.prod(node.shape)
        n_here = n_written * math.prod(weights.shape[1 if kind == "Convolution" else 2 :])
        is_known = weights.get_node().get_type_name() == "Constant"
        is_float32 = weights.get_element_type() == openvino.Type.f32
        is_worth_it = n_here >= MIN_PRODUCTS_PER_NUMBER * (n_read + n_written)
        is_worth_it &= kind == "Convolution" and is_known and is_float32
        n_products[is_worth_it] += n_here
        if is_worth_it:
            chosen.append(node)
    least = max(minimum, MIN_SHARE * sum(n_products.values()))
    return chosen if n_products[True] >= least else []


def _split(convolutions: list[openvino.Node]) -> set[str]:
    """Replace each convolution by three, and return the names of these."""
    names = set()
    for node in convolutions:
        x, weights = node.input_values()

        def convolve(
            x: openvino.Output,
            weights: openvino.Node,
            name: str,
            node: openvino.Node = node,
        ) -> openvino.Node:
            convolution = ops.convolution(x, weights, **node.get_attributes())
            convolution.set_friendly_name(f"{node.get_friendly_name()} {name}")
            names.add(convolution.get_friendly_name())
            return convolution

        values = weights.get_node().get_data()
        # The first 16 of the 32 bits are a bfloat16 number.
        first_bits = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
        high, low = ops.constant(first_bits), ops.constant(values - first_bits)
        x_low = ops.subtract(x, ops.convert(ops.convert(x, "bf16"), "f32"))
        small = _force_float32(convolve(x_low, high, "low times high"))
        small = ops.add(convolve(x, low, "high times low"), small)
        large = convolve(x, high, "high times high")
        if _is_transposed(node):
            # If OpenVINO fuses the sum into this convolution, it transposes the result by a copy.
            # The clamp prevents the fusion, and then the transposition needs no copy.
            large = _force_float32(large)
        node.output(0).replace(ops.add(large, small).output(0))
    return names


def _force_float32(convolution: openvino.Node) -> openvino.Node:
    """Add a marked operation that changes no value, so that outputs are written in float32."""
    return ops.clamp(convolution, -3e38, 3e38)


def _is_transposed(node: openvino.Node) -> bool:
    """Whether the output of a convolution, with bias and activation, is transposed."""
    users = [user.get_node() for user in node.output(0).get_target_inputs()]
    if any(user.get_type_name() == "Transpose" for user in users):
        return True
    is_alone = len(users) == 1 and not users[0].get_type_name().endswith("Convolution")
    return is_alone and _is_transposed(users[0])


def _mark_all_but(model: openvino.Model, names: set[str]) -> openvino.Model:
    """Mark all operations to stay in float32, except for the named ones."""
    # Python can only set this mark in the file of a model.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        openvino.serialize(model, path)
        tree = ElementTree.parse(path)
        for layer in tree.iter("layer"):
            if layer.get("name") not in names:
                info = layer.find("rt_info")
                info = ElementTree.SubElement(layer, "rt_info") if info is None else info
                ElementTree.SubElement(info, "attribute", MARK)
        tree.write(path)
        return read_openvino(path)


def _uses_amx(compiled: openvino.CompiledModel) -> bool:
    """Whether a stage uses AMX; CPUs with bfloat16 but without AMX gain nothing."""
    operations = compiled.get_runtime_model().get_ops()
    return any("amx" in str(node.get_rt_info()["primitiveType"].value) for node in operations)


def _is_accurate(
    stages: list[openvino.CompiledModel], exact: list[openvino.CompiledModel], image: Pixels
) -> bool:
    """Whether both have the same outputs for an image: OpenVINO does not report ignored marks."""
    pairs = zip(_run(stages, image), _run(exact, image), strict=True)
    # Infinite values have no difference, so the network stays in float32.
    with np.errstate(invalid="ignore"):
        return all(
            bool(np.abs(ours - others).mean() <= TOLERANCE * np.abs(others).mean())
            for ours, others in pairs
        )


def _run(stages: list[openvino.CompiledModel], image: Pixels) -> list[FloatArray]:
    first, *others = stages
    values = first(image).values()
    for stage in others:
        repeated = (np.repeat(value, SECOND_STAGE_IMAGES, axis=0) for value in values)
        values = stage(dict(enumerate(repeated))).values()
    return [value[:1].astype(np.float64) for value in values]
