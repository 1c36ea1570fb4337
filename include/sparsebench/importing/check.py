"""Whether a request can be carried out, as far as that is known without the files."""

from __future__ import annotations

from dataclasses import dataclass

from sparsebench import catalog, download
from sparsebench.bench.network_file import axis_sizes
from sparsebench.catalog import Network
from sparsebench.contracts import ImportRequest, Variant
from sparsebench.download import FileSource
from sparsebench.errors import BadInput

INT8_NEEDS = {
    "parent": "the fp32 network that the INT8 one was made from: its top classes are what the INT8 one is held to",
    "integer": "the file with integer operators (ConvInteger), which DeepSparse needs to be fast",
}


@dataclass(frozen=True)
class Sources:
    """Where the files are; ``parent`` and ``integer`` are an INT8 network's, ``samples`` are of a network that the
    catalog does not know, whose ``parent`` is its base."""

    file: FileSource
    parent: FileSource | None = None
    integer: FileSource | None = None
    samples: FileSource | None = None


FOREIGN_VARIANTS: tuple[Variant, ...] = ("base", "pruned", "int8")
"""Of a network that the catalog does not know. Its INT8 file is held to itself: what noise, or a few samples, do to its
top class says nothing of how good it is."""


def check(request: ImportRequest) -> tuple[Network | None, Sources]:
    """The network of a request that can be carried out, and where its files are.

    Returns:
        The network is None where the request is for one that the catalog does not know.

    Raises:
        BadInput: an unknown network, a variant that it does not have, a source from nowhere, an INT8 network without
            its other files, or these for another one; or the name or the axes of a network of its own are no such.
    """
    network = None
    if request.axes is None:
        catalog.check("network", [request.network], catalog.networks())
        if request.samples is not None:
            raise BadInput(f"samples is {request.samples!r}; expected none of a network of the catalog")
        network = catalog.networks()[request.network]
    else:
        if request.network in catalog.networks() | catalog.digits_networks():
            raise BadInput(f"network: {request.network!r} is one of the catalog's; choose another name for your own")
        axis_sizes(request.axes, "axes")
    variants = network.variants if network else FOREIGN_VARIANTS
    if request.variant not in variants:
        raise BadInput(f"variant: {request.network} has no {request.variant!r}; expected {', '.join(variants)}")
    file = download.parse(request.source, "source")
    others = {"parent": request.parent, "integer": request.integer}
    for field, text in others.items():
        if request.variant == "pruned_int8" and text is None:
            raise BadInput(f"{field} is missing; expected, of {request.variant}, {INT8_NEEDS[field]}")
        of_own = field == "parent" and network is None and request.variant != "base"
        if of_own and text is not None and request.samples is None:
            raise BadInput(
                f"{field} is {text!r}; expected none of {request.variant} without samples, as what noise changes says "
                "nothing"
            )
        if request.variant != "pruned_int8" and text is not None and not of_own:
            raise BadInput(f"{field} is {text!r}; expected none of {request.variant}, which is no INT8 network of ours")
    others["samples"] = request.samples
    return network, Sources(file, **{field: download.parse(text, field) for field, text in others.items() if text})
