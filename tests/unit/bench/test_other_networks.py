"""Networks that are no classifiers of one float32 image: fed as their files say, in every engine. About a minute."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.values import there
from tests.unit.bench.conftest import NIGHT, PYTHON, ROOT, Bench

from sparsebench.bench.inputs import THROUGHPUT_BATCH
from sparsebench.bench.parity import INT8_ROUNDING
from sparsebench.contracts import Trial
from sparsebench.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ENGINES = ("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark")

MEASURED = {
    "batch-of-four": 4,
    "bytes": 1,
    "half": 1,
    "channels-last": 1,
    "double": 1,
    "tokens-of-16": 1,
    "several-outputs": 1,
    "masked": 1,
    "resized": 1,
    "opset-21": 1,
    "two-tables": 1,
    "perceptron-int8": 1,
}
"""Images an inference."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("networks")
    subprocess.run([PYTHON, ROOT / "tests/support/make_networks.py", made], check=True)
    return made


def measure(store: Store, folder: Path, names: tuple[str, ...], environment: dict[str, str], **changes: Any) -> None:
    bench = Bench(store, environment)
    files = {name: folder / f"{name}.onnx" for name in names}
    done = bench.run(bench.request_of(files, ENGINES, input_shape=(0, 0, 0), **changes))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def trials(folder: Path, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> list[Trial]:
    """Of all networks in the lane f32, by one job: some 70 processes."""
    store = Store(tmp_path_factory.mktemp("store").as_uri())
    measure(store, folder, tuple(MEASURED), environment)
    return store.trials(NIGHT)


def of_network(trials: list[Trial], network: str) -> dict[str, Trial]:
    return {trial.cell.engine: trial for trial in trials if trial.cell.network == network}


@pytest.mark.parametrize("network", MEASURED)
def test_it_is_measured_or_absent_and_never_failed_or_found_wrong(trials: list[Trial], network: str) -> None:
    its = of_network(trials, network)

    assert its["onnxruntime"].status == its["openvino"].status == "measured"
    assert {trial.status for trial in its.values()} <= {"measured", "absent"}
    if network not in ("half", "opset-21"):  # which DeepSparse does not take
        assert {trial.status for trial in its.values()} == {"measured"}


@pytest.mark.parametrize(("network", "batch"), MEASURED.items())
def test_images_are_counted_by_the_batch_of_the_file(trials: list[Trial], network: str, batch: int) -> None:
    for trial in of_network(trials, network).values():
        if trial.status == "measured":
            assert trial.batch == batch
            assert all(block.images == batch * len(block.latencies_ms) for block in trial.blocks)


def test_only_a_classifier_of_images_is_held_to_its_top_classes(trials: list[Trial]) -> None:
    held = {name: there(of_network(trials, name)["openvino"].parity).least_top1 for name in MEASURED}

    assert {name for name, least in held.items() if least} == {
        "batch-of-four", "bytes", "half", "channels-last", "masked", "opset-21",
    }  # fmt: skip
    assert there(of_network(trials, "batch-of-four")["openvino"].parity).images == 8


def test_a_file_in_int8_may_be_rounded_by_each_engine_in_its_own_way(trials: list[Trial]) -> None:
    tolerances = {name: there(of_network(trials, name)["openvino"].parity).tolerance for name in MEASURED}
    assert {name for name, tolerance in tolerances.items() if tolerance == INT8_ROUNDING} == {"perceptron-int8"}


def test_only_weights_are_rounded_so_that_what_has_scales_has_a_native_lane(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    store = Store((tmp_path / "store").as_uri())
    measure(store, folder, ("resized",), environment, precisions=("f32", "native"))

    assert {trial.status for trial in store.trials(NIGHT)} == {"measured"}
    assert len(store.trials(NIGHT)) == 2 * len(ENGINES)


def test_what_is_not_independent_in_a_batch_is_measured_one_at_a_time_in_the_throughput_scenario(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    store = Store((tmp_path / "store").as_uri())
    batched = {"among-others": 1, "one-at-a-time": 1, "tokens-of-16": THROUGHPUT_BATCH}
    measure(store, folder, tuple(batched), environment, scenario="throughput")

    for network, batch in batched.items():
        for engine in ("onnxruntime", "deepsparse", "deepsparse.benchmark"):
            trial = of_network(store.trials(NIGHT), network)[engine]
            assert (engine, trial.status, trial.batch) == (engine, "measured", batch)


def test_an_engine_that_loads_a_file_that_onnx_runtime_does_not_is_measured(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """What is new in its format: ONNX Runtime's outputs are those of the same operators in an older one."""
    store = Store((tmp_path / "store").as_uri())
    measure(store, folder, ("ir-99",), environment)
    its = of_network(store.trials(NIGHT), "ir-99")

    assert its["openvino"].status == "measured"
    for engine in ("onnxruntime", "deepsparse", "deepsparse.benchmark"):
        assert its[engine].status == "absent"
        absence = there(its[engine].absence)
        assert absence.reason == "unsupported_network"
        assert "99" in absence.detail


def bench(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-m", "sparsebench.bench", "model", *arguments]
    paths = [str(ROOT / "tests/support/brief"), str(ROOT / "include")]
    plain = {**environment, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
    return subprocess.run(command, env=plain, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("network", "refused", "axes", "taken"),
    [
        (
            "free-size",
            "--axis height=SIZE --axis width=SIZE",
            ("height=48", "width=64"),
            "images float32 [1, 3, 48, 64]",
        ),
        (
            "free-unnamed",
            "--axis images.2=SIZE --axis images.3=SIZE",
            ("images.2=48", "images.3=64", "images.0=2"),
            "images float32 [2, 3, 48, 64]",
        ),
        (
            "tokens",
            "--axis sequence=SIZE",
            ("sequence=8",),
            "input_ids int64 [1, 8], attention_mask int64 [1, 8], token_type_ids int32 [1, 8]",
        ),
    ],
)
def test_free_axes_are_refused_with_the_option_that_gives_their_sizes_and_then_measured(
    folder: Path, environment: dict[str, str], network: str, refused: str, axes: tuple[str, ...], taken: str
) -> None:
    file = folder / f"{network}.onnx"
    without = bench(environment, file)

    assert without.returncode == 1
    (line,) = without.stderr.splitlines()
    assert "its inputs have free axes" in line
    assert line.endswith(refused)

    options = [f"--axis={axis}" for axis in axes]
    done = bench(environment, file, "--engines", "onnxruntime,openvino", *options)

    assert done.returncode == 0, done.stderr
    assert f"it takes {taken}" in done.stdout
    assert f"{network}.onnx (dense), batch {2 if 'images.0=2' in axes else 1}," in done.stdout


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("height", "--axis is 'height'; expected NAME=SIZE"),
        ("height=0", "--axis is 'height=0'; expected NAME=SIZE, a size from 1"),
        ("depth=3", "has a free axis 'depth'; free: batch, height, width"),
        ("images.1=4", "has it fixed at 3"),
    ],
)
def test_an_axis_that_cannot_be_given_is_refused(
    folder: Path, environment: dict[str, str], axis: str, message: str
) -> None:
    done = bench(environment, folder / "free-size.onnx", "--axis", axis)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr


def test_several_inputs_that_are_no_batch_are_fed_what_the_graph_compares_them_with(
    folder: Path, environment: dict[str, str]
) -> None:
    """With another rate than 16000 its output is not a number, which never agrees."""
    done = bench(environment, folder / "voice.onnx", "--engines", "onnxruntime,openvino")

    assert done.returncode == 0, done.stderr
    assert "it takes sound float32 [1, 64], state float32 [2, 1, 8], rate int64 []" in done.stdout
    assert "invalid" not in done.stdout


def test_a_size_that_does_not_fit_a_branch_that_never_runs_leaves_the_axes_free(
    folder: Path, environment: dict[str, str]
) -> None:
    """Written into the file, the size is refused by an engine that checks every branch."""
    done = bench(environment, folder / "branches.onnx", "--engines", "onnxruntime,openvino", "--axis", "samples=64")

    assert done.returncode == 0, done.stderr
    assert "it takes sound float32 [1, 64], rate int64 []" in done.stdout
    assert "its axes stay free: these sizes do not fit a branch of it" in done.stdout
    for engine in ("onnxruntime", "openvino"):
        assert any(f" {engine} " in line and " img/s" in line for line in done.stdout.splitlines())


def test_an_empty_depth_is_refused_in_one_line(folder: Path, environment: dict[str, str]) -> None:
    done = bench(environment, folder / "no-table.onnx")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no reference output" in done.stderr


def test_a_pruned_file_is_called_by_its_sparsity(folder: Path, environment: dict[str, str]) -> None:
    done = bench(environment, folder / "pruned.onnx", "--engines", "onnxruntime")

    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert lines
    assert all("80% sparse" in line for line in lines)
    assert "base" not in done.stdout


def test_without_a_reference_there_is_one_line_and_no_table(folder: Path, environment: dict[str, str]) -> None:
    done = bench(environment, folder / "broken.onnx")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "broken.onnx: no reference output" in line
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("no reference output") <= 1
    assert "of fastest" not in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a git-LFS pointer"),
        ("page", b"\n<!DOCTYPE html><html></html>", "a web page (HTML)"),
        ("gzip", b"\x1f\x8b\x08\x00rest", "a gzip archive; unpack it first"),
        ("zip", b"PK\x03\x04rest", "a zip archive; unpack it first"),
        ("torch", b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl", "a PyTorch checkpoint; expected an export to ONNX"),
        ("ort", b"\x10\0\0\0ORTM", "ONNX Runtime's own format"),
        ("empty", b"", "it is empty"),
        ("words", b"no such thing", "it does not begin as an ONNX file does"),
        ("cut", None, "it is cut short"),
        ("outside", None, "its weights lie in other files (outside.data)"),
        ("outside-of-an-attribute", None, "its weights lie in other files (/etc/passwd)"),
        ("outside-of-a-function", None, "its weights lie in other files (/etc/passwd)"),
        ("outside-under-a-name-twice", None, "its weights lie in other files (/etc/passwd)"),
    ],
)
def test_a_file_that_is_something_else_is_called_what_it_is(
    folder: Path, environment: dict[str, str], name: str, content: bytes | None, message: str
) -> None:
    file = folder / f"{name}.onnx"
    if content is not None:
        file.write_bytes(content)

    done = bench(environment, file)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr
    assert str(file) in done.stderr


def test_a_file_that_is_larger_than_onnx_can_be_is_not_read(tmp_path: Path, environment: dict[str, str]) -> None:
    file = tmp_path / "large.onnx"
    with file.open("wb") as writer:
        os.truncate(writer.fileno(), 3_000_000_000)  # which takes no space

    done = bench(environment, file)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "it has 3.0 GB; an ONNX file has 2 GB at most" in done.stderr
