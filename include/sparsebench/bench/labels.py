"""Labels and wording that a run and the report share."""

from __future__ import annotations

from sparsebench.contracts import DisturbanceKind

_DISTURBED: dict[DisturbanceKind, str] = {
    "foreign_cores": "other processes took {:.1f} of a core",
    "waited_cores": "it waited for other processes {:.2f} of the time",
    "stolen_cores": "the hypervisor took {:.1f} of a core",
    "throttled": "the CPU was throttled {:.0f} times",
    "major_faults": "{:.0f} page faults went to disk",
    "swapped_pages": "{:.0f} pages were swapped",
}


def disturbance(kind: DisturbanceKind, value: float) -> str:
    """other processes took 0.9 of a core"""
    return _DISTURBED[kind].format(value)
