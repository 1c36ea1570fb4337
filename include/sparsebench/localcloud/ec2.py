"""The EC2 API: moto's, with a ClientToken that counts, a quota of vCPUs, and instances that follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.utils import filter_dict_attribute_mapping
from werkzeug import Response

from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.faults import Market, Target

# An image that does not exist is the mistake that a launch on AWS would show.
settings.ENABLE_AMI_VALIDATION = True

# Filters of DescribeInstances that moto lacks.
filter_dict_attribute_mapping |= {"client-token": "client_token", "instance-lifecycle": "lifecycle"}

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"

_QUOTAS: dict[Market, tuple[str, str, str]] = {
    "on-demand": (
        "L-1216C47A",
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "VcpuLimitExceeded",
    ),
    "spot": (
        "L-34B43A08",
        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
        "MaxSpotInstanceCountExceeded",
    ),
}
"""Code and name of a market's quota of vCPUs, and the error of a launch above it. All types count, not only
the standard ones."""

_THIS_MACHINE = "localhost"
_UNKNOWN_TYPE_VCPUS = 4

Form = dict[str, str]
Forward = Callable[[], Response]
"""Has moto answer the request."""


def error_response(code: str, message: str, status: int = 400) -> Response:
    body = (
        f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
        "<RequestID>localcloud</RequestID></Response>"
    )
    return Response(body, status, content_type="text/xml")


class Ec2:
    def __init__(self, cloud: Cloud, vcpu_quota: int) -> None:
        self._cloud = cloud
        self._vcpu_quota = vcpu_quota
        self._launched: dict[tuple[str, str], tuple[Form, bytes]] = {}

    def call(self, form: Form, region: str, forward: Forward) -> Response:
        action = form.get("Action", "")
        if action == "RunInstances":
            return self._run_instances(form, region, forward)
        if action == "DescribeInstanceTypeOfferings":
            _offer_unknown_types(form, region)
        response = forward()
        if action == "RebootInstances" and response.status_code == 200:
            for name, value in form.items():
                if name.startswith("InstanceId.") and (instance := self._cloud.instance(value, region)):
                    instance.reboot()
        elif not action.startswith("Describe"):
            self._cloud.follow()
        return response

    def forget(self) -> None:
        self._launched.clear()

    def _run_instances(self, form: Form, region: str, forward: Forward) -> Response:
        token = form.get("ClientToken")
        with self._cloud.launching:
            if token and (region, token) in self._launched:
                return self._repeated(form, region, token)
            if self._is_above_quota(form, region):
                message = f"You have requested more vCPU capacity than your current limit of {self._vcpu_quota} allows"
                return error_response(_QUOTAS[_market(form)][2], message)
            response = forward()
            if token and response.status_code == 200:
                self._launched[region, token] = (form, response.get_data())
        self._cloud.follow()
        return response

    # ---------------------------------------------------------------------------------------- quotas

    def _is_above_quota(self, form: Form, region: str) -> bool:
        """Whether the instances that a launch insists on, MinCount, are too many beside those of its market."""
        backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
        market = _market(form)
        running = sum(
            _vcpus(record.instance_type)
            for record in backend.all_instances()
            if record.state in ("pending", "running") and (record.lifecycle == "spot") == (market == "spot")
        )
        wanted = int(form.get("MinCount", 1)) * _vcpus(form.get("InstanceType", "m1.small"))
        return wanted > 0 and running + wanted > self._vcpu_quota

    def quota(self, body: dict[str, str], region: str) -> Response | None:
        """The answer of Service Quotas to GetServiceQuota, if it is about one that counts here."""
        for code, name, _ in _QUOTAS.values():
            if (body.get("ServiceCode"), body.get("QuotaCode")) == ("ec2", code):
                quota = {
                    "ServiceCode": "ec2",
                    "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
                    "QuotaArn": f"arn:aws:servicequotas:{region}:{DEFAULT_ACCOUNT_ID}:ec2/{code}",
                    "QuotaCode": code,
                    "QuotaName": name,
                    "Value": float(self._vcpu_quota),
                    "Unit": "None",
                    "Adjustable": True,
                    "GlobalQuota": False,
                }
                return Response(json.dumps({"Quota": quota}), content_type="application/x-amz-json-1.1")
        return None

    # ------------------------------------------------------------------------------ repeated launches

    def _repeated(self, form: Form, region: str, token: str) -> Response:
        """The answer to a launch that was asked for before: the same instances, in their present state."""
        launched_with, answer = self._launched[region, token]
        if form != launched_with:
            differ = sorted(name for name, _ in form.items() ^ launched_with.items())
            return error_response(
                "IdempotentParameterMismatch",
                f"client token {token} was used with other parameters; {', '.join(dict.fromkeys(differ))} differ",
            )
        ElementTree.register_namespace("", _NAMESPACE)
        reservation = ElementTree.fromstring(answer)  # noqa: S314 - moto's own answer
        for item in reservation.iterfind("e:instancesSet/e:item", {"e": _NAMESPACE}):
            instance = self._cloud.instance(_text(item, "instanceId").text or "")
            if instance is not None:
                _text(item, "instanceState/e:code").text = str(instance.record.state_code)
                _text(item, "instanceState/e:name").text = instance.record.state
        return Response(ElementTree.tostring(reservation), content_type="text/xml")


def _text(item: ElementTree.Element, path: str) -> ElementTree.Element:
    found = item.find(f"e:{path}", {"e": _NAMESPACE})
    if found is None:
        raise LookupError(f"moto's answer to RunInstances has no {path}")
    return found


def _vcpus(instance_type: str) -> int:
    """What an instance counts. This machine has whatever it has, so an instance that says so counts nothing."""
    if instance_type == _THIS_MACHINE:
        return 0
    known = INSTANCE_TYPES.get(instance_type)
    return int(known["VCpuInfo"]["DefaultVCpus"]) if known else _UNKNOWN_TYPE_VCPUS


def _offer_unknown_types(form: Form, region: str) -> None:
    """Have moto offer this machine, and any type it is asked about and does not know, in every zone.

    They can be launched in every zone, after all: moto launches what it does not know.
    """
    asked = {
        value
        for name, value in form.items()
        if (found := re.fullmatch(r"(Filter\.\d+)\.Value\.\d+", name))
        and form.get(f"{found[1]}.Name") == "instance-type"
    }
    for kind, regions in INSTANCE_TYPE_OFFERINGS.items():
        offered = regions.get(region, [])
        unknown = (asked | {_THIS_MACHINE}) - INSTANCE_TYPES.keys() - {offer["InstanceType"] for offer in offered}
        offered += [
            {"InstanceType": one, "Location": location, "LocationType": kind}
            for one in sorted(unknown)
            for location in sorted({offer["Location"] for offer in offered})
        ]


def target(form: Form, region: str) -> Target:
    """What faults see of a call. It has a market if it is a launch."""
    action = form.get("Action", "")
    return Target(
        service="ec2",
        action=action,
        instance_type=form.get("InstanceType"),
        availability_zone=_zone(form, region),
        market=_market(form) if action == "RunInstances" else None,
    )


def _market(form: Form) -> Market:
    return "spot" if form.get("InstanceMarketOptions.MarketType") == "spot" else "on-demand"


def _zone(form: Form, region: str) -> str | None:
    """The availability zone that a launch names, itself or by its subnet."""
    subnet = form.get("SubnetId") or form.get("NetworkInterface.1.SubnetId")
    if not subnet:
        return form.get("Placement.AvailabilityZone")
    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    try:
        return str(backend.get_subnet(subnet).availability_zone)
    except EC2ClientError:
        return None  # moto will say that there is no such subnet
