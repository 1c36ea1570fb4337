"""How the networks came to be, on the page: learning curves, sensitivity, accuracy, weights, and encodings of INT8."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests.support.values import numbers

from sparsebench import report
from sparsebench.analysis import models, training
from sparsebench.contracts import (
    DIGITS,
    Accuracy,
    BuiltVariant,
    Epoch,
    HostFacts,
    LayerSize,
    ModelCard,
    Score,
    Sensitivity,
    SensitivityPoint,
    TrainingRecord,
    Trial,
    Weights,
    sha256,
)
from sparsebench.contracts.training import Mask
from sparsebench.report import labels, training_figures
from sparsebench.report.drawing import GRID, style
from sparsebench.sparsify import gmp
from sparsebench.store import Store

MakeCard = Callable[..., ModelCard]

NETWORK = "mobilevit_xs-digits"
HOSTILE = '<script>alert("1")</script> & $x$'
KEYS = {name: sha256(name.encode()) for name in ("dense", "gradual", "sensitivity", "gone")}
PHASES = gmp.Phases(stabilise=1, prune=2, finetune=1)
MASKS: tuple[Mask, ...] = ("magnitude", "random")
HARM: tuple[tuple[Mask, int | None, float], ...] = (("magnitude", None, 0.2), ("random", 0, 0.8), ("random", 1, 0.9))
"""Of each analysis the mask, the seed, and how much accuracy it costs."""


def epoch(number: int, total: int, correct: int, sparsity: float = 0) -> Epoch:
    score = Score(images=360, top1=correct, top5=360)
    return Epoch(
        number=number,
        total=total,
        learning_rate=0.01,
        loss=1 / number,
        validation=score,
        sparsity=sparsity,
        seconds=10,
        left_s=0,
    )


def record(variant: BuiltVariant, recipe: str, *curve: Epoch, network: str = NETWORK) -> TrainingRecord:
    return TrainingRecord(
        network=network, variant=variant, dataset=DIGITS, recipe=recipe, began_with=sha256(b"weights"), curve=curve
    )


DENSE = record("base", gmp.dense(3), epoch(1, 3, 280), epoch(2, 3, 340), epoch(3, 3, 350))
GRADUAL = record(
    "pruned",
    gmp.gradual({"conv": 0.61}, PHASES),
    epoch(1, 4, 350, 0.0),
    epoch(2, 4, 300, 0.5),
    epoch(3, 4, 320, 0.61),
    epoch(4, 4, 347, 0.61),
)


def analysis(layers: int = 3, network: str = NETWORK, prefix: str = "stages.") -> Sensitivity:
    """The first layer is the largest, and the last costs most."""
    points = [
        SensitivityPoint(
            layer=f"{prefix}{layer}",
            mask=mask,
            seed=seed,
            sparsity=sparsity,
            score=Score(images=360, top1=round(350 - harm * (layer + 1) * 300 / layers * sparsity), top5=None),
        )
        for layer in range(layers)
        for mask, seed, harm in HARM
        for sparsity in (0.3, 0.6, 0.9)
    ]
    sizes = tuple(LayerSize(name=f"{prefix}{layer}", parameters=10_000 - layer) for layer in range(layers))
    dense = Score(images=360, top1=350, top5=None)
    return Sensitivity(network=network, dataset="digits", layers=sizes, dense=dense, points=tuple(points))


def accuracy(correct: int, images: int = 360) -> Accuracy:
    return Accuracy(dataset="digits", images=images, top1=correct / images, top5=1.0)


@pytest.fixture(scope="module")
def cards(make_card: MakeCard) -> list[ModelCard]:
    trained = Weights(kind="trained", origin="digits, 3 epochs", digest=sha256(b"weights"), seed=0)
    keys = {"weights": trained, "sensitivity": KEYS["sensitivity"]}
    return [
        make_card(NETWORK, "base", accuracy=accuracy(350), training=KEYS["dense"], **keys),
        make_card(NETWORK, "pruned", accuracy=accuracy(347), training=KEYS["gradual"], **keys),
        make_card(
            NETWORK,
            "pruned_int8",
            accuracy=accuracy(346),
            training=KEYS["gradual"],
            parent=sha256(b"fp32"),
            same_top1=0.9917,
            encodings={"deepsparse": sha256(b"integer")},
            **keys,
        ),
        make_card("vgg19", "base", weights=Weights(kind="random", origin="no hub", seed=0), accuracy=None),
        make_card("resnet50", "pruned", training=KEYS["gone"], sensitivity=KEYS["gone"]),
    ]


@pytest.fixture(scope="module")
def of_cards(
    make_night: Callable[..., Any], make_host: Callable[..., HostFacts], make_trial: Callable[..., Trial]
) -> Callable[[list[ModelCard]], Any]:
    """A night with these cards."""
    trials = [make_trial(network=NETWORK, engine=engine) for engine in ("deepsparse", "openvino")]
    return lambda cards: make_night(cards, [make_host()], trials)


def build(night: Any, folder: Path, sensitivity: Sensitivity | None = None) -> dict[str, bytes]:
    store = Store(folder.as_uri())
    night.write(store)
    store.put_training(KEYS["dense"], DENSE)
    store.put_training(KEYS["gradual"], GRADUAL)
    store.put_sensitivity(KEYS["sensitivity"], sensitivity or analysis())
    return report.build(store, night.night)


@pytest.fixture(scope="module")
def built(of_cards: Any, cards: list[ModelCard], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(of_cards(cards), tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def text(built: dict[str, bytes]) -> str:
    return built["index.html"].decode().replace("\u00a0", " ")


def csv(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data))


# ------------------------------------------------------------------------------------------------ page


def test_a_training_and_an_analysis_that_several_cards_have_are_drawn_once(built: dict[str, bytes]) -> None:
    figures = [name for name in built if name.startswith(("learning", "sensitivity_")) and name.endswith(".svg")]
    assert figures == [
        f"learning_curve_{NETWORK}_base.svg",
        f"learning_curve_{NETWORK}_pruned.svg",
        f"sensitivity_{NETWORK}.svg",
    ]
    for name in figures:
        assert name.replace(".svg", ".png") in built
        assert len(csv(built[name.replace(".svg", ".csv")]))


def test_what_is_not_in_the_store_any_more_is_left_out(built: dict[str, bytes]) -> None:
    """The ResNet-50's training and analysis were never put."""
    assert not [name for name in built if "resnet50" in name]


