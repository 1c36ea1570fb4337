"""The EC2 API: moto's, with a ClientToken that counts, faults on demand, and instances that follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from werkzeug import Response

from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.faults import Faults

# An image that does not exist is the mistake that a launch on AWS would show.
settings.ENABLE_AMI_VALIDATION = True

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"

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
    def __init__(self, cloud: Cloud, faults: Faults) -> None:
        self._cloud = cloud
        self._faults = faults
        self._launching = threading.Lock()
        self._launched: dict[tuple[str, str], tuple[Form, bytes]] = {}

    def call(self, form: Form, region: str, invocation: str | None, forward: Forward) -> Response:
        action = form.get("Action", "")
        fault = self._faults.take(action, invocation, form.get("InstanceType"), _zone(form, region))
        if fault is not None:
            return error_response(fault.code, fault.message, fault.status)
        if action == "RunInstances":
            return self._run_instances(form, region, forward)
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
        with self._launching:
            if token and (region, token) in self._launched:
                return self._repeated(form, region, token)
            response = forward()
            if token and response.status_code == 200:
                self._launched[region, token] = (form, response.get_data())
            self._cloud.follow()
        return response

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


def _zone(form: Form, region: str) -> str | None:
    """The availability zone that a launch names, itself or by its subnet."""
    subnet = form.get("SubnetId")
    if not subnet:
        return form.get("Placement.AvailabilityZone")
    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    try:
        return str(backend.get_subnet(subnet).availability_zone)
    except EC2ClientError:
        return None  # moto will say that there is no such subnet
