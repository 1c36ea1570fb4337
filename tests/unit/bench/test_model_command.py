"""``python -m sparsebench.bench model FILE``: for a person, without a store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sparsebench.bench.engines import ENGINES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """An environment in which every attempt to reach the network fails, and is noted."""
    paths = [str(HERE / "no_network"), str(ROOT / "include")]
    # What a library takes as a reason to be quiet is taken away: only our own code may silence it.
    excuses = ("NM_", "ORT_", "CI", "TF_BUILD", "JENKINS_URL")
    loud = {name: value for name, value in os.environ.items() if not name.startswith(excuses)}
    return loud | {
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(paths),
        "NETWORK_ATTEMPTS": str(tmp_path / "attempts"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
    }


def model(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-m", "sparsebench.bench", "model", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_it_prints_a_line_per_trial_and_a_table_and_nothing_reaches_for_the_network(
    make_network: Callable[..., Path], offline: dict[str, str], tmp_path: Path
) -> None:
    done = model(offline, make_network("--input", "batch,3,224,224"))

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    trials = [line for line in lines if " img/s" in line and line.startswith("[")]
    assert len(trials) in {processes * len(ENGINES) for processes in range(1, 21)}
    (head,) = (number for number, line in enumerate(lines) if line.split()[:2] == ["engine", "lane"])
    rows = [line.split() for line in lines[head + 2 : head + 2 + len(ENGINES)]]
    assert sorted(row[0] for row in rows) == sorted(ENGINES)
    throughputs = [float(row[2]) for row in rows]
    assert throughputs == sorted(throughputs, reverse=True)
    assert not (tmp_path / "attempts").exists()


@pytest.mark.parametrize("library", ["deepsparse", "openvino"])
def test_an_unsilenced_library_would_have_been_noted(offline: dict[str, str], tmp_path: Path, library: str) -> None:
    subprocess.run([PYTHON, "-c", f"import {library}"], env=offline, capture_output=True)

    assert (tmp_path / "attempts").read_text()


INFERENCE = """
import os, sys
import numpy as np
if sys.argv[2] == "ours":
    from sparsebench.bench.engines import ENGINES
    ENGINES["onnxruntime"].import_library()
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)})
"""


@pytest.mark.parametrize(("imported", "noted"), [("ours", False), ("plainly", True)])
def test_onnx_runtime_prepares_no_usage_data(
    make_network: Callable[..., Path], offline: dict[str, str], tmp_path: Path, imported: str, noted: bool
) -> None:
    """It reaches for the network from C++, unseen by Python; but before that it opens a session on the disk."""
    (tmp_path / "tmp").mkdir()
    command = [str(PYTHON), "-c", INFERENCE, str(make_network("--input", "batch,3,32,32")), imported]
    done = subprocess.run(command, env=offline | {"TMPDIR": str(tmp_path / "tmp")}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert bool(list((tmp_path / "tmp").rglob("*.ses"))) == noted


def test_it_fails_when_no_engine_can_measure_the_file(
    make_network: Callable[..., Path], offline: dict[str, str]
) -> None:
    done = model(offline, make_network("--opset", "20"), "--engines", "deepsparse")

    assert done.returncode == 1
    assert "unsupported_network" in done.stdout
    assert "no engine could measure it" in done.stderr


def test_a_file_that_is_not_onnx_is_refused(offline: dict[str, str]) -> None:
    done = model(offline, Path(__file__))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not an ONNX" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("/no/such.onnx",), "cannot read /no/such.onnx"),
        (("x.onnx", "--engines", "tensorrt"), "engines: 'tensorrt'"),
        (("x.onnx", "--protocol", "long"), "protocol: 'long'"),
        (("x.onnx", "--precisions", "int4"), "precisions: 'int4'"),
    ],
)
def test_a_wrong_argument_is_refused(offline: dict[str, str], arguments: tuple[str, ...], message: str) -> None:
    done = model(offline, *arguments)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr
