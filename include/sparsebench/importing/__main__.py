"""``python -m sparsebench.importing``: what ``sparsebench import``, or an instance, is told to run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from sparsebench.contracts import ImportRequest
from sparsebench.importing.run import STAGE_S
from sparsebench.importing.run import run as carry_out
from sparsebench.instance.exits import REFUSED, exit_codes
from sparsebench.instance.heartbeat import instance_heartbeat
from sparsebench.instance.switch import MOMENT, UNTIL
from sparsebench.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def run(
    store: Annotated[str, typer.Option(help="URI of the store: file:///folder or s3://bucket/prefix")],
    request: Annotated[str, typer.Option(help="path of the ImportRequest in the store")],
    until: Annotated[datetime | None, typer.Option(formats=[MOMENT], help=UNTIL)] = None,
) -> None:
    """Carry out one request.

    Exits with 65 when that can never be done, with 2 when it fails otherwise, and with 75 when EC2 takes the instance
    away before it is.
    """
    with exit_codes(2, REFUSED):
        opened = Store(store)
        carry_out(opened, opened.import_request(request), instance_heartbeat(until, STAGE_S))


@app.command()
def model(
    network: Annotated[str, typer.Argument(help="name in the catalog")],
    variant: Annotated[str, typer.Argument(help="base, pruned, …")],
    source: Annotated[str, typer.Argument(help="of the ONNX file; #sha256=<hex> may follow")],
    store: Annotated[str, typer.Option(help="URI of the store")],
    parent: Annotated[str | None, typer.Option(help="of an INT8 network, its fp32 parent's file")] = None,
    integer: Annotated[str | None, typer.Option(help="of an INT8 network, its file with integer operators")] = None,
) -> None:
    """Import one file, or the three of an INT8 network. Exits with 2 when that cannot be done."""
    with exit_codes(2):
        request = ImportRequest.checked(
            job="import", network=network, variant=variant, source=source, parent=parent, integer=integer
        )
        carry_out(Store(store), request)


if __name__ == "__main__":
    app()
