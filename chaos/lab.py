"""The system of one phase, and what a scenario asks of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import boto3
from botocore.config import Config

from chaos.scenarios import Phase, Place
from chaos.system import Api, Faults, Sent, System, Types, patiently
from sparsebench import catalog
from sparsebench.fleet import tags
from sparsebench.local.stack import USER
from sparsebench.store import Store


@dataclass
class Lab:
    """The system of one phase, and what is asked of it."""

    phase: Phase
    system: System
    store: Store

    def __post_init__(self) -> None:
        self.api = Api(self.system.url, USER, self.system.password)
        self.faults = Faults(self.system.cloud_url)
        self.types = Types(
            [name for name, of_type in catalog.cpu_instance_types().items() if of_type.vcpus], self.faults.clear
        )
        session, patient = boto3.session.Session(), Config(retries={"mode": "standard", "max_attempts": 10})
        self.ec2, self._ssm = session.client("ec2", config=patient), session.client("ssm", config=patient)
        self.active: set[int] = set()
        self.drawing = threading.Lock()
        self.undisturbed_s = 0.0
        self.times = (60.0, 25.0)
        self._sent: dict[str, Sent] = {}

    def place(self, instance_type: str) -> Place:
        answer = patiently(
            lambda: self.ec2.describe_instance_type_offerings(
                LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [instance_type]}]
            )
        )
        zones = sorted(offer["Location"] for offer in answer["InstanceTypeOfferings"])
        return Place(instance_type, tuple(zones), self.phase, *self.times)

    def sent(self) -> list[Sent]:
        """All commands, those before a restart of the emulator among them."""
        pages = self._ssm.get_paginator("list_command_invocations").paginate(Details=True)
        self._sent |= {
            invocation["CommandId"]: Sent.from_ssm(invocation)
            for page in pages
            for invocation in page["CommandInvocations"]
        }
        return sorted(self._sent.values(), key=lambda command: command.requested_at)

    def restart_cloud(self, down_s: float) -> None:
        def restart() -> None:
            patiently(self.sent)
            self.system.kill("localcloud", down_s)
            time.sleep(down_s)
            patiently(lambda: self.ec2.describe_regions())

        self.faults.across(restart, self.active)

    def alive(self, run_id: str) -> list[str]:
        """A run's instances that are not terminated."""
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{tags.RUN}", "Values": [run_id]},
                {"Name": "instance-state-name", "Values": tags.ALIVE},
            ]
        )
        return [
            instance["InstanceId"]
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]
