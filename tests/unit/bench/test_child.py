"""What is told of a child that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsebench.bench.child import TAIL, Child, ChildFailed
from sparsebench.bench.reference import Referred

pytestmark = pytest.mark.slow

CRASHES = f"""
import sys
print("Free memory: 16G", SAID, "", "Backtrace:", *{TAIL} * ["0# 0x00007febb6ccccb3:"],
      "Please email a copy of this stack trace", sep="\\n", file=sys.stderr)
sys.exit(1)
"""


@pytest.mark.parametrize("said", ["Assertion at ./planner.hpp:120", "Received signal: Segmentation fault (addr: 0x7f)"])
def test_a_library_that_crashes_is_told_by_what_it_says_of_that_and_not_by_the_end_of_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "crashes.py").write_text(CRASHES.replace("SAID", repr(said)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with Child("crashes", Referred(), tmp_path / "log", 60) as child, pytest.raises(ChildFailed) as failed:
        child.reply()

    assert str(failed.value).splitlines() == ["exit code 1", "Free memory: 16G", said]
