"""The server itself: its life, and who may talk to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sparsebench.errors import BadInput, SparsebenchError
from sparsebench.localcloud import Config, LocalCloud, running
from sparsebench.localcloud.credentials import keys

from .conftest import User, processes_of, wait_until

DAEMON = "#!/bin/sh\nsetsid nohup sleep 68 >/dev/null 2>&1 &\nsleep 69\n"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_it_ends_every_process_of_every_instance(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as cloud:
        user = User(cloud)
        instances = [user.run_instances(UserData=DAEMON)[0]["InstanceId"] for _ in range(2)]
        wait_until(lambda: all(len(processes_of(instance)) >= 3 for instance in instances))

        os.kill(cloud.pid, number)
        wait_until(lambda: not any(processes_of(instance) for instance in instances))

    assert not any((tmp_path / "instances").iterdir())


@pytest.mark.usefixtures("launched")
def test_what_a_killed_server_left_behind_is_cleared_by_the_next(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        instance_id = User(cloud).run_instances(UserData=DAEMON)[0]["InstanceId"]
        wait_until(lambda: len(processes_of(instance_id)) >= 3)
        os.kill(cloud.pid, signal.SIGKILL)
    assert processes_of(instance_id)

    with running(tmp_path):
        assert not processes_of(instance_id)
        assert not any((tmp_path / "instances").iterdir())


@pytest.mark.usefixtures("launched")
def test_the_agents_delay_and_the_slots_can_be_chosen(tmp_path: Path) -> None:
    with running(tmp_path, "--agent-delay-s", "0", "--slots", "2") as cloud:
        user = User(cloud)
        instance_id = user.run_instances()[0]["InstanceId"]
        assert user.agent(instance_id) == "Online"
        both = [user.send(instance_id, "sleep 60") for _ in range(2)]
        for command_id in both:
            user.started(command_id, instance_id)


@pytest.mark.usefixtures("launched")
def test_how_many_commands_run_at_a_time_can_be_changed_while_others_wait(tmp_path: Path) -> None:
    def slots(cloud: LocalCloud, body: str | None = None, **headers: str) -> int:
        data = None if body is None else body.encode()
        request = urllib.request.Request(
            f"{cloud.url}/localcloud/slots", data, headers, method="GET" if data is None else "PUT"
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["slots"]
        except urllib.error.HTTPError as refusal:
            return refusal.code

    with running(tmp_path, "--agent-delay-s", "0") as cloud:
        user, key = User(cloud), keys(cloud.root).headers
        instance_id = user.run_instances()[0]["InstanceId"]
        assert user.agent(instance_id) == "Online"
        for name in ("a", "b"):
            user.send(instance_id, f"touch {tmp_path}/{name}; sleep 60")
        wait_until((tmp_path / "a").exists)
        assert not (tmp_path / "b").exists()

        assert slots(cloud, '{"slots": 2}') == slots(cloud) == 403
        assert slots(cloud, '{"slots": 0}', **key) == 400
        assert slots(cloud, '{"slots": 2}', **key) == slots(cloud, **key) == 2

        wait_until((tmp_path / "b").exists)


def test_a_folder_has_one_server(localcloud: LocalCloud) -> None:
    with pytest.raises(SparsebenchError, match="another localcloud works in"), running(localcloud.root):
        pass


def test_a_port_that_is_in_use_is_one_clear_error(localcloud: LocalCloud, tmp_path: Path) -> None:
    port = localcloud.url.rpartition(":")[2]
    command = [sys.executable, "-m", "sparsebench.localcloud", "--port", port, "--root", str(tmp_path)]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr.startswith(f"localcloud: port: 127.0.0.1:{port}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", 70_000), ("slots", 0), ("agent_delay_s", -1), ("vcpu_quota", -1), ("uv", Path("/no/uv"))],
)
def test_a_wrong_configuration_names_its_field(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"^{field}: "):
        Config(root=tmp_path, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", [{"Origin": "https://example.org"}, {"Host": "example.org"}])
def test_pages_in_a_browser_are_refused(localcloud: LocalCloud, headers: dict[str, str]) -> None:
    request = urllib.request.Request(f"{localcloud.url}/localcloud/faults", b"[]", headers)

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def test_it_says_which_instances_it_has(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.run_instances()[0]["InstanceId"]

    request = urllib.request.Request(f"{localcloud.url}/localcloud", headers=localcloud.keys.headers)
    with urllib.request.urlopen(request) as response:
        assert json.load(response) == {"instances": {instance_id: "running"}}
    with urllib.request.urlopen(request.full_url) as response:
        assert json.load(response) == {}  # to whom has not the key: that it answers
