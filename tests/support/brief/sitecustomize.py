"""Python imports this in every process that has the folder on its path: the protocol quick is over in seconds.

For tests of a system or of a file, to which it does not matter how well a throughput is known.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparsebench.catalog import protocols

protocols()["quick"] = protocols()["quick"].model_copy(
    update={"min_processes": 3, "max_processes": 3, "max_rounds": 6, "budget_s": 20}
)

# A child is told by its parent how to measure, and has no use for the time that this import takes.
_paths = os.environ["PYTHONPATH"].split(os.pathsep)
os.environ["PYTHONPATH"] = os.pathsep.join(path for path in _paths if Path(path) != Path(__file__).parent)
