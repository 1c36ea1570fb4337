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

from sparsebench.localcloud import prices
from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.faults import Market, Target
from sparsebench.localcloud.images import offer_ubuntu
from sparsebench.localcloud.launch_checks import THIS_MACHINE, refusal

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

Parameters = dict[str, str]
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
        self._launched: dict[tuple[str, str], tuple[Parameters, bytes]] = {}
        """By region and ClientToken: parameters and answer of a launch; the answer of one that failed is empty."""

    def call(self, parameters: Parameters, region: str, forward: Forward) -> Response:
        action = parameters.get("Action", "")
        _give_way_out(region)
        offer_ubuntu(region)
        if action == "RunInstances":
            return self._run_instances(parameters, region, forward)
        if action == "TerminateInstances" and (unknown := self._unseen(parameters, region, by_tag=False)):
            return unknown
        if action == "DescribeInstances":
            return self._describe_instances(parameters, region, forward)
        if action == "DescribeInstanceTypeOfferings":
            _offer_this_machine(region)
        if action in ("DescribeInstanceTypes", "DescribeSpotPriceHistory"):
            return _of_region(forward(), region)
        response = forward()
        if action == "RebootInstances" and response.status_code == 200:
            for name, value in parameters.items():
                if name.startswith("InstanceId.") and (instance := self._cloud.instance(value, region)):
                    instance.reboot()
        elif not action.startswith("Describe"):
            self._cloud.follow()
        return response

    def forget(self) -> None:
        self._launched.clear()

    def launch_failed(self, parameters: Parameters, region: str) -> None:
        """A launch for which there was no capacity has used its token up all the same: it can be repeated as it was."""
        if token := parameters.get("ClientToken"):
            self._launched.setdefault((region, token), (parameters, b""))

    def _unseen(self, parameters: Parameters, region: str, by_tag: bool) -> Response | None:
        """The refusal of a call that names an instance which EC2 does not show yet."""
        for name, value in parameters.items():
            named = self._cloud.instance(value, region) if name.startswith("InstanceId.") else None
            if named and not named.is_shown(by_tag):
                return error_response("InvalidInstanceID.NotFound", f"The instance ID '{value}' does not exist")
        return None

    def _describe_instances(self, parameters: Parameters, region: str, forward: Forward) -> Response:
        """moto's answer without what was launched just now."""
        by_tag = any(
            re.fullmatch(r"Filter\.\d+\.Name", name) and parameters[name].startswith("tag") for name in parameters
        )
        hidden = {instance.id for instance in self._cloud.instances(region) if not instance.is_shown(by_tag)}
        if unknown := self._unseen(parameters, region, by_tag):
            return unknown
        response = forward()
        if not hidden or response.status_code != 200:
            return response
        ElementTree.register_namespace("", _NAMESPACE)
        root = ElementTree.fromstring(response.get_data())  # noqa: S314 - moto's own answer
        names = {"e": _NAMESPACE}
        for reservations in root.iterfind("e:reservationSet", names):
            for reservation in list(reservations):
                instances = reservation.find("e:instancesSet", names)
                for item in list(instances) if instances is not None else []:
                    if _text(item, "instanceId").text in hidden:
                        instances.remove(item)  # type: ignore[union-attr]
                if not instances:
                    reservations.remove(reservation)
        return Response(ElementTree.tostring(root), content_type="text/xml")

    def _run_instances(self, parameters: Parameters, region: str, forward: Forward) -> Response:
        token = parameters.get("ClientToken")
        with self._cloud.launching:
            if token and (region, token) in self._launched:
                repeated = self._repeated(parameters, region, token)
                if repeated is not None:
                    return repeated
            if wrong := refusal(parameters, region, _zone(parameters, region)):
                return error_response(*wrong)
            if self._is_above_quota(parameters, region):
                message = f"You have requested more vCPU capacity than your current limit of {self._vcpu_quota} allows"
                return error_response(_QUOTAS[_market(parameters)][2], message)
            response = forward()
            if token and response.status_code == 200:
                self._launched[region, token] = (parameters, response.get_data())
        self._cloud.follow()
        return response

    # ---------------------------------------------------------------------------------------- quotas

    def _is_above_quota(self, parameters: Parameters, region: str) -> bool:
        """Whether the instances that a launch insists on, MinCount, are too many beside those of its market."""
        backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
        market = _market(parameters)
        running = sum(
            _vcpus(record.instance_type)
            for record in backend.all_instances()
            if record.state in ("pending", "running") and (record.lifecycle == "spot") == (market == "spot")
        )
        wanted = int(parameters.get("MinCount", 1)) * _vcpus(parameters.get("InstanceType", "m1.small"))
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

    def _repeated(self, parameters: Parameters, region: str, token: str) -> Response | None:
        """The answer to a launch that was asked for before: the same instances, in their present state.

        None: it failed before, and is tried again.
        """
        launched_with, answer = self._launched[region, token]
        if parameters != launched_with:
            differ = sorted(name for name, _ in parameters.items() ^ launched_with.items())
            return error_response(
                "IdempotentParameterMismatch",
                f"client token {token} was used with other parameters; {', '.join(dict.fromkeys(differ))} differ",
            )
        if not answer:
            return None
        ElementTree.register_namespace("", _NAMESPACE)
        reservation = ElementTree.fromstring(answer)  # noqa: S314 - moto's own answer
        for item in reservation.iterfind("e:instancesSet/e:item", {"e": _NAMESPACE}):
            instance = self._cloud.instance(_text(item, "instanceId").text or "")
            if instance is None or instance.record.state == "terminated":
                return error_response(
                    "IdempotentInstanceTerminated", f"The instance of the client token {token} has been terminated"
                )
            _text(item, "instanceState/e:code").text = str(instance.record.state_code)
            _text(item, "instanceState/e:name").text = instance.record.state
        return Response(ElementTree.tostring(reservation), content_type="text/xml")