def test_a_night_without_trainings_has_no_such_sections(of_cards: Any, make_card: MakeCard, tmp_path: Path) -> None:
    page = build(of_cards([make_card()]), tmp_path)["index.html"].decode()
    assert 'id="training"' not in page
    assert 'id="sensitivity"' not in page
    assert "Which encoding" not in page


def test_the_same_night_gives_the_same_bytes(
    of_cards: Any, cards: list[ModelCard], built: dict[str, bytes], tmp_path: Path
) -> None:
    assert build(of_cards(cards), tmp_path) == built


def test_a_network_of_digits_has_a_readable_name(text: str) -> None:
    assert "MobileViT-xs (digits), pruned: top-1 on 360 images of digits" in text
    assert labels.network("unheard-of") == "unheard-of"


def test_the_sections_are_in_the_contents(text: str) -> None:
    for anchor in ("training", "sensitivity"):
        assert f'href="#{anchor}"' in text
        assert f'id="{anchor}"' in text


def test_names_from_a_store_are_shown_as_text(of_cards: Any, cards: list[ModelCard], tmp_path: Path) -> None:
    odd = [card.model_copy(update={"weights": Weights(kind="trained", origin=HOSTILE)}) for card in cards]
    page = build(of_cards(odd), tmp_path, analysis(prefix=HOSTILE))["index.html"].decode()
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 2


# ------------------------------------------------------------------------------------ learning curves


def test_a_learning_curve_has_phases_from_its_recipe() -> None:
    assert [(phase.name, phase.start, phase.end) for phase in training.phases(GRADUAL)] == [
        ("stabilise", 0, 1),
        ("prune", 1, 3),
        ("fine-tune", 3, 4),
    ]
    assert [phase.name for phase in training.phases(DENSE)] == ["train"]
    assert training.phases(DENSE.model_copy(update={"recipe": "not a recipe"})) == ()
    assert list(training.curve(GRADUAL)["phase"]) == ["stabilise", "prune", "prune", "fine-tune"]


def test_a_learning_curve_draws_every_epoch_with_its_interval() -> None:
    rows = training.curve(GRADUAL)
    assert ((rows["low"] < rows["accuracy"]) & (rows["accuracy"] < rows["high"])).all()
    with style():
        upper, lower = training_figures.learning_curve(rows, training.phases(GRADUAL)).axes
    assert numbers(upper.lines[0].get_ydata()) == list(rows["accuracy"])
    assert numbers(lower.lines[0].get_ydata()) == list(rows["sparsity"])
    assert [text.get_text() for text in upper.texts][:3] == ["stabilise", "prune", "fine-tune"]


def test_a_dense_training_has_no_panel_of_sparsity() -> None:
    with style():
        assert len(training_figures.learning_curve(training.curve(DENSE), training.phases(DENSE)).axes) == 1


