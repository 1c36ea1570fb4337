"""Whether a request can be carried out, as far as that is known without the files."""

from __future__ import annotations

from dataclasses import dataclass

from sparsebench import catalog, download
from sparsebench.catalog import Network
from sparsebench.contracts import ImportRequest
from sparsebench.download import FileSource
from sparsebench.errors import BadInput

INT8_NEEDS = {
    "parent": "the fp32 network that the INT8 one was made from: its top classes are what the INT8 one is held to",
    "integer": "the file with integer operators (ConvInteger), which DeepSparse needs to be fast",
}


@dataclass(frozen=True)
class Sources:
    """Where the files are; ``parent`` and ``integer`` are an INT8 network's."""

    file: FileSource
    parent: FileSource | None = None
    integer: FileSource | None = None


def check(request: ImportRequest) -> tuple[Network, Sources]:
    """The network of a request that can be carried out, and where its files are.

    Raises:
        BadInput: an unknown network, a variant that it does not have, a source from nowhere, an INT8 network without
            its other files, or these for another one.
    """
    catalog.check("network", [request.network], catalog.networks())
    network = catalog.networks()[request.network]
    if request.variant not in network.variants:
        raise BadInput(f"variant: {network.name} has no {request.variant!r}; expected {', '.join(network.variants)}")
    file = download.parse(request.source, "source")
    others = {"parent": request.parent, "integer": request.integer}
    for field, text in others.items():
        if request.variant == "pruned_int8" and text is None:
            raise BadInput(f"{field} is missing; expected, of {request.variant}, {INT8_NEEDS[field]}")
        if request.variant != "pruned_int8" and text is not None:
            raise BadInput(f"{field} is {text!r}; expected none of {request.variant}, which is no INT8 network")
    return network, Sources(file, **{field: download.parse(text, field) for field, text in others.items() if text})
