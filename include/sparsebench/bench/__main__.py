"""The command line of the runner: ``python -m sparsebench.bench``."""

from __future__ import annotations

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
from sparsebench.bench.network_file import NetworkFile, read_network
from sparsebench.bench.runner import run as run_request
from sparsebench.bench.runner import run_in_turns, silence_s
from sparsebench.bench.scaling import hosts_of, scaling
from sparsebench.bench.terminal import busy, live, table, without_reference
from sparsebench.catalog import check, protocols
from sparsebench.contracts import ArtifactRef, BenchRequest, Protocol, Trial
from sparsebench.errors import BadInput
from sparsebench.instance.exits import exit_codes
from sparsebench.instance.heartbeat import instance_heartbeat
from sparsebench.instance.switch import MOMENT, UNTIL
from sparsebench.statistics.pairs import by_treatment
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
        run_request(opened, what, host_facts(), audience, instance_heartbeat(until, silence_s(what)))


@app.command()
def model(
    file: Annotated[Path, typer.Argument(help="ONNX file")],
    protocol: Annotated[str, typer.Option(help="how to measure")] = "quick",
    engines: Annotated[str, typer.Option(help="names, with commas between")] = ",".join(ENGINES),
    precisions: Annotated[str, typer.Option(help="f32, native, or both with a comma; default: the protocol's")] = "",
    axis: Annotated[
        list[str] | None, typer.Option(help="size of a free axis of an input: NAME=SIZE, or INPUT.PLACE=SIZE")
    ] = None,
    threads: Annotated[
        str, typer.Option(help="numbers with commas: each is measured, in turns; default: one for each core")
    ] = "",
    inputs: Annotated[
        Path | None, typer.Option(help=".npz file of what it is fed: an array for each input, by its name")
    ] = None,
) -> None:
    """Measure any ONNX network with all engines on this machine."""
    console = Console()
    with exit_codes(1), TemporaryDirectory(prefix="sparsebench-") as folder:
        how, engine_names = _how(protocol, precisions), _engines(engines)
        network = read_network(file, axis or (), inputs)
        hosts = hosts_of(threads, "--threads") if threads else [host_facts()]
        host = hosts[-1]
        store = Store(Path(folder).as_uri())
        request = _request_for(network, how, engine_names, host.instance_type, store)
        console.print(f"{host.cpu_model}, {host.physical_cores} cores, {file.name}", highlight=False, markup=False)
        samples = f", from {inputs}" if inputs else ""
        console.print(f"it takes {network.inputs}{samples}", highlight=False, markup=False)
        if network.axes_stay_free:
            console.print("its axes stay free: these sizes do not fit a branch of it", style="yellow", highlight=False)
        with live(console, network.label) as audience:
            if len(hosts) == 1:
                run_request(store, request, host, audience)
            else:
                jobs = [request.model_copy(update={"job": f"threads-{each.threads}"}) for each in hosts]
                run_in_turns(store, jobs, hosts, audience)
        by_threads = {each.threads or 1: [t for t in store.trials(request.night) if t.threads == each.threads]
                      for each in hosts}  # fmt: skip
        trials = by_threads[host.threads or 1]
        if reason := without_reference(trials):
            raise BadInput(f"{file}: {reason}")
        scenario = f"{_scenario(trials)}, {host.threads} threads, protocol {protocol}"
        console.print(table(trials, f"{file.name} ({network.label}), {scenario}"))
        if len(hosts) > 1:
            console.print(scaling(by_threads, f"{file.name} ({network.label}) by threads, protocol {protocol}"))
        if not any(trial.status == "measured" for trial in trials):
            raise BadInput(f"{file}: no engine could measure it; the reasons are in the table")
        reason = busy(trials)
        if not by_treatment(trials):
            raise BadInput(f"{file}: no number: {reason or 'every block was disturbed'}")
        if reason:
            console.print(reason, style="yellow", highlight=False, markup=False)


def _scenario(trials: list[Trial]) -> str:
    batches = {trial.batch for trial in trials if trial.status == "measured"} or {1}
    return f"batch {batches.pop()}" if len(batches) == 1 else "throughput scenario"


def _how(protocol: str, precisions: str) -> Protocol:
    (name,) = check("protocol", (protocol,), protocols())
    chosen = protocols()[name]
    lanes = check("precisions", _names(precisions), ("f32", "native")) or chosen.precisions
    return chosen.model_copy(update={"precisions": lanes})


def _engines(text: str) -> tuple[str, ...]:
    names = check("engines", _names(text), ENGINES)
    if not names:
        raise BadInput(f"engines: {text!r} names none; known are {', '.join(ENGINES)}")
    return names


def _request_for(
    network: NetworkFile, how: Protocol, engines: tuple[str, ...], instance_type: str, store: Store
) -> BenchRequest:
    """A request for one network, whose file is put into the store."""
    artifact = store.put_artifact(network.data)
    picture = network.inputs.picture
    return BenchRequest(
        job="model",
        night=datetime.now(UTC).date().isoformat(),
        manifest=artifact,  # nothing else is frozen here
        instance_type=instance_type,
        protocol=how,
        models=(
            ArtifactRef(
                network=network.name,
                variant="base",
                artifact=artifact,
                input_shape=picture.shape if picture else (0, 0, 0),
            ),
        ),
        engines=engines,
        seed=0,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that scratch and child are cleaned up
    app()
