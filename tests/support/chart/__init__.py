"""What Airflow's official Helm chart says of its values."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of chart 1.22.0, without words."""
    return dict(json.loads((Path(__file__).parent / "values.schema.json").read_text()))
