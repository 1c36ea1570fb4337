"""Is every network's every variant what its card says, and does every engine compute the same?

    PYTHONPATH=include .envs/bench/bin/python -m benchmarks.exports --store file:///folder

The models are those that `sparsify` has put into a store, where each was held to its network in torch before. INT8 is
left out: the report has what its engines agree on.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.common import CONSOLE, show
from sparsebench import catalog
from sparsebench.contracts import ModelCard
from sparsebench.errors import BadInput
from sparsebench.importing.engines import run_everywhere
from sparsebench.importing.examine import examine, layers
from sparsebench.sparsify.inspect_onnx import gzip_bytes, overall_sparsity
from sparsebench.store import Store


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    quick: Annotated[bool, typer.Option("--quick", help="the first network alone")] = False,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Compare files with cards, and engines with each other. Exits with 1 when something differs."""
    models = Store(store)
    cards = [card for card in models.model_cards() if not card.encodings]
    rows = []
    for card in cards:
        if quick and card.network != cards[0].network:
            break
        CONSOLE.print(f"{card.network} {card.variant}", highlight=False)
        rows.append(_row(card, models))
    show("Sparsity and size of the files, and each engine's output against ONNX Runtime's", rows, json)
    if any(row["differs"] for row in rows):
        raise typer.Exit(1)


def _row(card: ModelCard, models: Store) -> dict[str, Any]:
    network = (catalog.networks() | catalog.digits_networks())[card.network]
    engines: dict[str, float | None] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        models.fetch_artifact(card.artifact, path)
        file = examine(path, card.artifact, f"{card.network} {card.variant}", network, "fp32")
        sparsity, compressed = overall_sparsity(layers(file)), gzip_bytes(file.data)
        differs = [] if (sparsity, compressed) == (card.sparsity, card.gzip_bytes) else ["card"]
        try:
            parities = run_everywhere(network, file, lambda step: None)
            engines = {name: parity.relative for name, parity in parities.items()}
        except BadInput as error:
            CONSOLE.print(error, style="red")
            differs.append("engine")
    return {
        "network": card.network,
        "variant": card.variant,
        "sparsity of the card": card.sparsity,
        "of the file": sparsity,
        "MB": len(file.data) / 1e6,
        "MB after gzip -9": compressed / 1e6,
        **{name: engines.get(name) for name in ("onnxruntime", "openvino", "deepsparse")},
        "differs": ", ".join(differs),
    }


if __name__ == "__main__":
    typer.run(main)
