"""From targets to a SparseML recipe. Pure Python: it needs neither torch nor SparseML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from textwrap import indent

import yaml

from sparsebench.catalog import Network
from sparsebench.contracts import BuiltVariant
from sparsebench.errors import BadInput

FAKE_SPARSITY: dict[BuiltVariant, float] = {"fake85": 0.85, "fake99": 0.99}
"""Fake pruning takes every prunable layer to the same sparsity, whatever that does to the accuracy."""


def variant_targets(network: Network, variant: BuiltVariant, layers: Iterable[str]) -> dict[str, float]:
    """The sparsity of each layer that the variant prunes; empty for the variant that prunes nothing.

    Raises:
        BadInput: a layer group of the catalog that none of the network's layers belongs to.
    """
    if variant == "base":
        return {}
    if variant in FAKE_SPARSITY:
        return dict.fromkeys(layers, FAKE_SPARSITY[variant])
    return _group_targets(network, layers)


def _group_targets(network: Network, layers: Iterable[str]) -> dict[str, float]:
    """A layer belongs to the first group that matches it; a layer of no group stays dense."""
    targets: dict[str, float] = {}
    used: set[str] = set()
    for layer in layers:
        group = next((group for group in network.pruned if re.search(group.layers, layer)), None)
        if group is not None:
            targets[layer] = group.sparsity
            used.add(group.layers)
    for group in network.pruned:
        if group.layers not in used:
            raise BadInput(
                f"network {network.name}: the layer group {group.layers!r} has no layer of {network.timm}: "
                "its pattern matches none, or earlier groups have taken them all"
            )
    return targets


def one_shot(targets: Mapping[str, float]) -> str:
    """The recipe (YAML) that prunes each layer to its target in one shot, by magnitude.

    SparseML wants the targets as a dictionary from a sparsity to the names of parameters, each strictly
    between 0 and 1, and ``params`` empty beside it. Epochs mean nothing in one shot, but it wants them too.
    """
    if not targets:
        return ""
    final: dict[float, list[str]] = {}
    for layer, sparsity in targets.items():
        final.setdefault(sparsity, []).append(f"{layer}.weight")
    modifier = {
        "init_sparsity": 0.05,
        "final_sparsity": dict(sorted(final.items())),
        "start_epoch": 0.0,
        "end_epoch": 1.0,
        "update_frequency": 1.0,
        "params": [],
        "leave_enabled": True,
        "mask_type": "unstructured",
    }
    return "modifiers:\n  - !GMPruningModifier\n" + indent(yaml.safe_dump(modifier, sort_keys=False), " " * 6)
