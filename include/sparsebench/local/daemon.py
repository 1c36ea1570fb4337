"""Keep the stack running in the background: ``make up`` and ``make down``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sparsebench.errors import SparsebenchError
from sparsebench.local.processes import PRIVATE
from sparsebench.local.stack import USER, Stack


def default_home() -> Path:
    return Path.cwd() / ".sparsebench"


def running(home: Path) -> dict[str, str] | None:
    """Address, cloud and process of the stack that runs from this folder, or None."""
    state = home / "stack.json"
    if not state.exists():
        return None
    stack = json.loads(state.read_text())
    try:
        command = Path(f"/proc/{stack['pid']}/cmdline").read_bytes()
    except FileNotFoundError:
        command = b""
    if b"sparsebench.local.daemon" not in command:  # it was killed, and the number may be another's by now
        state.unlink()
        return None
    return stack


def up(home: Path) -> None:
    """Start the stack in the background, unless it runs, and say where it is.

    Raises:
        SparsebenchError: it did not come up, with the end of its log.
    """
    log = home / "logs" / "up.log"
    if not running(home):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=PRIVATE)
        log.chmod(PRIVATE)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sparsebench.local.daemon"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=home.parent,
            )
        print("starting Airflow and localcloud …", flush=True)
        while not (home / "stack.json").exists():
            if process.poll() is not None:
                raise SparsebenchError(f"it did not start; {log}:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.5)
    stack = running(home)
    assert stack is not None
    password = Stack(home=home).password
    print(f"Airflow:    {stack['url']}  login {USER} / {password}")
    print(f"localcloud: AWS_ENDPOINT_URL={stack['cloud_url']}")
    print(f"store:      {stack['store']}")
    print("`make down` ends it all.")


def down(home: Path, timeout_s: float = 60) -> None:
    """End the stack and all that it started."""
    stack = running(home)
    if not stack:
        print("nothing runs")
        return
    os.kill(int(stack["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while running(home):
        if time.monotonic() > deadline:
            raise SparsebenchError(f"process {stack['pid']} has not ended after {timeout_s:.0f} s")
        time.sleep(0.2)
    print("stopped")


def raise_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that what it started is ended too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def main() -> None:
    home = default_home()
    raise_on_sigterm()
    state = home / "stack.json"
    try:
        with Stack(home=home, say=print) as stack:
            draft = state.with_suffix(".tmp")
            described = {"pid": str(os.getpid()), "url": stack.url, "cloud_url": stack.cloud_url, "store": stack.store}
            draft.write_text(json.dumps(described))
            draft.replace(state)
            while True:
                stack.check()
                time.sleep(1)
    except KeyboardInterrupt:
        pass
    except SparsebenchError as error:
        raise SystemExit(f"sparsebench: {error}") from error
    finally:
        state.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
