"""Where a benchmark's store is: a folder, or a bucket of the emulated cloud on which every request takes longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx

from sparsebench.localcloud import running


class Place(NamedTuple):
    """uri: of the store. variables: of the environment that reaches it. slow_down: from then on its requests take
    longer."""

    uri: str
    variables: dict[str, str]
    slow_down: Callable[[], object]


def place(s3: bool, delay_ms: float) -> AbstractContextManager[Place]:
    """An empty store's, with its variables set meanwhile. delay_ms: that each request to S3 takes longer."""
    return _bucket(delay_ms) if s3 else _folder()


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _folder() -> Iterator[Place]:
    with TemporaryDirectory() as folder:
        yield Place(f"file://{folder}/store", {}, lambda: None)


@contextmanager
def _bucket(delay_ms: float) -> Iterator[Place]:
    import boto3

    with TemporaryDirectory() as folder, running(Path(folder)) as cloud:
        variables = {"AWS_ENDPOINT_URL": cloud.url, "AWS_DEFAULT_REGION": "us-east-1", **cloud.keys.environment}
        fault = {"kind": "delay", "service": "s3", "action": "*", "seconds": delay_ms / 1000}
        with environment(variables):
            boto3.client("s3").create_bucket(Bucket="benchmark")
            yield Place(
                "s3://benchmark/store",
                variables,
                lambda: httpx.post(f"{cloud.url}/localcloud/faults", json=[fault], headers=cloud.keys.headers),
            )


class Requests:
    """Counts what this process asks of S3, from its making on."""

    def __init__(self) -> None:
        from aiobotocore.client import AioBaseClient

        self.number = 0
        call = AioBaseClient._make_api_call

        def counted(client: Any, *args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return call(client, *args, **kwargs)

        AioBaseClient._make_api_call = counted
