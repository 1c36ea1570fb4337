"""How many instances may run at a time."""

from __future__ import annotations

import pytest

from fleet.quota import UNKNOWN, max_live


@pytest.mark.usefixtures("localcloud")
def test_types_with_a_gpu_have_a_quota_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    assert max_live(["t3.xlarge", "localhost"]) == 16  # localcloud's 64 vCPUs, of standard types
    assert max_live(["g4dn.xlarge"]) == UNKNOWN  # localcloud has no quota of the other kind
