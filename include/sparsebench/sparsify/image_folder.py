"""Labelled images in folders: which files there are, and whether each of them can be read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from sparsebench.errors import BadInput

MAX_PIXELS = 64_000_000
"""Of one image: 8,000 × 8,000. Decoded it has three bytes a pixel, and every worker has one."""

TOLD_EVERY = 10_000
"""Images between two words of progress."""


class Folder(ImageFolder):
    """torchvision's, except that a folder which is reached twice through links counts once, and that a link to what
    the class lies in leads nowhere."""

    @staticmethod
    def make_dataset(directory: str | Path, class_to_idx: dict[str, int], *_: Any, **__: Any) -> list[tuple[str, int]]:
        samples = []
        for name, number in sorted(class_to_idx.items()):
            files = sorted(_files(Path(directory) / name))
            if not files:
                raise FileNotFoundError(f"Found no valid file for the classes {name}")
            samples += [(file, number) for file in files]
        return samples


def _files(root: Path) -> Iterator[str]:
    above = {_identity(folder) for folder in (root, *root.resolve().parents)}
    seen = above - {_identity(root)}
    for folder, below, names in os.walk(root, followlinks=True):
        identity = _identity(Path(folder))
        if identity in seen:
            below.clear()
            continue
        seen.add(identity)
        yield from (str(Path(folder) / name) for name in names if name.lower().endswith(IMG_EXTENSIONS))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def look_through(files: Iterable[str], tell: Callable[[str], None]) -> None:
    """Decode every image once, small: before days of training, not in their middle. ``tell`` hears how far it is.

    Raises:
        BadInput: names the first file that is no image, damaged, cut short, empty or too large.
    """
    every = list(files)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(every), TOLD_EVERY):
            tell(f"looking through the images: {start} of {len(every)}")
            for file, wrong in zip(every[start:], pool.map(_wrong, every[start : start + TOLD_EVERY]), strict=False):
                if wrong:
                    raise BadInput(f"dataset: {file}: {wrong}")


def _wrong(file: str) -> str | None:
    """What is wrong with an image; None: nothing."""
    try:
        if not Path(file).stat().st_size:
            return "the file is empty; expected an image"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what is too large is said below
            with Image.open(file) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    return f"it has {width} × {height} pixels; expected {MAX_PIXELS:,} at most"
                image.draft(
                    "RGB", (max(1, width // 8), max(1, height // 8))
                )  # a JPEG is decoded whole all the same, and faster
                image.load()
    except UnidentifiedImageError:
        return "it is no image, whatever its name says"
    except Image.DecompressionBombError:
        return f"it has more than {MAX_PIXELS:,} pixels"
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: Pillow's word for a broken PNG
        return f"it cannot be decoded: {error}"
    return None
