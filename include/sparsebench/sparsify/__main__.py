"""``python -m sparsebench.sparsify run --store URI --request PATH``: what an instance that prunes is told to run."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Annotated

import typer

from sparsebench.instance.exits import exit_codes
from sparsebench.instance.heartbeat import instance_heartbeat
from sparsebench.instance.switch import MOMENT, UNTIL
from sparsebench.sparsify.check import check
from sparsebench.store import Store

STAGE_S = 3600
"""The longest that one step may take. All those of VGG-19, the largest network, took 6 minutes on two cores."""

app = typer.Typer(add_completion=False)


@app.callback()
def _app() -> None:
    """Build the variants of a network and register them in the store."""


@app.command()
def run(
    store: Annotated[str, typer.Option(help="URI of the store: file:///folder or s3://bucket/prefix")],
    request: Annotated[str, typer.Option(help="path of the SparsifyRequest in the store")],
    until: Annotated[datetime | None, typer.Option(formats=[MOMENT], help=UNTIL)] = None,
) -> None:
    """Carry out one request. What the store has already is not built again.

    Exits with 2 when that cannot be done, and with 75 when EC2 takes the instance away before it is.
    """
    # SparseML, and tracing a network for export, warn of much that nobody here can act on.
    warnings.simplefilter("ignore")
    with exit_codes(2):
        where = Store(store)
        what = where.sparsify_request(request)
        network = check(what)
        from sparsebench.sparsify.run import run as carry_out  # imports torch: only for a request that was checked

        carry_out(where, network, what, instance_heartbeat(until, STAGE_S))


if __name__ == "__main__":
    app()
