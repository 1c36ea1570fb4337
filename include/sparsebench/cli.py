"""The command line: ``sparsebench``. Commands import what they need when they run, so that it starts fast and
in every environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from sparsebench.errors import BadInput, SparsebenchError
from sparsebench.localcloud.__main__ import localcloud


class Commands(TyperGroup):
    """Shows our own errors as one line, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SparsebenchError as error:
            typer.echo(f"sparsebench: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=Commands,
    help="On which machine, with which engine, does a pruned network pay?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Keeps a single command a subcommand."""


@app.command()
def report(
    csv: Annotated[Path | None, typer.Option(help="Draw a table like the study's, instead of a night.")] = None,
    night: Annotated[str | None, typer.Option(help="Draw a night of the store, such as 2026-11-24.")] = None,
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; by default a night's is its store.")] = None,
) -> None:
    """Draw figures, tables and a page, and print where the page is."""
    from sparsebench import report as reports
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    if (csv is None) == (night is None):
        raise BadInput("give either --csv FILE or --night NIGHT")
    if csv is not None:
        if out is None or store is not None:
            raise BadInput("--csv needs --out DIR, and takes no --store")
        typer.echo(reports.from_csv(csv, out, lambda text: typer.echo(text, err=True)))
        return
    assert night is not None
    opened = Store(store or Settings().store)
    if out is not None:
        typer.echo(reports.save(opened, night, out))
    else:
        typer.echo(f"{opened.uri}/{reports.publish(opened, night)}")


@app.command()
def seal(
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
) -> None:
    """Write the trials of every night as Parquet too, those that are not yet: reports read them faster."""
    from sparsebench.analysis import columns
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    opened = Store(store or Settings().store)
    for night in opened.nights():
        typer.echo(f"{night}: {columns.seal(opened, night)} trials sealed")


@app.command()
def compare(
    night: Annotated[list[str], typer.Option(help="A night of the store; given several times, they are pooled.")],
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the numbers to.")] = None,
) -> None:
    """Compare the engines from the stored trials of one night, or of several together."""
    from sparsebench import report as reports
    from sparsebench.report import terminal
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    findings = reports.compare(Store(store or Settings().store), night)
    if json is not None:
        _write(json, terminal.to_json(findings))
    _show(terminal.comparison(findings))


@app.command()
def advise(
    night: Annotated[list[str], typer.Option(help="A night of the store; given several times, they are pooled.")],
    target: Annotated[str, typer.Option(help="What to rank by: cost, latency or throughput.")] = "cost",
    latency_ms: Annotated[float | None, typer.Option(help="At most so many milliseconds at --percentile.")] = None,
    percentile: Annotated[int, typer.Option(help="Of the latency: 50, 90, 95 or 99.")] = 95,
    accuracy: Annotated[float | None, typer.Option(help="At least this top-1, a fraction such as 0.76.")] = None,
    memory_bytes: Annotated[int | None, typer.Option(help="At most so many bytes resident in a process.")] = None,
    size_bytes: Annotated[int | None, typer.Option(help="At most so many bytes after gzip -9.")] = None,
    market: Annotated[str, typer.Option(help="on_demand or spot.")] = "on_demand",
    region: Annotated[str | None, typer.Option(help="Whose prices; by default the night's own.")] = None,
    instance_type: Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")] = None,
    lane: Annotated[str | None, typer.Option(help="f32 or native; by default the report's.")] = None,
    production: Annotated[bool, typer.Option(help="Leave out engines that are not licensed for it.")] = False,
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the choice to.")] = None,
) -> None:
    """Say which machine, engine and variant to take within bounds, and what cannot be told from it."""
    from sparsebench import report as reports
    from sparsebench.analysis.choice import Bounds
    from sparsebench.report import terminal
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    bounds = Bounds(
        target=target,  # type: ignore[arg-type]  # it is checked
        percentile=percentile,
        latency_ms=latency_ms,
        accuracy=accuracy,
        memory_bytes=memory_bytes,
        size_bytes=size_bytes,
        market=market,  # type: ignore[arg-type]
        region=region,
        instance_types=tuple(instance_type or ()),
        engines=tuple(engine or ()),
        networks=tuple(network or ()),
        production=production,
    )
    findings = reports.compare(Store(store or Settings().store), night)
    choices = findings.choose(bounds, lane)
    if json is not None:
        _write(json, terminal.advice_json(choices, findings))
    _show(terminal.advice(choices, findings))


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{file}: cannot be written: {error.strerror}") from error


def _show(content: Any) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has room for the tables
    console.print(content)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A night of the store, such as 2026-11-24.")],
    after: Annotated[str, typer.Argument(help="Another one.")],
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
) -> None:
    """Say what changed between two nights: inputs, hosts, and ratios whose intervals do not overlap."""
    from sparsebench import report as reports
    from sparsebench.report import terminal
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    _show(terminal.difference(reports.diff(Store(store or Settings().store), before, after)))


