"""Start the emulated cloud in a process of its own."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sparsebench.errors import SparsebenchError
from sparsebench.localcloud.config import READY
from sparsebench.localcloud.credentials import Keys, keys

_START_S = 60.0
_STOP_S = 30.0


@dataclass(frozen=True)
class LocalCloud:
    url: str
    root: Path
    pid: int
    keys: Keys

    def of_instance(self, instance_id: str, path: str) -> str:
        """The address of an instance's metadata, or of its own shutdown: ``imds``, ``instances``."""
        return f"{self.url}/localcloud/{path}/{self.keys.name_of(instance_id)}"


@contextmanager
def running(root: Path, *options: str) -> Iterator[LocalCloud]:
    """A localcloud on a free port, from when it answers until the block ends; it writes to ``<root>/server.log``.

    Args:
        options: of the command line, such as ``"--slots", "2"``.

    Raises:
        SparsebenchError: it did not start; the message has its last lines.
    """
    root.mkdir(parents=True, exist_ok=True)
    log = root / "server.log"
    command = [sys.executable, "-m", "sparsebench.localcloud", "--port", "0", "--root", os.fspath(root), *options]
    package_root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package_root), os.environ.get("PYTHONPATH", "")])}
    with log.open("wb") as errors:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True, start_new_session=True
        )
    try:
        yield LocalCloud(_address(server, log), root, server.pid, keys(root))
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(server: subprocess.Popen[str], log: Path) -> str:
    assert server.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        line = server.stdout.readline() if selector.select(_START_S) else ""
    if not line.startswith(READY):
        raise SparsebenchError(f"localcloud did not start: {log.read_text()[-2000:].strip() or 'it said nothing'}")
    return line.removeprefix(READY).strip()
