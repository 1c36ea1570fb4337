"""The dense network: timm's architecture, with the weights that were found for it."""

from __future__ import annotations

import timm
import torch
from timm.layers import set_fused_attn
from torch import nn

from sparsebench.bench.images import photographs
from sparsebench.catalog import Network
from sparsebench.errors import BadInput
from sparsebench.sparsify.tensors import load_weights
from sparsebench.sparsify.weights import WeightSource

NORM_BIAS_STD = 0.1
"""Of the biases of random networks, relative to activations of about 1."""

CALIBRATION_BATCHES = 8
CALIBRATION_NOISE = 4
"""Images of noise in each batch, beside the photographs."""

MIN_VARIANCE_KEPT = 0.1
"""A channel that pruning has silenced keeps this share of its variance: else its rounding errors would be
amplified, layer by layer, until no two engines agree. Pruning to 15 % leaves half of a variance."""

# An attention in one fused operator has no counterpart in opset 13.
set_fused_attn(False)


def architecture(network: Network) -> nn.Module:
    """The network without any values: names and shapes only. Costs nearly nothing.

    Raises:
        BadInput: timm does not know the architecture.
    """
    with torch.device("meta"):
        return _create(network)


def prunable_layers(model: nn.Module) -> dict[str, int]:
    """Number of weights of each layer that SparseML calls prunable: every convolution and linear layer."""
    return {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def build(network: Network, source: WeightSource) -> nn.Module:
    """The dense network, ready for inference. The same source gives the same values.

    Raises:
        BadInput: the source's file is damaged, or has the weights of another network.
    """
    if source.of_hub:
        return _create(network, pretrained=True, pretrained_cfg_overlay={"file": str(source.file)})
    if source.file is not None:
        model = _create(network)
        try:
            load_weights(model, source.file)
        except BadInput as error:
            raise BadInput(f"weights: those of {source.weights.origin}: {error}") from error
        return model
    torch.manual_seed(source.weights.seed or 0)
    model = _create(network)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            # Zero as it starts; then a network that is pruned to 1 % would compute nothing but zeros.
            nn.init.normal_(module.bias, std=NORM_BIAS_STD)
    calibrate_batch_norms(model, network)
    return model


def _create(network: Network, **options: object) -> nn.Module:
    # Residual blocks that end in zeros are good to train from; as weights that stay random they would make
    # whole kernels vanish.
    residual = {"zero_init_last": False} if network.timm.startswith("resnet") else {}
    if not timm.is_model(network.timm):
        raise BadInput(f"network {network.name}: timm is {network.timm!r}: timm {timm.__version__} has no such model")
    return timm.create_model(network.timm, num_classes=network.classes, **residual, **options).eval()


def calibrate_batch_norms(model: nn.Module, network: Network) -> None:
    """Let the batch norms of a random network see some (seeded) noise, and the photographs that the engines' outputs
    are compared on: after it is made, and again when it is pruned.

    Without that, activations of random weights grow or fade from layer to layer, until the output says nothing
    of the input, or numbers are denormal, which are slow and would pass for a property of the engine.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    before = [(norm.momentum, norm.running_var.clone()) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    noise = torch.Generator().manual_seed(0)
    # With noise alone, activations of a photograph would grow from layer to layer, and rounding errors with them.
    real = torch.from_numpy(photographs(network.input_shape))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of the sums, and so the file's digest, does not depend on the machine
    with torch.no_grad():
        for _ in range(CALIBRATION_BATCHES):
            model(torch.cat([torch.randn(CALIBRATION_NOISE, *network.input_shape, generator=noise), real]))
    torch.set_num_threads(threads)
    for norm, (momentum, variance) in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.running_var = torch.maximum(norm.running_var, MIN_VARIANCE_KEPT * variance)
    model.eval()