@app.command()
def changes(
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the changes to.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write a figure of each to, and its numbers.")] = None,
) -> None:
    """Say what changed over all nights and stayed so: how much, since when, and what differs around that night."""
    from sparsebench import report as reports
    from sparsebench.report import changes as over_nights
    from sparsebench.settings import Settings
    from sparsebench.store import Store, Unreadable

    unreadable: list[Unreadable] = []
    changes, history = over_nights.find(Store(store or Settings().store), unreadable)
    if json is not None:
        _write(json, changes.to_json())
    if out is not None:
        reports.write(over_nights.figures(changes.events, history), out)
    _show(over_nights.rendered(changes, unreadable))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Measure any ONNX network with all engines on this machine: sparsebench bench model.onnx"""
    _in_bench("sparsebench.bench", "model", *context.args)


@app.command()
def recommend(
    file: Annotated[Path, typer.Argument(help="ONNX file, with tensors for inputs and outputs.")],
    instance_types: Annotated[str, typer.Option(help="Names with commas, or patterns such as m7*.xlarge.")],
    name: Annotated[str, typer.Option(help="What reports call it; by default the file's.")] = "",
    pruned: Annotated[Path | None, typer.Option(help="The same network, pruned.")] = None,
    int8: Annotated[Path | None, typer.Option(help="The same network, quantised to INT8.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Size of a free axis of an input: NAME=SIZE.")] = None,
    inputs: Annotated[Path | None, typer.Option(help=".npz file of what it is fed, by the inputs' names.")] = None,
    target: Annotated[str, typer.Option(help="What to rank by: cost, latency or throughput.")] = "cost",
    latency_ms: Annotated[float | None, typer.Option(help="At most so many milliseconds at --percentile.")] = None,
    percentile: Annotated[int, typer.Option(help="Of the latency: 50, 90, 95 or 99.")] = 95,
    memory_bytes: Annotated[int | None, typer.Option(help="At most so many bytes resident in a process.")] = None,
    size_bytes: Annotated[int | None, typer.Option(help="At most so many bytes of the file after gzip -9.")] = None,
    market: Annotated[str, typer.Option(help="on_demand or spot.")] = "on_demand",
    production: Annotated[bool, typer.Option(help="Leave out engines that are not licensed for it.")] = False,
    protocol: Annotated[str | None, typer.Option(help="How to measure; by default as every night.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="What the run's instances may cost.")] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the answer to.")] = None,
) -> None:
    """Say which machine to take for a network of your own, measured on these instance types.

    It asks the Airflow of `sparsebench up`, by the DAG of the same name. Exits with 1 when that fails: nothing can be
    said, or an instance or an engine failed; what can be said all the same is shown.
    """
    from rich.console import Console

    from sparsebench.analysis.choice import Bounds
    from sparsebench.bench.network_file import network_name
    from sparsebench.bench.samples import npz_file
    from sparsebench.local import recommend as question
    from sparsebench.local.daemon import default_home

    if json is not None and not json.absolute().parent.is_dir():
        raise BadInput(f"--json {json}: there is no folder {json.absolute().parent}")
    bounds = Bounds(
        target=target,  # type: ignore[arg-type]  # it is checked
        percentile=percentile,
        latency_ms=latency_ms,
        memory_bytes=memory_bytes,
        size_bytes=size_bytes,
        market=market,  # type: ignore[arg-type]
        production=production,
    )
    files: dict[Any, Path | None] = {"base": file, "pruned": pruned, "int8": int8}
    asked = question.Question(
        network=name or network_name(file),
        files={variant: question.onnx_file(path) for variant, path in files.items() if path},
        bounds=bounds,
        axes=tuple(axis or ()),
        samples=npz_file(inputs, str(inputs)) if inputs else None,
        instance_types=tuple(item.strip() for item in instance_types.split(",") if item.strip()),
        protocol=protocol,
        budget_usd=budget_usd,
    )
    if not question.recommend(default_home(), asked, Console(), json):
        raise typer.Exit(1)


@app.command("import")
def import_(
    network: Annotated[str, typer.Argument(help="Name in the catalog.")],
    variant: Annotated[str, typer.Argument(help="Which of its variants the file is.")],
    source: Annotated[str, typer.Argument(help="The ONNX file: a path, https://…, gdrive:<id> or store:<path>.")],
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Digest that the file must have.")] = None,
    parent: Annotated[str | None, typer.Option(help="Of an INT8 network: its fp32 parent's file.")] = None,
    integer: Annotated[
        str | None, typer.Option(help="Of an INT8 network: its file with integer operators, for DeepSparse.")
    ] = None,
) -> None:
    """Make a ready ONNX file a network's variant, when every engine on this machine really runs it.

    An INT8 network is FILE in QDQ, and its --parent and --integer; a digest may follow each, as #sha256=<hex>.
    """
    from sparsebench.settings import Settings

    def absolute(file: str) -> str:
        return str(Path(file).absolute()) if Path(file).is_file() else file

    source = absolute(source)
    if sha256 is not None:
        source = f"{source}#sha256={sha256}"
    others = {"--parent": parent, "--integer": integer}
    options = [f"{option}={absolute(file)}" for option, file in others.items() if file]
    where = store or Settings().store
    _in_bench("sparsebench.importing", "model", "--store", where, *options, "--", network, variant, source)


def _in_bench(module: str, *arguments: str) -> NoReturn:
    """Go on as a module of the bench environment.

    Raises:
        BadInput: it is not installed.
    """
    import os
    import sys

    from sparsebench.local import checkout

    python = checkout.bench_python()
    environment = {**os.environ, "PYTHONPATH": str(checkout.ROOT / "include")}
    sys.stdout.flush()
    os.execve(python, [str(python), "-m", module, *arguments], environment)  # noqa: S606


@app.command()
def wheelhouse(
    architecture: Annotated[str, typer.Option(help="Of the instances: x86_64 or arm64.")] = "x86_64",
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
) -> None:
    """Put what instances install into the store, so that they need no way to a registry, and are ready sooner."""
    from sparsebench.fleet import wheelhouse as wheels
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    opened = Store(store or Settings().store)
    typer.echo(f"{opened.uri}/{wheels.gather(opened, lambda line: typer.echo(line, err=True), architecture)}")


@app.command()
def packer(
    folder: Annotated[Path, typer.Argument(help="A new one, for Packer's files.")],
    architecture: Annotated[str, typer.Option(help="Of the image: x86_64 or arm64.")] = "x86_64",
) -> None:
    """Write what Packer bakes an image from, with the environment in it that instances install."""
    from sparsebench.fleet import baking

    baking.write(folder, architecture)
    typer.echo(f"{folder}: `packer init . && packer build -var instance_profile=NAME .`, then set SPARSEBENCH_IMAGE")


@app.command()
def doctor() -> None:
    """Say what is right and what is wrong with the AWS account and the configuration; it reads only."""
    import boto3
    from rich.console import Console

    from sparsebench import doctor as examination
    from sparsebench.doctor.table import shown
    from sparsebench.settings import Settings

    session = boto3.Session()

    def client(service: str, region: str | None = None) -> Any:
        return session.client(service, region_name=region)  # type: ignore[call-overload]

    findings = examination.examine(Settings(), client, session.region_name)
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has room for the table
    console.print(shown(findings))
    if not examination.is_well(findings):
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Run the main job on this machine; NETWORKS and DEMO_ONCE=1 as for `make demo`."""
    from sparsebench.local.demo import main

    main()


@app.command()
def up() -> None:
    """Start Airflow and localcloud on this machine, in the background."""
    from sparsebench.local import daemon

    daemon.up(daemon.default_home())


@app.command()
def down() -> None:
    """End what `up` has started."""
    from sparsebench.local import daemon

    daemon.down(daemon.default_home())


app.command()(localcloud)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Airflow's own command line, on the system of `up`: sparsebench airflow backfill create …"""
    import os
    import sys

    from sparsebench.local.daemon import default_home
    from sparsebench.local.stack import Stack

    program = str(Path(sys.executable).with_name("airflow"))
    os.execve(program, [program, *context.args], Stack(home=default_home()).env)  # noqa: S606
