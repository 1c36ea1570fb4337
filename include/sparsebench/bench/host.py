"""Facts of the machine that measures, read from Linux and from the instance's metadata."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import psutil

from sparsebench.bench.cores import usable_cores
from sparsebench.contracts import HostFacts
from sparsebench.instance.imds import metadata

ARM = "0x41"
"""The implementer's number of Arm itself, whose cores Graviton's are."""

ARM_CORES = {
    "0xd08": "Arm Cortex-A72 (Graviton)",
    "0xd0c": "Arm Neoverse-N1 (Graviton2)",
    "0xd40": "Arm Neoverse-V1 (Graviton3)",
    "0xd4f": "Arm Neoverse-V2 (Graviton4)",
    "0xd84": "Arm Neoverse-V3 (Graviton5)",
}
"""By part number: cores of EC2's instances. Others have them too (Ampere's is a Neoverse-N1), but not there."""

PACKAGES = ("deepsparse", "onnxruntime", "openvino", "onnx", "numpy")


@dataclass(frozen=True)
class Identity:
    instance_id: str
    instance_type: str
    emulated: bool


class Cpu(NamedTuple):
    """model: empty where it is not told. flags: sorted. microcode: its revision; None where it is not told."""

    model: str
    flags: tuple[str, ...]
    microcode: str | None


def host_facts(most_threads: int | None = None) -> HostFacts:
    """This machine's. Cores are those that this process may use. most_threads: that an engine is to have."""
    instance, usable = identity(), usable_cores(most=most_threads)
    cpus = sorted(os.sched_getaffinity(0))
    cpu = parse_cpuinfo(Path("/proc/cpuinfo").read_text())
    frequency = psutil.cpu_freq()
    return HostFacts(
        instance_id=instance.instance_id,
        instance_type=instance.instance_type,
        emulated=instance.emulated,
        cpu_model=cpu.model or platform.machine(),
        cpu_flags=cpu.flags,
        microcode=cpu.microcode,
        caches=caches(Path(f"/sys/devices/system/cpu/cpu{cpus[0]}/cache")),
        physical_cores=physical_cores(Path("/sys/devices/system/cpu"), cpus),
        logical_cores=len(cpus),
        frequency_mhz=(frequency.max or frequency.current or None) if frequency else None,
        memory_bytes=psutil.virtual_memory().total,
        kernel=platform.release(),
        os=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        python=platform.python_version(),
        versions={package: number for package in PACKAGES if (number := _version(package))},
        cpus=usable.cpus,
        threads=usable.threads,
        quota_cores=usable.quota,
        numa_nodes=usable.nodes,
    )


def identity() -> Identity:
    """Who this machine is, by EC2's instance metadata (IMDSv2); by its host name where there is none.

    localcloud's instances get their metadata from it, and there it says that they are emulated.
    """
    try:
        document = json.loads(metadata("dynamic/instance-identity/document") or "")
        return Identity(document["instanceId"], document["instanceType"], document.get("emulated", False))
    except (ValueError, LookupError, TypeError):  # nobody there, or something else than the service
        return Identity(socket.gethostname(), "localhost", emulated=False)


def parse_cpuinfo(text: str) -> Cpu:
    """What /proc/cpuinfo says of its first processor."""
    first = dict(re.findall(r"^([^\t:]+?)\s*: ?(.*)$", text.split("\n\n")[0], re.MULTILINE))
    model = first.get("model name", "").strip() or _arm_model(first)
    flags = first.get("flags") or first.get("Features") or ""  # x86, Arm
    return Cpu(model, tuple(sorted(flags.split())), first.get("microcode"))


def _arm_model(processor: dict[str, str]) -> str:
    """The name of an Arm core, which /proc/cpuinfo does not tell: it has the implementer's and the part's number, as
    the register MIDR_EL1 has them. Empty: it is no Arm."""
    implementer, part = processor.get("CPU implementer", ""), processor.get("CPU part", "")
    if not part:
        return ""
    core = ARM_CORES.get(part) if implementer == ARM else None
    return core or f"Arm, implementer {implementer}, part {part}"


def caches(folder: Path) -> dict[str, int]:
    """Bytes by level, of a CPU's cache folder in /sys: L1d, L1i, L2, L3."""
    sizes = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
        sizes[f"L{level}{suffix}"] = int(size.removesuffix("K")) * 1024
    return sizes


def physical_cores(folder: Path, cpus: list[int]) -> int:
    """How many cores are behind these CPUs: those that share one (SMT) name the same siblings in /sys."""
    return len({(folder / f"cpu{cpu}/topology/thread_siblings_list").read_text() for cpu in cpus})


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
