"""The notice that EC2 gives two minutes before it takes a spot instance away."""

from __future__ import annotations

from math import inf
from time import monotonic

from sparsebench.instance.exits import Interrupted
from sparsebench.instance.imds import metadata

EVERY_S = 5
"""Between two looks; AWS recommends it."""


class SpotNotice:
    """Looks for the notice. An instance that is not a spot instance, or no instance at all, never gets one."""

    def __init__(self) -> None:
        self._is_spot = metadata("meta-data/instance-life-cycle") == "spot"
        self._looked_at = -inf
        self._notice: str | None = None

    def check(self) -> None:
        """
        Raises:
            Interrupted: there is a notice; each time, once there is one.
        """
        if self._is_spot and not self._notice and monotonic() - self._looked_at >= EVERY_S:
            self._looked_at = monotonic()
            self._notice = metadata("meta-data/spot/instance-action")
        if self._notice:
            raise Interrupted(f"EC2 takes this spot instance away: {' '.join(self._notice.split())}")
