"""``python -m sparsebench.localcloud --port 5055 --root DIR``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.errors import SparsebenchError
from sparsebench.localcloud.config import Config


def localcloud(
    root: Annotated[Path, typer.Option(help="Folder of the instances and of their logs.")] = Path(
        ".sparsebench/localcloud"
    ),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 5055,
    slots: Annotated[int, typer.Option(help="SSM commands that run at the same time, over all instances.")] = 1,
    agent_delay_s: Annotated[float, typer.Option(help="Seconds until an instance's SSM agent is online.")] = 1.0,
    lag_s: Annotated[float, typer.Option(help="Seconds until an instance is found by its tags.")] = 3.0,
    vcpu_quota: Annotated[int, typer.Option(help="vCPUs that may run in a region, of each market.")] = 64,
    uv: Annotated[
        Path | None, typer.Option(help="Lend instances this uv, with its cache; else they bring their own.")
    ] = None,
    enforce_iam: Annotated[
        bool, typer.Option("--enforce-iam", help="Refuse calls that the caller's IAM policies do not allow.")
    ] = False,
) -> None:
    """Serve an emulated EC2, SSM, S3, IAM and STS on this machine. Point AWS_ENDPOINT_URL at it."""
    from sparsebench.localcloud.server import serve  # moto takes a while to import

    try:
        serve(
            Config(
                root=root.resolve(),
                port=port,
                slots=slots,
                agent_delay_s=agent_delay_s,
                lag_s=lag_s,
                vcpu_quota=vcpu_quota,
                uv=uv,
                enforce_iam=enforce_iam,
            )
        )
    except SparsebenchError as error:
        typer.echo(f"localcloud: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(localcloud)
