"""Every wheel of the bench lock in the store, so that an instance installs without a way to a registry."""

from __future__ import annotations

import subprocess
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sparsebench.contracts import sha256
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.store import Store

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""How wheels name EC2's architectures."""

PYTHON, ABIS = "3.11", ("cp311", "abi3", "none")

NEWEST_GLIBC = {"x86_64": 34, "arm64": 35}
"""Of Amazon Linux 2023 (2.34) and Ubuntu 22.04 (2.35): a wheel that wants a newer one does not load there, though it
may here."""


def path_of(store: Store, lock: str, architecture: str) -> str:
    """Where the wheels of a lock are, with those of the lock of uv that this version has.

    Args:
        lock: its digest.
        architecture: as EC2 names it.
    """
    return store.wheelhouse_path(lock, f"{MACHINES[architecture]}-uv-{sha256(payload.lock('uv'))[:12]}")


def gather(store: Store, say: Callable[[str], None], architecture: str = "x86_64") -> str:
    """Put the wheels of this version's bench lock, and of uv, which installs them, into the store; where they are.

    They are downloaded from the registry that pip is configured for, and held to the hashes of the locks. What is there
    already is left as it is.

    Raises:
        BadInput: there are no instances of the architecture, or pip cannot have a wheel that fits them.
        StoreError: they cannot be written.
    """
    if architecture not in MACHINES:
        raise BadInput(f"architecture: {architecture!r} is not one of {', '.join(MACHINES)}")
    locks = [payload.lock("bench"), payload.lock("uv")]
    path = path_of(store, sha256(locks[0]), architecture)
    if store.exists(path):
        say(f"{store.uri}/{path} is there already")
        return path
    with TemporaryDirectory(prefix="sparsebench-") as folder:
        wheels = Path(folder) / "wheels"
        for lock in locks:
            download(lock, wheels, say, architecture)
        archive = Path(folder) / "wheels.tar"
        count = packed(wheels, archive)
        say(f"{count} wheels, {archive.stat().st_size / 1e6:.0f} MB")
        store.write_file(path, archive)
    return path


def download(lock: bytes, wheels: Path, say: Callable[[str], None], architecture: str) -> None:
    """The wheels of a lock that fit the instances of an architecture, in a folder.

    Raises:
        BadInput: one is not to be had; pip's own words.
    """
    with TemporaryDirectory(prefix="sparsebench-") as folder:
        venv.create(Path(folder) / "pip", with_pip=True)
        file = Path(folder) / "lock.txt"
        file.write_bytes(lock)
        command = [str(Path(folder) / "pip" / "bin" / "python"), "-m", "pip", "download", "--no-deps"]
        command += ["--require-hashes", "--requirement", str(file), "--dest", str(wheels)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON]
        command += [option for name in _platforms(architecture) for option in ("--platform", name)]
        command += [option for name in ABIS for option in ("--abi", name)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
            assert pip.stdout
            lines = []
            for line in pip.stdout:
                lines.append(line.strip())
                if line.startswith(("Collecting", "Saved")):
                    say(lines[-1])
        if pip.returncode:
            errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
            raise BadInput(f"pip download: {' '.join(errors)}")


def _platforms(architecture: str) -> list[str]:
    """Which platforms' wheels load there, the newest first."""
    named = [f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC[architecture], 4, -1)]
    return [f"{name}_{MACHINES[architecture]}" for name in (*named, "manylinux2014", "manylinux2010", "manylinux1")]


def packed(wheels: Path, archive: Path) -> int:
    """Write the wheels into one file, in the order of their names; how many there are."""
    files = sorted(wheels.glob("*.whl"))
    with tarfile.open(archive, "w") as tar:
        for file in files:
            tar.add(file, file.name)
    return len(files)
