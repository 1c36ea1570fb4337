"""All instances of the emulated cloud, kept in step with moto's records of them."""

from __future__ import annotations

import fcntl
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason

from sparsebench.errors import BadInput
from sparsebench.localcloud.config import Config
from sparsebench.localcloud.faults import AgentOffline, Armed, Faults, InstanceKilled, LostCommand, SpotNotice, Unseen
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

    def __init__(self, config: Config, url: str, faults: Faults) -> None:
        self._config = config
        self._url = url
        self._faults = faults
        self.launching = threading.Lock()
        """Held while moto makes instances: one that is half made must not be taken for what it is."""
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
        instance = self._instances.get(instance_id)
        return instance if instance and region in (None, instance.region) else None

    def instances(self, region: str | None = None) -> list[Instance]:
        return [instance for instance in list(self._instances.values()) if region in (None, instance.region)]

    def follow(self) -> None:
        """Make every instance what moto says that it is, however it came to be so."""
        with self.launching:
            for region, record in _records():
                if record.id not in self._instances:
                    self._take_up(Instance(record, region, self._config, self._url))
        for instance in self.instances():
            instance.follow()

    def shut_down(self, instance: Instance) -> None:
        """What an instance's own shutdown does: stop or terminate it, as it was launched to."""
        record = instance.record
        terminates = record.instance_initiated_shutdown_behavior == "terminate"
        end = record.terminate if terminates else record.stop
        self._end(instance, end, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")

    @staticmethod
    def _end(instance: Instance, end: Callable[[], object], code: str, message: str) -> None:
        """End an instance that still runs, for a reason other than a call of EC2."""
        if not instance.running:
            return
        end()
        instance.record.state_reason = StateReason(f"{code}: {message}", code)
        instance.record._reason = code
        instance.follow()

    # ---------------------------------------------------------------------------------------- faults

    def _take_up(self, instance: Instance) -> None:
        """Start an instance that was launched, and arm the faults that are meant for it."""
        target = instance.target()
        if late := self._faults.take(AgentOffline, target):
            instance.agent_delay_s = math.inf if late.online_after_s is None else late.online_after_s
        if unseen := self._faults.take(Unseen, target):
            instance.unseen_s = unseen.seconds
        self._instances[instance.id] = instance
        instance.follow()
        for notice in self._faults.armed(SpotNotice, target):
            instance.after(notice.fault.after_s, partial(self._give_notice, instance, notice))
        self._arm_kills(instance, "launch")

    def command_sent(self, instance: Instance, comment: str) -> Literal["Pending", "InProgress"] | None:
        """The status in which the command is lost, if it is."""
        lost = self._faults.take(LostCommand, instance.target(comment))
        return lost.stays if lost else None

    def command_started(self, instance: Instance, comment: str) -> None:
        self._arm_kills(instance, "command", comment)

    def _arm_kills(self, instance: Instance, since: Literal["launch", "command"], comment: str = "") -> None:
        for kill in self._faults.armed(InstanceKilled, instance.target(comment)):
            if kill.fault.since == since:
                instance.after(kill.fault.after_s, partial(self._kill, instance, kill))

    def _kill(self, instance: Instance, kill: Armed[InstanceKilled]) -> None:
        if instance.running and kill.strikes():
            instance.grace_s = 0  # nobody asks a machine that breaks down
            self._end(instance, instance.record.terminate, "Server.InternalError", "Internal error")

    def _give_notice(self, instance: Instance, notice: Armed[SpotNotice]) -> None:
        if instance.running and not instance.interruption_at and notice.strikes():
            notice_s = notice.fault.notice_s
            instance.interruption_at = datetime.now(UTC) + timedelta(seconds=notice_s)
            instance.after(notice_s, partial(self._interrupt, instance))

    def _interrupt(self, instance: Instance) -> None:
        end = instance.record.terminate
        self._end(instance, end, "Server.SpotInstanceTermination", "Spot instance termination")

    # ------------------------------------------------------------------------------------------ the end

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
