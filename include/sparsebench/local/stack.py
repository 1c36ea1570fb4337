"""Start and stop Airflow and localcloud on this machine."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from sparsebench.bench.quiet import SOCKET as QUIET_SOCKET
from sparsebench.errors import SparsebenchError
from sparsebench.local.checkout import ROOT
from sparsebench.local.processes import PRIVATE, Process, stop_all
from sparsebench.local.quiet import Listener
from sparsebench.localcloud.credentials import Keys, keys

USER = "admin"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


@dataclass
class Stack:
    """Airflow with SQLite and LocalExecutor, and localcloud. A context manager: what it started, it ends.

    Airflow runs in the idle scheduling class, since it shares this host with the benchmarks; localcloud, and
    so what runs on its instances, at normal priority.
    """

    home: Path = field(default_factory=lambda: Path.cwd() / ".sparsebench")
    port: int = 0
    """Of Airflow's UI; 0: SPARSEBENCH_PORT or 8080, or any that is free."""
    cloud_port: int = 0
    """Of localcloud; 0: 5055, or any that is free."""
    components: tuple[str, ...] = COMPONENTS
    """Commands of ``airflow``; with a CeleryExecutor in the environment also ``celery worker``."""
    python: Path = Path(sys.executable)
    """The interpreter of the control environment, in which everything runs."""
    environment: dict[str, str] = field(default_factory=dict)
    """Settings that differ from the environment's, for example SPARSEBENCH_STORE."""
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        self._reserved: list[socket.socket] = []
        self.port = self.port or self._reserve(int(os.environ.get("SPARSEBENCH_PORT", "8080")))
        self.cloud_port = self.cloud_port or self._reserve(5055)
        self._processes: list[Process] = []
        self._quiet: Listener | None = None

    def _reserve(self, wanted: int) -> int:
        port, name = _free_port(wanted)
        self._reserved.append(name)
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cloud_url(self) -> str:
        return f"http://127.0.0.1:{self.cloud_port}"

    @property
    def cloud_keys(self) -> Keys:
        """The keys without which localcloud takes no call."""
        return keys(self.home / "localcloud")

    @property
    def store(self) -> str:
        return self.env["SPARSEBENCH_STORE"]

    @property
    def password(self) -> str:
        """The password of the UI's user ``admin``: made at the first start, and kept in a file that only its owner
        reads."""
        return self._secret("password")

    def _secret(self, name: str) -> str:
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(12 if name == "password" else 48))
        return path.read_text()

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process of the stack, and of an ``airflow`` command beside it."""
        airflow_home = self.home / "airflow"
        return {
            **os.environ,
            "PATH": f"{self.python.parent}:{ROOT / '.tools' / 'bin'}:{os.environ['PATH']}",
            "SPARSEBENCH_STORE": os.environ.get("SPARSEBENCH_STORE", (self.home / "store").as_uri()),
            "AWS_ENDPOINT_URL": self.cloud_url,
            **self.cloud_keys.environment,
            "AWS_DEFAULT_REGION": "us-east-1",
            # localcloud has no image with NVIDIA's driver.
            "SPARSEBENCH_GPU_IMAGE": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            "AIRFLOW_HOME": str(airflow_home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",  # imports once, not in every task: see the plugin
            # A busy machine takes its time; whether a DAG file is right does not depend on it.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "180",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "240",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow_home / "passwords.json"),
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow_home / 'airflow.db'}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret("jwt"),
            # Idle loops cost the benchmark something even in the idle class.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "2",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            # botocore says at every call where it found credentials and endpoint.
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "botocore=WARNING aiobotocore=WARNING",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **({QUIET_SOCKET: str(self._quiet.path)} if self._quiet else {}),
            **self.environment,
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is healthy; on failure nothing is left running.

        Raises:
            SparsebenchError: a process ended, with the end of its log.
        """
        logs = self.home / "logs"
        airflow_home = self.home / "airflow"
        self._lock_home()
        database = airflow_home / "airflow.db"
        airflow_home.mkdir(parents=True, exist_ok=True)
        database.touch(mode=PRIVATE)  # it holds connections, and what a person gave to a run
        database.chmod(PRIVATE)
        passwords = airflow_home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self.password}))
        self._quiet = Listener(lambda: [process.popen.pid for process in self._processes])
        self.say("starting localcloud")
        self._start(
            "localcloud",
            [
                str(self.python),
                "-m",
                "sparsebench.localcloud",
                "--port",
                str(self.cloud_port),
                "--root",
                str(self.home / "localcloud"),
                *self._lent,
            ],
            logs,
            idle=False,
        )
        self.say("preparing Airflow's database")
        airflow = str(self.python.with_name("airflow"))
        migrate = Process.start(
            "airflow db migrate", [airflow, "db", "migrate"], self.env, logs / "migrate.log", idle=False
        )
        if migrate.popen.wait() != 0:
            migrate.check()
        self.say("starting Airflow")
        for component in self.components:
            # Logs are read from this machine's disk; their servers would listen on every interface.
            options = ["--skip-serve-logs"] if component in ("scheduler", "triggerer", "celery worker") else []
            self._start(component.replace(" ", "-"), [airflow, *component.split(), *options], logs, idle=True)
        self._wait_until_healthy()

    @property
    def _lent(self) -> list[str]:
        """This machine's uv and its cache, for the instances: installing from nothing takes each a minute."""
        uv = shutil.which("uv", path=self.env["PATH"])
        return ["--uv", uv] if uv else []

    def _lock_home(self) -> None:
        """Two schedulers on one SQLite file would spoil each other. The lock goes with this process."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = (self.home / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SparsebenchError(f"Airflow runs from {self.home} already; `make down` ends it") from error

    def _start(self, name: str, command: list[str], logs: Path, idle: bool) -> None:
        self._processes.append(Process.start(name, command, self.env, logs / f"{name}.log", idle, cwd=self.home))

    def _wait_until_healthy(self, timeout_s: float = 240) -> None:
        deadline = time.monotonic() + timeout_s
        unwell: str | None = "nothing answers yet"
        while unwell:
            if time.monotonic() > deadline:
                raise SparsebenchError(
                    f"Airflow is not healthy after {timeout_s:.0f} s: {unwell}; see {self.home / 'logs'}"
                )
            for process in self._processes:
                process.check()
            time.sleep(1)
            unwell = self._unwell()

    def _unwell(self) -> str | None:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
                health = json.load(answer)
        except (OSError, ValueError) as error:
            return str(error)
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        ill = [part for part in parts if health[part]["status"] != "healthy"]
        return f"{', '.join(ill)} not healthy" if ill else None

    @contextmanager
    def side_by_side(self, commands: int) -> Iterator[None]:
        """So many commands of emulated instances run at a time meanwhile; for what does not measure."""
        self._run_at_a_time(commands)
        yield
        self._run_at_a_time(1)

    def _run_at_a_time(self, commands: int) -> None:
        url, headers = f"{self.cloud_url}/localcloud/slots", self.cloud_keys.headers
        httpx.put(url, headers=headers, json={"slots": commands}, timeout=60).raise_for_status()

    def check(self) -> None:
        """Raises SparsebenchError if a process has ended."""
        for process in self._processes:
            process.check()

    def stop(self) -> None:
        if self._quiet:
            self._quiet.close()
            self._quiet = None
        stop_all(list(reversed(self._processes)))
        self._processes.clear()


def _free_port(wanted: int) -> tuple[int, socket.socket]:
    """The wanted port of the loopback interface, or any free one if it is taken; and what keeps it ours.

    A port is listened on only seconds after it was chosen. A name of a Unix socket that no other process can have as
    long as this one is open tells other systems that are started meanwhile.
    """
    for port in (wanted, *[0] * 20):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            port = int(probe.getsockname()[1])
            name = socket.socket(socket.AF_UNIX)
            try:
                name.bind(f"\0sparsebench/port/{port}")
            except OSError:
                name.close()
                raise
            return port, name
    raise SparsebenchError("no free port on the loopback interface")
