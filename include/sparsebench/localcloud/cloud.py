"""All instances of the emulated cloud, kept in step with moto's records of them."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason

from sparsebench.errors import BadInput
from sparsebench.localcloud.config import Config
from sparsebench.localcloud.instance import Instance, remove_leftovers


def _records() -> Iterator[tuple[str, Any]]:
    """Region and record of every instance that moto knows."""
    for regions in list(ec2_backends.values()):
        for region, backend in list(regions.items()):
            for record in list(backend.all_instances()):
                yield region, record


class Cloud:
    """
    Raises:
        BadInput: another server works in the root folder.
    """

    def __init__(self, config: Config, url: str) -> None:
        self._config = config
        self._url = url
        self._lock = threading.Lock()
        self._instances: dict[str, Instance] = {}
        config.root.mkdir(parents=True, exist_ok=True)
        self._hold = (config.root / "lock").open("w")
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(
                f"root: another localcloud works in {config.root}; stop it, or give another folder"
            ) from None
        remove_leftovers(config.root)

    def instance(self, instance_id: str, region: str | None = None) -> Instance | None:
        """The instance of that id, in that region if one is given."""
        found = self._instances.get(instance_id)
        return found if found and region in (None, found.region) else None

    def instances(self, region: str | None = None) -> list[Instance]:
        return [found for found in list(self._instances.values()) if region in (None, found.region)]

    def follow(self) -> None:
        """Make every instance what moto says that it is, however it came to be so."""
        for region, record in _records():
            with self._lock:
                instance = self._instances.get(record.id)
                if instance is None:
                    instance = self._instances[record.id] = Instance(record, region, self._config, self._url)
            instance.follow()

    def shut_down(self, instance: Instance) -> None:
        """What an instance's own shutdown does: stop or terminate it, as it was launched to."""
        if not instance.running:
            return
        if instance.record.instance_initiated_shutdown_behavior == "terminate":
            instance.record.terminate()
        else:
            instance.record.stop()
        reason = "Client.InstanceInitiatedShutdown"
        instance.record.state_reason = StateReason(f"{reason}: Instance initiated shutdown", reason)
        instance.follow()

    def end(self) -> None:
        """Terminate every instance, and forget it."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._terminate, self.instances()))
        self._instances.clear()

    @staticmethod
    def _terminate(instance: Instance) -> None:
        if instance.record.state != "terminated":
            instance.record.terminate()
        instance.follow()

    def release(self) -> None:
        """Let another server have the root folder."""
        self._hold.close()
