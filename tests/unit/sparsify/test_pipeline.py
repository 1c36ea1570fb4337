"""The whole way of a network that is trained here: dense, pruned gradually, evaluated, registered. About 3 min."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from sparsebench.contracts import DIGITS

from .conftest import Sparsify

NETWORK = "mobilenetv1"
NAME = "mobilenetv1-digits"
HOW: dict[str, Any] = {
    "weights": "random",
    "dataset": DIGITS,
    "dense_epochs": 2,
    "epochs": 1,
    "batch": 16,
    "learning_rate": 0.02,
    "seed": 4,
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Two that wait for each other are slow beside other work; and the weights depend on their number."""


@pytest.fixture(scope="module")
def undisturbed(sparsify: Callable[[], Sparsify]) -> Sparsify:
    tool = sparsify()
    done = tool.carry_out(tool.command(NETWORK, "base", "pruned", **HOW), **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return tool


def test_what_is_shipped_was_evaluated_and_says_how_it_was_trained(undisturbed: Sparsify) -> None:
    base, pruned = undisturbed.card("base"), undisturbed.card("pruned")
    assert base.network == pruned.network == NAME
    assert base.weights.kind == "trained"
    assert "trained on digits for 2 epochs from random weights" in base.weights.origin
    assert base.accuracy
    assert pruned.accuracy
    assert (base.accuracy.dataset, base.accuracy.images) == ("digits", 360)
    assert base.accuracy.top1 > 0.5
    # One epoch of pruning leaves 0.26 to 0.4, by the CPU. By chance it would be 0.1, and with 360 images 0.15 at most.
    assert pruned.accuracy.top1 > 0.15
    assert pruned.sparsity == pytest.approx(0.778, abs=0.002)

    assert base.training
    assert pruned.training
    dense, gradual = undisturbed.store.training(base.training), undisturbed.store.training(pruned.training)
    assert (dense.variant, len(dense.curve)) == ("base", 2)
    assert (gradual.variant, len(gradual.curve)) == ("pruned", 1)
    assert gradual.recipe == pruned.recipe
    assert "init_lr: 0.02" in dense.recipe
    assert "init_lr: 0.02" in gradual.recipe
    # The exported file does as the network did in torch when it was validated last.
    assert abs(gradual.curve[-1].validation.accuracy - pruned.accuracy.top1) <= 1 / 360


def test_what_is_there_is_not_done_again_and_what_has_other_inputs_is(undisturbed: Sparsify) -> None:
    done = undisturbed.carry_out(undisturbed.command(NETWORK, "base", "pruned", **HOW), **ONE_THREAD)
    assert "base is there already" in done.stdout
    assert "pruned is there already" in done.stdout

    one_shot = HOW | {"epochs": None}
    done = undisturbed.carry_out(undisturbed.command(NETWORK, "base", "fake85", **one_shot), **ONE_THREAD)
    assert "base is there already" in done.stdout
    assert "epoch" not in done.stdout.replace("epochs", "")
    fake, pruned = undisturbed.card("fake85").accuracy, undisturbed.card("pruned").accuracy
    assert fake
    assert pruned
    assert fake.top1 < pruned.top1


def test_killed_three_times_at_random_it_ends_with_the_same_files(
    undisturbed: Sparsify, sparsify: Callable[[], Sparsify]
) -> None:
    tool, chance = sparsify(), random.Random()  # noqa: S311
    moments = []
    for _ in range(3):
        after = chance.uniform(8, 30)
        command = tool.command(NETWORK, "base", "pruned", **HOW)
        with subprocess.Popen(command, env=tool.environment | ONE_THREAD, stdout=subprocess.DEVNULL) as killed:
            try:
                killed.wait(timeout=after)
            except subprocess.TimeoutExpired:
                killed.send_signal(signal.SIGKILL)
        moments.append((round(after, 1), killed.returncode))
    done = tool.carry_out(tool.command(NETWORK, "base", "pruned", **HOW), **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    for variant in ("base", "pruned"):
        assert tool.card(variant).artifact == undisturbed.card(variant).artifact, moments
