"""A network of a person's own: tried in every engine, measured on a fleet, and answered."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sparsebench.analysis.choice import Bounds
from sparsebench.contracts import BesideBase, run_key
from sparsebench.local.api import AirflowApi
from sparsebench.local.checkout import ROOT
from sparsebench.local.recommend import Question, ask
from sparsebench.local.stack import USER

from .conftest import System, as_json
from .test_sweep import live_instances

pytestmark = pytest.mark.timeout(900)

DAG = "recommend"
TYPES = ["m5.xlarge", "m7i.xlarge"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of ONNX files."""
    folder = tmp_path_factory.mktemp("networks")
    python, maker = ROOT / ".envs/bench/bin/python", ROOT / "tests/support/make_networks.py"
    subprocess.run([python, maker, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def screen() -> StringIO:
    """Of who asks in a terminal."""
    return StringIO()


@pytest.fixture(scope="module")
def asked_in_a_terminal(
    system: System, folder: Path, runs: dict[str, str], screen: StringIO
) -> Iterator[Future[tuple[str, str]]]:
    """How the run ended, and its note: of a file with its pruned and its INT8 sibling, with samples, in bounds that
    nothing meets. It goes on beside the others."""
    file, int8 = ((folder / f"{name}.onnx").read_bytes() for name in ("perceptron", "perceptron-int8"))
    samples = BytesIO()
    np.savez(samples, features=np.ones((2, 64), np.float32))
    question = Question(
        network="hasty",
        files={"base": file, "pruned": file, "int8": int8},
        samples=samples.getvalue(),
        bounds=Bounds(latency_ms=1e-6, percentile=50, memory_bytes=10**9, size_bytes=10**9),
        instance_types=TYPES[:1],
        protocol="quick",
    )
    api = AirflowApi(system.stack.url, USER, system.stack.password)
    with ThreadPoolExecutor() as pool:
        yield pool.submit(ask, api, system.store, question, Console(file=screen, width=200))


@pytest.fixture(scope="module")
def runs(system: System, folder: Path) -> dict[str, str]:
    """By the network's name; they go on at the same time."""
    system.api.unpause(DAG)

    def asked(file: str, **more: object) -> str:
        system.store.write(f"own/{file}", (folder / file).read_bytes())
        return system.api.trigger(DAG, {"source": f"store:own/{file}", "protocol": "quick", **more})

    return {
        "tokens": asked("tokens.onnx", network="tokens", axes=["sequence=16"], instance_types=TYPES),
        "cut": asked("cut.onnx", network="cut", instance_types=TYPES),
    }


def note(system: System, run: str) -> str:
    return str(system.api.call("GET", f"/dags/{DAG}/dagRuns/{run}")["note"])


def launched(system: System, run: str) -> list[str]:
    return sorted(launch.instance_type for launch in system.store.launches(run_key(DAG, run)))


@pytest.mark.usefixtures("asked_in_a_terminal")
def test_what_is_no_onnx_file_is_said_at_once_and_nothing_is_launched_for_it_on_the_fleet(
    system: System, runs: dict[str, str]
) -> None:
    run = runs["cut"]
    assert system.finished(DAG, run) == "failed"
    assert launched(system, run) == ["m5.xlarge"]  # which tried it, as the cheaper one
    assert "cut" not in {card.network for card in system.store.model_cards()}
    assert "Nothing was measured: " in note(system, run)
    assert "not an ONNX file: it is cut short" in note(system, run)


def test_a_network_is_measured_again_where_it_does_not_clearly_lose_and_the_answer_says_what_was_not_tried(
    system: System, runs: dict[str, str]
) -> None:
    run = runs["tokens"]
    assert system.finished(DAG, run) == "success"
    sentences = as_json(system.api.xcom(DAG, run, "answer"))
    assert sentences[0].startswith("tokens: ")
    assert "USD a million inferences" in sentences[0]
    assert any(sentence.endswith("as none clearly lost: m5.xlarge and m7i.xlarge.") for sentence in sentences)
    assert sentences[-1].startswith(
        "Not tried: a pruned file, as none was given; an INT8 file, as none was given; t3.xlarge, "
    )
    assert launched(system, run) == ["m5.xlarge"] * 3 + ["m7i.xlarge"] * 2
    assert live_instances(run) == []
    assert sentences[0] in note(system, run)
    assert "[Report](" in note(system, run)


def test_bounds_that_nothing_meets_are_said_to_be_so_in_a_terminal_and_nothing_is_measured_again(
    system: System, asked_in_a_terminal: Future[tuple[str, str]], screen: StringIO
) -> None:
    state, text = asked_in_a_terminal.result()
    assert state == "success"
    bounds = "p50 of at most 1e-06 ms, at most 1000 MB of memory and at most 1000 MB after gzip −9"
    assert text.startswith(f"hasty: nothing surely meets the bounds ({bounds}).")
    first, *lines = screen.getvalue().splitlines()
    run = first.rpartition("/")[2]
    assert text == re.sub(r"\[Report\]\((.*?)\)", rf"Report: {system.stack.url}\1", note(system, run))
    assert "try m5.xlarge: " in screen.getvalue()
    assert lines[-1].startswith("measure m5.xlarge: ")
    assert launched(system, run) == ["m5.xlarge"] * 4  # all files tried, and measured once
    cards = {card.variant: card for card in system.store.model_cards() if card.network == "hasty"}
    assert cards.keys() == {"base", "pruned", "int8"}
    assert all(b"sparsebench.samples" in system.store.artifact(card.artifact) for card in cards.values())
    seen = {variant: card.beside_base for variant, card in cards.items()}
    assert seen["base"] is None
    assert seen["pruned"] == BesideBase(samples=2, relative=0, same_largest=1)
    assert seen["int8"] is not None
    assert 0 < seen["int8"].relative < 0.25
    assert "hasty, pruned: on 2 samples its outputs are the base's." in text
    assert "hasty, INT8: on 2 samples its outputs are off the base's by 0." in text
    assert "as none was given" not in text
    (job,) = as_json(system.api.xcom(DAG, run, "sweep"))
    trials = system.store.trials(system.store.bench_request(job["request"]).night, job["instance_type"])
    of_int8 = {trial.cell.engine: trial.status for trial in trials if trial.cell.variant == "int8"}
    assert of_int8["onnxruntime"] == of_int8["openvino"] == "measured"


def test_an_instance_type_that_ec2_does_not_have_is_told_in_a_terminal_with_the_error_of_the_task(
    system: System, folder: Path
) -> None:
    question = Question(
        network="dear",
        files={"base": (folder / "double.onnx").read_bytes()},
        bounds=Bounds(),
        instance_types=["m5.xlarge", "m9.hugest"],
    )
    state, text = ask(system.api, system.store, question, Console(file=StringIO()))
    assert state == "failed"
    assert text.startswith("plan failed: instance_types: ")
    assert "m9.hugest" in text
    assert "answer failed" not in text


@pytest.mark.parametrize(
    ("field", "value"), [("percentile", 96), ("budget_usd", -1), ("network", "../up"), ("latency_ms", 0)]
)
def test_a_wrong_value_is_refused_before_anything_runs(system: System, field: str, value: object) -> None:
    with pytest.raises(Exception, match="400"):
        system.api.trigger(DAG, {"network": "own", "source": "store:own/tokens.onnx", field: value})
