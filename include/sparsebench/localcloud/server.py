"""The server: moto's, with the layer in front that makes instances real."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug import Request, Response
from werkzeug.serving import make_server

from sparsebench.errors import BadInput
from sparsebench.localcloud import ec2, ssm
from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.commands import Commands
from sparsebench.localcloud.config import HOST, READY, Config
from sparsebench.localcloud.faults import FAULTS, Faults, Target, s3_error, s3_target
from sparsebench.localcloud.iam.enforcement import refused
from sparsebench.localcloud.imds import Imds
from sparsebench.localcloud.instance import Instance

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_LOCAL_NAME = re.compile(r"(127\.0\.0\.1|([\w.-]+\.)?localhost)(:\d+)?")
_FOLLOWED = ("ec2", "autoscaling", "cloudformation")
"""Services whose calls can start or end an instance."""


class _Shutdown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after_s: float = Field(ge=0, le=366 * 86_400)
    reboot: bool = False


class Application:
    """WSGI: answers what moto lacks, and passes everything else on to moto untouched."""

    def __init__(self, config: Config, url: str) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._faults = Faults()
        self._cloud = Cloud(config, url, self._faults)
        self._commands = Commands(config.slots, self._cloud)
        self._ec2 = ec2.Ec2(self._cloud, config.vcpu_quota)
        self._ssm = ssm.Ssm(self._cloud, self._commands)
        self._imds = Imds(self._cloud)
        self._enforce_iam = config.enforce_iam

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._answer(Request(environ)) or self._moto
        return answer(environ, start_response)

    def close(self) -> None:
        """End every process of every instance."""
        self._cloud.end()
        self._commands.close()
        self._cloud.release()

    def _answer(self, request: Request) -> WSGIApplication | None:
        """The layer's answer, or None where it is moto's to give."""
        if "Origin" in request.headers or not _LOCAL_NAME.fullmatch(request.host):
            # The server runs what it is sent: no page in a browser may send it anything.
            return Response("localcloud answers no browser, and no name but 127.0.0.1 and localhost", 403)
        if request.path == "/localcloud" or request.path.startswith("/localcloud/"):
            return self._own(request)
        if request.path == "/moto-api/reset" and request.method == "POST":
            self._reset()
            return None
        if self._enforce_iam and (refusal := refused(request)):
            return refusal
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        if scope is None or scope["service"] == "s3":
            return self._s3_call(request)  # moto, too, takes what is signed in its URL for S3's
        region, service = scope["region"], scope["service"]
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith("AmazonSSM."):
            return self._ssm_call(target.removeprefix("AmazonSSM."), request, region)
        if target == "ServiceQuotasV20190624.GetServiceQuota":
            return self._quota_call(request, region)
        if service in _FOLLOWED and request.mimetype == "application/x-www-form-urlencoded":
            return self._ec2_call(request, region)
        return None

    def _forward(self, request: Request, body: bytes) -> Response:
        return Response.from_app(self._moto, request.environ | {"wsgi.input": io.BytesIO(body)}, buffered=True)

    def _s3_call(self, request: Request) -> WSGIApplication | None:
        def carry_out() -> Response:
            return self._forward(request, request.get_data())

        return self._faults.answer(s3_target(request), _invocation(request), carry_out, s3_error)

    def _ssm_call(self, action: str, request: Request, region: str) -> WSGIApplication:
        body = request.get_data()

        def carry_out() -> Response:
            if action in self._ssm.actions:
                return self._ssm.call(action, json.loads(body), region)
            return self._forward(request, body)

        target = Target(service="ssm", action=action)
        return self._faults.answer(target, _invocation(request), carry_out, ssm.error_response) or carry_out()

    def _quota_call(self, request: Request, region: str) -> WSGIApplication:
        body = request.get_data()

        def carry_out() -> Response:
            return self._ec2.quota(json.loads(body), region) or self._forward(request, body)

        target = Target(service="servicequotas", action="GetServiceQuota")
        return self._faults.answer(target, _invocation(request), carry_out, ssm.error_response) or carry_out()

    def _ec2_call(self, request: Request, region: str) -> WSGIApplication:
        body = request.get_data()
        form = Request({**request.environ, "wsgi.input": io.BytesIO(body)}).form.to_dict()
        carry_out = partial(self._ec2.call, form, region, partial(self._forward, request, body))
        target = ec2.target(form, region)
        return self._faults.answer(target, _invocation(request), carry_out, ec2.error_response) or carry_out()

    def _reset(self) -> None:
        self._cloud.end()
        self._commands.forget()
        self._ec2.forget()
        self._faults.clear()

    # ------------------------------------------------------------------------- the layer's own addresses

    def _own(self, request: Request) -> Response:
        match request.path.strip("/").split("/")[1:]:
            case []:
                return _json({"instances": {found.id: found.record.state for found in self._cloud.instances()}})
            case ["faults"]:
                return self._own_faults(request)
            case ["imds", instance_id, *_]:
                path = request.path.removeprefix(f"/localcloud/imds/{instance_id}/")
                return self._imds.call(instance_id, path, request)
            case ["instances", instance_id, "shutdown"] if found := self._cloud.instance(instance_id):
                return self._own_shutdown(found, request)
        return Response("not found", HTTPStatus.NOT_FOUND)

    def _own_faults(self, request: Request) -> Response:
        match request.method:
            case "POST":
                try:
                    self._faults.add(FAULTS.validate_json(request.get_data()))
                except ValidationError as error:
                    return Response(str(error), HTTPStatus.BAD_REQUEST)
            case "DELETE":
                self._faults.clear()
        return _json(self._faults.report())

    def _own_shutdown(self, instance: Instance, request: Request) -> Response:
        match request.method:
            case "POST":
                try:
                    wanted = _Shutdown.model_validate_json(request.get_data())
                except ValidationError as error:
                    return Response(str(error), HTTPStatus.BAD_REQUEST)
                act: Callable[[], object] = partial(self._cloud.shut_down, instance)
                instance.schedule_shutdown(wanted.after_s, instance.reboot if wanted.reboot else act)
            case "DELETE":
                instance.cancel_shutdown()
        at = instance.shutdown_at
        return _json({"message": f"Shutdown scheduled for {at:%F %T %Z}" if at else "No shutdown is scheduled"})


def _invocation(request: Request) -> str | None:
    return request.headers.get("amz-sdk-invocation-id")


def _json(content: Any) -> Response:
    return Response(json.dumps(content), content_type="application/json")


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, and then end every process of every instance.

    Raises:
        BadInput: the port or the root folder is in use.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        listener = socket.create_server((HOST, config.port))
    except OSError as error:
        raise BadInput(f"port: {HOST}:{config.port} cannot be listened on: {error.strerror}") from None
    with listener:
        port = listener.getsockname()[1]
        url = f"http://{HOST}:{port}"
        application = Application(config, url)
        server = make_server(
            HOST, port, application, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"{READY}{url}", flush=True)
        try:
            server.serve_forever()
        finally:
            application.close()
