"""The command line of the runner: ``python -m sparsebench.bench``."""

from __future__ import annotations

import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from sparsebench.bench.engines import ENGINES
from sparsebench.bench.host import host_facts
from sparsebench.bench.onnx_header import read_header
from sparsebench.bench.runner import run as run_request
from sparsebench.bench.runner import silence_s
from sparsebench.bench.terminal import live, table
from sparsebench.catalog import check, protocols
from sparsebench.contracts import ArtifactRef, BenchRequest, Trial
from sparsebench.errors import BadInput
from sparsebench.instance.attend import attend
from sparsebench.instance.exits import exit_codes
from sparsebench.instance.switch import MOMENT, UNTIL
from sparsebench.store import Store

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    store: Annotated[str, typer.Option(help="URI of the store: file:///folder or s3://bucket/prefix")],
    request: Annotated[str, typer.Option(help="path of the request in the store")],
    until: Annotated[datetime | None, typer.Option(formats=[MOMENT], help=UNTIL)] = None,
) -> None:
    """Carry out a request. Started again, it measures only what is missing.

    Exits with 0 when every trial is in the store, whatever its result; with 1 when the runner could not do its work;
    with 75 when EC2 takes the instance away before all is measured.
    """
    with exit_codes(1), live(Console()) as audience:
        opened = Store(store)
        what = opened.bench_request(request)
        run_request(opened, what, host_facts(), audience, attend(until, silence_s(what)))


@app.command()
def model(
    file: Annotated[Path, typer.Argument(help="ONNX file of a classifier")],
    protocol: Annotated[str, typer.Option(help="how to measure")] = "quick",
    engines: Annotated[str, typer.Option(help="names, with commas between")] = ",".join(ENGINES),
    precisions: Annotated[str, typer.Option(help="f32, native, or both with a comma; default: the protocol's")] = "",
) -> None:
    """Measure any ONNX classifier with all engines on this machine."""
    console = Console()
    with exit_codes(1), TemporaryDirectory(prefix="sparsebench-") as folder:
        host = host_facts()
        store = Store(Path(folder).as_uri())
        request = _request_for(file, protocol, engines, precisions, host.instance_type, store)
        console.print(f"{host.cpu_model}, {host.physical_cores} cores, {file.name}", highlight=False)
        with live(console) as audience:
            run_request(store, request, host, audience)
        trials = store.trials(request.night)
        console.print(
            table(trials, f"{file.name}, {_scenario(trials)}, {host.physical_cores} threads, protocol {protocol}")
        )
        if not any(trial.status == "measured" for trial in trials):
            raise BadInput(f"{file}: no engine could measure it; the reasons are in the table")


def _scenario(trials: list[Trial]) -> str:
    return "batch 1" if all(trial.batch == 1 for trial in trials) else "throughput scenario"


def _request_for(
    file: Path, protocol: str, engines: str, precisions: str, instance_type: str, store: Store
) -> BenchRequest:
    """A request for one file, whose content is put into the store.

    Raises:
        BadInput: a name that the catalog lacks, or a file that is no ONNX classifier.
    """
    (protocol_name,) = check("protocol", (protocol,), protocols())
    chosen = protocols()[protocol_name]
    lanes = check("precisions", _names(precisions), ("f32", "native")) or chosen.precisions
    engine_names = check("engines", _names(engines), ENGINES)
    if not engine_names:
        raise BadInput(f"engines: {engines!r} names none; known are {', '.join(ENGINES)}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"file: cannot read {file}: {error.strerror}") from error
    shape = read_header(data, str(file)).image_shape()
    artifact = store.put_artifact(data)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-")[:64] or "network"
    return BenchRequest(
        job="model",
        night=datetime.now(UTC).date().isoformat(),
        manifest=artifact,  # nothing else is frozen here
        instance_type=instance_type,
        protocol=chosen.model_copy(update={"precisions": lanes}),
        models=(ArtifactRef(network=name, variant="base", artifact=artifact, input_shape=shape),),
        engines=engine_names,
        seed=0,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that scratch and child are cleaned up
    app()
