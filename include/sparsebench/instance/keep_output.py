"""Put what a program has printed into the store: ``python -m sparsebench.instance.keep_output``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.errors import SparsebenchError
from sparsebench.store import Store


def keep(
    store: Annotated[str, typer.Option(help="URI of the store: file:///folder or s3://bucket/prefix")],
    path: Annotated[str, typer.Option(help="in the store")],
    file: Annotated[list[Path], typer.Option(help="what is kept; several are put one after the other")],
) -> None:
    """Exits with 0 when it is in the store, and with 1, saying why, when it is not."""
    try:
        Store(store).write(path, b"".join(part.read_bytes() for part in file))
    except (SparsebenchError, OSError) as error:
        typer.echo(f"error: the output was not kept: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(keep)
