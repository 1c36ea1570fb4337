"""How a trial reads in one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sparsebench.bench.terminal import result
from sparsebench.contracts import Absence, Cell, Parity, Trial

NOW = datetime.now(UTC)
CELL = Cell(instance_type="localhost", network="tiny", variant="base", engine="openvino", precision="f32")
OFF = Parity(max_abs=1, relative=0.2, same_top1=True, tolerance=0.001)
NOT_FINITE = Parity(max_abs=None, relative=None, same_top1=False, tolerance=0.001)


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        ({"status": "measured", "throughput_img_s": 81.26}, "    81.3 img/s"),
        ({"status": "invalid", "parity": OFF}, "invalid: differs by 2.0e-01, tolerance 0.001; same top-1: True"),
        (
            {"status": "invalid", "parity": NOT_FINITE},
            "invalid: output is not finite, tolerance 0.001; same top-1: False",
        ),
        (
            {"status": "absent", "absence": Absence(reason="cpu_feature", detail="it needs AVX2")},
            "absent (cpu_feature): it needs AVX2",
        ),
        ({"status": "failed", "error": "ran longer than 6 s"}, "failed: ran longer than 6 s"),
        (
            {"status": "failed", "error": "exit code 1\nTraceback:\n  line 3\nKeyError: 'x'"},
            "failed: exit code 1: KeyError: 'x'",
        ),
    ],
)
def test_a_result_is_one_line(evidence, line):
    trial = Trial(
        cell=CELL, night="2026-11-24", job="job", round=0, instance_id="i-1", artifact="0" * 64,
        threads=1, started_at=NOW, ended_at=NOW, position=0, **evidence,
    )  # fmt: skip

    assert result(trial) == line
