"""A network that is tiny but real, for what is about the system and not about the engines."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sparsebench.contracts import ModelCard, Variant, Weights
from sparsebench.store import Store

NETWORK = "mobilenetv1"
"""Under which it is registered."""

PROJECT = Path(__file__).parents[2]


def tiny_network(folder: Path) -> bytes:
    """An ONNX file, made by the bench environment."""
    file = folder / "tiny.onnx"
    maker, bench = PROJECT / "tests/support/make_network.py", PROJECT / ".envs/bench/bin/python"
    subprocess.run([bench, maker, file, "--input", "batch,3,224,224"], check=True)
    return file.read_bytes()


def register(store: Store, network: bytes, *variants: Variant) -> None:
    """Put the network into the store, as these variants."""
    for variant in variants:
        store.put_model_card(
            ModelCard(
                network=NETWORK,
                variant=variant,
                artifact=store.put_artifact(network),
                artifact_bytes=len(network),
                gzip_bytes=len(network),
                input_shape=(3, 224, 224),
                parameters=592,
                sparsity=0,
                layers=(),
                recipe="",
                weights=Weights(kind="random", origin="made to try the system", seed=1),
                versions={},
            )
        )
