"""OpenVINO in products of bfloat16, on processors that have them, as good as in float32.

A number of float32 is the sum of two of bfloat16, but for its last bits, and a product that of
three, which are added in float32: G. Henry, P. Tang & A. Heinecke, "Leveraging the bfloat16
Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019, arXiv:1904.06376.
Processors with AMX need a sixteenth of the time for each.
"""

import functools
import math
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openvino
from openvino import opset1
from openvino import opset13 as ops
from openvino._offline_transformations import apply_moc_transformations

from .conversion import read_openvino

__all__ = ["compile_stages"]

#: Convolutions are split that multiply so often for each number that they read and write...
WORTH_SPLITTING = 100

#: ... where so large a share of all products is in these.
SHARE = 0.5

#: ... and, where that takes a second stage, so many of them that it pays.
WORTH_A_STAGE = 10**8

#: What pixels are scaled with.
SCALING = {"Add": ops.add, "Multiply": ops.multiply}

#: OpenVINO writes these anew, in which the mark is lost that keeps them in float32.
UNMARKED = ("Interpolate", "MatMul")

#: Images that a second stage takes.
TOGETHER = 8

#: OpenVINO's mark of what is not to be computed in less than float32.
MARK = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}

#: Outputs may differ from those in float32 by so much, as a share of their mean.
TOLERANCE = 1e-3


def compile_stages(model, shape):
    """What runs a network: it as a whole, or two, of which the second takes what the first gives.

    Parameters
    ----------
    model : openvino.Model
        From pixels, uint8.
    shape : tuple of int
        Of the pixels of an image: height, width, 3.

    Returns
    -------
    list of openvino.CompiledModel
        One in float32 for one image, unless the processor has AMX, it is worth it, and outputs are
        the same. A second one is for ``TOGETHER`` images.
    """
    whole = _fitted(model, [1, *shape])
    exact = [_compiled(whole, "f32")]
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return exact
    image = np.random.default_rng(0).integers(0, 256, [1, *shape], dtype=np.uint8)
    try:
        stages = _stages(whole, functools.partial(_fitted, model, [TOGETHER, *shape]))
        is_better = stages and _runs_in_tiles(stages[0]) and _agree(stages, exact, image)
    except RuntimeError:  # As all of OpenVINO's are; it may know neither mark nor operation.
        return exact
    return stages if is_better else exact


def _compiled(model, precision):
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "THROUGHPUT",
        # Stages would push each other from their cores.
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(model, "CPU", settings)


def _fitted(model, shape):
    """A copy for so many images, written as it is computed best."""
    copy = model.clone()
    copy.reshape(shape)
    apply_moc_transformations(copy, cf=True)
    _transpose_last(copy)
    return copy


def _stages(model, of_several):
    """One that computes all, or two, of what can be split and the rest; none if it gains nothing.

    The rest are many small operations, which take longer to begin than to compute. So they are
    those of the model that `of_several` makes.
    """
    _use_old_max_pools(model)
    before, after = _cut(model)
    convolutions = _worth_splitting(before, WORTH_A_STAGE if after else 0)
    if not convolutions:
        return []
    stages = [_compiled(_marked(before, _split(convolutions)), "bf16")]
    return [*stages, _compiled(_cut(of_several())[1], "f32")] if after else stages


def _transpose_last(model):
    """Scale pixels before they are transposed, which a convolution does not need to be done."""
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


