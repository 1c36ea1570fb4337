"""What the benchmarks that measure real engines share. They run in the bench environment:

PYTHONPATH=include:benchmarks/twins .envs/bench/bin/python -m benchmarks.aa --help
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Session
from sparsebench.bench.host import host_facts
from sparsebench.bench.inputs import Feeds, Inputs, feeds_of, inputs_of
from sparsebench.bench.onnx_header import read_header
from sparsebench.bench.runner import run
from sparsebench.bench.terminal import live
from sparsebench.catalog import check
from sparsebench.contracts import ArtifactRef, BenchRequest, Protocol, Trial
from sparsebench.errors import BadInput
from sparsebench.store import Store

CONSOLE = Console()
NIGHT = "2000-01-01"
"""Of a store that lasts as long as the benchmark."""


@dataclass(frozen=True)
class Network:
    """An ONNX file to measure. Called by its network and variant."""

    ref: ArtifactRef
    data: bytes

    @property
    def name(self) -> str:
        return f"{self.ref.network} {self.ref.variant}"


def inputs_in(file: Path) -> Inputs:
    """What the network in an ONNX file takes."""
    return inputs_of(read_header(file.read_bytes(), file.name), file.name)


def loaded_in_child(file: Path, engine_name: str) -> tuple[TextIO, Session, Feeds]:
    """The channel to the process that has started this one, and a network loaded by an engine with what it is fed. What
    the engine prints goes to standard error, so that only answers are in the channel."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    engine = ENGINES[engine_name]
    engine.import_library()
    inputs = inputs_in(file)
    session = engine.load(file, inputs, host_facts().physical_cores, "f32", "latency")
    return channel, session, feeds_of(inputs)[0]


def networks(store: Store, names: Sequence[str], variants: Sequence[str]) -> list[Network]:
    """The models of a store with these names; all of the variants where no name is given.

    Raises:
        BadInput: a name or variant that the store has no model of.
    """
    cards = [card for card in store.model_cards() if card.variant in variants]
    if not cards:
        raise BadInput(f"{store.uri} has no model of the variants {', '.join(variants)}; run `make demo` first")
    check("networks", tuple(names), {card.network for card in cards})
    return [
        Network(
            ArtifactRef(
                network=card.network, variant=card.variant, artifact=card.artifact, input_shape=card.input_shape
            ),
            store.artifact(card.artifact),
        )
        for card in cards
        if not names or card.network in names
    ]


def measure(
    folder: Path, network: Network, engines: Sequence[str], protocol: Protocol, seed: int, variants: Sequence[str] = ()
) -> list[Trial]:
    """Trials of one network, by the runner, in a store of their own. variants: under whose names the one file is
    measured; none: its own."""
    store, host = Store(folder.as_uri()), host_facts()
    store.put_artifact(network.data)
    request = BenchRequest(
        job=f"benchmark-{seed}",
        night=NIGHT,
        manifest=network.ref.artifact,  # nothing else is frozen here
        instance_type=host.instance_type,
        protocol=protocol,
        models=tuple(network.ref.model_copy(update={"variant": name}) for name in variants or (network.ref.variant,)),
        engines=tuple(engines),
        seed=seed,
    )
    with live(CONSOLE) as audience:
        run(store, request, host, audience)
    return store.trials(NIGHT, host.instance_type, request.job)


def machine() -> str:
    """This machine in a line."""
    host = host_facts()
    return f"{host.cpu_model}, {host.physical_cores} cores, {host.memory_bytes / 2**30:.0f} GiB, {host.os}"


def show(title: str, rows: Sequence[dict[str, Any]], json_file: Path | None) -> None:
    """Print a table, and write it with the machine it is of; the first row's keys are the columns."""
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    CONSOLE.print(table)
    CONSOLE.print(machine(), highlight=False)
    if json_file:
        json_file.write_text(json.dumps({"title": title, "machine": machine(), "rows": list(rows)}, indent=1) + "\n")
