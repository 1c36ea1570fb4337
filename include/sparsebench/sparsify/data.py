"""Labelled images: a dataset is a name and a URI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import numpy as np
import torch
from timm.data import create_transform, resolve_model_data_config
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, Subset

from sparsebench.catalog import Network
from sparsebench.contracts import DIGITS, DatasetRef
from sparsebench.errors import BadInput
from sparsebench.sparsify.build import architecture
from sparsebench.sparsify.image_folder import Folder, look_through

Part = Literal["train", "validation"]

FOLDERS: dict[Part, tuple[str, ...]] = {"train": ("train",), "validation": ("val", "validation")}
"""The folder of each part, within an ImageNet-1k folder."""

EXPECTED = (
    "expected 'builtin:digits', or the path or file:// URI of a folder that has train and val, each with a folder of "
    "images for every class"
)

DIGITS_SEED = 0
DIGITS_VALIDATION = 360
"""Of the 1,797 images."""


@dataclass(frozen=True)
class Split:
    """Images to train on, and others to validate with. Each item is float32 [3, height, width], and its class."""

    dataset: DatasetRef
    train: Dataset
    validation: Dataset


def split(dataset: DatasetRef, network: Network) -> Split:
    """Both parts of a dataset, as the network takes them; those to train on are augmented, except digits.

    Raises:
        BadInput: as ``images`` does; or parts with different classes.
    """
    train, validation = images(dataset, network, "train"), images(dataset, network, "validation")
    if train.classes != validation.classes:
        other = sorted(set(train.classes) ^ set(validation.classes))[0]
        raise BadInput(f"dataset.uri is {dataset.uri!r}: only one of its parts has the class {other!r}; {EXPECTED}")
    return Split(dataset, train, validation)


def images(dataset: DatasetRef, network: Network, part: Part) -> Any:
    """One part of a dataset, with the names of its ``classes``, in the order of the network's outputs.

    Raises:
        BadInput: a URI that leads nowhere, a part or a class without images, classes that are not the network's.
    """
    opened = _digits(part, network) if dataset.uri == DIGITS.uri else _folder(dataset, part, network)
    if len(opened.classes) != network.classes:
        raise BadInput(
            f"dataset.uri is {dataset.uri!r}: it has {len(opened.classes)} classes; expected the {network.classes} of "
            f"network {network.name}"
        )
    return opened


def check_images(both: Split, tell: Callable[[str], None]) -> None:
    """Decode every image of both parts once; those that are built in are whole.

    Raises:
        BadInput: names the first file that cannot be used.
    """
    for part in (both.train, both.validation):
        if isinstance(part, Folder):
            look_through((file for file, _ in part.samples), tell)


class _Digits(Dataset):
    def __init__(self, pixels: np.ndarray, labels: np.ndarray, size: int):
        self.classes = [str(digit) for digit in range(10)]
        self._pixels = torch.from_numpy(pixels.astype(np.float32) / 8 - 1).reshape(-1, 1, 8, 8)
        self._labels = labels
        self._size = size

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        # Only now: all of them at 256 px would be 1.4 GB.
        image = interpolate(self._pixels[index][None], size=self._size, mode="bilinear", align_corners=False)
        return image[0].expand(3, -1, -1), int(self._labels[index])


def _digits(part: Part, network: Network) -> _Digits:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(DIGITS_SEED).permutation(len(labels))
    chosen = order[:DIGITS_VALIDATION] if part == "validation" else order[DIGITS_VALIDATION:]
    return _Digits(pixels[chosen], labels[chosen], network.input_size)


def _folder(dataset: DatasetRef, part: Part, network: Network) -> Folder:
    root = _path(dataset.uri)
    folder = next((root / name for name in FOLDERS[part] if (root / name).is_dir()), None)
    if folder is None:
        where = f"it has no folder {FOLDERS[part][0]}" if root.is_dir() else "there is no such folder"
        raise BadInput(f"dataset.uri is {dataset.uri!r}: {where}; {EXPECTED}")
    config = resolve_model_data_config(architecture(network)) | {"input_size": network.input_shape}
    try:
        return Folder(str(folder), create_transform(**config, is_training=part == "train"))
    except FileNotFoundError as error:  # no class, or one without an image
        raise BadInput(f"dataset.uri is {dataset.uri!r}: {str(error).rstrip('. ')}; {EXPECTED}") from error


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme:
        raise BadInput(f"dataset.uri is {uri!r}; {EXPECTED}")
    return Path(uri)


def sample(whole: Sequence[Any], count: int) -> Subset:
    """So many items (or all) at equal distances, and so of all classes where they are sorted by class."""
    return Subset(whole, np.linspace(0, len(whole) - 1, min(count, len(whole))).astype(int).tolist())


def batches(whole: Any, batch: int = 64, workers: int = 0) -> DataLoader:
    """The batches of all items in their order: float32 [images, 3, height, width], and their classes."""
    return DataLoader(whole, batch, num_workers=workers)
