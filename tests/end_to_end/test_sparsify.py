"""A network is trained and pruned on an instance of its own, through the scheduler."""

from __future__ import annotations

import pytest

from .conftest import System
from .test_sweep import live_instances

pytestmark = pytest.mark.timeout(900)


def test_a_network_is_trained_pruned_and_evaluated_on_an_instance_that_then_ends(system: System) -> None:
    system.api.unpause("sparsify")
    conf = {
        "networks": ["mobilenetv1"],
        "variants": ["base", "fake85"],
        "weights": "random",
        "dataset": "builtin:digits",
        "dense_epochs": 1,
        "batch": 32,
    }
    run = system.api.trigger("sparsify", conf)
    assert system.finished("sparsify", run) == "success"
    cards = {card.variant: card for card in system.store.model_cards() if card.network == "mobilenetv1-digits"}
    assert set(cards) == {"base", "fake85"}
    assert cards["fake85"].sparsity == pytest.approx(0.85, abs=0.005)
    for card in cards.values():
        assert card.accuracy
        assert card.accuracy.images == 360
        assert card.training
        assert len(system.store.training(card.training).curve) == 1
    assert live_instances(run) == []
