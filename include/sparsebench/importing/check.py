"""Whether a request can be carried out, as far as that is known without the file."""

from __future__ import annotations

from sparsebench import catalog, download
from sparsebench.catalog import Network
from sparsebench.contracts import ImportRequest
from sparsebench.download import FileSource
from sparsebench.errors import BadInput


def check(request: ImportRequest) -> tuple[Network, FileSource]:
    """The network of a request that can be carried out, and where its file is.

    Raises:
        BadInput: an unknown network, a variant that it does not have or that is not imported, a source from nowhere.
    """
    catalog.check("network", [request.network], catalog.networks())
    network = catalog.networks()[request.network]
    expected = [variant for variant in network.variants if variant != "pruned_int8"]
    if request.variant == "pruned_int8":
        raise BadInput(
            "variant is 'pruned_int8': an INT8 network is held to the fp32 one that it was made from, which a file "
            f"does not name; expected {', '.join(expected)}"
        )
    if request.variant not in expected:
        raise BadInput(f"variant: {network.name} has no {request.variant!r}; expected {', '.join(expected)}")
    return network, download.parse(request.source, "source")