# -------------------------------------------------------------------------------------- sensitivity


def test_sensitivity_has_a_panel_a_mask_and_a_line_a_layer() -> None:
    sensitivity = analysis()
    with style():
        figure = training_figures.sensitivity(sensitivity)
    for panel, mask in zip(figure.axes, MASKS, strict=True):
        drawn = [(line.get_label(), numbers(line.get_ydata())) for line in panel.lines]
        lines = {label: heights for label, heights in drawn if len(heights) > 2}
        assert lines == {layer.name: list(sensitivity.curve(layer.name, mask).values()) for layer in sensitivity.layers}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["stages.2", "stages.1", "stages.0"]


def test_an_analysis_with_one_kind_of_mask_has_one_panel() -> None:
    sensitivity = analysis()
    for mask in ("magnitude", "random"):
        only = sensitivity.model_copy(
            update={"points": tuple(point for point in sensitivity.points if point.mask == mask)}
        )
        with style():
            assert len(training_figures.sensitivity(only).axes) == 1
        assert len(training.ranking(only)) == 3


def test_of_many_layers_the_most_sensitive_are_named_and_the_others_grey() -> None:
    with style():
        figure = training_figures.sensitivity(analysis(layers=30))
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [f"stages.{layer}" for layer in range(29, 29 - training_figures.MOST_NAMED, -1)]
    colours = {str(line.get_label()): to_hex(line.get_color()) for line in figure.axes[0].lines}
    assert [layer for layer, colour in colours.items() if colour == GRID and layer in named] == []
    assert colours["stages.0"] == GRID


def test_the_ranking_says_what_each_layer_costs(built: dict[str, bytes], text: str) -> None:
    ranking = csv(built[f"sensitivity_{NETWORK}_ranking.csv"])
    assert list(ranking["layer"]) == ["stages.2", "stages.1", "stages.0"]
    assert list(ranking["parameters"]) == [9998, 9999, 10000]
    assert (ranking["points_random"] > ranking["points_magnitude"]).all()
    assert ranking["points_magnitude"].iloc[0] == pytest.approx(100 * (18 + 36 + 54) / 3 / 360)
    points = csv(built[f"sensitivity_{NETWORK}.csv"])
    assert len(points) == 1 + 3 * 3 * 3
    assert list(points.loc[0, ["sparsity", "accuracy"]]) == [0, pytest.approx(350 / 360)]
    assert "MobileViT-xs (digits): what each layer costs" in text


# ------------------------------------------------------------------- accuracy, weights and encodings


def test_accuracy_has_its_interval_and_its_distance_to_base(cards: list[ModelCard], text: str) -> None:
    rows = models.sparsities(cards).set_index(["network", "variant"]).to_dict("index")
    pruned = rows[NETWORK, "pruned"]
    assert (pruned["low"], pruned["high"]) == pytest.approx(Score(images=360, top1=347, top5=None).interval)
    assert pruned["change"] == pytest.approx(-3 / 360)
    assert pd.isna(rows[NETWORK, "base"]["change"])
    assert pd.isna(rows["vgg19", "base"]["low"])
    assert "96.4 % (93.9–97.9)" in text
    assert '<td class="number">−0.8</td>' in text
    assert '<td class="number">99.2 %</td>' in text


def test_accuracies_of_other_images_are_not_compared(make_card: MakeCard) -> None:
    base, pruned = make_card(accuracy=accuracy(350)), make_card(variant="pruned", accuracy=accuracy(50, images=100))
    assert models.sparsities([base, pruned])["change"].isna().all()


def test_weights_are_named_by_kind_origin_and_digest(text: str) -> None:
    assert "<td>base; pruned; pruned, INT8</td><td>trained</td><td>digits, 3 epochs</td>" in text
    assert f'<td class="short">{sha256(b"weights")[:12]}</td>' in text
    assert "<td>random</td><td>no hub</td>" in text


def test_each_engine_is_told_with_the_encoding_that_it_ran(built: dict[str, bytes], text: str) -> None:
    rows = csv(built["encodings.csv"]).set_index("engine")
    assert set(rows["variant"]) == {"pruned_int8"}
    assert rows.loc["deepsparse", "artifact"] == sha256(b"integer")
    assert rows.loc["openvino", "artifact"] == sha256(f"{NETWORK} pruned_int8".encode())
    assert list(rows.loc[["deepsparse", "openvino"], "encoding"]) == ["own", "QDQ"]
    assert f"artifact: {NETWORK} pruned_int8, DeepSparse" in text
