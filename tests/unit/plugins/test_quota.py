"""How many instances may run at a time."""

from __future__ import annotations

import pytest

from sparsebench.fleet.instance_types import of_name
from sparsebench_airflow.quota import UNKNOWN, max_live


@pytest.mark.usefixtures("localcloud")
def test_types_with_a_gpu_have_a_quota_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    each = [of_name(name, "us-east-1", "instance_types") for name in ("t3.xlarge", "localhost", "g4dn.xlarge")]
    assert max_live(each[:2]) == 16  # localcloud's 64 vCPUs, of standard types
    assert max_live(each[2:]) == UNKNOWN  # localcloud has no quota of the other kind
