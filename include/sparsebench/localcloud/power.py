"""What ``shutdown``, ``poweroff``, ``halt`` and ``reboot`` are on an emulated instance: a call to localcloud.

Run as a file, with nothing but the standard library, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta

NAMES = ("shutdown", "poweroff", "halt", "reboot")
ENDPOINT = "SPARSEBENCH_LOCALCLOUD_SHUTDOWN"
"""Environment variable: address of the instance's scheduled shutdown."""


def seconds_until(when: str, now: datetime) -> float:
    """The seconds until shutdown's time argument: ``now``, ``+minutes`` (or just a number), or ``hh:mm``.

    Raises:
        ValueError: anything else.
    """
    if when == "now":
        return 0
    if ":" in when:
        at = datetime.strptime(when, "%H:%M").replace(year=now.year, month=now.month, day=now.day)
        return ((at - now) % timedelta(days=1)).total_seconds()
    minutes = int(when.removeprefix("+"))
    if minutes < 0:
        raise ValueError(when)
    return minutes * 60


def request_of(program: str, arguments: list[str]) -> tuple[str, dict[str, object]]:
    """HTTP method and body that a command line asks for.

    Raises:
        ValueError: an option or a time that is not known.
    """
    options = [argument for argument in arguments if argument.startswith("-")]
    rest = [argument for argument in arguments if not argument.startswith("-")]
    if unknown := set(options) - {"-h", "-P", "-H", "-r", "-c", "-f", "--show", "--no-wall"}:
        raise ValueError(f"unknown option {sorted(unknown)[0]}")
    if "-c" in options:
        return "DELETE", {}
    if "--show" in options:
        return "GET", {}
    when = (rest[0] if rest else "+1") if program == "shutdown" else "now"
    after_s = seconds_until(when, datetime.now())
    return "POST", {"after_s": after_s, "reboot": program == "reboot" or "-r" in options}


def main(program: str, arguments: list[str]) -> int:
    try:
        method, body = request_of(program, arguments)
    except ValueError as problem:
        print(f"{program}: {problem}", file=sys.stderr)
        return 1
    request = urllib.request.Request(  # noqa: S310 - the address is localcloud's own
        os.environ[ENDPOINT],
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request) as response:
            print(json.load(response)["message"], file=sys.stderr)
    except urllib.error.HTTPError as problem:
        print(f"{program}: {problem.read().decode()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
