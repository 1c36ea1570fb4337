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

ARCHITECTURE = "x86_64"
"""Of the instances."""

PYTHON, ABIS = "3.11", ("cp311", "abi3", "none")

NEWEST_GLIBC = 34
"""Of Amazon Linux 2023 (2.34): a wheel that wants a newer one does not load there, though it may here."""

_PLATFORMS = tuple(f"manylinux_2_{minor}_{ARCHITECTURE}" for minor in range(NEWEST_GLIBC, 4, -1))
_OLDER = (f"manylinux2014_{ARCHITECTURE}", f"manylinux2010_{ARCHITECTURE}", f"manylinux1_{ARCHITECTURE}")


def path_of(store: Store, lock: str) -> str:
    """Where the wheels of a lock are, with those of the lock of uv that this version has. lock: its digest."""
    return store.wheelhouse_path(lock, f"{ARCHITECTURE}-uv-{sha256(payload.lock('uv'))[:12]}")


def gather(store: Store, say: Callable[[str], None]) -> str:
    """Put the wheels of this version's bench lock, and of uv, which installs them, into the store; where they are.

    They are downloaded from the registry that pip is configured for, and held to the hashes of the locks. What is there
    already is left as it is.

    Raises:
        BadInput: pip cannot have a wheel that fits the instances. StoreError: they cannot be written.
    """
    locks = [payload.lock("bench"), payload.lock("uv")]
    path = path_of(store, sha256(locks[0]))
    if store.exists(path):
        say(f"{store.uri}/{path} is there already")
        return path
    with TemporaryDirectory(prefix="sparsebench-") as folder:
        wheels = Path(folder) / "wheels"
        for lock in locks:
            download(lock, wheels, say)
        archive = Path(folder) / "wheels.tar"
        count = packed(wheels, archive)
        say(f"{count} wheels, {archive.stat().st_size / 1e6:.0f} MB")
        store.write_file(path, archive)
    return path


def download(lock: bytes, wheels: Path, say: Callable[[str], None]) -> None:
    """The wheels of a lock that fit the instances, in a folder.

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
        command += [option for name in (*_PLATFORMS, *_OLDER) for option in ("--platform", name)]
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


def packed(wheels: Path, archive: Path) -> int:
    """Write the wheels into one file, in the order of their names; how many there are."""
    files = sorted(wheels.glob("*.whl"))
    with tarfile.open(archive, "w") as tar:
        for file in files:
            tar.add(file, file.name)
    return len(files)
