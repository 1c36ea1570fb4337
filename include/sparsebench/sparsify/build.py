"""The dense network: timm's architecture, with weights from the hub, or random ones where it cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx2
import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from timm.layers import set_fused_attn
from torch import nn

from sparsebench.bench.parity import photographs
from sparsebench.catalog import Network
from sparsebench.contracts import Weights
from sparsebench.errors import BadInput

HUB_TIMEOUT_S = 5
WEIGHTS_FILE = "model.safetensors"

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


@dataclass(frozen=True)
class WeightSource:
    """Weights as the model card describes them, and the file that holds them (None: random)."""

    weights: Weights
    file: Path | None


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


def find_weights(network: Network, seed: int) -> WeightSource:
    """Trained weights from this machine's cache or from the hub (Hugging Face, or HF_ENDPOINT).

    The hub is asked once, for HUB_TIMEOUT_S at most, before anything is downloaded: its client would go on
    trying for most of a minute. When it does not answer, the weights are random, and say why.
    """
    hub_id = timm.get_pretrained_cfg(network.timm).hf_hub_id
    if not hub_id:
        return _random(seed, f"timm has no trained weights for {network.timm}")
    cached = try_to_load_from_cache(hub_id, WEIGHTS_FILE)
    if not isinstance(cached, str):
        try:
            get_hf_file_metadata(hf_hub_url(hub_id, WEIGHTS_FILE), timeout=HUB_TIMEOUT_S)
            cached = hf_hub_download(hub_id, WEIGHTS_FILE)
        except (OSError, httpx2.HTTPError) as error:
            return _random(seed, f"the hub did not give {hub_id}: {type(error).__name__}: {_first_line(error)}")
    file = Path(cached)
    # The cache keeps each file in a folder that has the commit's name.
    return WeightSource(Weights(kind="pretrained", origin=f"{hub_id}@{file.parent.name}"), file)


def _random(seed: int, reason: str) -> WeightSource:
    return WeightSource(Weights(kind="random", origin=reason, seed=seed), None)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def build(network: Network, source: WeightSource) -> nn.Module:
    """The dense network, ready for inference. The same source gives the same values."""
    if source.file is not None:
        return _create(network, pretrained=True, pretrained_cfg_overlay={"file": str(source.file)})
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
