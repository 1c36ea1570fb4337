"""docker-compose.yaml fits the Compose specification, and has no secret of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from sparsebench.settings import PREFIX, Settings
from sparsebench.webfile import Limits

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
WITH_LOCALCLOUD = yaml.safe_load((ROOT / "docker-compose.localcloud.yaml").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["docker-compose.yaml", "docker-compose.localcloud.yaml"])
def test_it_fits_the_specification(name: str) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_setting_is_passed_on() -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | Limits().variables().keys()
    environment = COMPOSE["x-airflow"]["environment"]
    assert settings <= environment.keys()
    assert {"AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= environment.keys()


def test_a_setting_that_is_left_empty_is_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = COMPOSE["x-airflow"]["environment"]
    monkeypatch.setenv(f"{PREFIX}STORE", "file:///store")
    for name, value in environment.items():
        if name.startswith(PREFIX) and ":?" not in value:
            monkeypatch.setenv(name, re.sub(r"^\$\{\w+:?-?(.*)\}$", r"\1", value))
    assert Settings() == Settings(store="file:///store")
    assert Limits.configured() == Limits()


def test_a_service_shares_the_network_of_another_only_beside_localcloud() -> None:
    """Whoever shares it loses it for good when the other one is started again."""
    assert not [name for name, service in COMPOSE["services"].items() if "network_mode" in service]
    shared = {name: service["network_mode"] for name, service in WITH_LOCALCLOUD["services"].items()}
    assert shared == {"triggerer": "service:worker", "localcloud": "service:worker"}


def test_only_what_makes_the_first_admin_knows_the_password() -> None:
    knows = [name for name, service in COMPOSE["services"].items() if "AIRFLOW_ADMIN_PASSWORD" in str(service)]
    assert knows == ["migrate"]


def test_no_log_grows_without_end() -> None:
    for service in COMPOSE["services"].values():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("service", sorted(set(COMPOSE["services"]) - {"migrate"}))
def test_every_service_has_a_health_check(service: str) -> None:
    assert COMPOSE["services"][service]["healthcheck"]["test"]


def test_every_secret_comes_from_the_environment_and_has_no_default() -> None:
    environment = COMPOSE["x-airflow"]["environment"]
    secret = ("FERNET_KEY", "SECRET_KEY", "JWT_SECRET", "SQL_ALCHEMY_CONN", "BROKER_URL")
    for name in environment:
        if name.endswith(secret) and name != "AWS_SECRET_ACCESS_KEY":
            assert ":?" in environment[name], f"{name} can be left out"


def test_ports_are_published_on_loopback_alone() -> None:
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_image_installs_the_lock_of_the_control_environment() -> None:
    assert "--require-hashes /tmp/requirements.txt" in (ROOT / "Dockerfile").read_text()


def test_base_images_are_pinned_by_digest() -> None:
    pinned = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    assert len(images) == 2
    for image in [*images, *re.findall(r"^ARG PYTHON=(.*)$", dockerfile, re.MULTILINE)]:
        assert pinned.fullmatch(image), image
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}"}


@pytest.mark.slow
def test_what_is_secret_or_measured_is_in_no_image_and_in_no_commit(tmp_path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "**/.env", ".sparsebench", "**/store", "**/airflow.db", "**/passwords.json"} <= set(ignored)
    for path in (".env", ".env.local", "store/models/x.json", ".sparsebench/store/x", "airflow.db", "passwords.json"):
        assert subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT).returncode == 0, path


def test_code_in_the_image_belongs_to_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--chown" not in dockerfile
    assert [line for line in dockerfile.splitlines() if line.startswith("USER ")] == ["USER airflow"]
    assert dockerfile.rstrip().endswith("USER airflow")


@pytest.mark.slow
def test_the_password_of_redis_is_in_no_command_line(tmp_path: Path) -> None:
    shell = COMPOSE["services"]["redis"]["command"]
    script = (
        shell[-1]
        .replace("$$", "$")
        .replace("redis-server -", "redis-server - --port 0 --unixsocket redis.sock --save ''")
    )
    process = subprocess.Popen(
        [*shell[:-1], script],
        env=os.environ | {"REDISCLI_AUTH": "a-secret"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout
        assert any("The server is now ready" in line for line in process.stdout)
        ping = ["redis-cli", "-s", str(tmp_path / "redis.sock"), "ping"]
        refused, taken = (
            subprocess.check_output(ping, env=os.environ | secret, text=True).strip()
            for secret in ({}, {"REDISCLI_AUTH": "a-secret"})
        )
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in [process.pid, *children(process.pid)]]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    assert (refused, taken) == ("NOAUTH Authentication required.", "PONG")
    assert not [command for command in commands if "a-secret" in command]


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
