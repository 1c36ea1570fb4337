"""What disturbed the blocks, and how the engines compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sparsebench.analysis import disturbance, execution
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import Block, Execution, HostFacts, Kernel, Trial
from sparsebench.report import labels

MakeTrial = Callable[..., Trial]
MakeHost = Callable[..., HostFacts]

BF16 = Execution(
    source="runtime model",
    kernels=(
        Kernel(name="brgemm", precision="bf16", isa="amx", count=9, time_share=0.75),
        Kernel(name="softmax", precision="f32", isa="avx512", count=1, time_share=0.25),
    ),
)


def test_blocks_are_counted_by_why_they_are_disturbed(
    make_trial: MakeTrial, make_block: Callable[..., Block], make_host: MakeHost
) -> None:
    trials = [
        make_trial(
            blocks=(
                make_block(50, 0, foreign_cores=0.1, pressure=0.0),
                make_block(5, 1, foreign_cores=0.9, pressure=0.4),
                make_block(5, 2, foreign_cores=0.5, major_faults=7, pressure=0.2),
            )
        )
    ]
    results = from_trials(trials, [make_host()])
    assert results.cells["blocks"].item() == 3
    blocks = disturbance.blocks(results.trials)
    assert list(blocks["round"]) == [0, 1, 2]
    assert list(blocks["disturbed_by"]) == ["", "foreign_cores", "foreign_cores; major_faults"]
    (row,) = disturbance.by_machine(blocks).to_dict("records")
    assert (row["blocks"], row["disturbed_blocks"]) == (3, 2)
    assert row["disturbances"] == (("foreign_cores", 2, 0.7, 0.9), ("major_faults", 1, 7, 7))
    assert [labels.disturbed(disturbance) for disturbance in row["disturbances"]] == [
        "2 blocks: other processes took 0.7 of a core (at most 0.9)",
        "1 block: 7 page faults went to disk",
    ]
    assert (row["mean_foreign_cores"], row["mean_pressure"]) == pytest.approx((0.5, 0.2))
    assert row["mean_frequency_mhz"] != row["mean_frequency_mhz"]


def test_how_a_cell_computes_is_that_of_the_first_trial_that_tells(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(), make_trial(generation=1, execution=BF16)]
    results = from_trials(trials, [make_host()])
    assert list(execution.executions(results).values()) == [BF16]
    kernels = execution.kernels(results.trials)
    assert list(zip(kernels["kernel"], kernels["computes_in"], kernels["time_share"], strict=True)) == [
        ("brgemm", "bf16", 0.75),
        ("softmax", "f32", 0.25),
    ]


def test_costs_are_of_each_engine_on_each_machine(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(network=network, load_s=load_s, peak_memory_bytes=peak)
        for network, load_s, peak in [("vgg19", 3.0, 700_000_000), ("resnet50", 1.0, 200_000_000)]
    ]
    (row,) = execution.costs(from_trials(trials, [make_host()])).to_dict("records")
    assert (row["load_s"], row["peak_memory_mb"]) == (2.0, 700.0)
