"""How much accuracy each layer costs. About 25 s, beside the training that it stands on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.digits import Trained, result, run, trained  # noqa: F401

from sparsebench.contracts import LayerSize, Score, Sensitivity, SensitivityPoint
from sparsebench.errors import BadInput
from sparsebench.sparsify import gmp

ANALYSE = """
model = network(Path(sys.argv[1]) / "dense.pt")
before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
images = data.batches(data.images(DIGITS, NETWORK, "validation"))

def unchanged():
    return all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

def analyse(**options):
    return sensitivity.analyse(model, images, network="mobilevit_xs", dataset="digits", **options)

told = []
found = analyse(layers=3, sparsities=(0.3, 0.6, 0.9), seeds=(0, 1), on_point=told.append)
kept = unchanged()

def stop(point):
    raise KeyboardInterrupt

try:
    analyse(layers=1, on_point=stop)
except KeyboardInterrupt:
    pass
short, so_far, told_again = {"layers": 2, "sparsities": (0.5,), "seeds": (0,)}, [], []

def stop_in_the_second_layer(point):
    if so_far:
        raise KeyboardInterrupt

try:
    analyse(**short, on_point=stop_in_the_second_layer, on_layer=so_far.append)
except KeyboardInterrupt:
    pass
from sparsebench.contracts import SparsifyRequest
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify.stages import Stages
from sparsebench.store import Store

calls = []

def heartbeat():
    calls.append(1)
    if len(calls) == 40:  # a layer has 36 points
        raise KeyboardInterrupt

def stage():
    return Stages(store, NETWORK, few, request, ProgressReport(store, "job", "net", 1, heartbeat)).analyse(model, 2)

store = Store(Path(sys.argv[2]).as_uri())
whole = data.split(DIGITS, NETWORK)
few = data.Split(DIGITS, whole.train, data.sample(whole.validation, 8))
request = SparsifyRequest(job="job", network="mobilevit_xs", variants=("base",), dataset=DIGITS)
try:
    stage()
except KeyboardInterrupt:
    pass
key, staged = stage()
resumed = analyse(**short, before=so_far[-1], on_point=told_again.append)
refused = []
for options in ({"layers": 0}, {"sparsities": (0.5, 1.0)}, {"sparsities": ()}):
    try:
        analyse(**options)
    except SparsebenchError as error:
        refused.append(str(error))
