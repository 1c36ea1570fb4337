"""ONNX Runtime by its profile, which has the time and the tensor types of every operator.

It names no instruction set: its kernels choose theirs by the CPU when they run.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sparsebench.bench.engines.kernels import COUNTED, DISCARDED, UNKNOWN, Operator, by_share
from sparsebench.bench.engines.onnxruntime import configuration, open_session
from sparsebench.bench.inputs import Inputs, feeds_of
from sparsebench.contracts import Execution, Precision

SUFFIX = "_kernel_time"

BLOCKED = "_nchwc"
"""In the name of a node that it moved to its blocked layout, NCHWc, for which it has kernels of their own."""

AROUND_OTHERS = ("If", "Loop", "Scan")
"""Operators that are whole graphs, whose own operators are in the profile too."""

PRECISIONS = {
    "float": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "double": "f64",
    "int32": "i32",
    "int64": "i64",
    # 8-bit integers are one precision here, signed or not: a quantised convolution has one of each.
    "int8": "i8",
    "uint8": "i8",
}


def execution(model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
    """How ONNX Runtime computes an ONNX file that takes these inputs, on so many threads.

    Both lanes are one configuration.
    """
    with TemporaryDirectory() as folder:
        options = configuration(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(model, options)
        fed = dict(zip((entry.name for entry in inputs.each), feeds_of(inputs)[0], strict=True))
        for _ in range(DISCARDED + COUNTED):
            session.run(None, fed)
        events = json.loads(Path(session.end_profiling()).read_text())
    return Execution(source="profile and the types of tensors", kernels=by_share(_operators(events)))


def _operators(events: list[dict[str, Any]]) -> list[Operator]:
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    arguments, times = dict[str, Any](), dict[str, int]()  # by node
    for event in events:
        if (
            event["name"].endswith(SUFFIX)
            and event["ts"] >= runs[DISCARDED]
            and event["args"]["op_name"] not in AROUND_OTHERS
        ):
            # Nodes may share a name, but not an index.
            node = event["args"]["node_index"] + event["name"]
            arguments[node] = event["args"]
            times[node] = times.get(node, 0) + event["dur"]
    return [
        Operator(
            kernel=("nchwc." if BLOCKED in node else "") + arguments[node]["op_name"],
            precision=_precision(arguments[node]),
            isa=UNKNOWN,
            time=time,
        )
        for node, time in times.items()
    ]


def _precision(arguments: dict[str, Any]) -> str:
    """The precision is that of the tensors. On x86-64 it computes float tensors in fp32, and has no other mode for
    them."""
    inputs, outputs = (
        [PRECISIONS.get(kind, kind) for tensor in arguments[side] for kind in tensor]
        for side in ("input_type_shape", "output_type_shape")
    )
    if arguments["op_name"].lower().endswith("quantizelinear"):  # also Dequantize…: a division or product in floats
        return next(kind for kind in inputs + outputs if kind != "i8")
    # An integer product may come out as i32 or f32.
    return "i8" if "i8" in inputs else outputs[0]
