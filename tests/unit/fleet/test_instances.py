"""What is asked of EC2 for a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sparsebench.contracts import Job
from sparsebench.fleet import instances
from sparsebench.settings import Settings

NOW = datetime(2026, 1, 2, tzinfo=UTC)

Configure = Callable[..., dict[str, Any]]


@pytest.fixture
def configure(make_job: Callable[..., Job]) -> Configure:
    def made(settings: Settings | None = None, market: Any = "on_demand", **changes: Any) -> dict[str, Any]:
        job = make_job(**changes)
        return instances.launch_config(job, settings or Settings(), market, "us-east-1a", None, "token", NOW)

    return made


def test_an_instance_ends_itself_and_shutting_down_terminates_it(configure: Configure) -> None:
    config = configure(max_minutes=240)
    assert config["UserData"].splitlines()[1] == "shutdown -h +30"
    assert config["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert configure(max_minutes=10)["UserData"].splitlines()[1] == "shutdown -h +10"


def test_metadata_needs_a_token_and_the_volume_is_encrypted(configure: Configure) -> None:
    config = configure()
    assert config["MetadataOptions"]["HttpTokens"] == "required"
    assert config["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]


def test_it_expires_after_it_should_have_ended_itself(configure: Configure) -> None:
    named = configure()["TagSpecifications"][0]["Tags"]
    assert {"Key": "sparsebench:expires", "Value": "2026-01-02T01:10:00+00:00"} in named


@pytest.mark.parametrize(
    ("instance_type", "credits"), [("t3.xlarge", {"CpuCredits": "unlimited"}), ("m5.xlarge", None)]
)
def test_only_a_burstable_type_is_asked_about_credits(configure: Configure, instance_type: str, credits: Any) -> None:
    assert configure(instance_type=instance_type).get("CreditSpecification") == credits


def test_a_spot_instance_ends_when_it_is_taken_away(configure: Configure) -> None:
    assert "InstanceMarketOptions" not in configure()
    options = configure(market="spot")["InstanceMarketOptions"]
    assert options["SpotOptions"]["InstanceInterruptionBehavior"] == "terminate"


def test_one_thread_per_core_halves_what_the_type_counts(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CpuOptions" not in configure()
    monkeypatch.setenv("SPARSEBENCH_ONE_THREAD_PER_CORE", "1")
    assert configure()["CpuOptions"] == {"CoreCount": 2, "ThreadsPerCore": 1}
    assert "CpuOptions" not in configure(instance_type="localhost")
