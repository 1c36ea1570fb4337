"""Postgres and Redis of one's own, for an Airflow with Celery workers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsebench.errors import SparsebenchError
from sparsebench.local.processes import Process, stop_all


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def services(folder: Path) -> Iterator[dict[str, str]]:
    """Postgres and Redis on loopback, as settings of Airflow."""
    postgres_bin = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if postgres_bin is None or not shutil.which("redis-server"):
        raise SparsebenchError("Postgres and Redis are needed; `make system` installs them")
    # Postgres refuses to run as root.
    as_postgres = ["runuser", "--user", "postgres", "--"] if os.getuid() == 0 else []
    data = Path(subprocess.check_output([*as_postgres, "mktemp", "--directory"], text=True, cwd="/").strip())
    database, broker = free_port(), free_port()
    subprocess.run(
        [*as_postgres, postgres_bin / "initdb", "--auth=trust", "--username=airflow", "--pgdata", data],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(database), "-c", f"unix_socket_directories={data}"]
    redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(broker), "--save", "", "--dir", str(folder)]
    postgres = [*as_postgres, str(postgres_bin / "postgres"), *options]
    started = [
        Process.start("postgres", postgres, os.environ, folder / "postgres.log", idle=False),
        Process.start("redis", redis, os.environ, folder / "redis.log", idle=False),
    ]
    try:
        for port, process in zip((database, broker), started, strict=True):
            while not _listens(port):
                process.check()
                time.sleep(0.1)
        address = f"airflow@127.0.0.1:{database}/postgres"
        yield {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{address}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        }
    finally:
        stop_all(started)
        subprocess.run([*as_postgres, "rm", "-r", data], check=False, cwd="/")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
