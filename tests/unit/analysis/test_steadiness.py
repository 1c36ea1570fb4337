"""A host that changed its speed, and a cell that is unsteady, are named wherever verdicts are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from sparsebench.analysis.choice import Bounds
from sparsebench.analysis.findings import Findings, of_csv, of_nights
from sparsebench.analysis.history import watched
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.steadiness import UNSTEADY
from sparsebench.contracts import Block, HostFacts, Manifest, Neighbours, Trial
from sparsebench.report import sentences
from sparsebench.report.tables.inputs import hosts, hosts_frame
from sparsebench.report.tables.steadiness import unsteady
from sparsebench.report.terminal import advice_json

ENGINES = ("onnxruntime", "openvino", "deepsparse")
QUIET = (0.01, -0.01, 0.005, -0.005)

MakeNight = Callable[..., Night]


@pytest.fixture
def night(
    make_trial: Callable[..., Trial],
    make_block: Callable[..., Block],
    make_host: Callable[..., HostFacts],
    make_manifest: Callable[..., Manifest],
) -> MakeNight:
    """Base and pruned by three engines. speeds: of the host, generation by generation. scatter: of the blocks of pruned
    with DeepSparse, round by round."""

    def made(speeds: Sequence[float] = (1,) * 6, scatter: Sequence[float] = QUIET, number: int = 1) -> Night:
        trials = [
            make_trial(
                engine=engine,
                variant=variant,
                generation=generation,
                instance_id=f"i-{host}",
                variants=("base", "pruned"),
                blocks=tuple(
                    later(make_block(50 * speed * math.exp(log), round), generation)
                    for round, log in enumerate(scatter if (variant, engine) == ("pruned", "deepsparse") else QUIET)
                ),
            )
            for host in range(number)
            for generation, speed in enumerate(speeds)
            for variant in ("base", "pruned")
            for engine in ENGINES
        ]
        return Night(make_manifest(), trials, [make_host(instance_id=f"i-{host}") for host in range(number)])

    def later(block: Block, minutes: int) -> Block:
        return block.model_copy(update={"started_at": block.started_at + timedelta(minutes=minutes)})

    return made


def said(findings: Findings) -> str:
    (machine,) = findings.machines
    return "\n".join(sentences.stands_on(machine)).replace("\u00a0", " ")


def test_it_is_said_on_how_many_hosts_and_for_how_long_it_was_measured(night: MakeNight) -> None:
    assert said(of_nights([night()])) == "Measured on 1 host within 5 min, of which alone the intervals speak."
    two = of_nights([night(number=2)])
    assert said(two) == "Measured on 2 hosts within 5 min each, of which alone the intervals speak."


def test_six_hosts_speak_for_others_of_their_kind(night: MakeNight) -> None:
    assert said(of_nights([night(number=6)])) == ""


def test_a_host_that_changed_its_speed_is_named(night: MakeNight) -> None:
    measured = night(speeds=(1, 1, 0.75, 0.75, 0.75, 1))
    findings = of_nights([measured])
    assert (
        "The host changed speed meanwhile: all engines together were up to 25 % slower in some processes than in "
        "others, beyond what is left out as disturbed." in said(findings)
    )
    frame = hosts_frame(measured.hosts, findings.steadiness.hosts)
    (row,) = frame.to_dict("records")
    assert row["speed_kept"] == pytest.approx(0.75)
    assert row["generations"] == 6
    assert row["uneven"]
    assert row["measured_from"] < row["measured_until"]
    assert ("75\u00a0%", "number") in hosts(frame).rows[0]


def test_one_of_several_hosts_is_counted(night: MakeNight) -> None:
    even, uneven = night(number=2), night(speeds=(1, 1, 0.75, 0.75, 0.75, 1))
    slow = [trial.model_copy(update={"instance_id": "i-9"}) for trial in uneven.trials]
    host = uneven.hosts[0].model_copy(update={"instance_id": "i-9"})
    findings = of_nights([Night(even.manifest, [*even.trials, *slow], [*even.hosts, host])])
    assert "1 of 3 hosts changed speed meanwhile" in said(findings)


def test_a_host_that_is_as_fast_all_the_while_is_not(night: MakeNight) -> None:
    assert "changed speed" not in said(of_nights([night(speeds=(1, 0.97, 1.02, 1, 0.98, 1))]))


def test_a_cell_that_scatters_more_than_all_else_is_named(night: MakeNight) -> None:
    findings = of_nights([night(scatter=(0.1, -0.1, 0.08, -0.08))])
    assert "Unsteady from block to block: VGG-19 pruned with DeepSparse (15 %, others 1 %)." in said(findings)
    table = unsteady(findings.steadiness.cells)
    assert table is not None
    (row,) = table.rows
    assert [text for text, _ in row[1:5]] == ["VGG-19", "pruned", "DeepSparse", "f32"]


@pytest.mark.parametrize("scatter", [QUIET, (UNSTEADY / 3, -UNSTEADY / 3) * 2])
def test_one_that_scatters_little_is_not(night: MakeNight, scatter: Sequence[float]) -> None:
    findings = of_nights([night(scatter=scatter)])
    assert "Unsteady" not in said(findings)
    assert unsteady(findings.steadiness.cells) is None


def test_what_the_host_does_to_all_is_no_cells_own(night: MakeNight, make_block: Callable[..., Block]) -> None:
    noisy = (0.1, -0.1, 0.08, -0.08)
    measured = night(scatter=noisy)

    def shaken(trial: Trial) -> Trial:
        blocks = tuple(make_block(50 * math.exp(log), round) for round, log in enumerate(noisy))
        return trial.model_copy(update={"blocks": blocks})

    findings = of_nights([Night(measured.manifest, [shaken(trial) for trial in measured.trials], measured.hosts)])
    assert "Unsteady" not in said(findings)


def test_a_csv_tells_neither(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    header = "instance_type,cpu_model,model,variant,engine,throughput_img_s"
    file.write_text(f"{header}\nm5.xlarge,Intel Xeon,vgg19,base,openvino,10\n")
    findings = of_csv(file)
    assert findings.steadiness.hosts.empty
    assert findings.steadiness.cells.empty


def test_a_choice_has_its_doubts_of_its_network_alone(night: MakeNight) -> None:
    findings = of_nights([night(scatter=(0.1, -0.1, 0.08, -0.08), speeds=(1, 1, 0.75, 0.75, 0.75, 1))])
    every = sentences.doubts(findings.machines)
    assert [said.partition(": ")[2].partition(" ")[0] for said in every] == ["The", "Unsteady"]
    assert sentences.doubts(findings.machines, "resnet50") == every[:1]
    assert json.loads(advice_json(findings.choose(Bounds()), findings))["doubts"] == every


def test_a_steady_night_has_none(night: MakeNight) -> None:
    assert sentences.doubts(of_nights([night()]).machines) == []


@pytest.fixture
def noisy_night(night: MakeNight) -> MakeNight:
    """A night of which so many generations have nothing but tolerated blocks, in which ONNX Runtime is half as fast."""

    def made(noisy: int, quiet: int) -> Night:
        measured = night(speeds=(1,) * (noisy + quiet))

        def shaken(trial: Trial) -> Trial:
            if trial.generation >= noisy:
                return trial
            times = 2 if trial.cell.engine == "onnxruntime" else 1
            blocks = tuple(
                block.model_copy(
                    update={
                        "tolerated": True,
                        "seconds": block.seconds * times,
                        "interference": block.interference.model_copy(update={"foreign_cores": 1.0}),
                    }
                )
                for block in trial.blocks
            )
            return trial.model_copy(update={"blocks": blocks})

        return Night(measured.manifest, [shaken(trial) for trial in measured.trials], measured.hosts)

    return made


def test_a_host_that_was_never_quiet_gives_numbers_and_no_verdict(noisy_night: MakeNight) -> None:
    findings = of_nights([noisy_night(noisy=8, quiet=2)])
    (machine,) = findings.machines
    assert set(findings.ratios["verdict"]) == {"disturbed"}
    assert set(findings.speedups["verdict"]) == {"disturbed"}
    assert set(findings.ratios["disturbed_processes"]) == {8}
    assert findings.ratios["ratio"].max() > 1.5  # which is what the noise did
    assert "cannot be said, because something disturbed all but too few processes" in "".join(sentences.pays(machine))
    assert "Too few processes were undisturbed for a verdict" in sentences.geometric(findings.headlines[0])
    note = sentences.sample_note(machine.sample())
    assert "240 blocks, none disturbed; 192 enter although disturbed, as the host was hardly ever quiet." in note
    assert set(findings.results.cells["tolerated_blocks"]) == {32}
    (choice,) = findings.choose(Bounds(target="throughput"))
    assert not choice.losers
    assert {ranked.because for ranked in choice.tied} == {"disturbed"}


def test_nor_is_it_part_of_the_history(noisy_night: MakeNight) -> None:
    assert not watched(of_nights([noisy_night(noisy=8, quiet=2)]).measured)
    assert watched(of_nights([noisy_night(noisy=8, quiet=6)]).measured)


def test_with_enough_quiet_processes_the_others_are_left_out_of_every_number(noisy_night: MakeNight) -> None:
    findings = of_nights([noisy_night(noisy=3, quiet=6)])
    (machine,) = findings.machines
    assert set(findings.ratios["verdict"]) == {"equivalent"}
    assert set(findings.ratios["processes"]) == {6}
    assert findings.results.cells["mean_img_s"].tolist() == pytest.approx([50] * 6, rel=1e-3)
    assert (
        "144 blocks, none disturbed; 18 processes more left out, all of whose blocks were disturbed."
        in sentences.sample_note(machine.sample())
    )


def test_who_took_the_cpus_is_named(noisy_night: MakeNight) -> None:
    measured = noisy_night(noisy=8, quiet=2)
    seen = Neighbours(foreign_cores=0.6, stolen_cores=None, throttled=None, processes={"cc1plus": 0.5, "sh": 0.1})
    busy = [host.model_copy(update={"neighbours": seen}) for host in measured.hosts]
    assert (
        "measure again while nothing else takes the CPUs, or where what is measured may come first (as root, or after "
        "sudo prlimit --nice=40 --pid $$). Before it began these took the CPUs, in cores: cc1plus 0.50, "
        "sh 0.10." in said(of_nights([Night(measured.manifest, measured.trials, busy)]))
    )
    assert "prlimit --nice=40 --pid $$).\n" in said(of_nights([measured])) + "\n"
    assert "takes the CPUs" not in said(of_nights([noisy_night(noisy=3, quiet=6)]))
