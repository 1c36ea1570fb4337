"""The command line: ``sparsebench``. Commands import what they need when they run, so that it starts fast and
in every environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from sparsebench.errors import BadInput, SparsebenchError


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
        typer.echo(reports.from_csv(csv, out))
        return
    assert night is not None
    opened = Store(store or Settings().store)
    if out is not None:
        typer.echo(reports.save(opened, night, out))
    else:
        typer.echo(f"{opened.uri}/{reports.publish(opened, night)}")


@app.command()
def compare(
    night: Annotated[list[str], typer.Option(help="A night of the store; given several times, they are pooled.")],
    store: Annotated[str | None, typer.Option(help="URI of the store; by default SPARSEBENCH_STORE.")] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the numbers to.")] = None,
) -> None:
    """Compare the engines from the stored trials of one night, or of several together."""
    from rich.console import Console

    from sparsebench import report as reports
    from sparsebench.settings import Settings
    from sparsebench.store import Store

    found = reports.compare(Store(store or Settings().store), night)
    if json is not None:
        try:
            json.write_bytes(found.to_json())
        except OSError as error:
            raise BadInput(f"{json}: cannot be written: {error.strerror}") from error
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has room for the tables
    console.print(found.render())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Measure any ONNX classifier with all engines on this machine: sparsebench bench model.onnx"""
    _in_bench("sparsebench.bench", "model", *context.args)


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

    from sparsebench.fleet.payload import PROJECT_ROOT

    python = PROJECT_ROOT / ".envs" / "bench" / "bin" / "python"
    if not python.exists():
        raise BadInput(f"the bench environment {python.parents[1]} is not there: run `make setup` first")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "include")}
    sys.stdout.flush()
    os.execve(python, [str(python), "-m", module, *arguments], environment)  # noqa: S606


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


@app.command()
def localcloud(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 5055,
    root: Annotated[Path, typer.Option(help="Folder of its instances.")] = Path(".sparsebench/localcloud"),
) -> None:
    """Serve the emulated cloud alone. Point AWS_ENDPOINT_URL at it."""
    from sparsebench.localcloud.__main__ import localcloud as serve

    serve(root=root, port=port)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Airflow's own command line, on the system of `up`: sparsebench airflow backfill create …"""
    import os
    import sys

    from sparsebench.local.daemon import default_home
    from sparsebench.local.stack import Stack

    program = str(Path(sys.executable).with_name("airflow"))
    os.execve(program, [program, *context.args], Stack(home=default_home()).env)  # noqa: S606
