"""The scripts of a job's steps, run by the emulated cloud on an instance of it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from sparsebench.catalog import protocols
from sparsebench.contracts import ArtifactRef, BenchRequest, Job, sha256
from sparsebench.errors import BadInput
from sparsebench.fleet import baking, payload, wheelhouse
from sparsebench.fleet.commands import environment, script
from sparsebench.instance.exits import KILLED
from sparsebench.localcloud import LocalCloud
from sparsebench.store import Store

ROOT = Path(__file__).parents[3]
BENCH_PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"
NIGHT = "2026-11-24"
REGION = "us-east-1"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
OVER = ("Success", "Failed", "TimedOut", "Cancelled")

UV = """#!/bin/sh
echo "$1" >> uv-calls
[ "$1" != venv ] || { mkdir -p env/bin && ln -s "$(command -v python3.11)" env/bin/python; }
"""
"""In place of uv: it makes an environment without packages."""


def wait_until(promise: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := promise()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


class OnInstance:
    """An instance, and the commands that are sent to it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud, self.ssm, ec2 = cloud, boto3.client("ssm"), boto3.client("ec2")
        image = self.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
        launched = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.xlarge")
        self.id = launched["Instances"][0]["InstanceId"]
        wait_until(lambda: self.ssm.describe_instance_information()["InstanceInformationList"])
        self.home = cloud.root / "instances" / self.id
        self.folder = self.home / "sparsebench"

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def send(self, text: str) -> str:
        sent = self.ssm.send_command(
            InstanceIds=[self.id], DocumentName="AWS-RunShellScript", Parameters={"commands": [text]}
        )
        return str(sent["Command"]["CommandId"])

    def ended(self, command_id: str) -> dict[str, Any]:
        def over() -> Any:
            try:
                invocation = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=self.id)
            except self.ssm.exceptions.InvocationDoesNotExist:
                return None  # not yet
            return invocation if invocation["Status"] in OVER else None

        return dict(wait_until(over))

    def run(self, text: str) -> dict[str, Any]:
        return self.ended(self.send(text))

    @property
    def ends_at(self) -> datetime | None:
        """When its shutdown is planned."""
        with urllib.request.urlopen(f"{self.cloud.of_instance(self.id, 'instances')}/shutdown") as answer:
            match = re.search(r"scheduled for (\S+ \S+) UTC", json.load(answer)["message"])
        return datetime.fromisoformat(f"{match[1]}+00:00") if match else None


@pytest.fixture
def instance(localcloud: LocalCloud) -> OnInstance:
    return OnInstance(localcloud)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "the store").as_uri())


def after(**span: float) -> datetime:
    return datetime.now(UTC) + timedelta(**span)


# ----------------------------------------------------------------------------------------- prepare


@pytest.fixture
def job(make_job: Callable[..., Job], store: Store) -> Job:
    """Its payload is a package of one module."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("sparsebench/bench.py", "print('measured')")
    return make_job(lock=store.put_lock(b"numpy==1.26.4\n"), payload=store.put_payload(wheel.getvalue()))


@pytest.fixture
def uv(instance: OnInstance) -> Path:
    """Its calls."""
    instance.program(instance.home / "bin" / "uv", UV)
    return instance.folder / "uv-calls"


def test_what_is_intact_is_installed_once(instance: OnInstance, store: Store, job: Job, uv: Path) -> None:
    for _ in range(2):
        done = instance.run(script("prepare", job, store, after(hours=2), REGION))

        assert done["Status"] == "Success", done["StandardErrorContent"]
        assert (instance.folder / "app/sparsebench/bench.py").read_text() == "print('measured')"
    assert uv.read_text().split() == ["venv", "pip", "pip"]


@pytest.mark.parametrize(("kind", "file"), [("lock", "lock.txt"), ("payload", "payload.whl")])
def test_what_is_damaged_is_refused_before_anything_is_installed(
    instance: OnInstance, store: Store, job: Job, uv: Path, kind: str, file: str
) -> None:
    path = getattr(store, f"{kind}_path")(getattr(job, kind))
    store.write(path, store.read(path) + b"\n")

    done = instance.run(script("prepare", job, store, after(hours=2), REGION))

    assert done["Status"] == "Failed"
    assert f"{file}: FAILED" in done["StandardOutputContent"]
    assert not uv.exists()
    assert not (instance.folder / "app").exists()


NOWHERE = "sparsebench_nowhere"
"""A package that no registry has."""


def wheel_of(module: str) -> bytes:
    content, info = io.BytesIO(), f"{NOWHERE}-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{NOWHERE}.py", module)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NOWHERE}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


@pytest.fixture
def wheels(store: Store, job: Job, tmp_path: Path) -> Callable[[bytes], Job]:
    """Puts the wheels of a lock into the store; a job with that lock, which is of one package."""
    lock = store.put_lock(f"{NOWHERE}==1.0 --hash=sha256:{sha256(wheel_of('said = 1'))}\n".encode())

    def put(content: bytes) -> Job:
        folder = tmp_path / "wheels"
        folder.mkdir()
        (folder / f"{NOWHERE}-1.0-py3-none-any.whl").write_bytes(content)
        assert wheelhouse.packed(folder, tmp_path / "wheels.tar") == 1
        store.write_file(wheelhouse.path_of(store, lock, "x86_64"), tmp_path / "wheels.tar")
        return job.model_copy(update={"lock": lock})

    return put


def test_what_the_store_has_the_wheels_of_is_installed_without_a_registry(
    instance: OnInstance, store: Store, wheels: Callable[[bytes], Job]
) -> None:
    job = wheels(wheel_of("said = 1"))
    for _ in range(2):
        done = instance.run(script("prepare", job, store, after(hours=2), REGION))
        assert done["Status"] == "Success", done["StandardErrorContent"]
        assert "from the wheelhouse" in done["StandardOutputContent"]
    python = instance.folder / "env/bin/python"
    said = subprocess.run([python, "-c", f"import {NOWHERE} as it; print(it.said)"], capture_output=True, check=True)
    assert said.stdout == b"1\n"
    assert not list(instance.folder.glob("wheels*"))


def test_what_is_no_file_in_an_archive_of_wheels_is_left_out(
    instance: OnInstance, store: Store, wheels: Callable[[bytes], Job], tmp_path: Path
) -> None:
    job = wheels(wheel_of("said = 1"))
    folder = tmp_path / "pipes"
    folder.mkdir()
    os.mkfifo(folder / f"{NOWHERE}-1.0-py3-none-any.whl")
    wheelhouse.packed(folder, tmp_path / "pipes.tar")
    store.write_file(wheelhouse.path_of(store, job.lock, "x86_64"), tmp_path / "pipes.tar")
    assert (
        instance.run(script("prepare", job, store, after(hours=2), REGION))["Status"] == "Failed"
    )  # and does not hang


@pytest.mark.parametrize("content", [b"", wheel_of("said = 2")], ids=["no wheel", "another wheel"])
def test_a_wheel_that_is_not_what_the_lock_says_is_not_installed(
    instance: OnInstance, store: Store, wheels: Callable[[bytes], Job], content: bytes
) -> None:
    done = instance.run(script("prepare", wheels(content), store, after(hours=2), REGION))
    assert done["Status"] == "Failed"  # nor does the registry have it
    assert "from the wheelhouse" not in done["StandardOutputContent"]
    assert not list(instance.folder.glob(f"env/lib/*/site-packages/{NOWHERE}*"))


def test_wheels_that_the_store_has_of_another_lock_are_not_used(
    instance: OnInstance, store: Store, wheels: Callable[[bytes], Job]
) -> None:
    other = store.put_lock(f"{NOWHERE}==1.0 --hash=sha256:{sha256(wheel_of('said = 2'))}\n".encode())
    job = wheels(wheel_of("said = 1")).model_copy(update={"lock": other})
    assert instance.run(script("prepare", job, store, after(hours=2), REGION))["Status"] == "Failed"


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_what_is_baked_into_an_image_is_what_prepare_looks_for(
    instance: OnInstance, store: Store, job: Job, uv: Path, tmp_path: Path, architecture: str
) -> None:
    folder = tmp_path / "packer"
    baking.write(folder, architecture)
    text = (folder / "environment.sh").read_text()
    assert environment() in text
    assert environment() in script("prepare", job, store, after(hours=2), REGION)
    template = (folder / "bench.pkr.hcl").read_text()
    assert f'architecture        = "{architecture}"' in template
    assert {path.name for path in folder.iterdir()} == {"bench.pkr.hcl", "environment.sh", "lock.txt"}
    assert (folder / "lock.txt").read_bytes() == payload.lock("bench")

    baked = instance.run(f"cd {folder}\nsh environment.sh")
    assert baked["Status"] == "Success", baked["StandardErrorContent"]
    assert uv.read_text().split() == ["venv", "pip"]
    done = instance.run(script("prepare", job, store, after(hours=2), REGION))
    assert done["Status"] == "Success", done["StandardErrorContent"]
    assert uv.read_text().split() == ["venv", "pip", "pip"]  # what is there is looked at, and not made again
    with pytest.raises(BadInput, match="give a folder that is new, or empty"):
        baking.write(folder, architecture)


@pytest.mark.slow
@pytest.mark.parametrize(("manager", "names"), [("dnf", "python3.11-pip"), ("apt-get", "python3.11-venv")])
def test_python_comes_by_the_systems_own_packages(
    tmp_path: Path, job: Job, store: Store, manager: str, names: str
) -> None:
    """Of Amazon Linux, and of Ubuntu, where what it does by the clock is stopped first."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    calls = tmp_path / "calls"
    for name in (manager, *(("cloud-init", "systemctl") if manager == "apt-get" else ())):
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n')
        (bin_ / name).chmod(0o755)
    text = script("prepare", job, store, after(hours=2), REGION)
    part = text[text.index("if ! command -v python3.11") :]
    part = part[: part.index("\nfi") + 3]
    subprocess.run(["/bin/sh", "-euc", part], env={"PATH": str(bin_)}, check=True)
    called = calls.read_text().splitlines()
    assert names in called[-1]
    assert called[-1].startswith(f"{manager} install ")
    if manager == "apt-get":
        assert called[:2] == [
            "cloud-init status --wait",
            "systemctl stop apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service",
        ]
    calls.unlink()
    (bin_ / "python3.11").symlink_to("/bin/true")
    subprocess.run(["/bin/sh", "-euc", part], env={"PATH": str(bin_)}, check=True)
    assert not calls.exists()


