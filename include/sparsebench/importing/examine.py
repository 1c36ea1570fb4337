"""What a file must be, before any engine is asked."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from sparsebench.bench.engines.deepsparse import MAX_IR_VERSION, MAX_OPSET
from sparsebench.bench.filetype import read_model
from sparsebench.bench.graphs import QUANTISED, Encoding, constants, encoding_of, weight_sparsity
from sparsebench.bench.inputs import inputs_of
from sparsebench.bench.network_file import Samples, with_sizes
from sparsebench.bench.onnx_header import OnnxHeader, read_header
from sparsebench.catalog import Network
from sparsebench.contracts import LayerSparsity
from sparsebench.errors import BadInput
from sparsebench.sparsify.inspect_onnx import layer_sparsities, overall_sparsity


@dataclass(frozen=True)
class Examined:
    """A file that could be the network's."""

    path: Path
    digest: str
    """Of the file as it came."""
    origin: str
    """What an error calls it."""
    data: bytes
    model: onnx.ModelProto
    header: OnnxHeader


def examine(path: Path, digest: str, origin: str, network: Network, encoding: Encoding) -> Examined:
    """The file, when it is one that could be this network's.

    Args:
        digest: its sha256.
        encoding: that its numbers must have.

    Raises:
        BadInput: it is not ONNX, of a version that not every engine loads, of another encoding, or takes or gives
            something else.
    """
    data = read_model(path, origin)
    header = read_header(data, origin)
    if header.samples is not None:
        raise BadInput(f"{origin}: it brings samples of its own; expected none, as base and pruned are fed the same")
    # First: the checker knows no newer opset than its own, and would only say so.
    if header.opset > MAX_OPSET or header.ir_version > MAX_IR_VERSION:
        raise BadInput(
            f"{origin}: opset {header.opset}, IR version {header.ir_version}; expected at most opset {MAX_OPSET} and "
            f"IR version {MAX_IR_VERSION}, which every engine loads"
        )
    model = onnx.load_model_from_string(data)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BadInput(f"{origin}: not valid ONNX: {error}") from error
    if (shape := header.image_shape()) != network.input_shape:
        raise BadInput(
            f"{origin}: its images are {list(shape)}; expected {list(network.input_shape)}, as the catalog's "
            f"{network.name} takes them"
        )
    for tensor in (*header.inputs, *header.outputs):
        if tensor.kind != "float32":
            raise BadInput(f"{origin}: {tensor.name!r} is {tensor.kind or 'no tensor'}; expected float32")
    if len(header.outputs) != 1:
        names = [tensor.name for tensor in header.outputs]
        raise BadInput(f"{origin}: its outputs are {names}; expected one, logits [batch, {network.classes}]")
    if (numbers := encoding_of(model)) != encoding:
        raise BadInput(f"{origin}: its numbers are in {numbers}; expected {encoding}")
    return Examined(path, digest, origin, data, model, header)


def examine_foreign(
    path: Path, digest: str, origin: str, axes: tuple[str, ...], samples: Samples | None = None, int8: bool = False
) -> Examined:
    """The file of a network that the catalog does not know: it may take and give any tensors. The sizes of its free
    axes and its samples are written into it, so that it says itself what it takes and what it is fed.

    Args:
        int8: whether it is said to be quantised, in any way that ONNX has for it.

    Raises:
        BadInput: it is not ONNX, takes or gives what is no tensor, or has free axes that were given no size; the
            samples are not for it; or it is not quantised, as it should be.
    """
    data, _, _ = with_sizes(read_model(path, origin), axes, "axes", origin, samples)
    path.write_bytes(data)
    header, model = read_header(data, origin), onnx.load_model_from_string(data)
    if int8 and not header.quantised:
        raise BadInput(f"{origin}: nothing in it is quantised; expected operators such as {', '.join(QUANTISED)}")
    return Examined(path, digest, origin, data, model, header)


def layers(file: Examined) -> tuple[LayerSparsity, ...]:
    """How sparse each layer is.

    Raises:
        BadInput: no layer has weights of its own, so that nothing can be said of it.
    """
    sparsities = layer_sparsities(file.model)
    if not sparsities:
        raise BadInput(
            f"{file.origin}: no Conv, Gemm or MatMul has weights in it; expected a network that has its weights"
        )
    return sparsities


def parameters(file: Examined) -> int:
    """Numbers in the floating-point tensors of an fp32 file: weights, biases, and what batch norms have not folded."""
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    return sum(prod(tensor.dims) for tensor in file.model.graph.initializer if tensor.data_type in floats)


def contents_of_foreign(file: Examined) -> dict[str, Any]:
    """What the card of a network says that the catalog does not know: it may have no weights of a known kind at all."""
    picture = inputs_of(file.header, file.origin).picture
    sparsities = layer_sparsities(file.model)
    return {
        "input_shape": picture.shape if picture else (0, 0, 0),
        "parameters": max(1, sum(prod(tensor.dims) for tensor in constants(file.model.graph).values())),
        "sparsity": overall_sparsity(sparsities) if sparsities else weight_sparsity(file.data) or 0.0,
        "layers": sparsities,
    }
