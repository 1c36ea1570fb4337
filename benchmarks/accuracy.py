"""What does pruning cost in accuracy, and how much of it does gradual pruning win back?

    PYTHONPATH=include OMP_NUM_THREADS=1 .envs/sparsify/bin/python -m benchmarks.accuracy --help

Networks of the catalog, made for the ten classes of the built-in handwritten digits at 32 pixels, trained from random
weights; then pruned to the same sparsity in every prunable layer, in one shot and gradually. What is evaluated is the
exported ONNX file, in ONNX Runtime. With --sensitivity, also a recipe that is derived from how sensitive each layer
is, and whether the network keeps the budget that it was derived with. About half an hour on two cores.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import onnx
import torch
import typer
from rich.console import Console
from rich.table import Table

from sparsebench import catalog
from sparsebench.contracts import (
    DIGITS,
    BuiltVariant,
    Epoch,
    Score,
    Sensitivity,
    SensitivityPoint,
    TrainingRecord,
    Weights,
    sha256,
)
from sparsebench.sparsify import build, data, evaluate, gmp, train
from sparsebench.sparsify.export import to_onnx
from sparsebench.sparsify.inspect_onnx import layer_sparsities, overall_sparsity
from sparsebench.sparsify.prune import prune
from sparsebench.sparsify.recipe import one_shot
from sparsebench.sparsify.sensitivity import SPARSITIES, analyse
from sparsebench.sparsify.weights import WeightSource

TARGETS = (0.61, 0.85)
"""The study's sparsity of EfficientNet-B0, and that of its fake pruning."""

BUDGET = 1.0
"""Points of accuracy that a layer may cost: 3.6 of the 360 images."""

TRAINING = train.Training(batch=32)
PROGRESS = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Setting:
    """How a network is trained: so that the dense one classifies about 95 % of the digits correctly."""

    dense_epochs: int
    learning_rate: float
    phases: gmp.Phases


SETTINGS = {
    "mobilevit_xs": Setting(4, 0.05, gmp.Phases(stabilise=1, prune=2, finetune=2, updates=12)),
    "mobilenetv1": Setting(6, 0.01, gmp.Phases(stabilise=1, prune=4, finetune=5, updates=16)),
    "efficientnet_b0": Setting(8, 0.01, gmp.Phases(stabilise=0.5, prune=2, finetune=1.5, updates=12)),
    "resnet50": Setting(4, 0.005, gmp.Phases(stabilise=0.5, prune=1.5, finetune=1, updates=9, learning_rate=0.005)),
}
QUICK = Setting(2, 0.05, gmp.Phases(stabilise=0.5, prune=1, finetune=0.5, updates=6))


@dataclass(frozen=True)
class Row:
    """A variant of a network, as its ONNX file."""

    way: str
    """dense, one shot, gradual; or derived: gradual too, to what the analysis of sensitivity says."""
    target: float | None
    """Sparsity of every prunable layer; None: nothing is pruned, or each layer has its own."""
    sparsity: float
    """Achieved, over all prunable weights in the file."""
    score: Score

    def as_json(self) -> dict[str, Any]:
        low, high = self.score.interval
        return {
            "way": self.way,
            "target": self.target,
            "sparsity": self.sparsity,
            **self.score.model_dump(),
            "accuracy": self.score.accuracy,
            "low": low,
            "high": high,
        }


class Bench:
    """One network: its images, its dense weights once they are trained, and all that was found so far."""

    def __init__(self, name: str, setting: Setting):
        self.network = catalog.networks()[name].model_copy(update={"classes": 10, "input_size": 32})
        self.setting = setting
        self.rows: list[Row] = []
        self.trainings: dict[str, TrainingRecord] = {}
        self.sensitivity: Sensitivity | None = None
        self.targets: dict[str, float] = {}
        self._split = data.split(DIGITS, self.network)
        self._images = list(data.batches(self._split.validation))
        self._dense: dict[str, torch.Tensor] = {}

    def run(self) -> None:
        model = self._network()
        self.parameters = sum(build.prunable_layers(model).values())
        self._train(model, gmp.dense(self.setting.dense_epochs, self.setting.learning_rate), "base", "dense")
        self._dense = model.state_dict()
        self._evaluate(model, "dense", None)
        for target in TARGETS:
            targets = dict.fromkeys(build.prunable_layers(model), target)
            pruned = self._network()
            prune(pruned, one_shot(targets))
            self._evaluate(pruned, "one shot", target)
            self._gradual(targets, "gradual", target)

    def analyse(self, quick: bool) -> None:
        """The sensitivity of the dense network's ten largest layers, and the recipe that comes of it."""

        def told(point: SensitivityPoint) -> None:
            if point.sparsity == max(SPARSITIES):
                PROGRESS.print(f"{self.network.name} sensitivity: {point.layer}, {point.mask} {point.seed or ''}")

        self.sensitivity = analyse(
            self._network(),
            self._images,
            network=self.network.name,
            dataset=DIGITS.name,
            layers=3 if quick else 10,
            seeds=(0,) if quick else (0, 1, 2),
            on_point=told,
        )
        self.targets = self.sensitivity.targets(BUDGET)
        if self.targets:
            self._gradual(self.targets, "derived", None)

    def _network(self) -> torch.nn.Module:
        weights = Weights(kind="random", origin="to be trained", seed=0)
        model = build.build(self.network, WeightSource(weights, None))
        if self._dense:
            model.load_state_dict(self._dense)
        return model

    def _gradual(self, targets: Mapping[str, float], way: str, target: float | None) -> None:
        model = self._network()
        self._train(model, gmp.gradual(targets, self.setting.phases), "pruned", f"{way} {target or ''}".strip())
        self._evaluate(model, way, target)

    def _train(self, model: torch.nn.Module, recipe: str, variant: BuiltVariant, what: str) -> None:
        def told(epoch: Epoch) -> None:
            PROGRESS.print(
                f"{self.network.name} {what}: epoch {epoch.number} of {epoch.total}, loss {epoch.loss:.3f}, "
                f"{epoch.validation.accuracy:.1%}, {epoch.sparsity:.0%} sparse, {epoch.seconds:.0f} s"
            )

        began_with = sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values()))
        curve = train.train(model, recipe, self._split, TRAINING, on_epoch=told)
        self.trainings[what] = TrainingRecord(
            network=self.network.name,
            variant=variant,
            dataset=DIGITS,
            recipe=recipe,
            began_with=began_with,
            curve=curve,
        )

    def _evaluate(self, model: torch.nn.Module, way: str, target: float | None) -> None:
        file = to_onnx(model, self.network.input_shape)
        sparsity = overall_sparsity(layer_sparsities(onnx.load_from_string(file)))
        self.rows.append(Row(way, target, sparsity, evaluate.of_onnx(file, self._images)))
        correct = self.rows[-1].score.accuracy
        PROGRESS.print(f"{self.network.name} {way}, exported: {correct:.1%}, {sparsity:.1%} sparse")

    def as_json(self) -> dict[str, Any]:
        return {
            "network": self.network.name,
            "prunable_weights": self.parameters,
            "dense_epochs": self.setting.dense_epochs,
            "learning_rate": self.setting.learning_rate,
            "phases": self.setting.phases.model_dump(mode="json"),
            "rows": [row.as_json() for row in self.rows],
            "trainings": {what: record.model_dump(mode="json") for what, record in self.trainings.items()},
            "sensitivity": self.sensitivity.model_dump(mode="json") if self.sensitivity else None,
            "budget_points": BUDGET if self.sensitivity else None,
            "targets": self.targets,
        }