@pytest.mark.slow
def test_a_wheel_for_graviton_is_downloaded_by_the_same_lock(tmp_path: Path) -> None:
    lock = payload.lock("bench").decode()
    (entry,) = re.findall(r"^openvino==.*?(?=^[a-z])", lock, re.MULTILINE | re.DOTALL)
    wheelhouse.download(entry.encode(), tmp_path, lambda line: None, "arm64")
    (wheel,) = tmp_path.glob("openvino-*aarch64.whl")
    assert f"--hash=sha256:{sha256(wheel.read_bytes())}" in entry
    with pytest.raises(BadInput, match="architecture: 'riscv64' is not one of x86_64, arm64"):
        wheelhouse.gather(Store(tmp_path.as_uri()), lambda line: None, "riscv64")


@pytest.mark.slow
def test_the_wheels_of_a_lock_are_downloaded_by_its_hashes(tmp_path: Path) -> None:
    lock = payload.lock("bench").decode()
    (entry,) = re.findall(r"^protobuf==.*?(?=^[a-z])", lock, re.MULTILINE | re.DOTALL)
    said: list[str] = []
    wheelhouse.download(entry.encode(), tmp_path, said.append, "x86_64")
    (wheel,) = tmp_path.glob("protobuf-*-abi3-manylinux*x86_64.whl")
    assert f"--hash=sha256:{sha256(wheel.read_bytes())}" in entry
    assert said
    wrong = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", entry)
    with pytest.raises(BadInput, match=r"^pip download: ERROR: .*HASHES"):
        wheelhouse.download(wrong.encode(), tmp_path / "none", said.append, "x86_64")
    assert not list((tmp_path / "none").glob("*"))


@pytest.mark.parametrize(("left", "minutes"), [(120, 30), (10, 10)])
def test_preparing_has_half_an_hour_and_never_more_than_the_instance(
    instance: OnInstance, store: Store, job: Job, uv: Path, left: float, minutes: int
) -> None:
    before = after(minutes=minutes)
    assert instance.run(script("prepare", job, store, after(minutes=left), REGION))["Status"] == "Success"

    assert instance.ends_at is not None
    assert before - timedelta(minutes=1) < instance.ends_at <= after(minutes=minutes)


