"""The API server of docker-compose.yaml, natively: who `migrate` makes on a real Postgres logs in, and is backed up."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from sparsebench.local.processes import Process, stop_all
from tests.end_to_end.conftest import ROOT
from tests.support.services import free_port, services

pytestmark = pytest.mark.timeout(600)

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
PASSWORD = "correct horse battery staple"
SECRETS = {
    "AIRFLOW_FERNET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "AIRFLOW_API_SECRET_KEY": "a" * 64,
    "AIRFLOW_JWT_SECRET": "b" * 64,
    "AIRFLOW_ADMIN_PASSWORD": PASSWORD,
    "POSTGRES_PASSWORD": "c" * 32,
    "REDIS_PASSWORD": "d" * 32,
}


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """A value of the file, as Compose fills it in: ${NAME}, ${NAME:-default}, ${NAME-default}, ${NAME:?error}."""

    def value(match: re.Match[str]) -> str:
        name, rule = match[1], match[2] or ""
        if rule.startswith(":?"):
            return variables[name]
        return variables.get(name) or rule.removeprefix(":").removeprefix("-")

    return re.sub(r"\$\{(\w+)(:?[-?][^}]*)?\}", value, text)


@contextmanager
def server(python: Path, home: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """The API server with these variables; its address."""
    port = free_port()
    command = [str(python.parent / "airflow"), *COMPOSE["services"]["api-server"]["command"][1:], "--port", str(port)]
    process = Process.start("api-server", command, variables, home / "api-server.log", idle=False)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            process.check()
            try:
                if httpx.get(f"{url}/api/v2/version").status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the API server did not answer in time"
            time.sleep(0.5)
        yield url
    finally:
        stop_all([process])


def logged_in(url: str, password: str) -> httpx.Response:
    return httpx.post(f"{url}/auth/token", json={"username": "admin", "password": password}, timeout=60)


def test_the_api_server_logs_in_whom_migrate_has_made_and_a_backup_has_him(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("server")
    (home / "plugins").mkdir()
    with services(tmp_path_factory.mktemp("services")) as native:
        given = SECRETS | {"SPARSEBENCH_STORE": (home / "store").as_uri()}
        of_file = COMPOSE["services"]["migrate"]["environment"]
        variables = {
            "PATH": f"{installed.parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            **{name: filled_in(str(value), given) for name, value in of_file.items()},
            **native,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        }
        for _ in range(2):  # of a later `up`, or an upgrade: the admin is there already
            command = COMPOSE["services"]["migrate"]["command"]
            done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=home)
            assert done.returncode == 0, done.stderr[-2000:]
            variables["AIRFLOW_ADMIN_PASSWORD"] = "another password"
        assert "admin already exist" in done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr

        with server(installed, home, variables) as url:
            assert logged_in(url, "another password").status_code == 401
            answer = logged_in(url, PASSWORD)
            assert answer.status_code == 201, answer.text
            token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            assert httpx.get(f"{url}/api/v2/dags").status_code == 401
            assert httpx.get(f"{url}/api/v2/dags", headers=token).status_code == 200
            assert httpx.get(f"{url}/sparsebench/").status_code == 401
            cookies = {"_token": answer.json()["access_token"]}
            page = httpx.get(f"{url}/sparsebench/", headers=token, cookies=cookies)
            assert page.status_code == 200, page.text
            assert "Reports" in page.text

        clean = ["airflow", "db", "clean", "--skip-archive", "--yes", "--clean-before-timestamp", "2020-01-01"]
        subprocess.run(clean, env=variables, check=True, capture_output=True, cwd=home)

        database = urlsplit(native["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
        bin_ = max(Path("/usr/lib/postgresql").glob("*/bin"))
        login = ["--host", str(database.hostname), "--port", str(database.port), "--username", "airflow"]
        dump = home / "airflow.dump"
        with dump.open("wb") as file:
            subprocess.run([bin_ / "pg_dump", *login, "--format", "custom", "postgres"], stdout=file, check=True)
        ask = [str(bin_ / "psql"), *login, "--tuples-only", "--no-align", "--command"]
        subprocess.run([*ask, "DELETE FROM ab_user_role; DELETE FROM ab_user", "postgres"], check=True)
        restore = [str(bin_ / "pg_restore"), *login, "--clean", "--if-exists", "--dbname", "postgres"]
        with dump.open("rb") as file:
            subprocess.run(restore, stdin=file, check=True)
        users = subprocess.check_output([*ask, "SELECT username FROM ab_user", "postgres"], text=True)
        assert users.split() == ["admin"]


def test_an_admin_without_a_password_is_not_made(installed: Path, tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW_ADMIN_PASSWORD": "admin"}
    command = [str(installed), "-m", "sparsebench_airflow.first_admin"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "AIRFLOW_ADMIN_PASSWORD has 5 characters; expected 12 or more" in done.stderr
