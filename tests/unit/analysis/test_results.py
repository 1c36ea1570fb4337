"""Which trials enter, and why the others do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import pandas as pd
import pytest

from sparsebench.analysis.results import CELLS, MISSING, REASONS, REPEATS
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import Block, Collection, HostFacts, MissingCell, Parity, Trial
from sparsebench.report import labels

MakeTrial = Callable[..., Trial]
MakeBlock = Callable[..., Block]
MakeHost = Callable[..., HostFacts]


def missing(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame[["engine", "reason", "trials", "valid_trials"]].itertuples(index=False, name=None))


def test_a_cell_is_the_geometric_mean_of_its_processes_with_its_t_interval(
    make_trial: MakeTrial, make_host: MakeHost
) -> None:
    trials = [make_trial(math.exp(4 + step), generation=index) for index, step in enumerate([-0.02, 0.0, 0.02])]
    results = from_trials(trials, [make_host()])
    (cell,) = results.cells.to_dict("records")
    half = 4.302653 * 0.02 / math.sqrt(3)  # t of 2 degrees of freedom
    assert [cell[name] for name in ("low_img_s", "mean_img_s", "high_img_s", "median_img_s")] == pytest.approx(
        [math.exp(4 - half), math.exp(4), math.exp(4 + half), math.exp(4)]
    )
    assert (cell["processes"], cell["blocks"], cell["disturbed_blocks"], cell["batch"]) == (3, 18, 0, 1)
    assert list(results.repeats["repeat"]) == [0, 1, 2]
    assert results.missing.empty


def test_a_single_process_has_no_interval(make_trial: MakeTrial, make_host: MakeHost) -> None:
    (cell,) = from_trials([make_trial(50)], [make_host()]).cells.to_dict("records")
    assert cell["mean_img_s"] == pytest.approx(50)
    assert math.isnan(cell["low_img_s"])
    assert math.isnan(cell["high_img_s"])


def test_a_disturbed_block_is_left_out_of_the_throughput(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost
) -> None:
    quiet = [make_block(50, round) for round in range(6)]
    trial = make_trial(blocks=(*quiet, make_block(5, 6, foreign_cores=1.0)))
    (repeat,) = from_trials([trial], [make_host()]).repeats.to_dict("records")
    assert (repeat["throughput_img_s"], repeat["blocks"], repeat["disturbed_blocks"]) == (pytest.approx(50), 7, 1)


def test_a_trial_with_disturbed_blocks_alone_has_no_throughput(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost
) -> None:
    disturbed = tuple(make_block(5, round, stolen_cores=0.5) for round in range(4))
    results = from_trials([make_trial(), make_trial(generation=1, blocks=disturbed)], [make_host()])
    assert list(results.repeats["repeat"]) == [0]
    assert missing(results.missing) == [("deepsparse", "disturbed", 1, 1)]


@pytest.mark.parametrize("undisturbed", [2, 1, 0])
def test_a_cell_has_a_number_as_long_as_one_block_of_it_is_undisturbed(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost, undisturbed: int
) -> None:
    blocks = [make_block(50, round) for round in range(undisturbed)]
    blocks += [make_block(5, round, throttled=round) for round in range(undisturbed, 6) if round]
    halves = (tuple(blocks[::2]), tuple(blocks[1::2]))
    results = from_trials(
        [make_trial(generation=index, blocks=half) for index, half in enumerate(halves)], [make_host()]
    )
    assert list(results.cells["mean_img_s"]) == ([pytest.approx(50)] if undisturbed else [])
    if not undisturbed:
        (row,) = results.missing.to_dict("records")
        assert (row["reason"], row["trials"], row["valid_trials"]) == ("disturbed", 2, 0)
        assert (row["disturbed_by"], row["disturbed_value"]) == ("throttled", 3)
        assert labels.lost(row) == "every block; in most of them the CPU was throttled 3 times"


def test_trials_that_took_turns_have_the_same_number(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(generation=generation, engine=engine, status=status)
        for generation, engine, status in [
            (0, "deepsparse", "measured"),
            (0, "openvino", "failed"),
            (1, "deepsparse", "measured"),
            (1, "openvino", "measured"),
        ]
    ]
    repeats = from_trials(trials, [make_host()]).repeats
    assert dict(repeats.groupby("engine")["repeat"].apply(list)) == {"deepsparse": [0, 1], "openvino": [1]}


def test_results_are_keyed_by_instance_type_and_cpu(make_trial: MakeTrial, make_host: MakeHost) -> None:
    hosts = [make_host(), make_host(cpu_model="AMD EPYC 7R13", instance_id="i-2"), make_host("t3.xlarge")]
    trials = [make_trial(50), make_trial(90, instance_id="i-2", job="job-b"), make_trial(40, instance_type="t3.xlarge")]
    cells = from_trials(trials, hosts).cells
    assert list(zip(cells["instance_type"], cells["cpu_model"], cells["median_img_s"].round(6), strict=True)) == [
        ("t3.xlarge", "Intel Xeon 8175M", 40),
        ("m5.xlarge", "AMD EPYC 7R13", 90),
        ("m5.xlarge", "Intel Xeon 8175M", 50),
    ]


@pytest.mark.parametrize("status", ["invalid", "absent", "failed"])
def test_only_measured_trials_enter(make_trial: MakeTrial, make_host: MakeHost, status: str) -> None:
    results = from_trials([make_trial(), make_trial(engine="openvino", status=status)], [make_host()])
    assert set(results.cells["engine"]) == {"deepsparse"}
    assert missing(results.missing) == [("openvino", status, 1, 0)]


def test_a_throughput_without_parity_does_not_enter(
    make_trial: MakeTrial, make_host: MakeHost, make_parity: Callable[..., Parity]
) -> None:
    trials = [make_trial(parity=None), make_trial(engine="openvino", parity=make_parity(relative=0.5, same_top1=8))]
    results = from_trials(trials, [make_host()])
    assert results.cells.empty
    assert missing(results.missing) == [("openvino", "invalid", 1, 0), ("deepsparse", "unchecked", 1, 0)]


def test_a_trial_whose_host_is_unknown_does_not_enter(make_trial: MakeTrial) -> None:
    assert missing(from_trials([make_trial()], []).missing) == [("deepsparse", "unidentified", 1, 0)]


def test_a_cell_of_which_one_trial_disagreed_is_not_ranked(make_trial: MakeTrial, make_host: MakeHost) -> None:
    results = from_trials([make_trial(), make_trial(generation=1, status="invalid")], [make_host()])
    assert results.cells.empty
    assert missing(results.missing) == [("deepsparse", "invalid", 1, 0)]


def test_a_failed_trial_is_counted_beside_the_valid_ones(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(),
        make_trial(generation=1),
        *(make_trial(generation=index, status="failed") for index in (2, 3)),
    ]
    results = from_trials(trials, [make_host()])
    assert list(results.cells["processes"]) == [2]
    assert missing(results.missing) == [("deepsparse", "failed", 2, 2)]


def test_what_was_never_begun_is_missing_until_another_run_measures_it(
    make_trial: MakeTrial, make_host: MakeHost
) -> None:
    cells = [make_trial(engine=engine).cell for engine in ("deepsparse", "openvino")]
    lost = tuple(MissingCell(cell=cell, reason="capacity", detail="no capacity") for cell in cells)
    collection = Collection(run_id="one", night="2026-11-24", planned=2, measured=0, missing=lost)
    results = from_trials([make_trial(engine="openvino")], [make_host()], [collection, collection])
    assert missing(results.missing) == [("deepsparse", "capacity", 0, 0)]
    assert set(results.cells["engine"]) == {"openvino"}


def test_no_trials_give_empty_tables_of_the_documented_columns() -> None:
    results = from_trials([], [])
    assert list(results.repeats.columns) == list(REPEATS)
    assert list(results.missing.columns) == list(MISSING)
    assert list(results.cells.columns) == list(CELLS)
    assert results.cells.empty
    assert results.lanes == []


def test_every_reason_that_a_run_can_give_is_explained() -> None:
    assert set(get_args(MissingCell.model_fields["reason"].annotation)) <= set(REASONS)


def test_an_engine_that_ran_a_part_of_a_network_itself_says_so(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(engine_facts={"fraction_of_supported_ops": 0.946}), make_trial(engine="openvino")]
    assert from_trials(trials, [make_host()]).cells.set_index("engine")["supported_ops"]["deepsparse"] == 0.946


def test_lanes_are_kept_apart(make_trial: MakeTrial, make_host: MakeHost) -> None:
    results = from_trials([make_trial(50, precision="native"), make_trial(30)], [make_host()])
    assert results.lanes == ["f32", "native"]
    assert list(results.lane("f32").cells["median_img_s"]) == [pytest.approx(30)]
    assert [judged.trial.cell.precision for judged in results.lane("f32").trials] == ["f32"]


def test_the_order_of_the_trials_does_not_matter(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(speed, engine=engine, generation=index)
        for engine in ("openvino", "deepsparse")
        for index, speed in enumerate((50.0, 60.0))
    ]
    pd.testing.assert_frame_equal(
        from_trials(trials, [make_host()]).repeats, from_trials(trials[::-1], [make_host()]).repeats
    )


def test_localhost_comes_after_the_catalogs_instance_types(make_trial: MakeTrial, make_host: MakeHost) -> None:
    types = ["localhost", "m8i.xlarge", "m7i.xlarge", "t3.xlarge"]
    results = from_trials([make_trial(instance_type=name) for name in types], [make_host(name) for name in types])
    assert list(results.cells["instance_type"]) == ["t3.xlarge", "m7i.xlarge", "localhost", "m8i.xlarge"]