def test_an_instance_whose_time_is_over_is_not_prepared(instance: OnInstance, store: Store, job: Job, uv: Path) -> None:
    done = instance.run(script("prepare", job, store, after(seconds=-1), REGION))

    assert (done["ResponseCode"], done["StandardErrorContent"]) == (1, "error: the time of this instance is over\n")
    assert instance.ends_at is None
    assert not uv.exists()


# -------------------------------------------------------------------------------------------- work


@pytest.fixture
def prepared(instance: OnInstance) -> OnInstance:
    """As it is with this checkout as its payload, and this machine's environment."""
    instance.program(instance.folder / "env/bin/python", f'#!/bin/sh\nexec "{BENCH_PYTHON}" "$@"\n')
    (instance.folder / "app").symlink_to(ROOT / "include")
    return instance


@pytest.fixture
def bench_job(prepared: OnInstance, make_job: Callable[..., Job], store: Store) -> Job:
    """Of a tiny network and one engine."""
    quickest = {"min_processes": 1, "max_processes": 1, "min_rounds": 1, "max_rounds": 1, "target": None}
    file = prepared.home / "tiny.onnx"
    made = prepared.run(f'"{BENCH_PYTHON}" "{ROOT / "tests/support/make_network.py"}" "{file}"')
    assert made["Status"] == "Success", made["StandardErrorContent"]
    artifact = store.put_artifact(file.read_bytes())
    request = BenchRequest(
        job="the-job",
        night=NIGHT,
        manifest="0" * 64,
        instance_type="m5.xlarge",
        protocol=protocols()["quick"].model_copy(update=quickest),
        models=(ArtifactRef(network="tiny", variant="base", artifact=artifact, input_shape=(3, 32, 32)),),
        engines=("onnxruntime",),
        seed=0,
    )
    return make_job(job="the-job", request=store.put_bench_request(request))


def test_work_measures_holds_the_switch_and_keeps_its_output(
    prepared: OnInstance, store: Store, bench_job: Job
) -> None:
    before = after(minutes=30)
    done = prepared.run(script("work", bench_job, store, after(hours=2), REGION))

    assert done["Status"] == "Success", done["StandardErrorContent"]
    (trial,) = store.trials(NIGHT)
    assert (trial.status, trial.instance_id) == ("measured", prepared.id)
    assert "[1/1] tiny" in done["StandardOutputContent"]
    assert store.read("outputs/the-job.txt").decode() == done["StandardOutputContent"]
    assert prepared.ends_at is not None
    assert before - timedelta(seconds=1) < prepared.ends_at <= after(minutes=30)


def test_a_damaged_artifact_is_refused_on_the_instance(prepared: OnInstance, store: Store, bench_job: Job) -> None:
    (path,) = store.paths("artifacts")
    store.write(path, store.read(path) + b"\n")

    done = prepared.run(script("work", bench_job, store, after(hours=2), REGION))

    assert done["ResponseCode"] == 1
    assert "edited or damaged" in done["StandardErrorContent"].splitlines()[-1]
    assert b"edited or damaged" in store.read("outputs/the-job.txt")
    assert store.trials(NIGHT) == []


class Module:
    """In place of the job's module: a shell script. What keeps its output is the real thing."""

    def __init__(self, instance: OnInstance, make_job: Callable[..., Job], store: Store) -> None:
        self.instance, self.store = instance, store
        self.job = make_job(job="the-job")

    def script(self, body: str) -> str:
        keeper = f'case "$*" in *keep_output*) exec "{BENCH_PYTHON}" "$@" ;; esac'
        self.instance.program(self.instance.folder / "env/bin/python", f"#!/bin/sh\n{keeper}\n{body}\n")
        return script("work", self.job, self.store, after(hours=2), REGION)

    def run(self, body: str) -> dict[str, Any]:
        return self.instance.run(self.script(body))


@pytest.fixture
def module(prepared: OnInstance, make_job: Callable[..., Job], store: Store) -> Module:
    return Module(prepared, make_job, store)