def _use_old_max_pools(model):
    """Use the form of MaxPool that OpenVINO makes of it, as it would lose a mark then."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MaxPool" and not node.output(1).get_target_inputs():
            names = ("strides", "pads_begin", "pads_end", "kernel", "rounding_type", "auto_pad")
            settings = [node.get_attributes()[name] for name in names]
            node.output(0).replace(opset1.max_pool(node.input_value(0), *settings).output(0))


def _cut(model):
    """What comes before the first operation that cannot be marked, and the rest, if any."""
    later = set()
    for node in model.get_ordered_ops():
        sources = (value.get_node().get_friendly_name() for value in node.input_values())
        if node.get_type_name() in UNMARKED or not later.isdisjoint(sources):
            later.add(node.get_friendly_name())
    if not later:
        return model, None
    results, inputs = model.get_results(), {}
    for node in model.get_ordered_ops():
        for value in node.inputs():
            source = value.get_source_output()
            giver = source.get_node()
            is_cut = node.get_friendly_name() in later and giver.get_friendly_name() not in later
            if is_cut and giver.get_type_name() != "Constant":
                key = giver.get_friendly_name(), source.get_index()
                if key not in inputs:
                    inputs[key] = source, ops.parameter(source.shape, source.get_element_type())
                value.replace_source_output(inputs[key][1].output(0))
    outputs, parameters = zip(*inputs.values(), strict=True)
    before = openvino.Model([ops.result(output) for output in outputs], model.get_parameters())
    return before, openvino.Model(results, list(parameters))


def _worth_splitting(model, least):
    """The convolutions to split, none if most products are in others or they are too few."""
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
        is_worth_it = n_here >= WORTH_SPLITTING * (n_read + n_written)
        is_worth_it &= kind == "Convolution" and is_known and is_float32
        n_products[is_worth_it] += n_here
        if is_worth_it:
            chosen.append(node)
    least = max(least, SHARE * sum(n_products.values()))
    return chosen if n_products[True] >= least else []


def _split(convolutions):
    """Make three of each convolution; their names."""
    names = set()
    for node in convolutions:
        x, weights = node.input_values()

        def product(x, weights, name, node=node):
            convolution = ops.convolution(x, weights, **node.get_attributes())
            convolution.set_friendly_name(f"{node.get_friendly_name()} {name}")
            names.add(convolution.get_friendly_name())
            return convolution

        values = weights.get_node().get_data()
        # The first 16 of 32 bits are a number of bfloat16.
        first_bits = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
        high, low = ops.constant(first_bits), ops.constant(values - first_bits)
        x_low = ops.subtract(x, ops.convert(ops.convert(x, "bf16"), "f32"))
        small = _in_float32(product(x_low, high, "low times high"))
        small = ops.add(product(x, low, "high times low"), small)
        large = product(x, high, "high times high")
        if _is_transposed(node):
            # OpenVINO transposes what a convolution has added to with a copy, other values without.
            large = _in_float32(large)
        node.output(0).replace(ops.add(large, small).output(0))
    return names


def _in_float32(convolution):
    """A marked operation that changes nothing, but has the outputs written in float32."""
    return ops.clamp(convolution, -3e38, 3e38)


def _is_transposed(node):
    """Whether what comes of a convolution, with bias and activation, is transposed."""
    users = [user.get_node() for user in node.output(0).get_target_inputs()]
    if any(user.get_type_name() == "Transpose" for user in users):
        return True
    is_alone = len(users) == 1 and not users[0].get_type_name().endswith("Convolution")
    return is_alone and _is_transposed(users[0])


def _marked(model, names):
    """The model with a mark on all that is to stay in float32: what is not named."""
    # Python has no other way to set this mark than in the file of a model.
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


def _runs_in_tiles(compiled):
    """Whether a stage uses AMX; other processors with bfloat16 gain nothing."""
    operations = compiled.get_runtime_model().get_ops()
    return any("amx" in str(node.get_rt_info()["primitiveType"].value) for node in operations)


def _agree(stages, exact, image):
    """Whether both give the same for an image, as nothing says whether marks were heeded."""
    pairs = zip(_outputs(stages, image), _outputs(exact, image), strict=True)
    # What is infinite has no difference, so it is left in float32.
    with np.errstate(invalid="ignore"):
        return all(
            np.abs(ours - others).mean() <= TOLERANCE * np.abs(others).mean()
            for ours, others in pairs
        )


def _outputs(stages, image):
    first, *others = stages
    values = first(image).values()
    for stage in others:
        together = (np.repeat(value, TOGETHER, axis=0) for value in values)
        values = stage(dict(enumerate(together))).values()
    return [value[:1].astype(np.float64) for value in values]
