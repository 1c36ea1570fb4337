"""docker-compose.yaml fits the Compose specification, and has no secret of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())


def test_it_fits_the_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / "docker-compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


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
