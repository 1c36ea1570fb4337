"""Fixtures for tests of every kind."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sparsebench.local.checkout import ROOT
from sparsebench.localcloud import LocalCloud, running

LONGEST = ("end_to_end", "with_celery", "sparsify")
"""Folders whose tests are to begin first."""

SLOW_FOLDERS = ("end_to_end", "localcloud", "sparsify", "importing", "plugins")
SLOW_FIXTURES = {"localcloud", "localcloud_server", "moto_url", "bench", "make_network", "python"}
"""Tests in these folders, those that ask for one of these fixtures, and those marked ``slow`` are not fast."""

BY_OTHERS = {"subprocess.Popen": "starts a program", "os.posix_spawn": "starts a program", "socket.bind": "is a server"}
"""What a fast test does not do, as Python's audit events call it."""

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
"""Not /tmp, of which an emulated instance sees folders as other file systems: uv would copy into them, not link."""

hypothesis.settings.register_profile("tests", deadline=None)  # three processes share the machine
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests that need no server, no engine and no second")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    fast = config.getoption("--fast")
    return True if fast and collection_path.is_dir() and collection_path.name in SLOW_FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)
    if config.getoption("--fast"):
        slow = [item for item in items if is_slow(item)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not is_slow(item)]


def is_slow(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("slow") or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())))


_running: list[str] = []
"""The fast test that is under way."""


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        sys.addaudithook(_refuse_what_is_slow)


def _refuse_what_is_slow(event: str, _: tuple[Any, ...]) -> None:
    if event in BY_OTHERS and _running:
        raise AssertionError(f"a fast test {BY_OTHERS[event]}; mark it slow: {_running[-1]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.pop()


class ByFolder(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Tests of a folder share what is slow to start, so one process runs them; other folders' run beside them."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    return ByFolder(config, log)


@pytest.fixture(scope="session")
def localcloud_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One server for all tests; an instance's agent is online after 0.2 s, it is found by its tags after 0.5 s, and it
    has this machine's uv."""
    options = ("--agent-delay-s", "0.2", "--lag-s", "0.5", "--uv", str(ROOT / ".tools" / "bin" / "uv"))
    with running(tmp_path_factory.mktemp("localcloud"), *options) as server:
        yield server


@pytest.fixture
def localcloud(localcloud_server: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """The emulated cloud, empty, as the place that boto3, s3fs and Airflow's hooks talk to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", localcloud_server.url)
    for name, value in localcloud_server.keys.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield localcloud_server
    reset = f"{localcloud_server.url}/moto-api/reset"
    urllib.request.urlopen(urllib.request.Request(reset, None, localcloud_server.keys.headers, method="POST")).close()
