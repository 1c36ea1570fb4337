"""Export to an ONNX file that every engine loads."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

OPSET = 13


def to_onnx(model: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    """The ONNX file: float32, one input [batch, channels, height, width] with a dynamic batch, logits as output."""
    # SparseML takes many seconds to import: only when there is something to export.
    from sparseml.pytorch.utils import ModuleExporter

    with TemporaryDirectory() as folder:
        ModuleExporter(model, folder).export_onnx(torch.zeros(1, *input_shape), name="model.onnx", opset=OPSET)
        return (Path(folder) / "model.onnx").read_bytes()