def test_of_a_long_output_ssm_gets_the_end_and_the_store_all(module: Module) -> None:
    done = module.run(
        'seq -f "line %g" 9000; echo done; seq -f "warning %g" 9000 >&2; echo "error: no space" >&2; exit 75'
    )

    assert done["ResponseCode"] == 75
    assert done["StandardOutputContent"].endswith("\nline 9000\ndone\n")
    assert done["StandardErrorContent"].endswith("\nwarning 9000\nerror: no space\n")
    kept = module.store.read("outputs/the-job.txt").decode().splitlines()
    assert (kept[0], kept[9000], kept[9001], kept[-1]) == ("line 1", "done", "warning 1", "error: no space")


def test_the_output_of_a_module_that_was_killed_is_kept(module: Module) -> None:
    done = module.run("echo measuring; kill -9 $$")

    assert done["ResponseCode"] == KILLED
    assert module.store.read("outputs/the-job.txt").startswith(b"measuring\n")


def test_where_the_output_cannot_be_kept_the_modules_own_end_is_told(module: Module) -> None:
    module.store.write("outputs", b"a file where a folder should be")

    done = module.run('echo measuring; echo "error: no space" >&2; exit 3')

    assert done["ResponseCode"] == 3
    assert done["StandardOutputContent"] == "measuring\n"
    first, last = done["StandardErrorContent"].splitlines()
    assert first.startswith("error: the output was not kept: ")
    assert last == "error: no space"


def test_when_all_processes_are_told_to_end_the_output_is_kept_nevertheless(module: Module) -> None:
    done = module.run("echo measuring; kill -TERM $PPID; sleep 0.2; echo ended; exit 143")

    assert done["ResponseCode"] == 143
    assert module.store.read("outputs/the-job.txt") == b"measuring\nended\n"


@pytest.mark.parametrize("how", ["cancel", "memory"])
def test_the_output_is_kept_though_the_whole_command_is_killed_at_once(module: Module, how: str) -> None:
    text = module.script("echo measuring; echo $$ > pid; exec sleep 600")
    command_id = module.instance.send(text)
    pid = module.instance.folder / "pid"
    wait_until(lambda: pid.is_file() and pid.read_text().strip())

    if how == "cancel":
        module.instance.ssm.cancel_command(CommandId=command_id)
    else:
        os.kill(int(pid.read_text()), signal.SIGKILL)

    module.instance.ended(command_id)
    wait_until(lambda: module.store.exists("outputs/the-job.txt"))
    assert module.store.read("outputs/the-job.txt").startswith(b"measuring\n")


def test_a_job_that_was_killed_for_want_of_memory_is_no_time_out(module: Module) -> None:
    done = module.run("kill -9 $$")

    assert (done["Status"], done["ResponseCode"]) == ("Failed", KILLED)
    assert "memory" in done["StandardErrorContent"].splitlines()[-1]


def test_a_job_never_makes_the_agent_reboot_the_machine(module: Module) -> None:
    assert module.run("exit 194")["ResponseCode"] == 1


def test_a_job_has_its_region_and_its_temporary_files_on_the_disk(module: Module) -> None:
    done = module.run('echo "$AWS_DEFAULT_REGION $TMPDIR $HOME"')

    home = module.instance.home
    assert done["StandardOutputContent"].split() == [REGION, f"{home}/sparsebench/tmp", str(home)]


def test_a_request_is_passed_on_as_it_is(module: Module) -> None:
    module.job = module.job.model_copy(update={"request": "a 'path'; touch $HOME/pwned"})

    done = module.run('for argument; do echo "$argument"; done')

    assert f"--store\n{module.store.uri}\n--request\n{module.job.request}\n--until\n" in done["StandardOutputContent"]
    assert not (module.instance.home / "pwned").exists()


@pytest.mark.slow
def test_of_work_that_was_sent_twice_the_second_waits_for_the_first(
    make_job: Callable[..., Job], store: Store, tmp_path: Path
) -> None:
    python = tmp_path / "sparsebench/env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$3" in run) echo begin >> calls; sleep 1; echo end >> calls;; esac\n')
    python.chmod(0o755)
    text = script("work", make_job(), store, after(minutes=60), REGION)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    both = [subprocess.Popen(["sh", "-c", text], env=environment, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    assert (tmp_path / "sparsebench/calls").read_text().split() == ["begin", "end"] * 2