def accuracy_table(benches: list[Bench]) -> Table:
    table = Table(
        "network", "variant", "target", "sparsity", "top-1 (95 % interval)", "points", "top-5",
        title="Accuracy of the exported files, on digits that they were not trained on",
    )  # fmt: skip
    for bench in benches:
        dense = bench.rows[0].score.accuracy
        for row in bench.rows:
            first = row is bench.rows[0]
            low, high = row.score.interval
            table.add_row(
                catalog.networks()[bench.network.name].label if first else "",
                row.way,
                "" if row.target is None else f"{row.target:.0%}",
                f"{row.sparsity:.1%}",
                f"{row.score.accuracy:.1%} ({low:.1%} to {high:.1%})",
                "" if first else f"{100 * (row.score.accuracy - dense):+.1f}",
                "" if row.score.top5 is None else f"{row.score.top5 / row.score.images:.1%}",
                end_section=row is bench.rows[-1],
            )
    return table


def recipe_table(bench: Bench) -> Table:
    assert bench.sensitivity is not None
    sensitivity, magnitude, random = bench.sensitivity, bench.sensitivity.ranking(), bench.sensitivity.ranking("random")
    sizes = {layer.name: layer.parameters for layer in sensitivity.layers}
    table = Table(
        "layer", "weights", "by magnitude", "at random", "target",
        title=f"{bench.network.label}: points that each layer costs; its target at {BUDGET:g}",
    )  # fmt: skip
    for layer, points in magnitude.items():
        target = bench.targets.get(layer)
        table.add_row(
            layer,
            f"{sizes[layer]:,}",
            f"{points:.2f}",
            f"{random[layer]:.2f}",
            "dense" if target is None else f"{target:.0%}",
        )
    return table


def kept(bench: Bench) -> str:
    """Whether the network that was pruned by the derived recipe keeps the budget, in words."""
    row = bench.rows[-1]
    if row.way != "derived":
        return f"{bench.network.label}: no layer keeps the budget at any sparsity."
    lost = 100 * (bench.rows[0].score.accuracy - row.score.accuracy)
    answer = "kept" if lost <= BUDGET else "not kept"
    return f"{bench.network.label}: {row.sparsity:.1%} sparse, {lost:+.1f} points lost: the budget is {answer}."


def main(
    networks: Annotated[str, typer.Option(help="names, with commas between them")] = ",".join(SETTINGS),
    sensitivity: Annotated[str, typer.Option(help="of these networks; none: an empty text")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="the first network, for 2 epochs each")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="written after every network")] = None,
) -> None:
    """Train, prune in one shot and gradually, and evaluate the exported files."""
    warnings.simplefilter("ignore")
    names = networks.split(",")
    for name in {*names, *filter(None, sensitivity.split(","))} - set(SETTINGS):
        raise typer.BadParameter(f"{name!r}: expected names of {', '.join(SETTINGS)}")
    benches = []
    for name in names[:1] if quick else names:
        bench = Bench(name, QUICK if quick else SETTINGS[name])
        bench.run()
        if name in sensitivity.split(","):
            bench.analyse(quick)
        benches.append(bench)
        if json_file:
            machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
            content = {"machine": machine, "networks": [bench.as_json() for bench in benches]}
            json_file.write_text(json.dumps(content))
    console = Console()
    console.print(accuracy_table(benches))
    for bench in benches:
        if bench.sensitivity:
            console.print(recipe_table(bench))
            console.print(kept(bench))


if __name__ == "__main__":
    typer.run(main)
