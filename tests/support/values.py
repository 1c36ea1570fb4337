"""What a test knows of a value, and a type does not say."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

Found = TypeVar("Found")


def there(value: Found | None) -> Found:
    """What may be missing elsewhere, and is there in this test."""
    assert value is not None
    return value


def numbers(drawn: ArrayLike) -> list[float]:
    """The numbers that something is drawn by."""
    return [float(number) for number in np.asarray(drawn)]
