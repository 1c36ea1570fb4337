"""An instance: a folder, an environment, and processes that end with it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from sparsebench.localcloud import LocalCloud, running, sandbox

from .conftest import User, processes_of, wait_until


def shutdown_after(localcloud: LocalCloud, instance_id: str, after_s: float) -> None:
    url = f"{localcloud.of_instance(instance_id, 'instances')}/shutdown"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps({"after_s": after_s}).encode())).close()


def test_its_home_is_a_folder_of_its_own_and_goes_with_it(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch()
    home = localcloud.root / "instances" / instance_id

    seen = user.run(instance_id, "pwd; touch left-behind; getent passwd root | cut -d: -f6")
    seen = seen["StandardOutputContent"].split()

    assert seen == [str(home / "usr/bin"), str(home)]
    assert (home / "usr/bin/left-behind").is_file()
    user.ec2.terminate_instances(InstanceIds=[instance_id])
    assert not home.exists()


def test_its_environment_is_an_allowlist_without_credentials(user: User) -> None:
    lines = user.run(user.launch(), "env")["StandardOutputContent"].splitlines()
    environment = dict(line.split("=", 1) for line in lines)

    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VIRTUAL_ENV", "PYTHONPATH"} & environment.keys()


def test_the_agent_gives_a_command_neither_a_home_nor_a_region(user: User) -> None:
    instance_id = user.launch()
    lines = user.run(instance_id, "env")["StandardOutputContent"].splitlines()
    environment = dict(line.split("=", 1) for line in lines)

    assert not {"HOME", "TMPDIR", "AWS_REGION", "AWS_DEFAULT_REGION"} & environment.keys()
    assert (environment["AWS_SSM_INSTANCE_ID"], environment["AWS_SSM_REGION_NAME"]) == (instance_id, "us-east-1")


def test_its_tmp_is_small_and_its_own_where_the_system_allows(
    user: User, localcloud: LocalCloud, tmp_path: Path
) -> None:
    """A store of this machine's may lie in /tmp, and is seen there."""
    store = Path("/tmp") / f"sparsebench-store-{os.getpid()}"
    store.mkdir()
    try:
        seen = user.run(
            user.launch(),
            "stat --file-system --format %T /tmp",
            f"touch {store}/kept; touch /tmp/{store.name}.file; test -f {sys.executable} && echo there",
            f"head -c {2 * sandbox.TMP_MIB * 2**20} /dev/zero > /tmp/large && rm /tmp/large && echo large",
        )["StandardOutputContent"].split()

        assert (store / "kept").exists()
        if sandbox.has_tmp(tmp_path / "tmp"):
            assert seen == ["tmpfs", "there"]
            assert not store.with_suffix(".file").exists()
        else:
            assert seen[1:] == ["there", "large"]
    finally:
        shutil.rmtree(store)
        store.with_suffix(".file").unlink(missing_ok=True)


def test_it_brings_its_own_uv_unless_one_is_lent(user: User, tmp_path: Path) -> None:
    lent = user.run(user.launch(), "command -v uv; echo $UV_CACHE_DIR")["StandardOutputContent"].split()
    with running(tmp_path, "--agent-delay-s", "0") as cloud:
        alone = User(cloud)
        own = alone.run(alone.launch(), "command -v uv; echo $UV_CACHE_DIR")["StandardOutputContent"].split()

    assert len(lent) == 2
    assert own == []


def test_it_has_python_and_no_package_manager_of_the_system(user: User) -> None:
    result = user.run(user.launch(), "python3.11 -c 'import sys, venv; print(sys.prefix)'", "dnf install gcc")

    assert result["StandardOutputContent"]
    assert result["ResponseCode"] == 127


