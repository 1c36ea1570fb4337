"""What is asked of EC2 for a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sparsebench.contracts import Job
from sparsebench.fleet import instances
from sparsebench.settings import Settings

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    return make_job()


def test_an_instance_ends_itself_and_shutting_down_terminates_it(job: Job) -> None:
    config = instances.launch_config(job, Settings(), attempt=1, now=NOW)
    assert config["UserData"].splitlines()[1] == "shutdown -h +60"
    assert config["InstanceInitiatedShutdownBehavior"] == "terminate"


def test_metadata_needs_a_token_and_the_volume_is_encrypted(job: Job) -> None:
    config = instances.launch_config(job, Settings(), attempt=1, now=NOW)
    assert config["MetadataOptions"]["HttpTokens"] == "required"
    assert config["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]


def test_each_attempt_has_a_token_of_its_own(job: Job) -> None:
    tokens = {instances.launch_config(job, Settings(), attempt, NOW)["ClientToken"] for attempt in (1, 2, 1)}
    assert len(tokens) == 2


def test_it_expires_after_it_should_have_ended_itself(job: Job) -> None:
    named = instances.launch_config(job, Settings(), attempt=1, now=NOW)["TagSpecifications"][0]["Tags"]
    assert {"Key": "sparsebench:expires", "Value": "2026-01-02T01:10:00+00:00"} in named


def test_only_a_burstable_type_is_asked_about_credits(make_job: Callable[..., Job]) -> None:
    for instance_type, credits in (("t3.xlarge", {"CpuCredits": "unlimited"}), ("m5.xlarge", None)):
        config = instances.launch_config(make_job(instance_type=instance_type), Settings(), 1, NOW)
        assert config.get("CreditSpecification") == credits
