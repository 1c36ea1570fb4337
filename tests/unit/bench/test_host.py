"""What the runner knows of its machine."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sparsebench.bench.host import Cpu, Identity, caches, host_facts, identity, parse_cpuinfo, physical_cores

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8488C
microcode\t: 0x2b000639
flags\t\t: fpu amx_bf16 avx512_vnni
vmx flags\t: vnmi

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
BogoMIPS\t: {mips}
Features\t: {features}
CPU implementer\t: {implementer}
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part}
CPU revision\t: 1

processor\t: 1
CPU part\t: 0xd08
"""
N1 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs"
V1 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 "
    "sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs"
)
"""As machines of EC2 wrote it: t4g.small with Amazon Linux 2023 (amazonlinux/amazon-linux-2023#455), and c7g.2xlarge
(archspec/archspec-json#51)."""


def test_cpu_model_flags_and_microcode_are_the_first_processors() -> None:
    flags = ("amx_bf16", "avx512_vnni", "fpu")
    assert parse_cpuinfo(INTEL) == Cpu("Intel(R) Xeon(R) Platinum 8488C", flags, "0x2b000639")


@pytest.mark.parametrize(
    ("mips", "features", "implementer", "part", "model"),
    [
        ("243.75", N1, "0x41", "0xd0c", "Arm Neoverse-N1 (Graviton2)"),
        ("2100.00", V1, "0x41", "0xd40", "Arm Neoverse-V1 (Graviton3)"),
        ("2000.00", V1, "0x41", "0xd4f", "Arm Neoverse-V2 (Graviton4)"),
        ("2000.00", V1, "0x41", "0xfff", "Arm, implementer 0x41, part 0xfff"),
        ("2000.00", V1, "0xc0", "0xd40", "Arm, implementer 0xc0, part 0xd40"),
    ],
)
def test_an_arm_core_is_named_by_its_numbers(mips: str, features: str, implementer: str, part: str, model: str) -> None:
    text = ARM.format(mips=mips, features=features, implementer=implementer, part=part)
    assert parse_cpuinfo(text) == Cpu(model, tuple(sorted(features.split())), None)
    assert "asimddp" in parse_cpuinfo(text).flags


def test_what_names_neither_a_model_nor_a_part_has_none() -> None:
    assert parse_cpuinfo("processor\t: 0\nhart\t: 1\n") == Cpu("", (), None)


def test_two_threads_of_one_core_are_one_physical_core(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / f"cpu{cpu}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/topology/thread_siblings_list").write_text(siblings + "\n")

    assert physical_cores(tmp_path, [0, 1, 2, 3]) == 2
    assert physical_cores(tmp_path, [0, 2]) == 1


def test_caches_are_bytes_by_level(tmp_path: Path) -> None:
    levels = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K")]
    for index, values in enumerate(levels):
        (tmp_path / f"index{index}").mkdir()
        for name, value in zip(("level", "type", "size"), values, strict=True):
            (tmp_path / f"index{index}" / name).write_text(value + "\n")

    assert caches(tmp_path) == {"L1d": 48 * 1024, "L1i": 32 * 1024, "L2": 2048 * 1024}


class Metadata(BaseHTTPRequestHandler):
    """IMDSv2: no answer without the token."""

    document: bytes

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if known else 404, b"the-token")

    def do_GET(self) -> None:
        known = self.path == "/latest/dynamic/instance-identity/document"
        allowed = self.headers["X-aws-ec2-metadata-token"] == "the-token"
        self.answer(200 if known and allowed else 401, self.document)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Metadata]]:
    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        yield Metadata
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("emulated", [True, False])
def test_an_instance_is_known_by_its_metadata(metadata: type[Metadata], emulated: bool) -> None:
    document = {"instanceId": "i-0abc", "instanceType": "m7i.xlarge", "region": "eu-central-1"}
    metadata.document = json.dumps(document | ({"emulated": True} if emulated else {})).encode()

    assert identity() == Identity("i-0abc", "m7i.xlarge", emulated)


@pytest.mark.slow
def test_a_service_that_answers_something_else_is_no_metadata(metadata: type[Metadata]) -> None:
    metadata.document = b"<html>welcome</html>"

    assert identity() == Identity(socket.gethostname(), "localhost", emulated=False)


def test_facts_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")

    facts = host_facts()

    assert (facts.instance_id, facts.instance_type) == (socket.gethostname(), "localhost")
    assert 1 <= facts.physical_cores <= facts.logical_cores == len(os.sched_getaffinity(0))
    assert facts.cpu_flags
    assert facts.caches["L2"] >= facts.caches["L1d"] > 0
    assert facts.memory_bytes > 2**28
    assert facts.versions["numpy"]
