"""One emulated instance: its folder, its processes, and whether its agent is online."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from moto.core.utils import utcnow

from sparsebench.localcloud import processes, sandbox
from sparsebench.localcloud.config import Config
from sparsebench.localcloud.credentials import keys
from sparsebench.localcloud.faults import Market, Target
from sparsebench.localcloud.iam.principals import agent_may_register

PingStatus = Literal["Online", "ConnectionLost"]


class PoweredOff(Exception):
    """The instance is stopped or terminated: nothing can be started on it."""


class Instance:
    """An instance follows its record in moto, which alone knows type, zone, image, tags and state."""

    def __init__(self, record: Any, region: str, config: Config, url: str) -> None:
        self.record = record
        self.id: str = record.id
        self.region = region
        self.home = config.root / "instances" / self.id
        self.logs = config.root / "logs" / self.id
        self.agent_delay_s = config.agent_delay_s
        """From its start until its agent is online; infinite: never."""
        self.launched_at = time.monotonic()
        self.lag_s = config.lag_s
        """From its launch until it is found by its tags."""
        self.invocation_lag_s = config.lag_s / 6
        """From when a command is sent to it until GetCommandInvocation finds that."""
        self.unseen_s = 0.0
        """From its launch until EC2 shows it at all."""
        self.enforce_iam = config.enforce_iam
        self.grace_s = processes.GRACE_S
        """That its processes have to end by themselves when it goes down."""
        self.interruption_at: datetime | None = None
        """When EC2 will take a spot instance back, once it has given notice."""
        self._lock = threading.RLock()
        self._state: Literal["new", "running", "stopped", "terminated"] = "new"
        self._running_since = 0.0
        self._timers: list[threading.Timer] = []
        self._shutdown: threading.Timer | None = None
        self.shutdown_at: datetime | None = None
        sandbox.build(self.home, config.uv)
        self.logs.mkdir(parents=True)
        (self.home / "commands").symlink_to(self.logs)
        self._environment = sandbox.environment(
            self.id, keys(config.root).name_of(self.id), self.home, config.uv, url, region
        )

    @property
    def running(self) -> bool:
        return self._state == "running"

    @property
    def market(self) -> Market:
        return "spot" if self.record.lifecycle == "spot" else "on-demand"

    def target(self, comment: str = "") -> Target:
        """What faults see of it, or of a command on it."""
        return Target(self.record.instance_type, self.record.availability_zone, self.market, comment=comment)

    @property
    def agent(self) -> PingStatus | None:
        """What Systems Manager says of the instance; None: it does not know it (yet, or any more)."""
        if self._state == "stopped":
            return "ConnectionLost"
        online = self.running and time.monotonic() - self._running_since >= self.agent_delay_s
        online = online and (not self.enforce_iam or agent_may_register(self.record))
        return "Online" if online else None

    def is_shown(self, by_tag: bool) -> bool:
        """Whether a describe call finds it: EC2 is eventually consistent."""
        return time.monotonic() - self.launched_at >= max(self.unseen_s, self.lag_s if by_tag else 0)

    # ------------------------------------------------------------------------------------- its states

    def follow(self) -> None:
        """Do what its state in moto asks for. Repeatable."""
        match self.record.state:
            case "running":
                self._power_on()
            case "stopped":
                self._power_off("stopped")
            case "terminated":
                self._power_off("terminated")

    def _power_on(self) -> None:
        with self._lock:
            first = self._state == "new"
            if self._state in ("running", "terminated"):
                return
            self._state = "running"
            self._running_since = time.monotonic()
        if not first:
            self.record.launch_time = utcnow()  # EC2's is that of the last start
        elif self.record.user_data:
            self._run_user_data(self.record.user_data.decode())

    def _power_off(self, state: Literal["stopped", "terminated"]) -> None:
        with self._lock:
            if self._state in (state, "terminated"):
                return
            self._state = state
            self.cancel_shutdown()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        processes.end(self.id, self.grace_s)
        if state == "terminated":
            shutil.rmtree(self.home, ignore_errors=True)

    def reboot(self) -> None:
        """End its processes; user data is for the first boot only."""
        processes.end(self.id)
        with self._lock:
            self._running_since = time.monotonic()

    # ---------------------------------------------------------------------------------- its processes

    def start(self, name: str, script: str, folder: str | None = None) -> subprocess.Popen[bytes]:
        """Start a script in a session of its own; its output goes to ``stdout`` and ``stderr`` in ``logs/<name>``.

        Args:
            folder: where it runs, below the instance's home unless absolute.

        Raises:
            PoweredOff: the instance is not running.
            OSError: the folder is not there, or the script's interpreter.
        """
        with self._lock:
            if not self.running:
                raise PoweredOff(self.id)
            logs = self.logs / name
            logs.mkdir(exist_ok=True)  # after a reboot that it asked for a script runs again
            file = logs / "script"
            file.write_text(script)
            file.chmod(0o700)
            with (logs / "stdout").open("wb") as stdout, (logs / "stderr").open("wb") as stderr:
                return subprocess.Popen(
                    # As the SSM agent does: a script that names no interpreter is the shell's.
                    sandbox.with_tmp(["/bin/sh", "-c", shlex.quote(os.fspath(file))], self.home),
                    cwd=self.home / (folder or sandbox.FOLDER),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )

    def _run_user_data(self, user_data: str) -> None:
        if not user_data.startswith("#!"):
            return  # cloud-init runs a script; it takes anything else for configuration
        with contextlib.suppress(PoweredOff):
            process = self.start("user-data", user_data)
            threading.Thread(target=process.wait, name=f"user-data of {self.id}", daemon=True).start()

    # ----------------------------------------------------------------------------- what comes later

    def after(self, seconds: float, act: Callable[[], object]) -> threading.Timer:
        """Call ``act`` after so many seconds, unless the instance is stopped or terminated before."""
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        with self._lock:
            if self._state in ("new", "running"):
                self._timers.append(timer)
                timer.start()
        return timer

    def schedule_shutdown(self, after_s: float, act: Callable[[], object]) -> None:
        """Call ``act`` after so many seconds, in place of what was planned before."""
        with self._lock:
            self.cancel_shutdown()
            if self.running:
                self.shutdown_at = datetime.now(UTC) + timedelta(seconds=after_s)
                self._shutdown = self.after(after_s, act)

    def cancel_shutdown(self) -> None:
        with self._lock:
            if self._shutdown is not None:
                self._shutdown.cancel()
            self._shutdown, self.shutdown_at = None, None


def remove_leftovers(root: Path) -> None:
    """End and remove the instances of a server that was killed before it could do so itself."""
    for home in (root / "instances").glob("i-*"):
        processes.end(home.name)
        shutil.rmtree(home, ignore_errors=True)
