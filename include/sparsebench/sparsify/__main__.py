"""``python -m sparsebench.sparsify run --store URI --request PATH``: what an instance that prunes is told to run."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from sparsebench.errors import SparsebenchError
from sparsebench.sparsify.check import check
from sparsebench.store import Store

app = typer.Typer(add_completion=False)


@app.callback()
def _app() -> None:
    """Build the variants of a network and register them in the store."""


@app.command()
def run(
    store: Annotated[str, typer.Option(help="URI of the store: file:///folder or s3://bucket/prefix")],
    request: Annotated[str, typer.Option(help="path of the SparsifyRequest in the store")],
) -> None:
    """Carry out one request. What the store has already is not built again."""
    # SparseML, and tracing a network for export, warn of much that nobody here can act on.
    warnings.simplefilter("ignore")
    try:
        where = Store(store)
        what = where.sparsify_request(request)
        network = check(what)
        from sparsebench.sparsify.run import run as carry_out  # imports torch: only for a request that was checked

        carry_out(where, network, what)
    except SparsebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
