"""What made-up nights are made of."""

from __future__ import annotations

from sparsebench.contracts import HostFacts, LayerSparsity, ModelCard, Weights, sha256


def host(instance_type: str) -> HostFacts:
    return HostFacts(
        instance_id="i-1",
        instance_type=instance_type,
        emulated=False,
        cpu_model="CPU",
        cpu_flags=(),
        caches={},
        physical_cores=2,
        logical_cores=4,
        frequency_mhz=None,
        memory_bytes=1,
        kernel="6.1",
        os="Linux",
        python="3.11",
        versions={},
    )


def card(network: str, variant: str) -> ModelCard:
    """A made-up model of the catalog."""
    return ModelCard(
        network=network,
        variant=variant,  # type: ignore[arg-type]
        artifact=sha256(f"{network} {variant}".encode()),
        artifact_bytes=20_000_000,
        gzip_bytes=10_000_000,
        input_shape=(3, 224, 224),
        parameters=5_000_000,
        sparsity=0.0 if variant == "base" else 0.85,
        layers=(LayerSparsity(name="conv", parameters=5_000_000, sparsity=0.0 if variant == "base" else 0.85),),
        recipe="",
        weights=Weights(kind="pretrained", origin="made up"),
        accuracy=None,
        versions={},
    )