print(json.dumps({
    "found": found.to_json().decode(), "told": len(told), "kept": kept, "kept after a stop": unchanged(),
    "sizes": build.prunable_layers(model), "refused": refused,
    "staged": [len(staged.points), len(calls), store.sensitivity(key) == staged, stage() == (key, staged)],
    "resumed as undisturbed": resumed == analyse(**short), "told again": [point.layer for point in told_again],
}))
"""


@pytest.fixture(scope="module")
def analysed(
    trained: Trained,  # noqa: F811
    python: str,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    store = tmp_path_factory.mktemp("store")
    return result(run(python, environment, ANALYSE, trained.folder, store, cwd=trained.folder))


@pytest.fixture(scope="module")
def analysis(analysed: dict[str, Any]) -> Sensitivity:
    return Sensitivity.model_validate_json(analysed["found"])


def test_the_largest_layers_are_pruned_by_magnitude_and_by_chance(
    analysed: dict[str, Any],
    analysis: Sensitivity,
    trained: Trained,  # noqa: F811
) -> None:
    sizes = sorted(analysed["sizes"].values(), reverse=True)

    assert [layer.parameters for layer in analysis.layers] == sizes[:3]
    assert len(analysis.points) == analysed["told"] == 3 * 3 * (1 + 2)
    assert {(point.mask, point.seed) for point in analysis.points} == {
        ("magnitude", None),
        ("random", 0),
        ("random", 1),
    }
    assert analysis.dense.accuracy == trained.results["dense"]


def test_the_weights_are_as_before(analysed: dict[str, Any]) -> None:
    assert analysed["kept"]
    assert analysed["kept after a stop"]


def test_what_was_interrupted_goes_on_after_the_last_layer_that_was_tried_whole(
    analysed: dict[str, Any], analysis: Sensitivity
) -> None:
    assert analysed["resumed as undisturbed"]
    assert analysed["told again"] == [analysis.layers[1].name] * 2


def test_an_instance_that_is_taken_away_leaves_the_layers_that_it_tried_in_the_store(analysed: dict[str, Any]) -> None:
    points, evaluated, kept, found_again = analysed["staged"]
    assert points == 2 * 36
    assert evaluated < 100  # the first layer was not tried again: that would make 116
    assert kept
    assert found_again


def test_small_weights_cost_less_than_any(analysis: Sensitivity) -> None:
    assert sum(analysis.ranking("magnitude").values()) < sum(analysis.ranking("random").values())


def test_what_makes_no_sense_is_refused(analysed: dict[str, Any]) -> None:
    assert analysed["refused"] == [
        "layers is 0: expected 1 at least, or nothing for all",
        "sparsities is [0.5, 1.0]: expected numbers within (0, 1)",
        "sparsities is []: expected numbers within (0, 1)",
    ]


# ---------------------------------------------------------------------------- what follows from the numbers


def score(correct: int) -> Score:
    return Score(images=100, top1=correct, top5=None)


def made_up(**curves: tuple[int, ...]) -> Sensitivity:
    """By magnitude; correct images of 100 at sparsities 0.1, 0.2, …; 90 when dense."""
    points = tuple(
        SensitivityPoint(layer=layer, mask="magnitude", seed=None, sparsity=number / 10, score=score(correct))
        for layer, curve in curves.items()
        for number, correct in enumerate(curve, start=1)
    )
    return Sensitivity(
        network="tiny",
        dataset="made-up",
        layers=tuple(LayerSize(name=layer, parameters=10) for layer in curves),
        dense=score(90),
        points=points,
    )


def test_the_most_sensitive_layer_comes_first() -> None:
    ranking = made_up(a=(90, 88), b=(60, 20), c=(90, 90)).ranking()

    assert list(ranking) == ["b", "a", "c"]
    assert ranking["b"] == pytest.approx(50)
    assert ranking["c"] == 0


def test_random_masks_count_as_their_mean() -> None:
    points = [
        SensitivityPoint(layer="a", mask="random", seed=seed, sparsity=0.5, score=score(correct))
        for seed, correct in enumerate((40, 60))
    ]
    whole = made_up(a=(90,)).model_copy(update={"points": tuple(points)})

    assert whole.curve("a", "random") == {0.0: 0.9, 0.5: pytest.approx(0.5)}


def test_each_layer_takes_the_highest_sparsity_that_keeps_the_budget() -> None:
    analysis = made_up(robust=(90, 91, 89), middling=(90, 88, 70), fragile=(80, 50, 10), lucky=(90, 60, 90))

    targets = analysis.targets(budget=2)

    assert targets == {"robust": 0.3, "middling": 0.2, "lucky": 0.1}
    assert analysis.targets(budget=1) == {"robust": 0.3, "middling": 0.1, "lucky": 0.1}
    assert gmp.check(gmp.gradual(targets), [layer.name for layer in analysis.layers])


@pytest.mark.parametrize("budget", [-1, float("nan")])
def test_a_budget_is_not_negative(budget: float) -> None:
    with pytest.raises(BadInput, match="budget is"):
        made_up(a=(90,)).targets(budget)


def test_a_score_has_wilsons_interval() -> None:
    assert Score(images=10, top1=5, top5=None).interval == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert Score(images=10, top1=0, top5=None).interval == pytest.approx((0, 0.27753), abs=1e-5)
    assert Score(images=360, top1=360, top5=360).interval == pytest.approx((0.98944, 1), abs=1e-5)


def test_a_score_becomes_the_accuracy_of_a_model_card() -> None:
    accuracy = Score(images=200, top1=150, top5=190).as_accuracy("digits")

    assert (accuracy.dataset, accuracy.images, accuracy.top1, accuracy.top5) == ("digits", 200, 0.75, 0.95)
    assert score(50).as_accuracy("digits").top5 is None
