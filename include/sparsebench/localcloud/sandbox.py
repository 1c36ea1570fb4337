"""An instance's folder and environment: what its processes see of this machine."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from sparsebench.localcloud import power
from sparsebench.localcloud.processes import MARKER

_PASSED = {"LANG", "TERM", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SPARSEBENCH_QUIET_SOCKET"}
_PASSED_PREFIXES = ("UV_", "PIP_", "SSL_", "OPENBLAS_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}

FOLDER = Path("usr/bin")
"""In which the SSM agent starts a command; below the instance's own, here."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TMP_MIB = 64
"""Of an instance's /tmp."""

_WITH_TMP = f"""
mkdir -p "$0" && mount -t tmpfs -o size={TMP_MIB}m,mode=1777 tmpfs "$0" || exit
for folder in /tmp/*/; do
  if [ -O "$folder" ] && [ ! -L "${{folder%/}}" ]; then
    mkdir "$0/${{folder#/tmp/}}" && mount --bind "$folder" "$0/${{folder#/tmp/}}" || exit
  fi
done
mount --move "$0" /tmp && cd "$PWD" && exec "$@"
"""
"""The store, or the instance itself, may lie in a folder of this user's there: those are seen as they are."""


def build(home: Path, uv: Path | None) -> None:
    """Make the folder, with a ``bin`` that stands before the system's programs."""
    binaries = home / "bin"
    binaries.mkdir(parents=True)
    (home / FOLDER).mkdir(parents=True)
    # The interpreter itself: a shim of a version manager would look for its versions in the instance's HOME.
    (binaries / "python3.11").symlink_to(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    if uv is not None:
        (binaries / "uv").symlink_to(uv.resolve())
    # What must never reach the real machine.
    for name in power.NAMES:
        _script(binaries / name, f'exec {shlex.join([sys.executable, "-I", power.__file__])} {name} "$@"')
    # Where a process without HOME looks for it: not in this machine's.
    _script(binaries / "getent", f'echo "root:x:$(id -u):0:root:{home}:/bin/bash"')
    for name in ("dnf", "yum"):
        _script(binaries / name, f'echo "{name}: an emulated instance installs no system packages" >&2; exit 127')


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def environment(instance_id: str, name: str, home: Path, uv: Path | None, url: str, region: str) -> dict[str, str]:
    """The variables of every process of an instance: an allowlist of this process's, and its own.

    The SSM agent sets no more than AWS_SSM_*: neither a home, nor a region.
    Credentials are none of them: as on EC2, they come from the instance's metadata service.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES) or name.upper() in _PROXIES
    }
    if any(name.upper() in _PROXIES for name in passed):
        direct = ",".join(filter(None, [passed.get("NO_PROXY") or passed.get("no_proxy"), "127.0.0.1,localhost"]))
        passed |= {"NO_PROXY": direct, "no_proxy": direct}
    if uv is not None:
        passed["UV_CACHE_DIR"] = _uv_cache(uv)
    return passed | {
        "PATH": f"{home / 'bin'}:{_SYSTEM_PATH}",
        MARKER: instance_id,
        "AWS_ENDPOINT_URL": url,
        "AWS_SSM_INSTANCE_ID": instance_id,
        "AWS_SSM_REGION_NAME": region,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{url}/localcloud/imds/{name}",
        power.ENDPOINT: f"{url}/localcloud/instances/{name}/shutdown",
    }


@cache
def has_tmp(tmp: Path) -> bool:
    """Whether this system lets an instance have a /tmp of its own: root may, outside most containers."""
    try:
        return subprocess.run([*_with_tmp(tmp), "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False  # no unshare


def with_tmp(command: list[str], home: Path) -> list[str]:
    """The command with a small /tmp of its own in memory, as on Amazon Linux 2023, where the system allows that."""
    return [*_with_tmp(home / "tmp"), *command] if has_tmp(home.parents[1] / "tmp") else command


def _with_tmp(tmp: Path) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _WITH_TMP, os.fspath(tmp)]


@cache
def _uv_cache(uv: Path) -> str:
    """This user's cache: the instance's HOME is another, and installing would start from nothing."""
    return subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
