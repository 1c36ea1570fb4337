"""OpenVINO by its runtime model, which has the primitive, the precision and the mean time of every operator.

A primitive's name is like brgconv_avx512_1x1_bf16: an implementation, an instruction set, a precision. It names the
family of instructions only: avx512 stands for avx512_bf16 and avx512_vnni too. An operator that takes less than 1 µs
is not in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sparsebench.bench.engines.kernels import COUNTED, DISCARDED, UNKNOWN, Operator, by_share
from sparsebench.bench.engines.openvino import compile_network, configuration, places
from sparsebench.bench.inputs import Inputs, feeds_of
from sparsebench.contracts import Execution, Precision

ISA = re.compile(r"avx512_amx|avx512|avx2|avx|sse42|sve|asimd")

OTHER_WORDS = {
    # 8-bit integers are one precision here, signed or not, as in its primitives' names.
    "u8": "i8",
    "dynamic": UNKNOWN,
    "undefined": UNKNOWN,
}

AROUND_OTHERS = ("If", "Loop", "TensorIterator")
"""Operators that are whole graphs, whose own operators it does not tell of: what it calls their precision is that of
their first input, such as a condition's."""


def execution(model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
    """How OpenVINO computes an ONNX file that takes these inputs, on so many threads."""
    config = configuration(threads, precision, "latency") | {"PERF_COUNT": True}
    compiled = compile_network(model, inputs, config)
    request, feeds = compiled.create_infer_request(), feeds_of(inputs)[0]
    arrays = [feeds[place] for place in places(compiled, inputs)]

    def infer(times: int) -> dict[str, Any]:
        for _ in range(times):
            request.infer(arrays, share_inputs=True)
        return _executed(compiled)

    once = infer(0)  # what it computed when it compiled: weights in another layout or precision
    early_us = {name: _mean_us(info) for name, info in infer(DISCARDED).items()}
    operators = [
        Operator(
            kernel=_kernel(info),
            precision=_precision(info),
            isa=_isa(_text(info, "primitiveType")),
            # The mean is that of all inferences since it was compiled; those to discard have to be taken out again.
            time=max(0, _mean_us(info) * (DISCARDED + COUNTED) - early_us.get(name, 0) * DISCARDED),
        )
        for name, info in infer(COUNTED).items()
        if name not in once
    ]
    return Execution(source="runtime model and performance counters", kernels=by_share(operators))


def _executed(compiled: Any) -> dict[str, Any]:
    """What the runtime model has of each operator that took any time so far."""
    operators = {operator.friendly_name: operator.get_rt_info() for operator in compiled.get_runtime_model().get_ops()}
    return {name: info for name, info in operators.items() if _text(info, "execTimeMcs") != "not_executed"}


def _mean_us(info: Any) -> int:
    return int(_text(info, "execTimeMcs"))


def _kernel(info: Any) -> str:
    """Such as "Convolution brgconv_avx512_bf16": a primitive like jit_uni_f32 alone does not say what it does."""
    layer, primitive = _text(info, "layerType"), _text(info, "primitiveType")
    return layer if primitive.startswith(("unknown", "undef")) else f"{layer} {primitive}"


def _precision(info: Any) -> str:
    precision = _text(info, "runtimePrecision")
    return UNKNOWN if _text(info, "layerType") in AROUND_OTHERS else OTHER_WORDS.get(precision, precision)


def _isa(primitive: str) -> str:
    match = ISA.search(primitive)
    return match[0] if match else UNKNOWN


def _text(info: Any, key: str) -> str:
    return str(info[key].astype(str))
