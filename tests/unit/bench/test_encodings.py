"""An INT8 network has a file for each way that engines want it, and is held to the fp32 network that it came from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.values import there
from tests.unit.bench.conftest import NIGHT, QUICKEST, Bench

from sparsebench.contracts import ArtifactRef, BenchRequest
from sparsebench.store import Store

ENGINES = ("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark")


def int8(store: Store, network: Path, encodings: dict[str, Path]) -> ArtifactRef:
    """``network`` stands for QDQ and for its parent; ``encodings`` are the other files, by engine."""
    artifact = store.put_artifact(network.read_bytes())
    return ArtifactRef(
        network="tiny",
        variant="pruned_int8",
        artifact=artifact,
        encodings={engine: store.put_artifact(file.read_bytes()) for engine, file in encodings.items()},
        input_shape=(3, 32, 32),
        parent=artifact,
    )


def run(bench: Bench, model: ArtifactRef, *engines: str) -> subprocess.CompletedProcess[str]:
    request = BenchRequest(
        job="job",
        night=NIGHT,
        manifest="0" * 64,
        instance_type="localhost",
        protocol=QUICKEST,
        models=(model,),
        engines=engines,
        seed=0,
    )
    return bench.run(bench.store.put_bench_request(request))


def test_each_engine_runs_its_own_encoding_and_the_trial_names_that_file(
    bench: Bench, network: Path, make_network: Callable[..., Path], store: Store
) -> None:
    own = make_network("--opset", "14")
    model = int8(store, network, {"deepsparse": own, "deepsparse.benchmark": own})

    done = run(bench, model, *ENGINES)

    assert done.returncode == 0, done.stderr
    assert model.encodings["deepsparse"] != model.artifact
    trials = store.trials(NIGHT)
    assert {trial.cell.engine: trial.artifact for trial in trials} == {
        "onnxruntime": model.artifact,
        "openvino": model.artifact,
        **model.encodings,
    }
    assert {trial.status for trial in trials} == {"measured"}


def test_what_an_engine_cannot_load_is_looked_for_in_its_own_encoding(
    bench: Bench, network: Path, make_network: Callable[..., Path], store: Store
) -> None:
    too_new = make_network("--opset", "20")

    done = run(bench, int8(store, network, {"deepsparse": too_new}), "onnxruntime", "deepsparse")

    assert done.returncode == 0, done.stderr
    trials = {trial.cell.engine: trial for trial in store.trials(NIGHT)}
    assert trials["onnxruntime"].status == "measured"
    assert "opset 20" in there(trials["deepsparse"].absence).detail


def test_an_encoding_that_classifies_otherwise_than_the_parent_is_not_timed(
    bench: Bench, network: Path, make_network: Callable[..., Path], store: Store
) -> None:
    other = make_network("--activation", "Neg")

    done = run(bench, int8(store, network, {"openvino": other}), "onnxruntime", "openvino")

    assert done.returncode == 0, done.stderr
    trials = {trial.cell.engine: trial for trial in store.trials(NIGHT)}
    assert trials["onnxruntime"].status == "measured"
    assert trials["openvino"].status == "invalid"
    assert there(trials["openvino"].parity).tolerance is None  # of an INT8 network, only the top classes count


def test_a_missing_encoding_is_one_clear_error(
    bench: Bench, network: Path, make_network: Callable[..., Path], store: Store
) -> None:
    model = int8(store, network, {"deepsparse": make_network("--opset", "14")})
    Path(store.url(store.artifact_path(model.encodings["deepsparse"])).removeprefix("file://")).unlink()

    done = run(bench, model, "onnxruntime", "deepsparse")

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert model.encodings["deepsparse"] in line
