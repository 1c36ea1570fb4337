"""Whether a variant pays is said from rounds that it shared with its base, and never from others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sparsebench import catalog
from sparsebench.analysis.findings import Findings, of_csv, of_nights
from sparsebench.analysis.pooling import Night
from sparsebench.contracts import HostFacts, InstanceFacts, Manifest, Trial
from sparsebench.report import sentences
from sparsebench.report.tables.latency import latency

MakeNight = Callable[..., Findings]
STEPS = (0.02, -0.02, 0.01, -0.01, 0.015, -0.015)


@pytest.fixture
def night(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts], make_manifest: Callable[..., Manifest]
) -> MakeNight:
    """Of these logs of the speed-up, process by process, of each engine; the base is at 10 img/s, and what is common to
    a generation differs by a factor of up to two."""

    def made(
        together: bool = True, networks: Sequence[str] = ("vgg19",), instance_type: str = "m5.xlarge", **logs: Any
    ) -> Findings:
        trials = []
        for network in networks:
            for engine, of_engine in logs.items():
                for index, log in enumerate(of_engine):
                    drift = 1 + index % 2
                    for variant, speed in (("base", 10.0), ("pruned", 10 * math.exp(log))):
                        trials.append(
                            make_trial(
                                speed * drift,
                                engine=engine,
                                network=network,
                                variant=variant,
                                generation=index,
                                instance_type=instance_type,
                                variants=("base", "pruned") if together else (),
                            )
                        )
        manifest = make_manifest()
        return of_nights([Night(manifest, trials, [make_host(instance_type)])])

    return made


def sentences_of(findings: Findings) -> str:
    (machine,) = findings.machines
    return "\n".join(sentences.pays(machine)).replace("\u00a0", " ")


def test_a_speed_up_is_known_from_the_rounds_that_both_files_shared(night: MakeNight) -> None:
    findings = night(deepsparse=[0.64 + step for step in STEPS], onnxruntime=[0.1 * step for step in STEPS])
    rows = findings.speedups.set_index("engine")
    deepsparse = rows.to_dict("index")["deepsparse"]
    assert deepsparse["ratio"] == pytest.approx(math.exp(0.64))
    assert deepsparse["low"] > 1.8  # the drift by a factor of two is common to both files
    assert dict(rows["verdict"]) == {"deepsparse": "faster", "onnxruntime": "equivalent"}
    assert rows["paired"].all()
    assert (
        "Pruned networks are faster than their base, so that pruning pays, with DeepSparse (1.90 times"
        in sentences_of(findings)
    )
    assert (
        "as fast as their base (within ± 3 %), so that pruning does not pay, with ONNX Runtime (1.00"
        in sentences_of(findings)
    )


def test_files_of_different_rounds_are_marked_and_get_no_verdict(night: MakeNight) -> None:
    findings = night(together=False, deepsparse=[0.64] * 6)
    (row,) = findings.speedups.to_dict("records")
    assert (row["verdict"], row["paired"], row["ratio"]) == ("unpaired", False, pytest.approx(math.exp(0.64)))
    assert row["high"] > 2 * row["low"]  # the drift is in the interval of two independent means
    assert math.isnan(row["p"])
    assert "cannot be said, because the two were timed at other times, with DeepSparse" in sentences_of(findings)


def test_few_processes_are_told_apart_from_undecided(night: MakeNight) -> None:
    findings = night(deepsparse=[0.64 + step for step in STEPS[:3]], onnxruntime=[step * 5 for step in STEPS])
    assert dict(findings.speedups.set_index("engine")["verdict"]) == {
        "deepsparse": "too_few",
        "onnxruntime": "undecided",
    }
    assert "cannot be said yet, of too few processes, with DeepSparse (1.9" in sentences_of(findings)
    assert "is undecided with ONNX Runtime (1.00 times as fast, 95 % interval 0." in sentences_of(findings)


def test_over_networks_it_is_the_geometric_mean_of_those_that_were_measured(
    night: MakeNight, make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    findings = night(networks=("vgg19", "resnet50"), deepsparse=[0.64 + step for step in STEPS])
    lost = [make_trial(network="mobilenetv1", variant=variant, status="failed") for variant in ("base", "pruned")]
    (before,) = findings.nights
    findings = of_nights([Night(before.manifest, [*before.trials, *lost], before.hosts)])
    (mean,) = findings.means.to_dict("records")
    assert (mean["ratio"], mean["entered"], mean["planned"]) == (pytest.approx(math.exp(0.64)), 2, 3)
    (row,) = findings.speedups[findings.speedups["verdict"] == "not_measured"].to_dict("records")
    assert (row["network"], row["lacks"], row["because"]) == ("mobilenetv1", "pruned", "failed")
    assert "2 of 3 networks" in sentences_of(findings)


def test_what_no_network_has_both_files_of_is_said_with_its_reason(night: MakeNight) -> None:
    findings = night(deepsparse=[0.0])
    (before,) = findings.nights
    lost = [trial for trial in before.trials if trial.cell.variant == "pruned"]
    findings = of_nights([Night(before.manifest, lost, before.hosts)])
    assert "because no network has both numbers, with DeepSparse (base was not planned: 1)" in sentences_of(findings)


def test_a_million_inferences_cost_the_price_over_the_throughput(night: MakeNight) -> None:
    (machine,) = night(deepsparse=[math.log(2)] * 6).machines
    price = catalog.instance_types()["m5.xlarge"].prices[0]
    costs = machine.costs.set_index("variant").to_dict("index")
    base, pruned = costs["base"], costs["pruned"]
    speed = machine.cells.set_index("variant")["mean_img_s"]
    assert base["usd_per_million"] == pytest.approx(price.usd_per_hour / 3600 / speed["base"] * 1e6)
    assert pruned["usd_per_million"] == pytest.approx(base["usd_per_million"] / 2)
    assert base["low"] < base["usd_per_million"] < base["high"]
    assert base["scenario"] == "latency"
    assert "A million inferences cost, pruned instead of base" in sentences_of(night(deepsparse=[math.log(2)] * 6))


def test_what_it_costs_is_by_the_price_that_the_night_was_planned_with(night: MakeNight) -> None:
    findings = night(deepsparse=[math.log(2)] * 6)
    (before,) = findings.nights
    facts = InstanceFacts(
        name="m5.xlarge",
        region="eu-central-1",
        source="aws",
        as_of=date(2026, 11, 24),
        vcpus=4,
        usd_per_hour=3.6,
        usd_as_of=date(2026, 11, 24),
    )
    (machine,) = of_nights([replace(before, types={"m5.xlarge": facts})]).machines
    cost, cell = (frame.set_index("variant").to_dict("index")["base"] for frame in (machine.costs, machine.cells))
    assert cost["usd_per_million"] == pytest.approx(1000 / cell["mean_img_s"])
    assert (cost["region"], cost["as_of"]) == ("eu-central-1", "2026-11-24")


def test_a_machine_without_a_price_has_no_cost(night: MakeNight) -> None:
    findings = night(instance_type="localhost", deepsparse=[0.0])
    assert findings.costs["usd_per_million"].isna().all()
    assert "million" not in sentences_of(findings)


def test_a_csv_says_which_file_is_faster_without_claiming_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"m5.xlarge,Xeon,vgg19,{variant},deepsparse,{speed}" for variant, speed in (("base", 10), ("pruned", 19))]
    path.write_text("\n".join(["instance_type,cpu_model,model,variant,engine,throughput_img_s", *rows]))
    assert "because there is no interval, with DeepSparse (1.90 times as fast, 1 of 1 network)" in sentences_of(
        of_csv(path)
    )


def test_latency_percentiles_are_numbers_only_where_the_inferences_carry_them(night: MakeNight) -> None:
    findings = night(deepsparse=[math.log(2) + step / 10 for step in STEPS])
    pruned = findings.latencies[findings.latencies["variant"] == "pruned"].set_index("percentile").to_dict("index")
    assert list(pruned) == [50, 90, 95, 99]
    assert pruned[50]["low"] <= pruned[50]["value"] <= pruned[50]["high"]
    assert math.isnan(pruned[99]["value"])
    assert pruned[99]["too_few"] == "360 of 1840 latencies"
    ratio = findings.latency_ratios.set_index("percentile").loc[50]
    assert (ratio["variant_a"], ratio["variant_b"], ratio["value"]) == ("pruned", "base", pytest.approx(0.5, rel=0.01))
    (machine,) = findings.machines
    text = [cell for row in latency(machine).rows for cell, _ in row]
    assert "too few: 360 of 1840 latencies" in text


def test_few_processes_carry_no_percentile(night: MakeNight) -> None:
    findings = night(deepsparse=[0.0, 0.01])
    assert findings.latencies["value"].isna().all()
    assert set(findings.latencies["too_few"]) == {"2 of 6 processes"}
