"""Whether a request can be carried out, as far as that is known without torch."""

from __future__ import annotations

from sparsebench import catalog
from sparsebench.catalog import Network
from sparsebench.contracts import SparsifyRequest
from sparsebench.errors import BadInput


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
        if variant == "pruned_int8":
            raise BadInput("variants: 'pruned_int8' is not built yet; ask for base, pruned, fake85 or fake99")
    return network
