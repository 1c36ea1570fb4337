"""What a test knows of a value, and a type does not say."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

Found = TypeVar("Found")


def there(found: Found | None) -> Found:
    """What may be missing elsewhere, and is there in this test."""
    assert found is not None
    return found


def numbers(drawn: ArrayLike) -> list[float]:
    """The numbers that something is drawn by."""
    return [float(one) for one in np.asarray(drawn)]
