"""The server: moto's, with the layer in front that makes instances real."""

from __future__ import annotations

import hmac
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
from sparsebench.localcloud import ec2, prices, s3_hosts, ssm
from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.commands import THREADS, Commands
from sparsebench.localcloud.config import HOST, READY, Config
from sparsebench.localcloud.credentials import KEY_HEADER, keys
from sparsebench.localcloud.faults import FAULTS, Faults, Target, s3_error, s3_target
from sparsebench.localcloud.iam.enforcement import refused, unsigned
from sparsebench.localcloud.iam.simulation import simulate
from sparsebench.localcloud.images import offer_ubuntu
from sparsebench.localcloud.imds import Imds
from sparsebench.localcloud.instance import Instance
from sparsebench.localcloud.slots import Slots

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_LOCAL_NAME = re.compile(r"(127\.0\.0\.1|([\w.-]+\.)?localhost)(:\d+)?")
_FOLLOWED = ("ec2", "autoscaling", "cloudformation")
"""Services whose calls can start or end an instance."""


class _Shutdown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after_s: float = Field(ge=0, le=366 * 86_400)
    reboot: bool = False


class _Slots(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slots: int = Field(ge=1, le=THREADS)


class Application:
    """WSGI: answers what moto lacks, and passes everything else on to moto untouched."""

    def __init__(self, config: Config, url: str) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._faults = Faults()
        self._cloud = Cloud(config, url, self._faults)
        self._slots = Slots(config.slots)
        self._commands = Commands(self._slots, self._cloud)
        self._ec2 = ec2.Ec2(self._cloud, config.vcpu_quota)
        self._ssm = ssm.Ssm(self._cloud, self._commands)
        self._imds = Imds(self._cloud)
        self._enforce_iam = config.enforce_iam
        self._keys = keys(config.root)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._answer(Request(environ)) or self._moto
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            logging.getLogger(__name__).warning("a request that cannot be read", exc_info=True)
            answer = Response(f"the request cannot be read: {type(error).__name__}", HTTPStatus.BAD_REQUEST)
        return answer(environ, start_response)

    def close(self) -> None:
        """End every process of every instance."""
        self._cloud.end()
        self._commands.close()
        self._cloud.release()

    def _answer(self, request: Request) -> WSGIApplication | None:
        """The layer's answer, or None where it is moto's to give."""
        from_browser = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
        if from_browser or not _LOCAL_NAME.fullmatch(request.host):
            # The server runs what it is sent: no page in a browser may send it anything.
            return Response("localcloud answers no browser, and no name but 127.0.0.1 and localhost", 403)
        if request.path == "/localcloud" or request.path.startswith("/localcloud/"):
            return self._own(request)
        if request.path.startswith("/moto-api"):
            if not self._has_key(request):
                return _no_key()
            if request.path == "/moto-api/reset" and request.method == "POST":
                self._reset()
            return None
        if refusal := unsigned(request, self._keys.secret, self._enforce_iam):
            return refusal
        if self._enforce_iam and (refusal := refused(request)):
            return refusal
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        if scope is None or scope["service"] == "s3":  # moto, too, takes what is signed in its URL for S3's
            return s3_hosts.wrong_region(request) or self._s3_call(s3_hosts.to_path(request))
        region, service = scope["region"], scope["service"]
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith("AmazonSSM."):
            return self._ssm_call(target.removeprefix("AmazonSSM."), request, region)
        if target == "ServiceQuotasV20190624.GetServiceQuota":
            return self._quota_call(request, region)
        if target == "AWSPriceListService.GetProducts":
            return self._price_call(request)
        if service == "iam" and request.mimetype == "application/x-www-form-urlencoded":
            return self._iam_call(request)
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
            offer_ubuntu(region)
            return self._forward(request, body)

        target = Target(service="ssm", action=action)
        return self._faults.answer(target, _invocation(request), carry_out, ssm.error_response) or carry_out()

    def _quota_call(self, request: Request, region: str) -> WSGIApplication:
        body = request.get_data()

        def carry_out() -> Response:
            return self._ec2.quota(json.loads(body), region) or self._forward(request, body)

        target = Target(service="servicequotas", action="GetServiceQuota")
        return self._faults.answer(target, _invocation(request), carry_out, ssm.error_response) or carry_out()

    def _price_call(self, request: Request) -> WSGIApplication:
        body = request.get_data()

        def carry_out() -> Response:
            return prices.get_products(json.loads(body))

        target = Target(service="pricing", action="GetProducts")
        return self._faults.answer(target, _invocation(request), carry_out, ssm.error_response) or carry_out()

    def _iam_call(self, request: Request) -> WSGIApplication:
        body = request.get_data()
        parameters = Request({**request.environ, "wsgi.input": io.BytesIO(body)}).form
        if parameters.get("Action") == "SimulatePrincipalPolicy":
            return simulate(parameters)
        return self._forward(request, body)

    def _ec2_call(self, request: Request, region: str) -> WSGIApplication:
        body = request.get_data()
        parameters = Request({**request.environ, "wsgi.input": io.BytesIO(body)}).form.to_dict()
        carry_out = partial(self._ec2.call, parameters, region, partial(self._forward, request, body))
        target = ec2.target(parameters, region)
        answer = self._faults.answer(target, _invocation(request), carry_out, ec2.error_response) or carry_out()
        failed = isinstance(answer, Response) and b"InsufficientInstanceCapacity" in answer.get_data()
        if target.action == "RunInstances" and failed:
            self._ec2.launch_failed(parameters, region)
        return answer

    def _reset(self) -> None:
        self._cloud.end()
        self._commands.forget()
        self._ec2.forget()
        self._faults.clear()

    # ------------------------------------------------------------------------- the layer's own addresses

    def _own(self, request: Request) -> Response:
        match request.path.strip("/").split("/")[1:]:
            case [] if not self._has_key(request):
                return _json({})  # that it answers is what a health check asks
            case []:
                return _json(
                    {"instances": {instance.id: instance.record.state for instance in self._cloud.instances()}}
                )
            case ["faults"]:
                return self._own_faults(request) if self._has_key(request) else _no_key()
            case ["slots"]:
                return self._own_slots(request) if self._has_key(request) else _no_key()
            case ["imds", name, *_] if instance_id := self._keys.instance_of(name):
                return self._imds.call(instance_id, request.path.removeprefix(f"/localcloud/imds/{name}/"), request)
            case ["instances", name, "shutdown"] if instance_id := self._keys.instance_of(name):
                if instance := self._cloud.instance(instance_id):
                    return self._own_shutdown(instance, request)
        return Response("not found", HTTPStatus.NOT_FOUND)

    def _has_key(self, request: Request) -> bool:
        given = request.headers.get(KEY_HEADER, "")
        return hmac.compare_digest(given.encode(), self._keys.secret.encode())

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

    def _own_slots(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self._slots.resize(_Slots.model_validate_json(request.get_data()).slots)
            except ValidationError as error:
                return Response(str(error), HTTPStatus.BAD_REQUEST)
        return _json({"slots": self._slots.count})

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


def _no_key() -> Response:
    return Response(f"give the key of this localcloud as {KEY_HEADER}", HTTPStatus.FORBIDDEN)


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
