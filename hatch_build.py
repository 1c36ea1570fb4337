"""Puts the wheel of what runs on an instance into the wheel of what conducts."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder


class CarryTheRunner(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install carries none: there the wheel is built from the checkout whenever it is asked for."""
        if version != "editable":
            (runner,) = WheelBuilder(str(Path(self.root) / "include")).build(directory=mkdtemp(), versions=["standard"])
            build_data["force_include"][runner] = "sparsebench/fleet/runner.whl"
