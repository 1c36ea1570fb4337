"""The images that networks are shown when their outputs are compared: the same ones everywhere, for ever."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]

IMAGES = 8
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""ImageNet's, of RGB in 0..1."""


def fixed_images(input_shape: tuple[int, int, int], digits: bool = False) -> Images:
    """The images of every comparison, float32 [images, channels, height, width]; the first is that of every timing.

    Four photographs, and the same mirrored: of noise a trained network says the same whatever the noise, and even
    where it was ruined by its quantisation. For a network of digits eight digits: what it says of anything else is
    chance, in which an INT8 network and its parent agree by chance only. Noise where an image is not of three channels.
    """
    if digits:
        return _handwritten(input_shape)
    if input_shape[0] != 3:
        return np.random.default_rng(0).standard_normal((IMAGES, *input_shape), dtype=np.float32)
    upright = photographs(input_shape)
    return np.concatenate([upright, upright[..., ::-1]])


def photographs(input_shape: tuple[int, int, int]) -> Images:
    """Four photographs (photographs.txt), stretched to height x width and normalised as ImageNet's: float32
    [4, 3, height, width]."""
    _, height, width = input_shape
    with files("sparsebench.bench").joinpath("photographs.npz").open("rb") as file:
        pictures = np.load(file)["photographs"]
    normalised = ((pictures / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(_stretched(_stretched(normalised, height, axis=2), width, axis=3))


def as_bytes(images: Images) -> NDArray[np.uint8]:
    """Normalised RGB images [images, 3, height, width] as they were before: 0 to 255."""
    colours = (images * STD[:, None, None] + MEAN[:, None, None]) * 255
    return np.rint(colours).clip(0, 255).astype(np.uint8)


def _handwritten(input_shape: tuple[int, int, int]) -> Images:
    """Eight digits (digits.txt), as sparsebench.sparsify.data has them: float32 [8, channels, height, width]."""
    channels, height, width = input_shape
    with files("sparsebench.bench").joinpath("digits.npz").open("rb") as file:
        pictures = np.load(file)["digits"]
    normalised = (pictures.astype(np.float32) / 8 - 1)[:, None]
    stretched = _stretched(_stretched(normalised, height, axis=2), width, axis=3)
    return np.ascontiguousarray(np.repeat(stretched, channels, axis=1))


def _stretched(images: Any, size: int, axis: int) -> Any:
    """Linear interpolation along an axis. Element by element: BLAS would round differently on each host."""
    source = images.shape[axis]
    # The centres of the new pixels, where the old ones' are 0, 1, 2, …
    centres = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    before = centres.astype(int)
    after = np.minimum(before + 1, source - 1)
    weight = (centres - before).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(images.ndim)])
    return images.take(before, axis) * (1 - weight) + images.take(after, axis) * weight
