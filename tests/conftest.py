"""Fixtures for tests of every kind."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sparsebench.localcloud import LocalCloud, running

LONGEST = ("end_to_end", "with_celery", "sparsify")
"""Folders whose tests are to begin first."""

hypothesis.settings.register_profile("tests", deadline=None)  # three processes share the machine
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


class ByFolder(LoadScopeScheduling):
    """Tests of a folder share what is slow to start, so one process runs them; other folders' run beside them."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    return ByFolder(config, log)


@pytest.fixture(scope="session")
def localcloud_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One server for all tests; an instance's agent is online after 0.2 s."""
    with running(tmp_path_factory.mktemp("localcloud"), "--agent-delay-s", "0.2") as server:
        yield server


@pytest.fixture
def localcloud(localcloud_server: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """The emulated cloud, empty, as the place that boto3, s3fs and Airflow's hooks talk to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", localcloud_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield localcloud_server
    urllib.request.urlopen(urllib.request.Request(f"{localcloud_server.url}/moto-api/reset", method="POST")).close()
