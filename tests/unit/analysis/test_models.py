"""Sizes, sparsity and accuracy of the networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sparsebench.analysis.models import mean_ratio, sizes, sparsities
from sparsebench.contracts import ModelCard, Weights
from sparsebench.report.assembly import study_models

MakeCard = Callable[..., ModelCard]


def test_the_studys_networks_are_2_99_times_smaller_without_its_int8_resnet() -> None:
    ratio = mean_ratio(study_models())
    assert ratio is not None
    assert int(ratio * 100) / 100 == 2.99


def test_a_size_is_the_gzip_size_in_megabytes_of_a_million_bytes(make_card: MakeCard) -> None:
    cards = [make_card(gzip_bytes=8_620_000), make_card(variant="pruned", gzip_bytes=4_310_000)]
    (row,) = sizes(cards).to_dict("records")
    assert (row["base_mb"], row["pruned_mb"], row["ratio"]) == (8.62, 4.31, 2)


def test_the_mean_ratio_is_of_pruning_alone(make_card: MakeCard) -> None:
    cards = [
        make_card(gzip_bytes=800),
        make_card(variant="pruned", gzip_bytes=400),
        make_card(variant="pruned_int8", gzip_bytes=100),
    ]
    assert list(sizes(cards)["ratio"]) == [2, 8]
    assert mean_ratio(sizes(cards)) == 2
    assert mean_ratio(sizes([])) is None


def test_random_weights_are_named_and_have_no_accuracy(make_card: MakeCard) -> None:
    weights = Weights(kind="random", origin="the hub cannot be reached", seed=3)
    frame = sparsities([make_card(weights=weights, accuracy=None), make_card("resnet50", "pruned")])
    random, pretrained = frame.to_dict("records")
    assert (random["weights"], random["origin"]) == ("random", "the hub cannot be reached")
    assert random["top1"] != random["top1"]
    assert (pretrained["weights"], pretrained["top1"]) == ("pretrained", pytest.approx(0.7424))


def test_networks_of_digits_do_not_count_in_the_mean_ratio(make_card: MakeCard) -> None:
    cards = [
        make_card(network=network, variant=variant, gzip_bytes=size)
        for network, base, pruned in (("vgg19", 400, 200), ("vgg19-digits", 400, 40))
        for variant, size in (("base", base), ("pruned", pruned))
    ]
    assert mean_ratio(sizes(cards)) == 2
