"""What is asked of EC2 for a job."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from sparsebench.contracts import Job
from sparsebench.fleet import instances, tags
from sparsebench.fleet.instances import Instance
from sparsebench.settings import Settings

NOW = datetime(2026, 1, 2, tzinfo=UTC)

Configure = Callable[..., dict[str, Any]]


@pytest.fixture
def configure(make_job: Callable[..., Job]) -> Configure:
    def made(settings: Settings | None = None, market: Any = "on_demand", **changes: Any) -> dict[str, Any]:
        job = make_job(**changes)
        return instances.launch_config(job, settings or Settings(), market, "us-east-1a", None, "token")

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


def described(configure: Configure) -> dict[str, Any]:
    return {
        "InstanceId": "i-1",
        "State": {"Name": "running"},
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "LaunchTime": NOW,
        "Tags": configure()["TagSpecifications"][0]["Tags"],
    }


def test_it_expires_after_it_should_have_ended_itself(configure: Configure) -> None:
    assert Instance.from_ec2(described(configure)).expires == NOW + timedelta(minutes=70)
    assert Instance.from_ec2(described(configure) | {"Tags": []}).has_expired(NOW)


def test_a_launch_that_is_repeated_later_asks_for_exactly_the_same(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(time.time(), tz)

    first = configure()
    later = time.time() + 3600
    monkeypatch.setattr("time.time", lambda: later)
    for module in (instances, tags):
        monkeypatch.setattr(module, "datetime", Later, raising=False)
    assert configure() == first


def test_two_installations_mark_what_is_theirs(configure: Configure) -> None:
    here, there = (
        {tag["Key"]: tag["Value"] for tag in configure(Settings(store=store))["TagSpecifications"][0]["Tags"]}
        for store in ("s3://here/store", "s3://there/store")
    )
    assert {key for key in here if here[key] != there[key]} == {"sparsebench:deployment"}


def test_only_a_burstable_type_is_asked_about_credits(configure: Configure) -> None:
    assert configure(burstable=True)["CreditSpecification"] == {"CpuCredits": "unlimited"}
    assert "CreditSpecification" not in configure(burstable=False)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3://bucket/store", "s3://bucket/store/", "file:///var/store"])
def test_the_command_for_an_emergency_ends_this_deployments_instances_only(store: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "on-call.md").read_text()
    (line,) = re.findall(r"^ +(deployment=\$\(.*\))$", page, re.MULTILINE)
    script = f"{line}; echo $deployment"
    printed = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "SPARSEBENCH_STORE": store},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == tags.deployment(store)
    assert f"Name=tag:{tags.DEPLOYMENT},Values=$deployment" in page
    assert "Name=tag-key" not in page


def test_a_spot_instance_ends_when_it_is_taken_away(configure: Configure) -> None:
    assert "InstanceMarketOptions" not in configure()
    options = configure(market="spot")["InstanceMarketOptions"]
    assert options["SpotOptions"]["InstanceInterruptionBehavior"] == "terminate"


def test_one_thread_per_core_is_asked_of_a_type_that_has_more(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "CpuOptions" not in configure(single_thread_cores=2)
    monkeypatch.setenv("SPARSEBENCH_ONE_THREAD_PER_CORE", "1")
    assert configure(single_thread_cores=2)["CpuOptions"] == {"CoreCount": 2, "ThreadsPerCore": 1}
    assert "CpuOptions" not in configure(single_thread_cores=None)
