"""Whether a request can be carried out, as far as that is known without torch."""

from __future__ import annotations

from sparsebench import catalog
from sparsebench.catalog import Network
from sparsebench.contracts import SparsifyRequest, Variant
from sparsebench.errors import BadInput

BUILDABLE: tuple[Variant, ...] = ("base", "pruned", "fake85", "fake99")
"""What is built so far."""


def check(request: SparsifyRequest) -> Network:
    """The network of a request that can be carried out.

    Raises:
        BadInput: an unknown network, a variant that it does not have, or one that is not built here.
    """
    catalog.check("network", [request.network], catalog.networks())
    network = catalog.networks()[request.network]
    for variant in request.variants:
        if variant not in network.variants:
            raise BadInput(f"variants: {network.name} has no {variant!r}; it has {', '.join(network.variants)}")
        if variant not in BUILDABLE:
            raise BadInput(f"variants: {variant!r} is not built yet; ask for {', '.join(BUILDABLE)}")
    return network
