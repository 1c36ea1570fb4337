"""What is told of a child that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsebench.bench.child import TAIL, Child, ChildFailed
from sparsebench.bench.reference import Referred

pytestmark = pytest.mark.slow

ASSERTS = f"""
import sys
print("Free memory: 16G", "Assertion at ./planner.hpp:120", "", "Backtrace:", *{TAIL} * ["0# 0x00007febb6ccccb3:"],
      "Please email a copy of this stack trace", sep="\\n", file=sys.stderr)
sys.exit(1)
"""


def test_a_library_that_ends_its_process_is_told_by_its_assertion_and_not_by_the_end_of_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asserts.py").write_text(ASSERTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with Child("asserts", Referred(), tmp_path / "log", 60) as child, pytest.raises(ChildFailed) as failed:
        child.reply()

    assert str(failed.value).splitlines() == ["exit code 1", "Free memory: 16G", "Assertion at ./planner.hpp:120"]
