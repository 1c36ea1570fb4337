"""The weights that a network begins with: from timm's hub, a Python package, a file, or random ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import httpx2
import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from safetensors.torch import save_file

from sparsebench.catalog import Network, PackagedWeights
from sparsebench.contracts import Weights
from sparsebench.download import FileSource, fetch
from sparsebench.errors import IntegrityError, SparsebenchError
from sparsebench.sparsify import source
from sparsebench.sparsify.tensors import read_weights
from sparsebench.store import Store

HUB_TIMEOUT_S = 5
HUB_FILE = "model.safetensors"


@dataclass(frozen=True)
class WeightSource:
    """Weights as the model card describes them, and the file that holds them (None: random)."""

    weights: Weights
    file: Path | None
    of_hub: bool = False
    """Whether timm has to translate the file's names, which may be those of another library."""


def find(store: Store, network: Network, weights: str, seed: int, folder: Path) -> WeightSource:
    """The weights that ``SparsifyRequest.weights`` names.

    Where they are timm's, and a package ships them, they are the package's, which needs no network; and where the hub
    does not answer, they are random, and say why.

    Args:
        seed: of random weights.
        folder: for the file, which has to stay as long as the weights are wanted.

    Raises:
        BadInput: a string that names no weights, a file that is not there, a network that no package ships.
        StoreError: the store does not have the file.
        DownloadFailed: the file did not come, or not whole.
        IntegrityError: it has not the digest that it must have.
    """
    named = source.parse(weights, network)
    if isinstance(named, FileSource):
        return _file(named, store, folder)
    if named == "random":
        return _random(seed, "random weights were asked for")
    if network.package:
        return _packaged(network.package, network, folder)
    return _hub(network, seed)


def _file(named: FileSource, store: Store, folder: Path) -> WeightSource:
    file = folder / "weights"
    digest = fetch(named, file, store)
    return WeightSource(Weights(kind="pretrained", origin=named.origin, digest=digest), file)


def _packaged(packaged: PackagedWeights, network: Network, folder: Path) -> WeightSource:
    try:
        distribution = Distribution.from_name(packaged.package)
    except PackageNotFoundError as error:
        raise SparsebenchError(
            f"{network.name}: the package {packaged.package} is not installed; expected the environment of the "
            "sparsify lock, as `make setup` installs it"
        ) from error
    shipped = Path(str(distribution.locate_file(packaged.file)))
    if not shipped.is_file() or _digest(shipped) != packaged.sha256:
        raise IntegrityError(
            f"{shipped} is missing or was changed: expected the file with sha256 {packaged.sha256} of the package "
            f"{packaged.package}"
        )
    tensors = read_weights(shipped)
    with torch.device("meta"):
        names = timm.create_model(network.timm).state_dict()
    file = folder / "weights.safetensors"
    packed = (tensor.contiguous() for tensor in tensors.values())
    save_file(dict(zip(names, packed, strict=True)), file)
    origin = f"{packaged.package} {distribution.version}"
    return WeightSource(Weights(kind="pretrained", origin=origin, digest=packaged.sha256), file)


def _hub(network: Network, seed: int) -> WeightSource:
    """Trained weights from this machine's cache or from the hub (Hugging Face, or HF_ENDPOINT).

    The hub is asked once, for HUB_TIMEOUT_S at most, before anything is downloaded: its client would go on
    trying for most of a minute. When it does not answer, the weights are random, and say why.
    """
    hub_id = timm.get_pretrained_cfg(network.timm).hf_hub_id
    if not hub_id:
        return _random(seed, f"timm has no trained weights for {network.timm}")
    cached = try_to_load_from_cache(hub_id, HUB_FILE)
    if not isinstance(cached, str):
        try:
            get_hf_file_metadata(hf_hub_url(hub_id, HUB_FILE), timeout=HUB_TIMEOUT_S)
            cached = hf_hub_download(hub_id, HUB_FILE)
        except (OSError, httpx2.HTTPError) as error:
            return _random(seed, f"the hub did not give {hub_id}: {type(error).__name__}: {_first_line(error)}")
    file = Path(cached)
    # The cache keeps each file in a folder that has the commit's name.
    origin = f"{hub_id}@{file.parent.name}"
    return WeightSource(Weights(kind="pretrained", origin=origin, digest=_digest(file)), file, of_hub=True)


def _random(seed: int, reason: str) -> WeightSource:
    return WeightSource(Weights(kind="random", origin=reason, seed=seed), None)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
