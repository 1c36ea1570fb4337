"""What a request says of its weights and of its images, as far as that can be checked without reading them.

Pure Python: the control environment checks it before anything is launched.
"""

from __future__ import annotations

from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from sparsebench import download
from sparsebench.catalog import Network
from sparsebench.contracts import DIGITS, DatasetRef
from sparsebench.download import FileSource
from sparsebench.errors import BadInput

Named = Literal["hub", "package", "random"]
"""Weights that need no address: of timm's hub, that a Python package ships, or random ones."""

NAMED: tuple[Named, ...] = get_args(Named)

DATASET_EXPECTED = (
    "expected 'builtin:digits'; or of a folder that has train and val, each with a folder of images for every class: "
    "an absolute path, file:///…, s3://<bucket>/<prefix> or store:<path in the store>"
)


def parse(weights: str, network: Network | None = None) -> Named | FileSource:
    """What ``SparsifyRequest.weights`` says.

    Args:
        network: that they are for; with it, ``package`` is refused where no package ships any.

    Raises:
        BadInput: it says nothing that weights could be found by.
    """
    for name in NAMED:
        if weights == name:
            if name == "package" and network is not None and network.package is None:
                raise BadInput(
                    f"weights is 'package': no Python package ships those of {network.name}; expected hub, random, "
                    f"{download.EXPECTED}"
                )
            return name
    return download.parse(weights, "weights", f"{', '.join(NAMED)}, {download.EXPECTED}")


def check_dataset(dataset: DatasetRef) -> tuple[Literal["builtin", "folder", "s3", "store"], str]:
    """The kind of a dataset, and where it is: a path, a URI, a path in the store.

    Raises:
        BadInput: the URI is of no kind that there is.
    """
    uri = dataset.uri
    if uri == DIGITS.uri:
        return "builtin", uri
    if uri.startswith("/"):
        return "folder", uri
    parts = urlsplit(uri)
    match parts.scheme:
        case "file" if parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            return "folder", unquote(parts.path)
        case "s3" if parts.netloc and parts.path.strip("/"):
            return "s3", uri
        case "store" if download.is_store_path(uri.removeprefix("store:")):
            return "store", uri.removeprefix("store:")
    raise BadInput(f"dataset.uri is {uri!r}; {DATASET_EXPECTED}")