def _text(item: ElementTree.Element, path: str) -> ElementTree.Element:
    element = item.find(f"e:{path}", {"e": _NAMESPACE})
    if element is None:
        raise LookupError(f"moto's answer to RunInstances has no {path}")
    return element


def _vcpus(instance_type: str) -> int:
    """What an instance counts. This machine has whatever it has, so an instance that says so counts nothing."""
    return 0 if instance_type == THIS_MACHINE else int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def _give_way_out(region: str) -> None:
    """The default VPC has an internet gateway, as on AWS."""
    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    default = backend.get_default_vpc()
    if default is None or any(
        gateway.vpc and gateway.vpc.id == default.id for gateway in list(backend.internet_gateways.values())
    ):
        return
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, default.id)
    for table in list(backend.route_tables.values()):
        if table.vpc_id == default.id and table.main_association_id:
            backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)


def _offer_this_machine(region: str) -> None:
    """Have moto offer this machine in every zone."""
    for kind, regions in INSTANCE_TYPE_OFFERINGS.items():
        offered = regions.get(region, [])
        if all(offer["InstanceType"] != THIS_MACHINE for offer in offered):
            offered += [
                {"InstanceType": THIS_MACHINE, "Location": location, "LocationType": kind}
                for location in sorted({offer["Location"] for offer in offered})
            ]


def _of_region(response: Response, region: str) -> Response:
    """moto's answer about types without those that the region does not have; spot prices are localcloud's own."""
    if response.status_code != 200:
        return response
    ElementTree.register_namespace("", _NAMESPACE)
    root = ElementTree.fromstring(response.get_data())  # noqa: S314 - moto's own answer
    for items in root:
        for item in list(items):
            price = prices.spot(_text(item, "instanceType").text or "", region)
            if price is None:
                items.remove(item)
            elif (told := item.find(f"{{{_NAMESPACE}}}spotPrice")) is not None:
                told.text = f"{price:.6f}"
    return Response(ElementTree.tostring(root), content_type="text/xml")


def target(parameters: Parameters, region: str) -> Target:
    """What faults see of a call. It has a market if it is a launch."""
    action = parameters.get("Action", "")
    return Target(
        service="ec2",
        action=action,
        instance_type=parameters.get("InstanceType"),
        availability_zone=_zone(parameters, region),
        market=_market(parameters) if action == "RunInstances" else None,
    )


def _market(parameters: Parameters) -> Market:
    return "spot" if parameters.get("InstanceMarketOptions.MarketType") == "spot" else "on-demand"


def _zone(parameters: Parameters, region: str) -> str | None:
    """The availability zone that a launch names, itself or by its subnet."""
    subnet = parameters.get("SubnetId") or parameters.get("NetworkInterface.1.SubnetId")
    if not subnet:
        return parameters.get("Placement.AvailabilityZone")
    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    try:
        return str(backend.get_subnet(subnet).availability_zone)
    except EC2ClientError:
        return None  # moto will say that there is no such subnet
