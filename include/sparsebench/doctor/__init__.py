"""What is right and what is wrong with an account and its configuration, before the first night. It reads only.

account.py   who is asked, as whom, by which clock; permissions and quotas
bucket.py    the store
machines.py  instance types, image, and what instances are launched with
network.py   where instances are launched, and their way out
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sparsebench.doctor import account, bucket, machines, network
from sparsebench.doctor.findings import Client, Finding, Patient
from sparsebench.settings import Settings

__all__ = ["Client", "Finding", "examine", "is_well"]


def examine(settings: Settings, client: Client, region: str | None, now: datetime | None = None) -> list[Finding]:
    """
    Args:
        client: makes a client of AWS by its service's name, in a region or in the configured one.
        region: the configured one.
        now: by this machine's clock.
    """
    return list(_examined(settings, client, region, now or datetime.now(UTC)))


def _examined(settings: Settings, client: Client, region: str | None, now: datetime) -> Iterator[Finding]:
    yield account.region(region)
    if region is None:
        return
    identity, patient = account.identity(Patient(settings, client, region, now))
    yield from identity
    if patient is None:
        return  # whatever else is asked would be refused for the same reason
    yield from bucket.findings(patient)
    types, of_types = machines.types(patient)
    yield from of_types
    yield from machines.findings(patient, types)
    yield from network.findings(patient, list(types))
    yield from account.quotas(patient, list(types.values()))
    yield from account.permissions(patient)


def is_well(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "wrong" for finding in findings)
