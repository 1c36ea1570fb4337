"""A network of a person's own: tried in every engine, measured on a fleet, and answered."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparsebench.contracts import run_key
from sparsebench.local.checkout import ROOT

from .conftest import System
from .test_fleet import as_json
from .test_sweep import live_instances

pytestmark = pytest.mark.timeout(900)

DAG = "recommend"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("networks")
    python, maker = ROOT / ".envs/bench/bin/python", ROOT / "tests/support/make_networks.py"
    subprocess.run([python, maker, made], check=True)
    return made


def asked(system: System, folder: Path, file: str, **more: object) -> dict[str, object]:
    system.store.write(f"own/{file}", (folder / file).read_bytes())
    return {"network": "tokens", "source": f"store:own/{file}", **more}


def test_a_network_of_ones_own_is_measured_on_a_fleet_and_the_answer_says_what_was_not_tried(
    system: System, folder: Path
) -> None:
    system.api.unpause(DAG)
    types = ["m5.xlarge", "m7i.xlarge"]
    run = system.api.trigger(
        DAG, asked(system, folder, "tokens.onnx", axes=["sequence=16"], instance_types=types, protocol="quick")
    )
    # Meanwhile: what is no ONNX file launches nothing but the instance that looks at it, and registers nothing.
    text = asked(system, folder, "cut.onnx", instance_types=types) | {"network": "cut"}
    refused = system.api.trigger(DAG, text)

    assert system.finished(DAG, refused) == "failed"
    (launch,) = system.store.launches(run_key(DAG, refused))
    assert launch.instance_type == "m5.xlarge"  # the cheaper one
    assert "cut" not in {card.network for card in system.store.model_cards()}
    note = system.api.call("GET", f"/dags/{DAG}/dagRuns/{refused}")["note"]
    assert "not an ONNX file: it is cut short" in note

    assert system.finished(DAG, run) == "success"
    sentences = as_json(system.api.xcom(DAG, run, "answer"))
    assert sentences[0].startswith("tokens: ")
    assert "USD a million inferences" in sentences[0]
    assert any(sentence.endswith("as none clearly lost: m5.xlarge and m7i.xlarge.") for sentence in sentences)
    assert sentences[-1].startswith("Not tried: a pruned file, as none was given; t3.xlarge, ")
    launches = [launch.instance_type for launch in system.store.launches(run_key(DAG, run))]
    assert sorted(launches) == ["m5.xlarge"] * 3 + ["m7i.xlarge"] * 2
    assert live_instances(run) == []
    note = system.api.call("GET", f"/dags/{DAG}/dagRuns/{run}")["note"]
    assert sentences[0] in note
    assert "[Report](" in note