def test_user_data_runs_at_the_first_boot_only(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch(UserData="#!/bin/bash\necho booted >> boots\n")
    boots = localcloud.root / "instances" / instance_id / "usr/bin/boots"
    wait_until(boots.is_file)

    user.ec2.stop_instances(InstanceIds=[instance_id])
    assert (user.state(instance_id), user.agent(instance_id)) == ("stopped", "ConnectionLost")
    user.ec2.start_instances(InstanceIds=[instance_id])
    wait_until(lambda: user.agent(instance_id) == "Online")

    assert boots.read_text() == "booted\n"


def all_of(instance_id: str) -> set[psutil.Process]:
    """Its processes and their children, such as one that cleared its environment."""
    processes = processes_of(instance_id)
    return {*processes, *(child for process in processes for child in process.children())}


@pytest.mark.parametrize(
    ("call", "trap"), [("terminate_instances", "trap '' TERM;"), ("stop_instances", ""), ("reboot_instances", "")]
)
def test_every_process_ends_with_the_instance_even_a_daemon(user: User, call: str, trap: str) -> None:
    instance_id = user.launch(UserData="#!/bin/sh\nsleep 64\n")
    user.run(instance_id, f'setsid nohup sh -c "{trap} sleep 65; sleep 66" >/dev/null 2>&1 &')
    user.send(instance_id, "env -i sleep 67; true")
    wait_until(lambda: len(all_of(instance_id)) > len(processes_of(instance_id)) >= 5)
    before = all_of(instance_id)

    getattr(user.ec2, call)(InstanceIds=[instance_id])

    assert not processes_of(instance_id)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in before)


@pytest.mark.parametrize(("behaviour", "state"), [("terminate", "terminated"), ("stop", "stopped")])
def test_user_data_that_shuts_down_ends_the_instance(user: User, behaviour: str, state: str) -> None:
    instance_id = user.run_instances(
        UserData="#!/bin/bash\nshutdown -h now\nsleep 60\n", InstanceInitiatedShutdownBehavior=behaviour
    )[0]["InstanceId"]

    wait_until(lambda: user.state(instance_id) == state)

    wait_until(lambda: not processes_of(instance_id))
    described = user.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert described["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


@pytest.mark.parametrize("program", ["poweroff", "halt"])
def test_powering_off_does_the_same(user: User, program: str) -> None:
    instance_id = user.launch(InstanceInitiatedShutdownBehavior="terminate")

    user.send(instance_id, program)

    wait_until(lambda: user.state(instance_id) == "terminated")


def test_a_shutdown_can_be_planned_and_called_off(user: User) -> None:
    instance_id = user.launch(UserData="#!/bin/bash\nshutdown -h +30\n")
    wait_until(lambda: "scheduled for" in user.run(instance_id, "shutdown --show")["StandardErrorContent"])

    assert "No shutdown" in user.run(instance_id, "shutdown -c")["StandardErrorContent"]

    assert user.state(instance_id) == "running"


def test_a_planned_shutdown_comes_in_its_time_and_a_later_plan_replaces_it(user: User, localcloud: LocalCloud) -> None:
    first, second = (user.launch(InstanceInitiatedShutdownBehavior="terminate") for _ in range(2))
    for instance_id in (first, second):
        shutdown_after(localcloud, instance_id, 0.5)
    shutdown_after(localcloud, second, 600)

    wait_until(lambda: user.state(first) == "terminated")

    assert user.state(second) == "running"


def test_a_shutdown_that_is_not_understood_is_an_error_and_changes_nothing(user: User) -> None:
    instance_id = user.launch()

    result = user.run(instance_id, "shutdown -h tomorrow")

    assert (result["Status"], user.state(instance_id)) == ("Failed", "running")
    assert "tomorrow" in result["StandardErrorContent"]


def test_logs_outlive_the_instance(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch(UserData="#!/bin/bash\necho up\n")
    command_id = user.run(instance_id, "echo done")["CommandId"]

    user.ec2.terminate_instances(InstanceIds=[instance_id])

    logs = localcloud.root / "logs" / instance_id
    assert (logs / "user-data" / "stdout").read_text() == "up\n"
    assert (logs / command_id / "stdout").read_text() == "done\n"
    assert user.invocation(command_id, instance_id)["StandardOutputContent"] == "done\n"
